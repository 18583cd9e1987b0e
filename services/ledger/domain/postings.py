"""The postings of each event: which account gives, which gets. Per event they balance by their very form (L1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.ledger.domain.book import POINTS
from services.ledger.domain.events import (
    Event,
    GiftReceived,
    GiftSent,
    HoldCaptured,
    LotMoved,
    MemberAbsorbed,
    MemberClosed,
    MemberLapsed,
    MembersMerged,
    MoneyCredited,
    MoneyExpired,
    MoneyTakenBack,
    PointsAccrued,
    PointsAdjusted,
    PointsAwarded,
    PointsClawedBack,
    PointsExpired,
    SpendRefunded,
    TopUpReversed,
)
from services.ledger.domain.money import BONUS, PRINCIPAL, asset

ISSUED, REDEEMED, BREAKAGE, CLAWED_BACK = "issued", "redeemed", "breakage", "clawed_back"
ADJUSTMENT = "adjustment"
PAID_IN, GIVEN, PAID_OUT = "paid_in", "given", "paid_out"
"""Stored value: paid by members, given on top, handed back to members."""
REWARDED = "rewarded"
"""Stored value that was a reward, less what was taken back with a reward's refund."""
CREDITED_BY = {"paid_in": PAID_IN, "bonus": GIVEN, "reward": REWARDED}
"""By the reason of a credit."""
IN_TRANSIT = "in_transit"
"""Gifts and merges, between two members' chains: each chain balances by itself, over all chains this is empty."""

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
            account, repaid = member_account(member), event.debt_repaid
            earned = event.points - repaid
            gained: list[Posting] = [(ISSUED, account, POINTS, earned, position)] if earned else []
            return [*gained, (ISSUED, account, POINTS, repaid, None)] if repaid else gained
        case PointsClawedBack():
            account = member_account(member)
            taken: list[Posting] = [
                (account, CLAWED_BACK, POINTS, amount, lot) for lot, amount in event.allocations
            ]
            return [*taken, (account, CLAWED_BACK, POINTS, event.debt, None)] if event.debt else taken
        case HoldCaptured():
            account = member_account(member)
            return [
                (account, REDEEMED, of, amount, lot)
                for of, allocations in _by_asset(event, event.allocations)
                for lot, amount in allocations
            ]
        case MemberLapsed():
            account = member_account(member)
            return [(account, BREAKAGE, POINTS, amount, lot) for lot, amount in event.allocations]
        case SpendRefunded():
            account = member_account(member)
            given: list[tuple[int | None, int]] = [*event.allocations, (None, event.debt_repaid)]
            return [
                (REDEEMED, account, of, amount, lot)
                for of, parts in _by_asset(event, given)
                for lot, amount in parts
                if amount
            ]
        case PointsExpired():
            return [(member_account(member), BREAKAGE, POINTS, event.points, event.lot)]
        case MembersMerged():
            return [(member_account(member), IN_TRANSIT, POINTS, event.debt, None)] if event.debt else []
        case MemberAbsorbed():
            account = member_account(member)
            left: list[Posting] = [
                (account, IN_TRANSIT, POINTS, amount, lot) for lot, amount in event.allocations
            ]
            left += [(account, IN_TRANSIT, asset_, amount, lot) for asset_, lot, amount in event.money]
            return [*left, (IN_TRANSIT, account, POINTS, event.debt, None)] if event.debt else left
        case LotMoved():
            came: Posting = (IN_TRANSIT, member_account(member), event.asset, event.points, position)
            return [came] if event.points else []
        case PointsAdjusted():
            account = member_account(member)
            if event.points < 0:
                return [(account, ADJUSTMENT, POINTS, amount, lot) for lot, amount in event.allocations]
            parts: list[tuple[int, int | None]] = [
                (event.points - event.debt_repaid, position),
                (event.debt_repaid, None),
            ]
            return [(ADJUSTMENT, account, POINTS, amount, lot) for amount, lot in parts if amount]
        case MemberClosed():
            account = member_account(member)
            lost: list[Posting] = [
                (account, BREAKAGE, POINTS, amount, lot) for lot, amount in event.allocations
            ]
            return [*lost, (BREAKAGE, account, POINTS, event.debt, None)] if event.debt else lost
        case MoneyCredited():
            source = CREDITED_BY[event.reason]
            return [(source, member_account(member), event.asset, event.amount, position)]
        case MoneyTakenBack():
            account = member_account(member)
            return [(account, REWARDED, event.asset, amount, lot) for lot, amount in event.allocations]
        case TopUpReversed():
            paid, bonus = asset(event.currency, PRINCIPAL), asset(event.currency, BONUS)
            moved = (
                (PAID_OUT, paid, event.paid_out),
                (CLAWED_BACK, paid, event.kept),
                (CLAWED_BACK, bonus, event.bonus),
            )
            return [
                (member_account(member), to, of, amount, lot)
                for to, of, allocations in moved
                for lot, amount in allocations
            ]
        case GiftSent():
            sent = ((PRINCIPAL, event.principal), (BONUS, event.bonus))
            return [
                (member_account(member), IN_TRANSIT, asset(event.currency, bucket), amount, lot)
                for bucket, allocations in sent
                for lot, amount in allocations
            ]
        case GiftReceived():
            return [(IN_TRANSIT, member_account(member), event.asset, event.amount, position)]
        case MoneyExpired():
            return [(member_account(member), BREAKAGE, event.asset, event.amount, event.lot)]
    return []


def _by_asset(
    event: HoldCaptured | SpendRefunded, points: Sequence[tuple[int | None, int]]
) -> Iterator[tuple[str, Sequence[tuple[int | None, int]]]]:
    """(asset, parts) of what is spent or given back."""
    yield POINTS, points
    if event.money_amount:
        yield asset(event.money_currency, PRINCIPAL), event.principal
        yield asset(event.money_currency, BONUS), event.bonus
