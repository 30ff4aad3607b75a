"""The registry's flow: notices of zones and rules in, versions in a store and dead letters out."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.backoff import until_available
from connectors.contract import ConnectorSettings, Definition, SettingsError
from connectors.definitions import Author, DefinitionStore, Kind
from connectors.documents import open_definitions
from connectors.registry import masked
from flows.steps.decode import only
from flows.steps.results import write_results
from flows.steps.source import messages_in
from flows.wiring import Wiring, from_environment
from rules.rulesets import load_rules
from rules.zone_geometry import ZoneGeometryError, zone_shapes
from schemas.delivery import Delivery
from schemas.message import Message, Reject
from schemas.notice import Notice, decode_notices
from schemas.rejected import dead_letter
from schemas.rule import Rule, RuleFileError
from schemas.zone import Zone
from schemas.zone_file import ZoneFileError, load_zones

_KINDS: Final[dict[str, Kind]] = {"rule": "rules", "zone": "zones"}


def registry(wiring: Wiring) -> Dataflow:
    """Take notices of zones and rules into the stores that the settings name."""
    flow = Dataflow("registry")
    taker = _Taker({"zones": wiring.settings.zones, "rules": wiring.settings.rules})
    messages, limit = messages_in(flow, wiring)

    def take(batch: list[Message | Reject]) -> Iterator[Delivery]:
        refused, taken = only(Reject, batch), 0
        for message in only(Message, batch):
            for line, notice in decode_notices(message):
                found = notice if isinstance(notice, Reject) else taker.take(notice)
                if isinstance(found, str):
                    found = Reject(found, "", line, message.origin)
                taken += found is None
                refused += [found] if found else []
        limit.count(taken, refused)
        yield from map(dead_letter, refused)

    results = op.flat_map_batch("take_in", messages, take)
    write_results(results, wiring.sinks, "/farwatch/registry", wiring.told)
    return flow


class _Taker:
    """Takes notices into stores; ``urls``: of the zones' and the rules' store.

    A version that is there already, saying the same, is left alone: a notice may come again.
    """

    def __init__(self, urls: dict[Kind, str]) -> None:
        given = {kind: url for kind, url in urls.items() if url}
        if not given:
            raise SettingsError(
                "not set: FARWATCH_RULES, FARWATCH_ZONES; name the store that notices go to"
            )
        self._stores: dict[Kind, tuple[str, DefinitionStore]] = {
            kind: (masked(url), open_definitions(url)) for kind, url in given.items()
        }
        self._patience_s = ConnectorSettings().patience_s

    def take(self, notice: Notice) -> str | None:
        """Take a notice; what is wrong with it, None = nothing."""
        kind = _KINDS[notice.type.partition(".")[0]]
        if kind not in self._stores:
            return f"no store for {kind}: set FARWATCH_{kind.upper()}"
        name, store = self._stores[kind]
        author = Author(notice.by, notice.why)

        def keep() -> None:
            store.keep({kind: [_definition(kind, notice, store)]}, notice.type, author)

        try:
            until_available(name, keep, self._patience_s)
        except (RuleFileError, ZoneFileError, ZoneGeometryError) as exc:
            return "; ".join(exc.mistakes)
        except SettingsError as exc:
            return str(exc)
        return None


def _definition(kind: Kind, notice: Notice, store: DefinitionStore) -> Definition:
    """The version that a notice makes; raises what reading it raises."""
    given = notice.rule if kind == "rules" else notice.zone
    if given is None:
        store.keep({}, notice.type)  # Makes the store where absent.
        older = [
            body
            for body in store.versions(kind)
            if body["id"] == notice.id and _version(body) < (notice.version or 0)
        ]
        if not older or notice.at is None:
            raise SettingsError(f"`{notice.id}`: no version before {notice.version} to end")
        return _kept(_ended(_read(kind, older[-1]), notice.version or 0, notice.at))
    return _kept(_read(kind, given))


def _version(body: dict[str, Any]) -> int:
    return int(body.get("version") or body.get("properties", {}).get("version") or 1)


def _ended(one: Rule | Zone, version: int, at: datetime) -> Rule | Zone:
    start = one.effective_from
    if start is not None and start >= at:
        raise SettingsError(f"`{one.id}` begins only at {start.isoformat()}: end it later")
    return one.model_copy(update={"version": version, "effective_to": at})


def _read(kind: Kind, body: dict[str, Any]) -> Rule | Zone:
    if kind == "rules":
        named = {(f.alias if (f := Rule.model_fields.get(k)) else None) or k: body[k] for k in body}
        return load_rules(json.dumps([named]).encode(), "notice").rules[0].rule
    document = {"type": "FeatureCollection", "features": [body]}
    zones = load_zones(json.dumps(document).encode(), "notice")
    zone_shapes(zones, "notice")
    return zones[0]


def _kept(one: Rule | Zone) -> Definition:
    body = one.feature() if isinstance(one, Zone) else None
    return Definition(
        id=one.id,
        version=one.version,
        body=body or one.model_dump(mode="json", exclude_none=True),
        effective_from_us=one.effective_from_us,
        effective_to_us=one.effective_to_us,
    )


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(registry, zones=False, rules=False)
    raise AttributeError(name)
