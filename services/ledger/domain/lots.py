"""Which lots pay: a kind that the program wants spent first, soonest expiry, then oldest; and from when on they do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.common.errors import InvariantBroken
from services.ledger.domain.book import NEVER, Lot, Member
from services.ledger.domain.events import Allocations
from services.ledger.domain.program import GIVEN, Program


def spend_order(lot: Lot, first: str = "") -> tuple[bool, datetime, int]:
    """Sort key of spending: the program's `first` kind of lot, then soonest expiry, then oldest (a lot's id is its
    position in the chain)."""
    waits = bool(first) and (lot.purchase == "") != (first == GIVEN)
    return (waits, lot.expires_at or NEVER, lot.id)


def spendable(member: Member, now: datetime) -> int:
    """Points that can be set aside at `now`: free points of mature lots that have not expired, less debt, never
    below zero; none once the member's points have lapsed, though the clock may not have come by yet."""
    if member.lapses_at is not None and member.lapses_at <= now:
        return 0
    free = sum(lot.free for lot in member.lots.values() if _pays(lot, now))
    return max(0, free - member.debt)


def _pays(lot: Lot, now: datetime) -> bool:
    return lot.matures_at is None and (lot.expires_at is None or lot.expires_at > now)


def maturity_of(program: Program, earned_at: datetime, clock: datetime) -> datetime | None:
    """Until when points earned at `earned_at` are pending: so many days on, the same local time. None: not at all,
    for their time was over when they were given."""
    if not program.pending_days:
        return None
    there = earned_at.astimezone(program.time_zone) + timedelta(days=program.pending_days)
    matures_at = there.astimezone(UTC)
    return matures_at if matures_at > clock else None


def pending_among(member: Member, allocations: Allocations) -> int:
    """How many of these points are pending."""
    return sum([points for lot, points in allocations if member.lots[lot].matures_at is not None])


def allocate(member: Member, amount: int, now: datetime, first: str = "") -> Allocations:
    """Free points of lots that pay for `amount`, in the order of spending; the caller knows that there are enough."""
    lots = [lot for lot in member.lots.values() if lot.free > 0 and _pays(lot, now)]
    lots.sort(key=lambda lot: spend_order(lot, first))
    allocations, missing = take(lots, amount)
    if missing:
        raise InvariantBroken(f"{missing} points short after they were counted")
    return allocations


def take_back(member: Member, purchase: str, amount: int) -> tuple[Allocations, int]:
    """Unspent points for a claw-back: the purchase's own first, then pending ones, then the others.

    Returns the allocations and what no lot can pay.
    """
    lots = [lot for lot in member.lots.values() if lot.free > 0]
    lots.sort(key=lambda lot: (lot.purchase != purchase, lot.matures_at is None, *spend_order(lot)))
    return take(lots, amount)


def take(lots: list[Lot], amount: int) -> tuple[Allocations, int]:
    """Take up to `amount` free points from `lots` in their order. Returns the allocations and what is missing."""
    allocations: Allocations = []
    for lot in lots:
        if amount == 0:
            break
        part = min(lot.free, amount)
        allocations.append((lot.id, part))
        amount -= part
    return allocations, amount


def split(allocations: Allocations, amount: int) -> tuple[Allocations, Allocations]:
    """The first `amount` points of allocations, and the rest."""
    first: Allocations = []
    rest: Allocations = []
    for lot, points in allocations:
        part = min(points, amount)
        amount -= part
        if part:
            first.append((lot, part))
        if points > part:
            rest.append((lot, points - part))
    return first, rest
