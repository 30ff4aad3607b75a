"""Caution with records the flow may be dying of, over lives that end as ``kill -9`` ends them."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connectors.contract import ConnectorSettings, RefusedError
from connectors.files import FileSource
from connectors.trials import ENOUGH, GROWTH, SUSPECT_AFTER, TRIALS, Trials, Tried
from flows.steps.caution import CautiousSource
from schemas.message import Message, Reject

DEADLY = b'{"deadly":1}'


class DiedError(Exception):
    """What a deadly record does to a life."""


@dataclass
class Lives:
    """Lives of one flow over files, epoch after epoch; each reads what is committed on."""

    url: str
    folder: Path
    committed: dict[str, object] = field(default_factory=dict)
    told: dict[str, list[bytes]] = field(default_factory=dict)
    refused: list[Reject] = field(default_factory=list)
    handed_out: list[int] = field(default_factory=list)

    def live(self, trials: Trials | None = None) -> bool:
        """One life; False where it died. ``trials``: of another process that lives meanwhile."""
        source = FileSource(self.url, ConnectorSettings(batch_rows=50))
        cautious = CautiousSource(source.build(), trials or Trials(self.folder))
        names = cautious.list_parts()
        parts = {name: cautious.build_part("in", name, self.committed.get(name)) for name in names}
        try:
            while parts:
                self._epoch(parts)
        except DiedError:
            # The kernel would let the turn go.
            for name in names:
                cautious.trials.end_turn(name)
            return False
        return True

    def _epoch(self, parts):
        batches, ended = {}, set()
        for name, part in parts.items():
            batches[name] = []
            try:
                for _ in range(2):
                    batches[name] += part.next_batch()
            except StopIteration:
                ended.add(name)
        lines = [line for batch in batches.values() for item in batch for line in _lines(item)]
        self.handed_out.append(len(lines))
        if DEADLY in lines:
            raise DiedError
        for name, batch in batches.items():
            self.told.setdefault(name, []).extend(line for item in batch for line in _lines(item))
            self.refused += [item for item in batch if isinstance(item, Reject)]
        self.committed |= {name: part.snapshot() for name, part in parts.items()}
        for name in ended:
            del parts[name]


def _lines(item: Message | Reject) -> list[bytes]:
    return item.body.splitlines() if isinstance(item, Message) else []


@pytest.fixture
def lives(tmp_path):
    """Two files, the second of which holds a deadly record among its lines."""
    for name in "ab":
        lines = [b'{"%s":%d}' % (name.encode(), number) for number in range(300)]
        if name == "b":
            lines.insert(77, DEADLY)
        (tmp_path / f"{name}.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    return Lives(f"file:{tmp_path}/*.ndjson", tmp_path / "trials")


def test_the_deadly_record_alone_is_refused_and_all_else_comes_once(lives):
    count = 1
    while not lives.live():
        count += 1
        assert count < 30, "it dies for ever"
    assert count > SUSPECT_AFTER + TRIALS
    (refused,) = lives.refused
    assert refused.raw.strip() == DEADLY
    assert "the flow ended" in refused.reason
    assert refused.origin == "file:b.ndjson"
    for name, told in lives.told.items():
        stem = Path(name).stem.encode()
        assert told == [b'{"%s":%d}' % (stem, number) for number in range(300)]
    assert not list(lives.folder.glob("*.json"))


def test_with_caution_one_part_hands_out_one_record_at_first_and_more_later(lives):
    for _ in range(SUSPECT_AFTER):
        assert not lives.live()
    lives.handed_out.clear()
    lives.live()
    grown = [count for count in lives.handed_out if count]
    assert grown[:4] == [1, 4, 16, 50]


def test_lives_that_get_on_are_never_cautious(lives):
    Path(lives.url.removeprefix("file:")).parent.joinpath("b.ndjson").unlink()
    assert lives.live()
    assert max(lives.handed_out) >= 100
    assert not list(lives.folder.glob("*.json"))


def test_what_one_process_has_in_the_flow_keeps_the_others_waiting(tmp_path):
    one, two = Trials(tmp_path), Trials(tmp_path)
    assert one.take_turn("a")
    assert one.take_turn("a")
    assert not one.take_turn("b")
    assert not two.take_turn("c")
    one.end_turn("b")
    assert not two.take_turn("c")
    one.end_turn("a")
    assert two.take_turn("c")
    two.end_turn("c")


def test_what_is_kept_is_found_by_the_next_life_and_torn_files_are_not(tmp_path):
    trials = Trials(tmp_path / "trials")
    tried = Tried("a/very/long" * 40, "place", 3, 1)
    trials.keep(tried)
    trials.folder.joinpath("torn.json").write_bytes(b'{"part":')
    assert Trials(trials.folder).found() == {tried.part: tried}
    trials.drop(tried.part)
    trials.drop(tried.part)
    assert trials.found() == {}


def test_a_folder_that_takes_nothing_is_told(tmp_path):
    tmp_path.joinpath("trials").write_text("no folder")
    with pytest.raises(RefusedError, match=r"trials.*make it writable"):
        Trials(tmp_path / "trials").keep(Tried("a", "place", 1))


def test_caution_takes_eight_epochs_at_most():
    assert GROWTH**8 >= ENOUGH
