"""Members' stored value: out of the rows of ledger.v1, into the table that the wallet shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import Message

from services.common.codec import StreamRow
from services.common.db import Transaction
from services.rewards.domain.money import Money, MoneyMoved
from tallybook.ledger.v1 import events_pb2 as ledger

MONEY_TYPES: dict[str, type[Message]] = {
    cls.DESCRIPTOR.name: cls
    for cls in (
        ledger.MoneyCredited,
        ledger.MoneyTakenBack,
        ledger.TopUpReversed,
        ledger.GiftSent,
        ledger.GiftReceived,
        ledger.MoneyExpired,
    )
}
"""Messages of ledger.v1 that only move money."""
MOVING = {
    *MONEY_TYPES,
    "LotMoved",
    "HoldMoved",
    "MemberAbsorbed",
    "HoldPlaced",
    "HoldCaptured",
    "HoldReleased",
    "SpendRefunded",
}
"""Those and what moves money beside points."""

FIND_MONEY = """
-- LIMIT keeps it to one look into the primary key each: a plan made while the table was empty must stay good.
SELECT m.program, m.member, m.currency, m.principal, m.bonus, m.held
FROM unnest($2::text[], $3::text[], $4::text[]) AS k (program, member, currency)
CROSS JOIN LATERAL (
    SELECT * FROM member_money
    WHERE chain = $1 AND program = k.program AND member = k.member AND currency = k.currency LIMIT 1
) AS m
"""
SAVE_MONEY = """
INSERT INTO member_money (chain, program, member, currency, principal, bonus, held)
SELECT $1::smallint, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
ON CONFLICT (chain, program, member, currency) DO UPDATE
SET principal = EXCLUDED.principal, bonus = EXCLUDED.bonus, held = EXCLUDED.held
"""


async def apply_money(tx: Transaction, chain: int, rows: Sequence[StreamRow]) -> None:
    """Bring the stored value of members up to a batch of rows."""
    moves = [
        ((row.program, row.member, moved.currency), moved)
        for row in rows
        if row.member is not None and row.type in MOVING
        for moved in money_of(row)
    ]
    if not moves:
        return
    keys = sorted({key for key, _ in moves})
    columns = [list(column) for column in zip(*keys, strict=True)]
    found = await tx.fetch(FIND_MONEY, chain, *columns)
    money = {key: Money() for key in keys}
    for r in found:
        money[r["program"], r["member"], r["currency"]] = Money(r["principal"], r["bonus"], r["held"])
    for key, moved in moves:
        money[key].move(moved)
    await tx.execute(
        SAVE_MONEY,
        chain,
        *columns,
        [money[key].principal for key in keys],
        [money[key].bonus for key in keys],
        [money[key].held for key in keys],
    )


def money_of(row: StreamRow) -> list[MoneyMoved]:
    """What a row tells of money; mostly nothing."""
    message: Any = row.message
    if message is None:
        return []
    match row.type:
        case "MoneyCredited" | "GiftReceived":
            return [_in_bucket(message.asset, message.amount)]
        case "LotMoved" if "." in message.asset:
            return [_in_bucket(message.asset, message.points)]
        case "HoldMoved" if message.money_currency:
            return [MoneyMoved(message.money_currency, held=_total(message.money_allocations))]
        case "MemberAbsorbed":
            currencies = {moved.asset.partition(".")[0] for moved in message.money}
            return [MoneyMoved(currency, gone=True) for currency in sorted(currencies)]
        case "MoneyExpired":
            return [_in_bucket(message.asset, -message.amount)]
        case "MoneyTakenBack":
            return [_in_bucket(message.asset, -_total(message.allocations))]
        case "TopUpReversed":
            out = _total(message.paid_out) + _total(message.kept)
            return [MoneyMoved(message.currency, -out, -_total(message.bonus))]
        case "GiftSent":
            return [MoneyMoved(message.currency, -_total(message.principal), -_total(message.bonus))]
        case "HoldPlaced" if message.money_currency:
            return [MoneyMoved(message.money_currency, held=message.money_amount)]
        case "HoldCaptured" if message.money_currency:
            freed = _total(message.principal_released) + _total(message.bonus_released)
            return [
                MoneyMoved(
                    message.money_currency, -_total(message.principal), -_total(message.bonus),
                    -message.money_amount - freed,
                )
            ]  # fmt: skip
        case "HoldReleased" if message.money_currency:
            return [MoneyMoved(message.money_currency, held=-message.money_amount)]
        case "SpendRefunded" if message.money_currency:
            return [MoneyMoved(message.money_currency, _total(message.principal), _total(message.bonus))]
    return []


def _in_bucket(asset: str, amount: int) -> MoneyMoved:
    """`asset` is currency and bucket: USD.principal."""
    currency, _, bucket = asset.partition(".")
    if bucket == "principal":
        return MoneyMoved(currency, principal=amount)
    return MoneyMoved(currency, bonus=amount)


def _total(allocations: Iterable[Any]) -> int:
    return sum(part.amount for part in allocations)
