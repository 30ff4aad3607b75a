"""The course of alarms of rules on time along cells: where they are raised and where cleared."""

from collections.abc import Mapping

import numpy as np

from rules.alarm_events import LATER
from rules.compliance import Held, Seen, condition_key
from rules.conditions import Conditions
from rules.counting import Count, counted, still_counted
from rules.expressions import FALSE, TRUE, UNKNOWN
from rules.handover import Turns, tell_alarms
from rules.holding import holding
from rules.leads import Leads
from rules.rulebook import RuleBook
from rules.timed_cells import Cells, known_to_hold
from rules.timers import Counted, Timers
from rules.tracks import FOREVER, NEVER
from schemas.event import Event
from schemas.frame import Bools, Codes, where


class Course:
    """The alarms along cells. ``known``: the timers that were open before."""

    def __init__(
        self,
        book: RuleBook,
        names: Mapping[str, str],
        known: Timers,
        leads: Leads,
        seen: Seen,
        cells: Cells,
    ) -> None:
        self._book, self._names, self._known = book, names, known
        self._leads, self._seen, self._cells = leads, seen, cells
        times, rows = book.times, cells.rows
        # (m,) int8 what the condition says; (k,) what each sequence counts.
        self._code = known_to_hold(cells)
        self._count = Count(
            times.count[cells.rule], times.within_us[cells.rule], self._before(known.counted, ())
        )
        reached, self._hits = counted(rows, self._code, cells.out, self._count)
        clear = cells.clear
        self._clears = times.clears[cells.rule][rows.of]
        done = self._clears & (clear == TRUE) & (self._code != TRUE) & ~cells.out
        holds = np.where(done | cells.out, np.int8(FALSE), self._led(reached))
        self._holds = holding(rows, holds, self._before(known.since_us, NEVER))
        ends = self._ends(holds, done)
        self._ending = holding(rows, ends, self._before(known.clearing_us, NEVER))
        # (m,) cells in which an alarm is raised if there is none, cleared if there is one.
        on = (holds == TRUE) & (self._code == TRUE)
        on &= rows.time_us - self._holds.since_us >= book.for_us[cells.rule][rows.of]
        off = (ends == TRUE) & (
            rows.time_us - self._ending.since_us >= times.keep_us[cells.rule][rows.of]
        )
        off |= cells.out
        self._alarms(on, off)

    def told(self) -> tuple[Held, list[Event]]:
        """The alarms that were open here, and what to tell of them."""
        book, tracks, now = self._book, self._seen.tracks, self._now
        row = self._cells.row
        begun = np.where(self._raised >= 0, row[self._raised], -1)
        due = np.where(self._raised >= 0, begun, LATER)
        after = np.where(self._cleared >= 0, row[self._cleared], -1)
        turns = Turns(begun, due, after)
        events = tell_alarms(book, now, tracks, turns, self._seen.on_stays)
        until_us = np.where(after < 0, FOREVER, tracks.frame.time_us[after])
        return Held(now, until_us, self._fresh), events

    def remembered(self) -> Timers:
        """The timers that go on after the cells; to be asked for after ``told``."""
        cells, known, k = self._cells, self._known, len(self._cells.rule)
        since_us, begin = self._holds.open_us, self._holds.open_begin
        moment, fix = self._before(known.moment, ""), self._before(known.fix, "")
        for i in where(begin >= 0).tolist():
            row = int(cells.row[begin[i]])
            moment[i], fix[i] = self._moment(i, row)[0], self._seen.tracks.frame.fix_name(row)
        alarm_id, alarm_moment = np.full(k, "", object), np.full(k, "", object)
        alarm_fix, alarm_us = np.full(k, "", object), np.full(k, NEVER)
        going_on = where(self._cleared < 0)
        of, now = self._of[going_on], self._now
        alarm_id[of], alarm_us[of] = now.alarm_id[going_on], now.since_us[going_on]
        alarm_moment[of], alarm_fix[of] = now.moment[going_on], now.since_fix[going_on]
        firing = alarm_id != ""
        told = self._before(known.told, False)  # noqa: FBT003 (a column's default)
        told[self._of[self._raised >= 0]] = True
        told &= self._book.times.once[cells.rule]
        still = self._counted()
        counts = np.array([bool(one) for one in still], np.bool_)
        kept = ~cells.left & ((since_us != NEVER) | firing | told | counts)
        every = Timers(
            cells.rule,
            self._seen.tracks.slot[cells.run],
            cells.zone,
            self._visit_ids(),
            since_us,
            moment,
            fix,
            np.where(firing, self._ending.open_us, NEVER),
            still,
            alarm_id,
            alarm_us,
            alarm_moment,
            alarm_fix,
            told,
        )
        return every.take(where(kept))

    def _before(self, column: np.ndarray, default: object) -> np.ndarray:
        """(k,) a column of the timers by sequence, ``default`` where there was none."""
        found = np.empty(len(self._cells.timer), column.dtype)
        for_default = self._cells.timer < 0
        if column.dtype == object:
            found[:] = [default] * len(found)
        else:
            found[for_default] = default
        found[~for_default] = column[self._cells.timer[~for_default]]
        return found

    def _led(self, code: Codes) -> Codes:
        """(m,) of sequences: whether the condition holds soon enough after the first one."""
        cells, rows, times = self._cells, self._cells.rows, self._book.times
        leads = times.leads[cells.rule][rows.of]
        if not leads.any():
            return code
        oldest_us = rows.time_us - times.within_us[cells.rule][rows.of]
        led = (cells.lead_us != NEVER) & (cells.lead_us >= oldest_us)
        perhaps = led | ((cells.maybe_us != NEVER) & (cells.maybe_us >= oldest_us))
        found = np.where((code != FALSE) & perhaps, np.int8(UNKNOWN), np.int8(FALSE))
        found[(code == TRUE) & led] = TRUE
        return np.where(leads, found, code)

    def _ends(self, holds: Codes, done: Bools) -> Codes:
        """(m,) whether what ends an alarm is so: FALSE, TRUE or UNKNOWN."""
        plain = np.where(holds == UNKNOWN, np.int8(UNKNOWN), (holds == FALSE).astype(np.int8))
        if not self._clears.any():
            return plain
        by_own = np.where(self._cells.clear > TRUE, np.int8(UNKNOWN), np.int8(FALSE))
        by_own[self._code == TRUE] = FALSE
        by_own[done] = TRUE
        return np.where(self._clears, by_own, plain)

    def _alarms(self, on: Bools, off: Bools) -> None:
        """Find the alarms: each begins where it is due and there is none, and ends at the next end.

        ``_of``, ``_raised``, ``_cleared``: (a,) the sequence of each alarm, the cell in which it is
        raised (-1 = before) and cleared (-1 = not yet). ``_now``: (a,) the alarms as conditions.
        """
        cells, rows, known = self._cells, self._cells.rows, self._known
        firing = self._before(known.alarm_id, "") != ""
        prior = rows.latest(on | off, before=True)
        was_on = np.where(prior >= 0, on[prior], firing[rows.of])
        raises, clears = on & ~was_on, off & was_on
        once = self._book.times.once[cells.rule]
        if once.any():
            told = self._before(known.told, False)  # noqa: FBT003 (a column's default)
            so_far = np.cumsum(raises)
            nth = so_far - np.concatenate([[0], so_far])[rows.start[:-1]][rows.of] + told[rows.of]
            again = raises & once[rows.of] & (nth > 1)
            begun = rows.latest(raises)
            clears &= (begun < 0) | ~again[begun]
            raises &= ~again
        raised, ended = where(raises), where(clears)
        before = where(firing)
        self._raised = np.concatenate([np.full(len(before), -1), raised])
        self._of = np.concatenate([before, rows.of[raised]])
        next_ = np.searchsorted(ended, np.concatenate([rows.start[before], raised]))
        cell = np.append(ended, -1)[next_]
        self._cleared = np.where((cell >= 0) & (rows.of[cell] == self._of), cell, -1)
        self._now, self._fresh = self._conditions(len(before))

    def _conditions(self, before: int) -> tuple[Conditions, np.ndarray]:
        """The alarms as conditions, ``before`` of them raised before, and their fresh moments."""
        cells, known, of = self._cells, self._known, self._of
        timer, a = cells.timer[of], len(of)
        now = Conditions(
            cells.rule[of],
            self._seen.tracks.slot[cells.run[of]],
            cells.zone[of],
            np.empty(a, np.int64),
            np.empty(a, object),
            np.empty(a, object),
            self._visit_ids()[of],
            np.full(a, "", object),
        )
        old, new = np.arange(before), np.arange(before, a)
        now.since_us[old], now.moment[old] = (
            known.alarm_us[timer[old]],
            known.alarm_moment[timer[old]],
        )
        now.since_fix[old], now.alarm_id[old] = (
            known.alarm_fix[timer[old]],
            known.alarm_id[timer[old]],
        )
        fresh = now.moment.copy()
        for i in new.tolist():
            cell = int(self._raised[i])
            begin = int(self._holds.begin[cell])
            if begin >= 0:
                row = int(cells.row[begin])
                now.moment[i], fresh[i] = self._moment(int(of[i]), row)
            else:
                now.moment[i] = fresh[i] = known.moment[timer[i]]
            now.since_us[i], now.since_fix[i] = self._since(cell, int(of[i]), begin)
        return now, fresh

    def _moment(self, sequence: int, row: int) -> tuple[str, str]:
        """What a condition that begins with a row is called, and would be called afresh."""
        tracks, cells = self._seen.tracks, self._cells
        fresh = tracks.moment(row)
        if not self._names:
            return fresh, fresh
        rule_id = self._book.rules[cells.rule[sequence]].rule.id
        zone_id = self._book.zone_id(int(cells.zone[sequence]))
        vehicle_id = tracks.vehicle_id(int(cells.run[sequence]))
        return self._names.get(condition_key(vehicle_id, rule_id, zone_id, fresh), fresh), fresh

    def _since(self, cell: int, sequence: int, begin: int) -> tuple[int, str]:
        """Since when an alarm raised in a cell counts, and what names that record."""
        cells, frame, hits = self._cells, self._seen.tracks.frame, self._hits
        rule = int(cells.rule[sequence])
        if self._count.count[sequence]:
            first = int(hits.nth[cell])
            at = int(hits.cell[first])
            fix = hits.known[first].fix if at < 0 else frame.fix_name(int(cells.row[at]))
            return int(hits.time_us[first]), fix
        if self._book.times.leads[rule]:
            row = int(cells.lead_row[cell])
            slot = int(self._seen.tracks.slot[cells.run[sequence]])
            fix = self._leads.known_fix(rule, slot) if row < 0 else frame.fix_name(row)
            return int(cells.lead_us[cell]), fix
        since_us = int(self._holds.since_us[cell])
        if begin < 0:
            return since_us, self._known.fix[cells.timer[sequence]]
        return since_us, frame.fix_name(int(cells.row[begin]))

    def _visit_ids(self) -> np.ndarray:
        """(k,) the visit of each sequence, "" without a zone."""
        found = self._before(self._known.visit_id, "")
        with_stay = where(self._cells.stay >= 0)
        found[with_stay] = self._seen.stays.visit_id[self._cells.stay[with_stay]]
        return found

    def _counted(self) -> np.ndarray:
        """(k,) what still counts after the cells."""
        cells, rows, count = self._cells, self._cells.rows, self._count
        still = np.empty(len(cells.rule), object)
        still[:] = [()] * len(still)
        ended = rows.latest(cells.out)[rows.last]
        frame = self._seen.tracks.frame
        for i in where((count.count > 0) & ~cells.left).tolist():
            first = max(int(rows.start[i]), int(ended[i]) + 1)
            hits = first + where(self._code[first : int(rows.start[i + 1])] != FALSE)
            new = [self._hit(cell, frame.fix_name(int(cells.row[cell]))) for cell in hits.tolist()]
            oldest_us = int(rows.time_us[rows.last[i]]) - int(count.within_us[i])
            known = count.known[i] if ended[i] < 0 else ()
            still[i] = still_counted(known, new, oldest_us, int(count.count[i]))
        return still

    def _hit(self, cell: int, fix: str) -> Counted:
        return Counted(int(self._cells.rows.time_us[cell]), fix, bool(self._code[cell] == TRUE))
