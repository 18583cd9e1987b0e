"""Orders that vouchers and money from outside pay alone: the life of every redemption, and no step at the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from services.common.errors import Refusal
from services.rewards.domain.decide import Step, hear, settle, take_step, without_ledger
from services.rewards.domain.events import (
    CancellationRequested,
    CaptureRequested,
    RedemptionCancelled,
    RedemptionCaptured,
    RedemptionEvent,
    RedemptionRequested,
    RedemptionReserved,
)
from services.rewards.domain.facts import HoldCaptured, HoldFact, HoldPlaced, HoldReleased, SpendRefunded
from services.rewards.domain.payment import BasketLine, PayingVoucher
from services.rewards.domain.redemption import Redemption, State, begin, evolve
from services.rewards.domain.refund_events import RedemptionRefunded, RefundRequested
from services.rewards.domain.refunds import AskRefund, request_refund

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ENDS = NOON + timedelta(seconds=600)
IN_TIME, TOO_LATE = ENDS - timedelta(microseconds=1), ENDS
BASKET = (BasketLine(1, "A", "", 3, 1_000), BasketLine(2, "B", "", 1, 501))
REQUESTED = RedemptionRequested(
    "r1", "", "o1", 0, 600, "", "", 0, currency="USD", outside=1_001, lines=BASKET,
    vouchers=(PayingVoucher("v1", 500),),
)  # fmt: skip
ALL_BY_VOUCHER = replace(REQUESTED, vouchers=(PayingVoucher("v1", 1_501),), outside=0)
RESERVED, CAPTURED = RedemptionReserved("r1", ENDS), RedemptionCaptured("r1")
CAPTURE, CANCEL = CaptureRequested("r1"), CancellationRequested("r1")
CANCELLED, TIMED_OUT = RedemptionCancelled("r1", "cancelled"), RedemptionCancelled("r1", "timed_out")
HISTORY: dict[State, list[RedemptionEvent]] = {
    State.RESERVING: [],
    State.RESERVED: [RESERVED],
    State.CAPTURING: [RESERVED, CAPTURE],
    State.CAPTURED: [RESERVED, CAPTURE, CAPTURED],
    State.CANCELLING: [RESERVED, CANCEL],
    State.CANCELLED: [RESERVED, CANCEL, CANCELLED],
    State.TIMED_OUT: [RESERVED, TIMED_OUT],
}


def given(state: State, requested: RedemptionRequested = REQUESTED) -> Redemption:
    return then(begin("cafe", "ann", "v1", requested, NOON, 7), *HISTORY[state])


def then(redemption: Redemption, *events: RedemptionEvent) -> Redemption:
    for event in events:
        redemption = evolve(redemption, event, NOON)
    return redemption


@pytest.mark.parametrize(
    ("state", "at", "events"),
    [
        (State.RESERVING, NOON, [RESERVED]),
        (State.RESERVED, IN_TIME, []),
        (State.RESERVED, TOO_LATE, [TIMED_OUT]),
        (State.CAPTURING, IN_TIME, [CAPTURED]),
        (State.CAPTURING, TOO_LATE, [TIMED_OUT]),
        (State.CANCELLING, IN_TIME, [CANCELLED]),
        (State.CANCELLING, TOO_LATE, [TIMED_OUT]),
    ],
)
def test_every_step_is_over_at_once_and_time_ends_it(
    state: State, at: datetime, events: list[RedemptionEvent]
) -> None:
    redemption = given(state)
    stands = without_ledger(redemption, at)
    assert stands is not None
    assert settle(redemption, stands) == events
    then(redemption, *events)


@pytest.mark.parametrize("state", [State.CAPTURED, State.CANCELLED, State.TIMED_OUT])
def test_time_changes_nothing_that_has_ended(state: State) -> None:
    stands = without_ledger(given(state), TOO_LATE)
    assert stands is None or settle(given(state), stands) == []


@pytest.mark.parametrize("state", list(HISTORY))
@pytest.mark.parametrize("held", [{"points": 1}, {"money": 1}])
def test_of_points_and_stored_value_the_ledger_says_how_they_stand(
    state: State, held: dict[str, int]
) -> None:
    assert without_ledger(given(state, replace(REQUESTED, **held)), NOON) is None


@pytest.mark.parametrize("step", ["capture", "cancel"])
def test_its_steps_begin_where_all_others_do(step: Step) -> None:
    for state in HISTORY:
        other = given(state, replace(REQUESTED, points=1))
        assert outcome_of(given(state), step) == outcome_of(other, step)


def outcome_of(redemption: Redemption, step: Step) -> list[RedemptionEvent] | str:
    try:
        return take_step(redemption, "r1", step)
    except Refusal as refusal:
        return refusal.code


@pytest.mark.parametrize(
    "fact",
    [
        HoldPlaced("r1", "o1", 0, ENDS),
        HoldCaptured("r1", "o1", 5, 5),
        HoldReleased("r1", "o1", 5, expired=False),
        HoldReleased("r1", "o1", 5, expired=True),
        SpendRefunded("r1:refund1", "o1", 5),
    ],
)
def test_a_hold_of_its_name_at_the_ledger_is_none_of_its_own(fact: HoldFact | SpendRefunded) -> None:
    for state in HISTORY:
        assert hear(given(state), fact) == []


def refunded(redemption: Redemption, refund: str, **asked: object) -> Redemption:
    events = request_refund(redemption, AskRefund("r1", refund, **asked))  # type: ignore[arg-type]
    assert [type(event) for event in events] == [RefundRequested, RedemptionRefunded]
    return then(redemption, *events)


@pytest.mark.parametrize("requested", [REQUESTED, ALL_BY_VOUCHER])
def test_a_refund_of_nothing_in_particular_is_whole(requested: RedemptionRequested) -> None:
    redemption = refunded(given(State.CAPTURED, requested), "k1")
    assert (redemption.state, redemption.left) == (State.REFUNDED, (0, 0, 0))
    assert redemption.refunds[0].outside == requested.outside


@pytest.mark.parametrize("requested", [REQUESTED, ALL_BY_VOUCHER])
@examples(st.permutations([1, 1, 1, 2]))
def test_line_by_line_it_is_whole_with_the_last_and_not_before(
    requested: RedemptionRequested, order: list[int]
) -> None:
    redemption = given(State.CAPTURED, requested)
    for number, line in enumerate(order):
        assert redemption.state is State.CAPTURED
        redemption = refunded(redemption, f"k{number}", lines=((line, 1),))
    assert redemption.state is State.REFUNDED
    assert sum(refund.outside for refund in redemption.refunds) == requested.outside


@pytest.mark.parametrize("asked", [{"points": 0}, {"money": 0}, {"points": 0, "money": 0}])
def test_an_amount_of_nothing_is_no_refund(asked: dict[str, int]) -> None:
    for requested in (REQUESTED, ALL_BY_VOUCHER):
        with pytest.raises(Refusal, match="nothing_to_refund"):
            request_refund(given(State.CAPTURED, requested), AskRefund("r1", "k1", **asked))
