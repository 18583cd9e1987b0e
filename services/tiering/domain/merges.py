"""What a merge brings: everything that was counted of the absorbed member counts for the survivor, on its day.

Nobody loses by a merge: the better standing of the two is kept with its time, cards and grants run as they ran, a card
that was issued to either is not issued again. What both together have earned shows at once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.tiering.domain.events import FactsMoved
from services.tiering.domain.months import local_midnight
from services.tiering.domain.program import Rules
from services.tiering.domain.standing import Why
from services.tiering.domain.state import Bought, Life, Member, ProgramState, Standing, Visits


def join(program: ProgramState, member: Member, position: int, moved: FactsMoved) -> None:
    """Count what came over; `position` is the ledger's row that it comes behind."""
    program.touch(member, moved.as_of)
    for metric, at, amount in moved.entries:
        _count(program, member, metric, at, position, amount)
    for purchase, at, left, promoted_left, lines in moved.purchases:
        program.purchases[purchase] = Bought(
            member.member, at, left, promoted_left, frozenset(lines), dirty=True
        )
    for metric, day, count in moved.days:
        visits = program.days.setdefault((member.member, metric, day), Visits(0))
        if visits.count > 0 and count > 0:
            # Both were there: it is one day of one person.
            noon = datetime(day.year, day.month, day.day, 12, tzinfo=program.rules.time_zone)
            midnight = local_midnight(noon, program.rules.time_zone)
            _count(program, member, metric, midnight, position, -1)
        visits.count += count
        visits.dirty = True
    member.dirty = True


def keep_better(rules: Rules, member: Member, moved: FactsMoved, at: datetime) -> Why:
    """Give the survivor what the absorbed one had; says where that comes from."""
    came = moved.came
    mine, other = member.standing, came.standing
    if _better(rules, other, mine):
        mine, other = replace(other, since=at, earned_at=other.earned_at or other.since), mine
        member.standing = mine
    if rules.rank(other.floor) > rules.rank(mine.floor):
        mine.floor = other.floor
        if rules.rank(mine.floor) == rules.rank(mine.tier):
            mine.until, mine.ranked = None, False
    mine.lowered_at = max((t for t in (mine.lowered_at, other.lowered_at) if t is not None), default=None)
    member.grants += came.grants
    member.issued = sorted({*member.issued, *came.issued})
    member.tops = {**came.tops, **member.tops}
    member.dirty = True
    return Why("merge", f"came over from {moved.absorbed}")


def _better(rules: Rules, one: Standing, other: Standing) -> bool:
    """A higher tier, or the same for longer."""
    rank = rules.rank(one.tier)
    if rank != rules.rank(other.tier) or rank == 0:
        return rank > rules.rank(other.tier)
    return other.until is not None and (one.until is None or one.until > other.until)


def lived_together(one: Life, moved: FactsMoved) -> Life:
    """The life of the person that the two are; the segment is not looked at."""
    if moved.life is None:
        return one
    first, last, won_back = moved.life
    return replace(
        one,
        first_at=min((t for t in (one.first_at, first) if t is not None), default=None),
        last_at=max((t for t in (one.last_at, last) if t is not None), default=None),
        won_back_at=max((t for t in (one.won_back_at, won_back) if t is not None), default=None),
    )


def _count(
    program: ProgramState, member: Member, metric: str, at: datetime, position: int, amount: int
) -> None:
    window = member.windows.get(metric)
    if window is not None:
        window.add(at, amount)
    key = (member.member, metric, at, position)
    program.moved[key] = program.moved.get(key, 0) + amount
