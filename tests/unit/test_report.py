"""The report as a page: what it says, that it is one file, and that outside text stays text."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import ALARM_RAISED
from schemas.frame import Frame
from scripts.report import Counts, ReportData, render, tracks
from scripts.report.markup import tag, text
from scripts.report.profiles import MOST_PROFILES
from tests.report_sample import START_US, dive, event, raised, sample

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x00\u202e\ud800"


class Reader(HTMLParser):
    """Collects the elements of a page, and where they do not nest."""

    VOID = frozenset({"meta", "link", "br", "input", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.tags if found == name]


def read(data: ReportData) -> Reader:
    reader = Reader()
    reader.feed(render(data))
    assert reader.open == []
    return reader


def bare(**changed: Any) -> ReportData:
    given = {"title": "t", "created": "c", "inputs": {}, "counts": Counts(records_in=0)}
    return ReportData(**(given | changed))


@pytest.fixture(scope="module")
def page() -> Reader:
    return read(sample())


def test_the_head_tells_the_result_in_one_sentence() -> None:
    assert (
        "12 vehicles, 21,305 records, 10 zones: 36 alarms (12 critical, 24 warning), 12 open."
        in render(sample())
    )


def test_the_counts_are_told(page: Reader) -> None:
    words = " ".join(page.words)
    for shown in ("records in", "rejected", "late", "unknown depth", "1,400", "21,305"):
        assert shown in words


def test_the_same_data_gives_the_same_page() -> None:
    assert render(sample()) == render(sample())


def test_nothing_in_the_page_points_outside(page: Reader) -> None:
    sources = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in {"src", "href", "xlink:href", "action", "srcset", "poster"}
    ]
    assert sources
    assert [s for s in sources if not str(s).startswith(("#", "data:"))] == []
    assert not re.search(r"url\((?!#)|@import", render(sample()))


def test_every_link_leads_to_an_element_of_the_page(page: Reader) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for name in ("a", "use"):
        targets = {str(attributes["href"])[1:] for attributes in page.named(name)}
        assert targets <= set(ids)


def test_the_policy_names_the_style_and_the_script_and_nothing_else(page: Reader) -> None:
    policy = next(m["content"] for m in page.named("meta") if "http-equiv" in m)
    assert re.fullmatch(
        r"default-src 'none'; img-src data:; style-src 'sha256-[\w+/=]{44}'; "
        r"script-src 'sha256-[\w+/=]{44}'; base-uri 'none'; form-action 'none'",
        str(policy),
    )
    assert not any(name.startswith("on") or name == "style" for _, a in page.tags for name in a)


def test_outside_text_is_never_markup() -> None:
    fleet = [replace(dive("CCZ-00", 0, 200), vehicle_id=HOSTILE, kind=HOSTILE)]
    alarm = raised(HOSTILE, 0, START_US, message=HOSTILE, rule_id=HOSTILE, state=HOSTILE)
    alarm["data"]["decision"] = {
        "inputs": {HOSTILE: HOSTILE},
        "fixes": [HOSTILE],
        HOSTILE: {HOSTILE: [HOSTILE]},
    }
    reject = event("r", "", START_US, reason=HOSTILE, field=HOSTILE, raw=HOSTILE, origin=HOSTILE)
    data = bare(
        title=HOSTILE,
        created=HOSTILE,
        inputs={HOSTILE: HOSTILE},
        counts=Counts(records_in=1, rejected=1, others={HOSTILE: 1}),
        tracks=fleet,
        events=[alarm],
        rejects=[reject],
    )
    found = read(data)
    assert len(found.named("script")) == 1
    assert found.named("img") == []
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    render(data).encode("utf-8")


@given(st.text(st.characters(codec=None)))
def test_any_text_comes_back_from_a_page_as_it_was_or_spelt_out(given: str) -> None:
    reader = Reader()
    reader.feed(tag("p", {"title": given}, given))
    reader.close()
    assert [name for name, _ in reader.tags] == ["p"]
    plain = re.sub(r"[^\t\n -~]", "", given)
    if plain == given:
        assert "".join(reader.words) == given
        assert reader.tags[0][1]["title"] == given
    str(text(given)).encode("utf-8")


def test_an_alert_shows_its_decision_record() -> None:
    written = render(bare(events=[raised("A", 0, START_US)]))
    record = re.search(r'<details class="decision">.*?</details>', written, re.S)
    assert record
    for part in ("apei-no-work v2", "apei-1 v3", "depth_m", "4213.25", "limit", "margin", "m-0-19"):
        assert part in record[0]


def test_a_shadow_alarm_is_listed_and_not_counted_as_told() -> None:
    written = render(bare(events=[raised("A", 0, START_US, mode="shadow")]))
    assert "no alarms" in written
    assert "shadow rule, nobody was told" in written


def test_a_retracted_alarm_is_not_told() -> None:
    alarm = raised("A", 0, START_US)
    taken_back = {**alarm, "data": {**alarm["data"], "version": 2, "retracted": True}}
    assert "no alarms" in render(bare(events=[taken_back, alarm]))


def test_of_many_alerts_two_hundred_are_shown_and_the_rest_counted() -> None:
    events = [raised(f"V{n:03}", n, START_US + n) for n in range(450)]
    written = render(bare(events=events))
    assert "250 more (the first 200 of 450 are above)" in written
    assert written.count('<tr id="alert-') == 450


def test_a_flood_of_alerts_is_cut_with_a_word_and_leaves_no_link_in_the_void() -> None:
    written = render(bare(events=[raised(f"V{n}", n, START_US + n) for n in range(5_100)]))
    assert "100 more are in the results and not in this report." in written
    assert "4,100 more, less urgent, are not drawn." in written
    ids = set(re.findall(r' id="([^"]*)"', written))
    assert set(re.findall(r'href="#([^"]*)"', written)) <= ids


def test_alerts_come_by_severity_then_time() -> None:
    events = [raised(f"V{n}", n, START_US - n) for n in range(12)]
    rows = re.findall(r'<tr id="alert-\d+".*?</tr>', render(bare(events=events)), re.S)
    found = [
        (re.search(r'class="severity (\w+)"', row)[1], re.search(r"#alert-\d+\">([^<]*)", row)[1])
        for row in rows
    ]
    order = ["emergency", "critical", "warning"]
    assert found == sorted(found, key=lambda pair: (order.index(pair[0]), pair[1]))


def test_rejects_are_counted_by_reason_whatever_their_values() -> None:
    reasons = ["latitude: 91 is above 90", "latitude: 92.5 is above 90", "not JSON"]
    rejects = [
        event("r", "", START_US + n, reason=reason, field="", raw="\x00\x1b[31m", origin="f:1")
        for n, reason in enumerate(reasons)
    ]
    written = render(bare(rejects=rejects, counts=Counts(records_in=9, rejected=70)))
    assert "2 ×</b> latitude: … is above …" in written
    assert "1 ×</b> not JSON" in written
    assert r"\x00\x1b[31m" in written
    assert "Of 70 the first 3 are counted" in written


@pytest.mark.parametrize(
    "data",
    [
        bare(),
        bare(zones=sample().zones),
        bare(tracks=[dive("X", 0, 1)]),
        bare(tracks=[replace(dive("X", 0, 0), vehicle_id="none")]),
        bare(events=[raised("A", 0, START_US)]),
        bare(tracks=[replace(dive("X", 0, 5), longitude=np.full(5, np.nan))]),
    ],
    ids=["nothing", "zones", "one fix", "no fix", "one alarm without a track", "no position"],
)
def test_whatever_is_missing_there_is_a_page(data: ReportData) -> None:
    read(data)


def test_hundreds_of_vessels_are_on_one_map_without_hundreds_of_profiles() -> None:
    fleet = [replace(dive(f"V{n}", 0, 20, seed=n), kind="vessel") for n in range(300)]
    found = read(bare(tracks=fleet))
    classes = [attributes.get("class") for attributes in found.named("svg")]
    assert classes.count("map") == 1
    assert classes.count("profile") == MOST_PROFILES
    assert [a.get("class") for a in found.named("path")].count("track") == 301  # one in the legend


def test_a_profile_is_drawn_only_where_a_depth_is_known() -> None:
    dry = replace(dive("Dry", 0, 50), depth_m=np.full(50, np.nan))
    found = read(bare(tracks=[dry, dive("Wet", 0, 50)]))
    labels = [a["aria-label"] for a in found.named("svg") if a.get("class") == "profile"]
    assert len(labels) == 1
    assert str(labels[0]).startswith("Wet")


def test_two_hundred_thousand_fixes_stay_well_under_two_megabytes() -> None:
    data = sample(vehicles=10, fixes=20_000, alarms_each=3)
    assert sum(len(track.time_us) for track in data.tracks) > 200_000
    assert len(render(data).encode()) < 1_000_000


def test_an_event_without_its_fields_is_refused() -> None:
    with pytest.raises(KeyError, match="alarm_id"):
        render(bare(events=[event(ALARM_RAISED, "A", START_US)]))


def test_tracks_of_frames_are_split_by_vehicle_and_body_in_time_order() -> None:
    def frame(vehicle: list[int], time_us: list[int], body: list[int]) -> Frame:
        return Frame(
            vehicle_ids=("B", "A"),
            vehicle=np.array(vehicle, np.int32),
            time_us=np.array(time_us, np.int64),
            kind=np.zeros(len(vehicle), np.int8),
            body=np.array(body, np.int8),
            numbers={"latitude": np.array(time_us, np.float64)},
        )

    found = tracks([frame([0, 1, 0], [5, 2, 1], [0, 0, 1]), frame([0], [3], [0])])
    assert [(t.vehicle_id, t.body, t.time_us.tolist()) for t in found] == [
        ("A", "earth", [2]),
        ("B", "earth", [3, 5]),
        ("B", "mars", [1]),
    ]
    assert found[1].latitude.tolist() == [3.0, 5.0]
    assert np.isnan(found[1].longitude).all()
    assert tracks([]) == ()
