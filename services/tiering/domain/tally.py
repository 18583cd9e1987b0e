"""From a row of the ledger's book to the entries that it gives: which metric, how much, on which day."""

from __future__ import annotations

from datetime import datetime

from services.tiering.domain.events import (
    Lines,
    PointsMoved,
    PurchaseRecorded,
    ReturnRecorded,
    ToppedUp,
    TopUpReversed,
)
from services.tiering.domain.metrics import Metric, counted, units
from services.tiering.domain.months import local_midnight
from services.tiering.domain.state import Bought, Member, ProgramState, Visits

TOP_UP = "top-up "
"""Before a top-up's id, among the ids of purchases: those have no spaces."""


def purchase(
    program: ProgramState, member: Member, at: datetime, position: int, event: PurchaseRecorded
) -> None:
    """A purchase counts at its time; a day with a visit from its first moment on."""
    rules = program.rules
    program.touch(member, at)
    amount = counted(rules.excluded_categories, event.lines)
    if rules.follows_purchases:
        promoted = _promoted(rules.excluded_categories, event.promoted, event.ids, event.lines)
        program.purchases[event.purchase] = Bought(
            member.member, at, amount, promoted, event.promoted, dirty=True
        )
    for metric in rules.counted:
        kind = metric.counts
        if kind == "spend":
            program.count(member, metric.name, at, position, amount)
        elif kind == "units":
            program.count(member, metric.name, at, position, units(metric, event.lines))
        elif kind == "visits" and amount >= metric.least:
            program.count(member, metric.name, at, position, 1)
        elif kind == "days" and amount >= metric.least:
            _visit(program, member, metric, at, position, 1)


def return_(program: ProgramState, member: Member, position: int, event: ReturnRecorded) -> None:
    """A return counts on the day of its purchase. A purchase of which too little is left was no visit."""
    rules = program.rules
    at = event.purchased_at
    program.touch(member, at)
    amount = counted(rules.excluded_categories, event.lines)
    bought = program.purchases.get(event.purchase)
    for metric in rules.counted:
        kind = metric.counts
        if kind == "spend":
            program.count(member, metric.name, at, position, -amount)
        elif kind == "units":
            program.count(member, metric.name, at, position, -units(metric, event.lines))
        elif bought is not None and bought.left >= metric.least > bought.left - amount:
            if kind == "visits":
                program.count(member, metric.name, at, position, -1)
            elif kind == "days":
                _visit(program, member, metric, at, position, -1)
    if bought is not None:
        bought.left -= amount
        if bought.promoted_lines:
            bought.promoted_left -= _promoted(
                rules.excluded_categories, bought.promoted_lines, event.ids, event.lines
            )
        bought.dirty = True


def points(
    program: ProgramState, member: Member, position: int, event: PointsMoved, bought_at: datetime
) -> None:
    """Points of a purchase count on its day."""
    program.touch(member, bought_at)
    for metric in program.rules.counted:
        if metric.counts == "points":
            program.count(member, metric.name, bought_at, position, event.points)


def top_up(program: ProgramState, member: Member, at: datetime, position: int, event: ToppedUp) -> None:
    """Money loaded counts when it is loaded; its day is kept for what is handed back of it."""
    program.touch(member, at)
    if "top_ups" in program.rules.kinds:
        program.purchases[TOP_UP + event.top_up] = Bought(member.member, at, 0, dirty=True)
    for metric in program.rules.counted:
        if metric.counts == "top_ups":
            program.count(member, metric.name, at, position, event.amount)


def top_up_reversed(program: ProgramState, member: Member, position: int, event: TopUpReversed) -> bool:
    """What is handed back of a load counts on its day. False for a load that nobody had followed."""
    loaded = program.purchases.get(TOP_UP + event.top_up)
    if loaded is None:
        return False
    program.touch(member, loaded.at)
    for metric in program.rules.counted:
        if metric.counts == "top_ups":
            program.count(member, metric.name, loaded.at, position, -event.amount)
    return True


def _promoted(excluded: frozenset[str], promoted: frozenset[int], ids: tuple[int, ...], lines: Lines) -> int:
    """Minor units of money that count, of the lines with these numbers."""
    if not promoted:
        return 0
    return counted(excluded, [line for id_, line in zip(ids, lines, strict=True) if id_ in promoted])


def _visit(
    program: ProgramState, member: Member, metric: Metric, at: datetime, position: int, change: int
) -> None:
    """One visit more or less on a local day: the day counts from its first visit to its last."""
    midnight = local_midnight(at, program.rules.time_zone)
    day = at.astimezone(program.rules.time_zone).date()
    visits = program.days.setdefault((member.member, metric.name, day), Visits(0))
    before, visits.count = visits.count, visits.count + change
    visits.dirty = True
    if (before > 0) != (visits.count > 0):
        program.count(member, metric.name, midnight, position, change)
