"""What can be read of stored value: balances, lots, totals, and its lines of a statement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ledger import tables as t
from services.ledger.domain import events as e
from services.ledger.domain.book import POINTS
from services.ledger.domain.money import BONUS, PRINCIPAL, MoneyEvent, asset

STATEMENT_TYPES = (
    "TopUpRecorded", "MoneyCredited", "MoneyTakenBack", "TopUpReversed", "GiftSent", "GiftReceived", "MoneyExpired",
)  # fmt: skip
LOTS_MAX = 1_000
CREDITED = {"paid_in": "paid in by top-up", "bonus": "given on top of top-up", "reward": "given as reward"}


def by_currency(accounts: Iterable[Any]) -> dict[str, dict[str, int]]:
    """Rows of `accounts` as money is shown: by currency, `available` being what no hold has set aside."""
    money: dict[str, dict[str, int]] = {}
    for row in accounts:
        currency, _, bucket = row["asset"].partition(".")
        if bucket:
            shown = money.setdefault(currency, {PRINCIPAL: 0, BONUS: 0, "held": 0, "available": 0})
            shown[bucket] = row["posted"]
            shown["held"] += row["held"]
            shown["available"] += row["posted"] - row["held"]
    return dict(sorted(money.items()))


async def money(
    connection: AsyncConnection, chain: int, program: str, member: str
) -> dict[str, dict[str, int]]:
    """A member's money by currency."""
    a = t.accounts
    query = select(a).where(
        a.c.chain == chain, a.c.program == program, a.c.member == member, a.c.asset != POINTS
    )
    return by_currency((await connection.execute(query)).mappings())


async def lots(connection: AsyncConnection, chain: int, program: str, member: str) -> list[dict[str, Any]]:
    """A member's lots of money that are not empty, the soonest to run out first."""
    c = t.lots.c
    query = (
        select(t.lots)
        .where(c.chain == chain, c.program == program, c.member == member, c.remaining > 0, c.asset != POINTS)
        .order_by(c.expires_at.nulls_last(), c.lot)
        .limit(LOTS_MAX)
    )
    return [
        {
            "lot": row["lot"],
            "currency": row["asset"].partition(".")[0],
            "bucket": row["asset"].partition(".")[2],
            "remaining": row["remaining"],
            "held": row["held"],
            "from": row["purchase"],
            "expires_at": row["expires_at"].isoformat() if row["expires_at"] else None,
        }
        for row in (await connection.execute(query)).mappings()
    ]


async def totals(connection: AsyncConnection, program: str) -> dict[str, dict[str, dict[str, int]]]:
    """Where a program's money is, by currency and bucket, summed over its postings; `outstanding` is the members'."""
    p = t.postings
    sides = union_all(
        *(
            select(p.c.asset, column.label("account"), (p.c.amount * sign).label("amount")).where(
                p.c.program == program, p.c.asset != POINTS, column.not_like("member/%")
            )
            for column, sign in ((p.c.debit, -1), (p.c.credit, 1))
        )
    ).subquery()
    query = select(sides.c.asset, sides.c.account, func.sum(sides.c.amount)).group_by(
        sides.c.asset, sides.c.account
    )
    shown: dict[str, dict[str, dict[str, int]]] = {}
    for asset_, account, amount in await connection.execute(query):
        currency, _, bucket = asset_.partition(".")
        sums = shown.setdefault(currency, {}).setdefault(bucket, {"outstanding": 0})
        name = {"redeemed": "spent", "breakage": "expired"}.get(account, account)
        sums[name] = abs(int(amount))
        sums["outstanding"] -= int(amount)
    return shown


def moved(event: e.Event) -> dict[str, int]:
    """By asset, the change of a member's money by an event."""
    match event:
        case e.MoneyCredited() | e.GiftReceived():
            return {event.asset: event.amount}
        case e.MoneyExpired():
            return {event.asset: -event.amount}
        case e.MoneyTakenBack():
            return {event.asset: -sum(amount for _, amount in event.allocations)}
        case e.LotMoved() if event.asset != POINTS:
            return {event.asset: event.points}
        case e.MemberAbsorbed():
            left: dict[str, int] = {}
            for asset_, _, amount in event.money:
                left[asset_] = left.get(asset_, 0) - amount
            return left
        case e.TopUpReversed():
            return _less(event.currency, [*event.paid_out, *event.kept], event.bonus)
        case e.GiftSent():
            return _less(event.currency, event.principal, event.bonus)
        case e.HoldCaptured():
            return _less(event.money_currency, event.principal, event.bonus)
        case e.SpendRefunded():
            taken = _less(event.money_currency, event.principal, event.bonus)
            return {asset_: -amount for asset_, amount in taken.items()}
    return {}


def of_hold(currency: str, amount: int, captured: int) -> dict[str, Any] | None:
    """The money of a hold; None for a hold of points alone."""
    return {"currency": currency, "amount": amount, "captured": captured} if currency else None


def and_points(points: int, event: e.HoldPlaced | e.HoldCaptured | e.HoldReleased | e.SpendRefunded) -> str:
    """Both in words, or the one that there is."""
    money = f"{event.money_amount} {event.money_currency} minor units"
    return f"{points} points" + f" and {money}" * bool(event.money_amount) if points else money


def describe(event: MoneyEvent) -> tuple[str, dict[str, Any]]:
    """(a sentence, what a program may want to know) of an event of stored value."""
    match event:
        case e.TopUpRecorded():
            told = event.activity
            return f"top-up {told.id} of {told.amount} {told.currency} minor units", {"top_up": told.id}
        case e.MoneyCredited():
            of = "award" if event.reason == "reward" else "top_up"
            return f"{event.amount} {event.asset} {CREDITED[event.reason]} {event.top_up}", {
                of: event.top_up,
                "expires_at": event.expires_at.isoformat() if event.expires_at else None,
            }
        case e.MoneyTakenBack():
            amount = sum(part for _, part in event.allocations)
            return f"{amount} {event.asset} of reward {event.award} taken back", {"award": event.award}
        case e.TopUpReversed():
            out, kept = (sum(amount for _, amount in part) for part in (event.paid_out, event.kept))
            text = f"top-up {event.activity.of} reversed, {out} {event.currency} minor units handed out"
            text += f", {kept} kept for bonus that was spent" if kept else ""
            return text, {"top_up": event.activity.of, "paid_out": out, "kept_for_bonus": kept}
        case e.GiftSent():
            text = f"{event.amount} {event.currency} minor units given to {event.receiver}"
            return text, {"gift": event.gift, "receiver": event.receiver}
        case e.GiftReceived():
            text = f"{event.amount} {event.asset} received from {event.giver}"
            return text, {"gift": event.gift, "giver": event.giver}
        case e.MoneyExpired():
            return f"{event.amount} {event.asset} expired", {"lot": event.lot}


def _less(currency: str, principal: e.Allocations, bonus: e.Allocations) -> dict[str, int]:
    taken = {PRINCIPAL: principal, BONUS: bonus}
    return {
        asset(currency, bucket): -sum(amount for _, amount in parts)
        for bucket, parts in taken.items()
        if parts
    }
