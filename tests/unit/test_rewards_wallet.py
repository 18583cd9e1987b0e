"""A wallet follows the ledger's rows; and every event survives the way to the journal and back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.codec import StreamRow
from services.common.errors import InvariantBroken
from services.rewards.domain import events
from services.rewards.domain.facts import TierChanged
from services.rewards.domain.wallet import Wallet, evolve
from services.rewards.wire import LEDGER_TYPES, TIERS_TYPES, event_of, fact_of, payload_of
from tallybook.ledger.v1 import events_pb2 as ledger
from tallybook.tiering.v1 import events_pb2 as tiering

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
STAMP = Timestamp(seconds=int(NOON.timestamp()))


def row(message: Message) -> StreamRow:
    return StreamRow(0, 1, "grocer", "ann", message.DESCRIPTOR.name, NOON, NOON, message)


def after(*messages: Message) -> Wallet:
    wallet = Wallet()
    for message in messages:
        fact = fact_of(row(message))
        assert fact is not None
        evolve(wallet, fact)
    return wallet


ACCRUED = ledger.PointsAccrued(points=1_000)
PLACED = ledger.HoldPlaced(hold="h", order="o", amount=300, expires_at=STAMP)


def test_points_given_taken_back_and_expired_move_the_posted_balance() -> None:
    wallet = after(ACCRUED, ledger.PointsClawedBack(points=100), ledger.PointsExpired(points=50))
    assert (wallet.posted, wallet.held, wallet.available) == (850, 0, 850)


def test_points_by_hand_and_a_closing_move_the_posted_balance() -> None:
    taken = ledger.PointsAdjusted(points=-100)
    assert after(ACCRUED, ledger.PointsAdjusted(points=30), taken).posted == 930
    assert after(ACCRUED, taken, ledger.MemberClosed(points=940, debt=40)).posted == 0


def test_points_that_repay_debt_count_too() -> None:
    wallet = after(
        ledger.PointsClawedBack(points=40, debt=40), ledger.PointsAccrued(points=100, debt_repaid=40)
    )
    assert wallet.posted == 60


PENDING = ledger.PointsAccrued(points=1_000, debt_repaid=200, matures_at=STAMP)


def test_pending_points_are_posted_and_not_available_until_they_mature() -> None:
    wallet = after(ledger.PointsClawedBack(points=200, debt=200), PENDING)
    assert (wallet.posted, wallet.pending, wallet.available) == (800, 800, 0)
    evolve(wallet, fact_of(row(ledger.PointsMatured(lot=1, points=800))))  # type: ignore[arg-type]
    assert (wallet.posted, wallet.pending, wallet.available) == (800, 0, 800)


def test_pending_points_that_are_taken_back_or_lapse_are_pending_no_more() -> None:
    wallet = after(PENDING, ledger.PointsClawedBack(points=300, pending=300))
    assert (wallet.posted, wallet.pending, wallet.available) == (700, 500, 200)
    evolve(wallet, fact_of(row(ledger.MemberLapsed(points=700, pending=500))))  # type: ignore[arg-type]
    assert (wallet.posted, wallet.pending, wallet.available) == (0, 0, 0)


def test_more_matured_than_was_pending_is_a_broken_invariant() -> None:
    with pytest.raises(InvariantBroken):
        after(ACCRUED, ledger.PointsMatured(lot=1, points=1))


def test_a_hold_counts_against_available_at_once() -> None:
    wallet = after(ACCRUED, PLACED)
    assert (wallet.posted, wallet.held, wallet.available) == (1_000, 300, 700)


def test_a_capture_in_part_frees_the_rest_of_the_hold() -> None:
    captured = ledger.HoldCaptured(
        hold="h", order="o", amount=200, released=[ledger.Allocation(lot=1, amount=100)]
    )
    wallet = after(ACCRUED, PLACED, captured)
    assert (wallet.posted, wallet.held, wallet.available) == (800, 0, 800)


def test_a_capture_that_is_not_final_leaves_the_rest_of_the_hold_held() -> None:
    captured = ledger.HoldCaptured(hold="h", order="o", amount=200, left=100)
    wallet = after(ACCRUED, PLACED, captured)
    assert (wallet.posted, wallet.held, wallet.available) == (800, 100, 700)
    freed = ledger.HoldReleased(hold="h", order="o", amount=100, reason="released", captured=200)
    wallet = after(ACCRUED, PLACED, captured, freed)
    assert (wallet.posted, wallet.held, wallet.available) == (800, 0, 800)


def test_points_given_back_are_there_again() -> None:
    captured = ledger.HoldCaptured(hold="h", order="o", amount=300)
    wallet = after(ACCRUED, PLACED, captured, ledger.SpendRefunded(order="o", amount=120))
    assert (wallet.posted, wallet.held, wallet.available) == (820, 0, 820)


@pytest.mark.parametrize("reason", ["released", "expired"])
def test_a_release_frees_the_hold(reason: str) -> None:
    wallet = after(ACCRUED, PLACED, ledger.HoldReleased(hold="h", order="o", amount=300, reason=reason))
    assert (wallet.posted, wallet.held, wallet.available) == (1_000, 0, 1_000)


def test_a_tier_comes_from_tiering() -> None:
    wallet = after(tiering.TierChanged(from_tier="", to_tier="gold", since=STAMP))
    assert (wallet.tier, wallet.tier_since) == ("gold", NOON)


def test_more_freed_than_held_is_a_broken_invariant() -> None:
    with pytest.raises(InvariantBroken):
        after(ACCRUED, ledger.HoldReleased(hold="h", order="o", amount=1))


def test_rows_without_a_message_tell_nothing() -> None:
    assert fact_of(StreamRow(0, 1, "grocer", "ann", "PurchaseRecorded", NOON, NOON, None)) is None


def test_every_type_that_is_read_has_a_fact() -> None:
    for cls in (*LEDGER_TYPES.values(), *TIERS_TYPES.values()):
        assert fact_of(row(cls())) is not None
    assert fact_of(row(tiering.TierChanged(to_tier="silver", since=STAMP))) == TierChanged("silver", NOON)


@pytest.mark.parametrize(
    "event",
    [
        events.RedemptionRequested("r1", "five_off", "order-1", 500, 600, "discount", "5 off", 500),
        events.RedemptionReserved("r1", NOON.replace(microsecond=123_456)),
        events.RedemptionRefused("r1", "insufficient_points", "3 available"),
        events.CaptureRequested("r1"),
        events.RedemptionCaptured("r1"),
        events.CancellationRequested("r1"),
        events.RedemptionCancelled("r1", "timed_out"),
        events.ProgramRefused("v2", "rewards.catalogue: must be a list"),
    ],
)
def test_an_event_is_the_same_after_the_journal(event: events.Event) -> None:
    assert event_of(*payload_of(event)) == event


@pytest.mark.parametrize("type_", ["Nonsense", "DESCRIPTOR", "RedemptionCaptured"])
def test_a_row_that_we_can_t_have_written_is_a_broken_invariant(type_: str) -> None:
    with pytest.raises(InvariantBroken):
        event_of(type_, b"\xff\xff")


def test_a_merge_leaves_nothing_to_the_absorbed_and_all_to_the_survivor() -> None:
    absorbed = after(ACCRUED, PLACED, ledger.MemberAbsorbed(into="bob", held=300))
    assert (absorbed.posted, absorbed.held) == (0, 0)
    moved = ledger.HoldMoved(
        hold="h", order="o", amount=300, allocations=[ledger.Allocation(lot=9, amount=300)]
    )
    survivor = after(
        ledger.MembersMerged(absorbed="ann", points=1_000, held=300, debt=50),
        ledger.LotMoved(points=1_000),
        moved,
    )
    assert (survivor.posted, survivor.held, survivor.available) == (950, 300, 650)
