"""Which lots pay: soonest expiry first, then oldest."""

from __future__ import annotations

from datetime import datetime

from services.common.errors import InvariantBroken
from services.ledger.domain.book import NEVER, Lot, Member
from services.ledger.domain.events import Allocations


def spend_order(lot: Lot) -> tuple[datetime, int]:
    """Sort key of spending: soonest expiry, then oldest (a lot's id is its position in the chain)."""
    return (lot.expires_at or NEVER, lot.id)


def spendable(member: Member, now: datetime) -> int:
    """Points that can be set aside at `now`: free points of lots that have not expired, less debt, never below zero."""
    free = sum(lot.free for lot in member.lots.values() if lot.expires_at is None or lot.expires_at > now)
    return max(0, free - member.debt)


def allocate(member: Member, amount: int, now: datetime) -> Allocations:
    """Free points of unexpired lots for `amount`, in the order of spending; the caller knows that there are enough."""
    lots = [
        lot
        for lot in member.lots.values()
        if lot.free > 0 and (lot.expires_at is None or lot.expires_at > now)
    ]
    allocations, missing = take(sorted(lots, key=spend_order), amount)
    if missing:
        raise InvariantBroken(f"{missing} points short after they were counted")
    return allocations


def take_back(member: Member, purchase: str, amount: int) -> tuple[Allocations, int]:
    """Unspent points for a claw-back, the purchase's own first. Returns the allocations and what no lot can pay."""
    lots = [lot for lot in member.lots.values() if lot.free > 0]
    return take(sorted(lots, key=lambda lot: (lot.purchase != purchase, *spend_order(lot))), amount)


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
