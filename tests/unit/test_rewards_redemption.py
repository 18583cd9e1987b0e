"""Redemptions: given where one stands, when a checkout asks or the ledger answers, then these events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.common.errors import InvariantBroken, Refusal
from services.rewards.domain.catalogue import Looked
from services.rewards.domain.decide import (
    WHERE_IT_STANDS,
    HoldStands,
    LedgerAnswer,
    LedgerRefused,
    Step,
    hear,
    outcome,
    same_request,
    settle,
    take_step,
)
from services.rewards.domain.events import (
    CancellationRequested,
    CaptureRequested,
    RedemptionCancelled,
    RedemptionCaptured,
    RedemptionEvent,
    RedemptionRefused,
    RedemptionRequested,
    RedemptionReserved,
)
from services.rewards.domain.facts import HoldCaptured, HoldFact, HoldPlaced, HoldReleased
from services.rewards.domain.program import parse_program
from services.rewards.domain.redemption import TRANSITIONS, Redemption, State, begin, evolve
from services.rewards.domain.refund_events import RedemptionRefunded, RefundRefused, RefundRequested
from services.rewards.domain.refunds import NOT_REFUNDABLE
from services.rewards.domain.reservation import Reserve, reserve

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=15)
PROGRAM = parse_program(
    {
        "program": "grocer",
        "rewards": {
            "catalogue": [
                {"id": "five_off", "name": "5 off", "kind": "discount", "points": 500, "value": 500}
            ],
            "redemption": {"ttl_seconds": 600},
        },
    },
    "v1",
)
LOOKED = Looked(NOON, PROGRAM.zone)
COMMAND = Reserve("r1", "ann", "five_off", "order-1", None)
REQUESTED = RedemptionRequested("r1", "five_off", "order-1", 500, 600, "discount", "5 off", 500)
RESERVED = RedemptionReserved("r1", LATER)
CAPTURE_ASKED = CaptureRequested("r1")
CANCEL_ASKED = CancellationRequested("r1")
CAPTURED = RedemptionCaptured("r1")
CANCELLED = RedemptionCancelled("r1", "cancelled")
TIMED_OUT = RedemptionCancelled("r1", "timed_out")
REFUND_ASKED = RefundRequested("r1", "k1", 1, 500, 0, 0, (), False)
REFUNDED = RedemptionRefunded("r1", "k1", 500, 0, 0, True)
NOT_REFUNDED = RefundRefused("r1", "k1", "member_closed", "closed")
POOR = RedemptionRefused("r1", "insufficient_points", "500 points asked for, 3 available")

HISTORY: dict[State, list[RedemptionEvent]] = {
    State.RESERVING: [],
    State.RESERVED: [RESERVED],
    State.CAPTURING: [RESERVED, CAPTURE_ASKED],
    State.CAPTURED: [RESERVED, CAPTURE_ASKED, CAPTURED],
    State.CANCELLING: [RESERVED, CANCEL_ASKED],
    State.CANCELLED: [RESERVED, CANCEL_ASKED, CANCELLED],
    State.TIMED_OUT: [RESERVED, TIMED_OUT],
    State.REFUSED: [POOR],
    State.REFUNDING: [RESERVED, CAPTURED, REFUND_ASKED],
    State.REFUNDED: [RESERVED, CAPTURED, REFUND_ASKED, REFUNDED],
}


def given(state: State) -> Redemption:
    redemption = begin("grocer", "ann", "v1", REQUESTED, NOON, 7)
    for event in HISTORY[state]:
        redemption = evolve(redemption, event, NOON)
    assert redemption.state is state
    return redemption


def then(redemption: Redemption, events: Sequence[RedemptionEvent]) -> State:
    for event in events:
        redemption = evolve(redemption, event, LATER)
    return redemption.state


def test_a_request_holds_all_that_its_steps_need() -> None:
    assert reserve(PROGRAM, None, COMMAND, LOOKED) == [REQUESTED]


def test_a_request_may_ask_for_another_time_to_live() -> None:
    (event,) = reserve(PROGRAM, None, Reserve("r1", "ann", "five_off", "order-1", 30), LOOKED)
    assert isinstance(event, RedemptionRequested)
    assert event.ttl_seconds == 30


def test_refusals_of_a_request_come_in_this_order() -> None:
    unknown = Reserve("r1", "ann", "ten_off", "order-1", None)
    cases = [
        (None, given(State.RESERVED), unknown, "id_reused"),
        (None, None, unknown, "unknown_program"),
        (PROGRAM, None, unknown, "unknown_reward"),
    ]
    for program, redemption, command, code in cases:
        with pytest.raises(Refusal) as caught:
            reserve(program, redemption, command, LOOKED)
        assert caught.value.code == code


def test_a_key_with_other_content_is_refused_and_with_the_same_is_not() -> None:
    same_request(b"1", b"1", "k")
    with pytest.raises(Refusal, match="id_reused"):
        same_request(b"1", b"2", "k")


@pytest.mark.parametrize("step", ["capture", "cancel"])
@pytest.mark.parametrize(
    ("state", "code"),
    [
        (None, "unknown_redemption"),
        (State.RESERVING, "redemption_not_reserved"),
        (State.RESERVED, None),
        (State.CAPTURING, "redemption_being_captured"),
        (State.CAPTURED, "already_captured"),
        (State.CANCELLING, "redemption_being_cancelled"),
        (State.CANCELLED, "already_cancelled"),
        (State.TIMED_OUT, "redemption_timed_out"),
        (State.REFUSED, "redemption_refused"),
        (State.REFUNDING, "redemption_being_refunded"),
        (State.REFUNDED, "already_refunded"),
    ],
)
def test_a_step_begins_only_where_the_points_are_reserved(
    state: State | None, code: str | None, step: Step
) -> None:
    redemption = given(state) if state is not None else None
    if code is None:
        expected = CAPTURE_ASKED if step == "capture" else CANCEL_ASKED
        assert take_step(redemption, "r1", step) == [expected]
        return
    with pytest.raises(Refusal) as caught:
        take_step(redemption, "r1", step)
    assert caught.value.code == code


OPEN = HoldStands("open", LATER)
SAYS_POOR = LedgerRefused("insufficient_points", "500 points asked for, 3 available")
SAYS_EXPIRED = LedgerRefused("hold_expired", "timed out")
SAYS_CAPTURED = LedgerRefused("hold_already_captured", "captured")
SAYS_RELEASED = LedgerRefused("hold_already_released", "released")
SAYS_UNKNOWN = LedgerRefused("hold_unknown", "no such hold")


@pytest.mark.parametrize(
    ("state", "answer", "events"),
    [
        (State.RESERVING, OPEN, [RESERVED]),
        (State.RESERVING, SAYS_POOR, [POOR]),
        # The answer to a repeated question tells how the hold stands by now.
        (State.RESERVING, HoldStands("expired", LATER), [RESERVED, TIMED_OUT]),
        (State.RESERVING, HoldStands("released", LATER), [RESERVED, CANCELLED]),
        (State.RESERVING, HoldStands("captured", LATER), [RESERVED, CAPTURED]),
        (State.RESERVED, OPEN, []),
        (State.RESERVED, SAYS_POOR, []),
        (State.CAPTURING, HoldStands("captured", LATER), [CAPTURED]),
        (State.CAPTURING, SAYS_EXPIRED, [TIMED_OUT]),
        (State.CAPTURING, SAYS_RELEASED, [CANCELLED]),
        (State.CAPTURING, SAYS_CAPTURED, [CAPTURED]),
        (State.CAPTURING, SAYS_UNKNOWN, [RedemptionRefused("r1", "hold_unknown", "no such hold")]),
        (State.CAPTURING, OPEN, []),
        (State.CANCELLING, HoldStands("released", LATER), [CANCELLED]),
        (State.CANCELLING, SAYS_EXPIRED, [TIMED_OUT]),
        (State.CANCELLING, SAYS_CAPTURED, [CAPTURED]),
        (State.CANCELLING, SAYS_RELEASED, [CANCELLED]),
    ],
)
def test_the_ledger_s_answer_settles_a_step(
    state: State, answer: LedgerAnswer, events: list[RedemptionEvent]
) -> None:
    assert settle(given(state), answer) == events
    then(given(state), events)


@pytest.mark.parametrize(
    "state", [State.CAPTURED, State.CANCELLED, State.TIMED_OUT, State.REFUSED, State.REFUNDED]
)
@pytest.mark.parametrize(
    "answer", [OPEN, HoldStands("captured"), HoldStands("expired"), SAYS_POOR, SAYS_EXPIRED]
)
def test_nothing_changes_a_redemption_that_has_ended(state: State, answer: LedgerAnswer) -> None:
    assert settle(given(state), answer) == []


PLACED = HoldPlaced("r1", "order-1", 500, LATER)
HOLD_CAPTURED = HoldCaptured("r1", "order-1", 500, 500)
HOLD_RELEASED = HoldReleased("r1", "order-1", 500, expired=False)
HOLD_EXPIRED = HoldReleased("r1", "order-1", 500, expired=True)


@pytest.mark.parametrize(
    ("state", "fact", "ends_in"),
    [
        (State.RESERVING, PLACED, State.RESERVED),
        (State.RESERVED, PLACED, State.RESERVED),
        (State.RESERVED, HOLD_EXPIRED, State.TIMED_OUT),
        (State.CAPTURING, HOLD_EXPIRED, State.TIMED_OUT),
        (State.CANCELLING, HOLD_EXPIRED, State.TIMED_OUT),
        (State.CAPTURING, HOLD_CAPTURED, State.CAPTURED),
        (State.CANCELLING, HOLD_RELEASED, State.CANCELLED),
        # By hand, at the ledger itself.
        (State.RESERVED, HOLD_CAPTURED, State.CAPTURED),
        (State.RESERVED, HOLD_RELEASED, State.CANCELLED),
        # The stream is behind the answers that we had.
        (State.CAPTURED, PLACED, State.CAPTURED),
        (State.TIMED_OUT, HOLD_EXPIRED, State.TIMED_OUT),
        # A hold of the same name that was not placed for this redemption.
        (State.RESERVING, HoldPlaced("r1", "order-2", 500, LATER), State.RESERVING),
        (State.RESERVING, HoldPlaced("r1", "order-1", 499, LATER), State.RESERVING),
        (State.RESERVING, HOLD_EXPIRED, State.RESERVING),
        (State.RESERVED, HoldReleased("r1", "order-2", 500, expired=True), State.RESERVED),
        (State.RESERVED, HoldCaptured("r1", "order-1", 500, 500, final=False), State.RESERVED),
    ],
)
def test_the_ledger_s_stream_finishes_and_ends_redemptions(
    state: State, fact: HoldFact, ends_in: State
) -> None:
    assert then(given(state), hear(given(state), fact)) is ends_in


@pytest.mark.parametrize(
    ("asked", "state", "code"),
    [
        ("reserve", State.RESERVING, "temporarily_unavailable"),
        ("reserve", State.REFUSED, "insufficient_points"),
        ("reserve", State.RESERVED, None),
        ("reserve", State.CAPTURED, None),
        ("reserve", State.TIMED_OUT, None),
        ("capture", State.CAPTURING, "temporarily_unavailable"),
        ("capture", State.CAPTURED, None),
        ("capture", State.REFUNDING, None),
        ("capture", State.REFUNDED, None),
        ("capture", State.TIMED_OUT, "redemption_timed_out"),
        ("capture", State.CANCELLED, "already_cancelled"),
        ("capture", State.REFUSED, "insufficient_points"),
        ("cancel", State.CANCELLING, "temporarily_unavailable"),
        ("cancel", State.CANCELLED, None),
        ("cancel", State.CAPTURED, "already_captured"),
        ("cancel", State.TIMED_OUT, "redemption_timed_out"),
    ],
)
def test_what_a_caller_is_told(asked: str, state: State, code: str | None) -> None:
    if code is None:
        assert outcome(asked, given(state)).state is state  # type: ignore[arg-type]
        return
    with pytest.raises(Refusal) as caught:
        outcome(asked, given(state))  # type: ignore[arg-type]
    assert caught.value.code == code


def test_every_event_comes_only_in_the_states_that_the_table_names() -> None:
    samples: list[RedemptionEvent] = [RESERVED, POOR, CAPTURE_ASKED, CANCEL_ASKED, CAPTURED, CANCELLED]
    samples += [REFUND_ASKED, REFUNDED, NOT_REFUNDED]
    assert {type(event) for event in samples} == set(TRANSITIONS)
    for event in samples:
        for state in State:
            if state in TRANSITIONS[type(event)]:
                evolve(given(state), event, LATER)
            else:
                with pytest.raises(InvariantBroken):
                    evolve(given(state), event, LATER)


def test_a_redemption_begins_once() -> None:
    with pytest.raises(InvariantBroken):
        evolve(given(State.RESERVED), REQUESTED, LATER)


def test_the_page_of_states_says_what_the_code_does() -> None:
    page = (Path(__file__).parents[2] / "docs" / "redemptions.md").read_text()
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]]
        for line in page.splitlines()
        if line.startswith("|")
    ]
    told = {row[0]: tuple(row[2:]) for row in rows if len(row) == 5 and row[0] in set(State)}
    expected = {str(state): (code, code, NOT_REFUNDABLE[state][0]) for state, (code, _) in WHERE_IT_STANDS.items()
                if state is not State.CAPTURED}  # fmt: skip
    expected["reserved"] = ("-> `capturing", "-> `cancelling", "redemption_not_captured")
    expected["captured"] = ("already_captured", "already_captured", "-> `refunding")
    assert told == expected
