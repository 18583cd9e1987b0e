"""Stored value in the book: money of a currency is two assets, what was paid in and what was given on top.

An account of money is the sum of its lots and never below zero, so that, unlike points, it needs no debt and no
total of its own: what lots have is what there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from services.common.errors import InvariantBroken
from services.ledger.domain.book import Book, Lot, Member, TopUpFact
from services.ledger.domain.events import (
    Allocations,
    GiftReceived,
    GiftSent,
    MoneyCredited,
    MoneyExpired,
    MoneyTakenBack,
    TopUpRecorded,
    TopUpReversed,
)
from services.ledger.domain.lots import spend_order, take

PRINCIPAL, BONUS = "principal", "bonus"

MoneyEvent = (
    TopUpRecorded | MoneyCredited | MoneyTakenBack | TopUpReversed | GiftSent | GiftReceived | MoneyExpired
)


def asset(currency: str, bucket: str) -> str:
    """The asset of a bucket of a currency, such as `USD.bonus`."""
    return f"{currency}.{bucket}"


def free_lots(member: Member, asset: str, now: datetime) -> list[Lot]:
    """Lots of an asset that can pay at `now`: soonest expiry first, then oldest."""
    lots = [
        lot
        for lot in member.money.values()
        if lot.asset == asset and lot.free > 0 and (lot.expires_at is None or lot.expires_at > now)
    ]
    return sorted(lots, key=spend_order)


def spendable(member: Member, currency: str, now: datetime) -> int:
    """Minor units that can be spent, given or set aside at `now`."""
    return sum(
        lot.free for bucket in (PRINCIPAL, BONUS) for lot in free_lots(member, asset(currency, bucket), now)
    )


def balance(member: Member, currency: str) -> int:
    """Minor units of both buckets, held or not."""
    assets = (asset(currency, PRINCIPAL), asset(currency, BONUS))
    return sum(lot.remaining for lot in member.money.values() if lot.asset in assets)


def allocate(
    member: Member, currency: str, amount: int, now: datetime, order: str
) -> tuple[Allocations, Allocations]:
    """Which lots of principal and of bonus pay `amount`; the caller knows that there is enough."""
    principal = free_lots(member, asset(currency, PRINCIPAL), now)
    bonus = free_lots(member, asset(currency, BONUS), now)
    in_principal, in_bonus = sum(lot.free for lot in principal), sum(lot.free for lot in bonus)
    if amount > in_principal + in_bonus:
        raise InvariantBroken(f"{amount} {currency} of {in_principal + in_bonus} after they were counted")
    from_bonus = part_of_bonus(amount, in_principal, in_bonus, order)
    return take(principal, amount - from_bonus)[0], take(bonus, from_bonus)[0]


def part_of_bonus(amount: int, in_principal: int, in_bonus: int, order: str) -> int:
    """How much of `amount` the bonus pays, by the program's `spend_order`.

    Pro rata each bucket pays by its share of what there is, a minor unit that can't be shared the bonus.
    """
    if order == "bonus_first":
        return min(amount, in_bonus)
    if order == "principal_first":
        return max(0, amount - in_principal)
    return amount - amount * in_principal // (in_principal + in_bonus) if amount else 0


def evolve(book: Book, member: Member, event: MoneyEvent, occurred_at: datetime, position: int) -> None:
    """Put an event of stored value into the book. Raises InvariantBroken."""
    match event:
        case TopUpRecorded():
            told = event.activity
            member.top_ups[told.id] = TopUpFact(told.currency, told.amount)
        case MoneyCredited():
            if event.reason == "bonus":
                top_up = member.top_ups[event.top_up]
                top_up.bonus, top_up.bonus_lot = event.amount, position
            elif event.reason == "paid_in":
                member.top_ups[event.top_up].principal_lot = position
            _open(book, member, event, event.top_up, occurred_at, position)
        case MoneyTakenBack():
            _take(member, (event.allocations,))
        case TopUpReversed():
            member.top_ups[event.activity.of].reversed = True
            _take(member, (event.paid_out, event.kept, event.bonus))
        case GiftSent():
            _take(member, (event.principal, event.bonus))
        case GiftReceived():
            _open(book, member, event, event.gift, occurred_at, position)
        case MoneyExpired():
            _take(member, ([(event.lot, event.amount)],))
            lot = member.money[event.lot]
            fact = member.top_ups.get(lot.purchase)
            if fact is not None and fact.bonus_lot == lot.id:
                fact.bonus_expired += event.amount


def _open(
    book: Book,
    member: Member,
    event: MoneyCredited | GiftReceived,
    source: str,
    earned_at: datetime,
    position: int,
) -> None:
    lot = Lot(position, event.amount, event.amount, 0, earned_at, event.expires_at, source, asset=event.asset)
    member.money[position] = lot
    book.expect_lot(member, lot)


def _take(member: Member, parts: Iterable[Allocations]) -> None:
    """Take from lots what no hold protects."""
    for lot_id, amount in (pair for allocations in parts for pair in allocations):
        lot = member.money.get(lot_id)
        if lot is None or not 1 <= amount <= lot.free:
            raise InvariantBroken(f"{member.id}: {amount} of lot {lot_id}, which has {lot and lot.free}")
        lot.remaining -= amount
