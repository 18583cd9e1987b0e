"""The verifier's own reading of stored value."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.ops.verify.findings import Report, check_in_transit
from tallybook.activities.v1 import activities_pb2 as activities
from tallybook.ledger.v1 import events_pb2 as pb
from tests.unit.test_verify_reading import NOON, Reading, parts

LATER = NOON + timedelta(days=30)


def loaded() -> Reading:
    """Ann's 10,000 in the lot 5, with 1,000 of bonus in the lot 6 that run out after thirty days."""
    reading = Reading()
    reading.take(
        pb.TopUpRecorded(activity=activities.TopUp(id="t1", member="ann", currency="USD", amount=10_000))
    )
    reading.take(pb.MoneyCredited(top_up="t1", asset="USD.principal", amount=10_000, reason="paid_in"))
    bonus = pb.MoneyCredited(top_up="t1", asset="USD.bonus", amount=1_000, reason="bonus")
    bonus.expires_at.FromDatetime(LATER)
    reading.take(bonus)
    return reading


def test_money_that_was_sent_and_never_came_is_found() -> None:
    report = Report()
    report.in_transit.update({("grocer", "USD.bonus"): 400, ("grocer", "USD.principal"): 5})
    arrived = Report()
    arrived.in_transit.update({("grocer", "USD.principal"): -5})
    report.add(arrived)
    check_in_transit(report)
    assert [(finding.check, finding.where) for finding in report.findings] == [
        ("L1", "in_transit grocer USD.bonus")
    ]


def undo(paid_out: dict[int, int], kept: dict[int, int], bonus: dict[int, int]) -> pb.TopUpReversed:
    return pb.TopUpReversed(
        activity=activities.TopUpReversal(id="u1", of="t1"), currency="USD",
        paid_out=parts(paid_out), kept=parts(kept), bonus=parts(bonus),
    )  # fmt: skip


def sent(amount: int, principal: dict[int, int], bonus: dict[int, int]) -> pb.GiftSent:
    return pb.GiftSent(
        gift="g",
        receiver="bob",
        currency="USD",
        amount=amount,
        principal=parts(principal),
        bonus=parts(bonus),
    )


def test_money_in_order_is_read_without_a_finding() -> None:
    reading = loaded()
    assert reading.take(sent(400, {}, {6: 400})) == [
        ("grocer", "member/ann", "in_transit", "USD.bonus", 400, 6)
    ]
    assert reading.take(undo({5: 9_600}, {5: 400}, {6: 600})) == [
        ("grocer", "member/ann", "paid_out", "USD.principal", 9_600, 5),
        ("grocer", "member/ann", "clawed_back", "USD.principal", 400, 5),
        ("grocer", "member/ann", "clawed_back", "USD.bonus", 600, 6),
    ]
    assert reading.wrong == []


def test_bonus_that_ran_out_is_not_kept_back() -> None:
    reading = loaded()
    reading.take(pb.MoneyExpired(lot=6, asset="USD.bonus", amount=1_000), at=LATER)
    reading.take(undo({5: 10_000}, {}, {}), at=LATER)
    assert reading.wrong == []


@pytest.mark.parametrize(
    "message",
    [
        undo({5: 10_001}, {}, {6: 1_000}),
        undo({5: 10_000}, {}, {}),
        undo({5: 9_000}, {5: 1_000}, {6: 1_000}),
        sent(400, {}, {6: 399}),
        sent(400, {6: 400}, {}),
        sent(1_001, {}, {6: 1_001}),
        pb.MoneyExpired(lot=6, asset="USD.bonus", amount=1_000),
        pb.MoneyExpired(lot=5, asset="USD.principal", amount=1),
        pb.MoneyCredited(top_up="t1", asset="EUR.principal", amount=10_000, reason="paid_in"),
        pb.MoneyCredited(top_up="t1", asset="USD.principal", amount=9_999, reason="paid_in"),
    ],
)
def test_money_that_cannot_move_so_is_found(message: Any) -> None:
    reading = loaded()
    reading.take(message)
    assert "L2" in [check for check, _ in reading.wrong]


@pytest.mark.parametrize(
    "message",
    [
        pb.MoneyCredited(top_up="t9", asset="USD.principal", amount=1, reason="paid_in"),
        pb.TopUpReversed(activity=activities.TopUpReversal(id="u1", of="t9")),
        pb.TopUpRecorded(activity=activities.TopUp(id="t1", member="ann", currency="USD", amount=1)),
        pb.PointsAccrued(purchase="t9", reason="top_up", points=1),
    ],
)
def test_what_no_top_up_led_to_is_found(message: Any) -> None:
    reading = loaded()
    reading.take(message)
    assert "tables" in [check for check, _ in reading.wrong]
