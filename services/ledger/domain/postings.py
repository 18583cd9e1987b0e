"""The postings of each event: which account gives, which gets. Per event they balance by their very form (L1)."""

from __future__ import annotations

from services.ledger.domain.book import POINTS
from services.ledger.domain.events import (
    Event,
    HoldCaptured,
    LotMoved,
    MemberAbsorbed,
    MemberLapsed,
    MembersMerged,
    PointsAccrued,
    PointsClawedBack,
    PointsExpired,
)

ISSUED, REDEEMED, BREAKAGE, CLAWED_BACK = "issued", "redeemed", "breakage", "clawed_back"
IN_TRANSIT = "in_transit"
"""Between two members' chains: each chain balances by itself, and over all chains this account is empty."""

Posting = tuple[str, str, str, int, int | None]
"""(debit account, credit account, asset, amount > 0, lot or None for debt)"""


def member_account(member: str) -> str:
    """The member's own account: what it is credited is the member's, what it is debited the member has given up."""
    return "member/" + member


def postings_of(event: Event, member: str, position: int) -> list[Posting]:
    """An event's postings in order; empty when no points move. A lot's postings add up to what remains of it,
    those without a lot to the member's debt (below zero)."""
    match event:
        case PointsAccrued():
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
        case PointsExpired():
            return [(member_account(member), BREAKAGE, POINTS, event.points, event.lot)]
        case MembersMerged():
            return [(member_account(member), IN_TRANSIT, POINTS, event.debt, None)] if event.debt else []
        case MemberAbsorbed():
            account = member_account(member)
            left: list[Posting] = [
                (account, IN_TRANSIT, POINTS, amount, lot) for lot, amount in event.allocations
            ]
            return [*left, (IN_TRANSIT, account, POINTS, event.debt, None)] if event.debt else left
        case LotMoved():
            return [(IN_TRANSIT, member_account(member), POINTS, event.points, position)]
    return []
