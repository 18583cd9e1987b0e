"""What tiering reads in the ledger's rows."""

from __future__ import annotations

from google.protobuf.message import Message

from services.common.codec import StreamRow
from services.tiering.domain.events import FactEvent, PointsMoved, PurchaseRecorded, ReturnRecorded, ToppedUp
from services.tiering.wire import LEDGER_TYPES, fact_of
from tallybook.ledger.v1 import events_pb2 as pb
from tests.unit.tiering_given import day

NOON = day("2026-01-05T12:00")


def read(message: Message) -> FactEvent:
    row = StreamRow(1, 7, "grocer", "ann", type(message).__name__, NOON, NOON, message)
    assert row.type in LEDGER_TYPES
    fact = fact_of(row)
    assert fact is not None
    assert (fact.position, fact.program, fact.member, fact.occurred_at) == (7, "grocer", "ann", NOON)
    return fact.event


def test_a_purchase_is_its_lines() -> None:
    message = pb.PurchaseRecorded()
    message.activity.id = "p1"
    message.activity.lines.add(id=1, sku="A", category="food", quantity=2, amount=500)
    assert read(message) == PurchaseRecorded([("food", 500, 2, "A")], "p1")


def test_a_return_is_of_the_day_of_its_purchase() -> None:
    message = pb.ReturnRecorded()
    message.activity.of = "p1"
    message.lines.add(line=1, sku="A", category="food", quantity=1, amount=250)
    message.purchased_at.FromDatetime(day("2025-12-05"))
    assert read(message) == ReturnRecorded([("food", 250, 1, "A")], day("2025-12-05"), "p1", (1,))


def test_points_that_the_member_may_keep_were_not_earned_all_the_same() -> None:
    assert read(pb.PointsAccrued(purchase="p1", points=40)) == PointsMoved("p1", 40)
    assert read(pb.PointsClawedBack(purchase="p1", points=10, forgiven=5)) == PointsMoved("p1", -15)


def test_a_top_up_is_the_money_loaded() -> None:
    message = pb.TopUpRecorded()
    message.activity.amount = 100_00
    assert read(message) == ToppedUp(100_00)


def test_of_other_rows_only_the_position_counts() -> None:
    assert fact_of(StreamRow(1, 7, "grocer", "ann", "PointsExpired", NOON, NOON, None)) is None
