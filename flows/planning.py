"""Planning: telemetry and mission plans in, requests for a new plan out, when one is needed."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream, operator
from bytewax.operators import KeyedStream

from connectors.contract import SettingsError
from connectors.registry import masked
from flows import telemetry
from flows.hazard import Scoring
from flows.settings import Settings
from flows.steps.editions import Editions
from flows.steps.mission import (
    heard,
    load_trigger_file,
    read_given,
    refuse_without,
    scores_of,
)
from flows.steps.results import write_results
from flows.steps.state import Keyed, follow_together
from flows.steps.together import Together
from flows.wiring import Wiring, from_environment
from rules.assessment import KeyGroups
from rules.hazard.part import Served
from rules.planning import group
from rules.planning.cohort import Split, entering, joining
from rules.planning.intake import Given, Intake
from rules.planning.move import Judges, Policy
from rules.planning.part import Part, Whole
from rules.planning.state import PlanningState
from rules.planning.triggers import CompiledTrigger, TriggerBook
from rules.planning.waiting import Waiting
from rules.share import Share, shares
from schemas.delivery import Delivery
from schemas.event import identity
from schemas.frame import Frame

MOST_GROUPS: Final = 4
"""Groups of vehicles, at most: few records are left to judge. Part of what the state depends on."""


class _Desk:
    """What decides, by the zones in force in this process."""

    def __init__(
        self,
        triggers: Sequence[CompiledTrigger],
        editions: Editions,
        policy: Policy,
        given: Given,
        groups: KeyGroups,
    ) -> None:
        self.policy = policy
        self._triggers, self._editions, self._given = triggers, editions, given
        self._groups = groups
        self._registry = editions.registry
        self._judges = self._made()

    def judges(self) -> Judges:
        """What decides now."""
        if self._editions.registry is not self._registry:
            self._registry = self._editions.registry
            self._judges = self._made()
        return self._judges

    def advance(self, state: PlanningState, part: Part) -> tuple[PlanningState, list[Delivery]]:
        """Take in what there is for some groups."""
        return group.advance(self.judges(), state, part)

    def finish(self, state: PlanningState) -> tuple[PlanningState, list[Delivery]]:
        """The end of the input."""
        return group.finish(self.judges(), state)

    def _made(self) -> Judges:
        book = TriggerBook(self._triggers, self._registry.fences)
        return Judges(book, self.policy, self._given, self._groups)


def planning(wiring: Wiring) -> Dataflow:
    """Hold telemetry against triggers, ask for plans, follow what becomes of the requests."""
    flow = Dataflow("planning")
    wiring.settings.require("triggers")
    decoded = telemetry.read(flow, wiring)
    requests = ask(flow, decoded.frames, wiring, tell_late=True)
    results = op.merge("results", requests, decoded.dead_letters)
    write_results(results, wiring.sinks, "/farwatch/planning", wiring.told)
    return flow


def ask(
    flow: Dataflow,
    frames: Stream[Frame],
    wiring: Wiring,
    scoring: Scoring | None = None,
    *,
    tell_late: bool = False,
) -> Stream[Delivery]:
    """The plan requests that the frames' records give cause for, and what becomes of them.

    ``scoring``: the hazard scores of the frames, where this flow has any: records wait for them, so
    that both are judged together. ``tell_late``: what comes too late is told.

    Raises:
        RegistryError: mistakes in triggers, plans or results given as files.
        SettingsError, ConnectorError: something is missing or cannot be read.
    """
    settings = wiring.settings
    groups = KeyGroups(min(settings.key_groups, MOST_GROUPS))
    triggers = load_trigger_file(settings.triggers)
    given = read_given(settings.mission_plans, settings.plan_results)
    zones = bool(wiring.registry.fences.zones)
    if scoring is not None and settings.hazard_scores:
        raise SettingsError(
            f"FARWATCH_HAZARD_SCORES `{masked(settings.hazard_scores)}`: this flow scores by"
            " FARWATCH_HAZARD itself; leave out one of the two"
        )
    refuse_without(
        triggers,
        plans=bool(settings.mission_plans),
        zones=zones,
        scores=scoring is not None or bool(settings.hazard_scores),
    )
    policy = settings.planning(tell_late=tell_late)
    desk = _Desk(triggers, wiring.judged_by(), policy, given, groups)
    book = desk.judges().book
    intake = Intake(policy.every_us, groups, book.sensors, book.kinds)

    parts, letters = heard(flow, wiring, groups)
    if scoring is None:
        served = op.map("unserved", frames, Served)
    else:
        served = scoring.served
        parts.append(op.flat_map_batch("scores_by_group", scoring.scored, scores_of(groups)))
    parts.append(op.flat_map_batch("judged_by_group", served, _cutting(intake)))
    merged = op.merge("planning_parts", *parts)
    return op.merge("planning_told", _requests("requests", merged, desk, groups), *letters)


def _cutting(intake: Intake) -> Callable[[list[Served]], Iterator[tuple[str, Share[Whole]]]]:
    """Cuts frames into the shares of key groups in what is judged of them."""

    def cut(batch: list[Served]) -> Iterator[tuple[str, Share[Whole]]]:
        for one in batch:
            whole = intake.whole(one.frame, one.profiles(), one.stamp)
            if whole is not None:
                yield from shares(whole)

    return cut


@operator
def _requests(
    step_id: str, up: KeyedStream[Share[Whole]], desk: _Desk, groups: KeyGroups
) -> Stream[Delivery]:
    """A step of its own: names within it are not those of the flow."""
    return follow_together(
        "planning",
        up,
        Keyed(
            initial=PlanningState(),
            advance=desk.advance,
            finish=desk.finish,
            fingerprint=identity("planning", groups.count, desk.policy.every_us),
        ),
        Together(joining(desk.judges), Split(groups), waiting=Waiting, enter=entering(groups)),
    )


def asked_for(settings: Settings) -> bool:
    """Whether a flow that does more than planning asks for plans."""
    return bool(settings.triggers)


def __getattr__(name: str) -> Any:
    if name == "flow":
        return from_environment(planning, zones=None, rules=False)
    raise AttributeError(name)
