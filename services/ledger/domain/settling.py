"""What a purchase should have given by now is held against what it gave: after a return, or when a tier is learnt late.

Where a program counts, the difference counts as well. A cap counts what purchases earn in the order in which they were
booked: what a late tier adds to one leaves less for those behind it, so they are settled again too. A fraction that is
carried on belongs to the purchase that put it there, and goes with its units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from services.ledger.domain import earning, inactivity, lots
from services.ledger.domain.book import Book, Member, PurchaseFact, Settlement
from services.ledger.domain.checks import POINTS_MAX
from services.ledger.domain.counters import CARRY, VISITS, Counter, as_text, recorded
from services.ledger.domain.earning import Earned
from services.ledger.domain.events import Decided, PointsClawedBack, PurchaseRecounted
from services.ledger.domain.program import Program
from services.ledger.domain.purchases import accrual

Shifts = dict[str, Fraction]
"""By how much purchases that were settled again moved each counter of a cap for those that were booked behind them."""


def settle_since(book: Book, member: Member, of: str, since: datetime) -> Iterator[Decided]:
    """Another tier turns out to be right for what `of` bought after `since`."""
    clock = book.programs[member.chain, member.program].clock
    shifts: Shifts = {}
    for purchase in sorted(member.purchases.values(), key=lambda fact: fact.position):
        if purchase.buyer == of and (
            purchase.occurred_at > since or any(shifts.get(name) for name, _, _ in purchase.counters)
        ):
            at = max(clock, purchase.occurred_at)
            yield from settle(book, member, purchase, "tier_change", at, shifts)


def settle(
    book: Book,
    member: Member,
    purchase: PurchaseFact,
    reason: str,
    occurred_at: datetime,
    shifts: Shifts | None = None,
) -> Iterator[Decided]:
    """Give or take back the difference between what a purchase should have given by now and what it has given.

    `shifts` are those of the purchases before it, and get its own added.
    """
    program = book.versions[purchase.version]
    settlement = member.settlements.get(purchase.id)
    tier = member.tier_of(purchase)
    given = purchase.accrued + (settlement.adjusted if settlement else 0)
    found = met(purchase, settlement)
    if found:
        recount = _recount(program, member, purchase, tier, given, {} if shifts is None else shifts)
        earned, points = recount.earned, recount.points
        if recount.moved or list(earned.counters) != list(found):
            event = PurchaseRecounted(purchase.id, reason, list(earned.counters), recount.moved)
            yield Decided(event, member.id, occurred_at)
    else:
        earned = _earned(program, purchase, tier, {})
        points = earning.owed_for(program, purchase, settlement, tier, earned) - given
    if points > 0:
        yield accrual(
            program,
            member,
            purchase.id,
            purchase.occurred_at,
            reason,
            points,
            earned,
            tier,
            occurred_at,
            book.programs[member.chain, member.program].clock,
        )
        in_force = book.program(member.chain, member.program)
        yield from inactivity.begin(in_force, member, purchase.occurred_at)
    elif points < 0:
        allocations, missing = lots.take_back(member, purchase.id, -points)
        forgiven = missing if reason == "return" and program.returns.forgives_shortfall else 0
        taken, debt = -points - forgiven, missing - forgiven
        yield Decided(
            PointsClawedBack(
                purchase.id,
                reason,
                taken,
                tier,
                allocations,
                debt,
                pending=lots.pending_among(member, allocations),
                forgiven=forgiven,
            ),
            member.id,
            occurred_at,
        )


def met(purchase: PurchaseFact, settlement: Settlement | None) -> Sequence[Counter]:
    """What the purchase found counted, and what it left, as is known by now."""
    return settlement.counters if settlement and settlement.counters else purchase.counters


class Recount(NamedTuple):
    """A purchase settled where something is counted. `earned.counters` say what it finds and leaves by now."""

    earned: Earned
    points: int
    """To give; below zero, to take."""
    moved: list[Counter]
    """The member's counters as they are today."""


def _recount(
    program: Program, member: Member, purchase: PurchaseFact, tier: str, given: int, shifts: Shifts
) -> Recount:
    settlement = member.settlements.get(purchase.id)
    found = met(purchase, settlement)
    before = {name: value + shifts.get(name, 0) for name, value in recorded(found).items()}
    earned = _earned(program, purchase, tier, before)
    left = {counter.name: counter for counter in earned.counters}
    moved, step = [], None
    for name, was_before, was_after in found:
        if name in (CARRY, VISITS):
            continue
        step = earned.points - int(Fraction(was_after) - Fraction(was_before))
        if step:
            shifts[name] = shifts.get(name, Fraction(0)) + step
            moved.append(_moved(member, name, Fraction(step)))
    if CARRY not in before:
        points = earning.owed_for(program, purchase, settlement, tier, earned) - given
        return Recount(earned, points, moved)

    # What the purchase gave is its points and what they left in the carry, in parts that are whole as points are.
    parts, was = program.rulebook.denominator, next(counter for counter in found if counter.name == CARRY)
    gave = earned.points + Fraction(left[CARRY].after) - before[CARRY]
    kept = earning.kept_of(program, purchase, settlement, tier, earned.amount, int(gave * parts))
    put = Fraction(was.after) - Fraction(was.before)
    change = Fraction(kept, parts) - given - put
    points = (_now(member, CARRY) + change).__floor__()
    if change <= 0:
        points = min(points, 0)
    elif step is not None:
        # A point that no cap has room for waits as a fraction does.
        points = min(points, max(step, 0))
    left[CARRY] = Counter(CARRY, was.before, as_text(Fraction(was.before) + put + change - points))
    if change != points:
        moved.append(_moved(member, CARRY, change - points))
    return Recount(earned._replace(counters=list(left.values())), points, moved)


def _earned(program: Program, purchase: PurchaseFact, tier: str, before: dict[str, Fraction]) -> Earned:
    """What the purchase earns; what a late tier makes of it can't be refused, so at the limit it stays there."""
    earned = earning.earn(program, purchase.told, tier, before)
    if earned.points <= POINTS_MAX:
        return earned
    if program.counting is None:
        return earned._replace(points=POINTS_MAX)
    counters = program.counting.after(before, POINTS_MAX, before.get(CARRY, Fraction(0)))
    return earned._replace(points=POINTS_MAX, counters=counters)


def _now(member: Member, name: str) -> Fraction:
    return member.counters[name].value if name in member.counters else Fraction(0)


def _moved(member: Member, name: str, by: Fraction) -> Counter:
    now = _now(member, name)
    return Counter(name, as_text(now), as_text(now + by))
