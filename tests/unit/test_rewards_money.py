"""Stored value in the wallet: what each row of the ledger's stream moves, against the ledger's own book."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message

from services.common.codec import StreamRow
from services.common.errors import InvariantBroken
from services.rewards.domain.money import Money, MoneyMoved
from services.rewards.money import money_of
from tallybook.ledger.v1 import events_pb2 as ledger

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def row(message: Message | None, type_: str = "") -> StreamRow:
    name = type_ or (message.DESCRIPTOR.name if message else "")
    return StreamRow(1, 1, "club", "ann", name, NOON, NOON, message)


def parts(*amounts: int) -> list[ledger.Allocation]:
    return [ledger.Allocation(lot=n, amount=amount) for n, amount in enumerate(amounts, 1)]


@pytest.mark.parametrize(
    ("message", "moved"),
    [
        (ledger.MoneyCredited(asset="USD.principal", amount=500), MoneyMoved("USD", 500)),
        (ledger.MoneyCredited(asset="USD.bonus", amount=50), MoneyMoved("USD", 0, 50)),
        (ledger.GiftReceived(asset="USD.bonus", amount=50), MoneyMoved("USD", 0, 50)),
        (ledger.MoneyExpired(asset="USD.bonus", amount=50), MoneyMoved("USD", 0, -50)),
        (ledger.LotMoved(asset="USD.bonus", points=50, amount=80), MoneyMoved("USD", 0, 50)),
        (ledger.HoldMoved(money_currency="USD", money_allocations=parts(5, 6)), MoneyMoved("USD", held=11)),
        (
            ledger.MemberAbsorbed(money=[ledger.MovedMoney(asset="USD.bonus"), ledger.MovedMoney(asset="USD.x")]),
            MoneyMoved("USD", gone=True),
        ),
        (
            ledger.TopUpReversed(currency="USD", paid_out=parts(300, 100), kept=parts(20), bonus=parts(30)),
            MoneyMoved("USD", -420, -30),
        ),
        (ledger.GiftSent(currency="USD", principal=parts(5, 6), bonus=parts(7)), MoneyMoved("USD", -11, -7)),
        (ledger.HoldPlaced(money_currency="USD", money_amount=70), MoneyMoved("USD", held=70)),
        (
            ledger.HoldCaptured(
                money_currency="USD", money_amount=50, principal=parts(30), bonus=parts(20),
                principal_released=parts(4), bonus_released=parts(6),
            ),
            MoneyMoved("USD", -30, -20, -60),
        ),
        (ledger.HoldReleased(money_currency="USD", money_amount=70), MoneyMoved("USD", held=-70)),
        (
            ledger.SpendRefunded(money_currency="USD", principal=parts(30), bonus=parts(20)),
            MoneyMoved("USD", 30, 20),
        ),
    ],
)  # fmt: skip
def test_a_row_moves_money(message: Message, moved: MoneyMoved) -> None:
    assert money_of(row(message)) == [moved]


@pytest.mark.parametrize(
    "message",
    [
        None,
        ledger.LotMoved(asset="points", points=5),
        ledger.HoldPlaced(amount=5),
        ledger.SpendRefunded(amount=5),
        ledger.PointsAccrued(points=1),
    ],
)
def test_a_row_of_points_moves_no_money(message: Message | None) -> None:
    assert money_of(row(message)) == []


def test_what_is_held_is_not_available() -> None:
    money = Money()
    for moved in (MoneyMoved("USD", 500), MoneyMoved("USD", 0, 50), MoneyMoved("USD", held=70)):
        money.move(moved)
    assert (money.principal, money.bonus, money.held, money.available) == (500, 50, 70, 480)
    with pytest.raises(InvariantBroken):
        money.move(MoneyMoved("USD", -501))
