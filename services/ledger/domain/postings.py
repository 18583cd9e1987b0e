"""The postings of each event: which account gives, which gets. Per event they balance by their very form (L1)."""

from __future__ import annotations

from services.ledger.domain.book import POINTS
from services.ledger.domain.events import (
    Event,
    HoldCaptured,
    MemberClosed,
    MemberLapsed,
    PointsAccrued,
    PointsAdjusted,
    PointsAwarded,
    PointsClawedBack,
    PointsExpired,
    SpendRefunded,
)

ISSUED, REDEEMED, BREAKAGE, CLAWED_BACK = "issued", "redeemed", "breakage", "clawed_back"
ADJUSTMENT = "adjustment"

Posting = tuple[str, str, str, int, int | None]
"""(debit account, credit account, asset, amount > 0, lot or None for debt)"""


def member_account(member: str) -> str:
    """The member's own account: what it is credited is the member's, what it is debited the member has given up."""
    return "member/" + member


def postings_of(event: Event, member: str, position: int) -> list[Posting]:
    """An event's postings in order; empty when no points move. A lot's postings add up to what remains of it,
    those without a lot to the member's debt (below zero)."""
    match event:
        case PointsAccrued() | PointsAwarded():
            account = member_account(member)
            parts: list[tuple[int, int | None]] = [
                (event.points - event.debt_repaid, position),
                (event.debt_repaid, None),
            ]
            return [(ISSUED, account, POINTS, amount, lot) for amount, lot in parts if amount]
        case PointsClawedBack():
            account = member_account(member)
            taken: list[Posting] = [
                (account, CLAWED_BACK, POINTS, amount, lot) for lot, amount in event.allocations
            ]
            return [*taken, (account, CLAWED_BACK, POINTS, event.debt, None)] if event.debt else taken
        case HoldCaptured():
            return [
                (member_account(member), REDEEMED, POINTS, amount, lot) for lot, amount in event.allocations
            ]
        case MemberLapsed():
            account = member_account(member)
            return [(account, BREAKAGE, POINTS, amount, lot) for lot, amount in event.allocations]
        case SpendRefunded():
            account = member_account(member)
            given: list[tuple[int | None, int]] = [*event.allocations, (None, event.debt_repaid)]
            return [(REDEEMED, account, POINTS, amount, lot) for lot, amount in given if amount]
        case PointsExpired():
            return [(member_account(member), BREAKAGE, POINTS, event.points, event.lot)]
        case PointsAdjusted():
            account = member_account(member)
            if event.points < 0:
                return [(account, ADJUSTMENT, POINTS, amount, lot) for lot, amount in event.allocations]
            parts = [(event.points - event.debt_repaid, position), (event.debt_repaid, None)]
            return [(ADJUSTMENT, account, POINTS, amount, lot) for amount, lot in parts if amount]
        case MemberClosed():
            account = member_account(member)
            left: list[Posting] = [
                (account, BREAKAGE, POINTS, amount, lot) for lot, amount in event.allocations
            ]
            return [*left, (BREAKAGE, account, POINTS, event.debt, None)] if event.debt else left
    return []
