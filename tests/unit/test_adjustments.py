"""Points given or taken by hand: a reason, a limit, and over it a second person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.common.errors import InvariantBroken, Refusal
from services.common.program_section import ProgramError
from services.ledger.domain.events import (
    AdjustmentDeclined,
    AdjustmentRequested,
    Decided,
    PointsAdjusted,
    PointsExpired,
)
from services.ledger.domain.evolve import evolve
from services.ledger.domain.postings import postings_of
from tests.unit.ledger_given import (
    CHAIN,
    DAY,
    NOON,
    Given,
    capture,
    clock,
    enrol,
    hold,
    program,
    purchase,
    return_,
)
from tests.unit.members_given import adjust, adjusting, approve, decline

YEAR_ON = NOON.replace(year=2027)
ANN = "member/ann"


def given(*commands: Any, **ledger: Any) -> Given:
    return Given(clock(NOON), *commands, rules=adjusting(**ledger))


def refused(book: Given, command: Any) -> str:
    with pytest.raises(Refusal) as refusal:
        book.when(command)
    return refusal.value.code


def test_points_given_by_hand_open_a_lot_that_expires_as_what_is_earned_now() -> None:
    book = given(enrol())
    assert book.when(adjust(100)) == [
        PointsAdjusted("a1", 100, "goodwill", "a note", "carol", "", YEAR_ON, 0, [])
    ]
    assert book.balance() == (100, 0, 0)
    assert book.member().lots[book.lot()].expires_at == YEAR_ON
    assert PointsExpired(book.lot(), 100) in book.when(clock(YEAR_ON))


def test_points_given_by_hand_repay_debt_first() -> None:
    book = given(purchase(amount=5_000), hold(30), capture(), return_())
    assert book.balance() == (-30, 0, 30)
    (adjusted,) = book.when(adjust(40))
    assert isinstance(adjusted, PointsAdjusted)
    assert adjusted.debt_repaid == 30
    assert book.balance() == (10, 0, 0)
    assert book.member().lots[book.lot()].remaining == 10


def test_points_that_only_repay_debt_open_no_lot() -> None:
    book = given(purchase(amount=5_000), hold(30), capture(), return_())
    book.when(adjust(30))
    assert book.balance() == (0, 0, 0)
    assert all(lot.remaining == 0 for lot in book.member().lots.values())


def test_points_taken_by_hand_are_unspent_ones_in_the_order_of_spending() -> None:
    book = given(purchase("p1", 3_000), purchase("p2", 4_000, at=NOON + DAY))
    first, second = sorted(book.member().lots)
    (adjusted,) = book.when(adjust(-50))
    assert isinstance(adjusted, PointsAdjusted)
    assert adjusted.allocations == [(first, 30), (second, 20)]
    assert adjusted.expires_at is None
    assert book.balance() == (20, 0, 0)


def test_points_that_are_held_or_spent_cant_be_taken_by_hand() -> None:
    book = given(purchase(amount=5_000), hold(20))
    assert refused(book, adjust(-31)) == "insufficient_points"
    assert book.when(adjust(-30))


def test_points_that_have_expired_cant_be_taken_by_hand_before_the_clock_has_come_by() -> None:
    book = Given(purchase(amount=5_000), rules=adjusting())
    book.book.programs[CHAIN, "grocer"].clock = YEAR_ON
    assert refused(book, adjust(-1)) == "insufficient_points"


def test_over_the_limit_nothing_moves_until_another_person_approves() -> None:
    book = given(enrol())
    assert book.when(adjust(101)) == [AdjustmentRequested("a1", 101, "goodwill", "a note", "carol")]
    assert book.balance() == (0, 0, 0)
    assert refused(book, approve(by="carol")) == "second_person_needed"
    assert book.when(approve(by="dave")) == [
        PointsAdjusted("a1", 101, "goodwill", "a note", "carol", "dave", YEAR_ON, 0, [])
    ]
    assert book.balance() == (101, 0, 0)
    assert refused(book, approve(by="erin")) == "adjustment_already_applied"


def test_the_limit_is_for_taking_too() -> None:
    book = given(purchase(amount=20_000))
    assert book.when(adjust(-101)) == [AdjustmentRequested("a1", -101, "goodwill", "a note", "carol")]
    book.when(approve())
    assert book.balance() == (99, 0, 0)


def test_what_was_asked_for_is_looked_at_again_when_it_is_approved() -> None:
    book = given(purchase(amount=20_000), adjust(-150), hold(100))
    assert refused(book, approve()) == "insufficient_points"
    assert book.member().adjustments["a1"].state == "requested"


def test_points_approved_later_expire_from_then() -> None:
    book = given(enrol(), adjust(101), clock(NOON + 10 * DAY))
    (adjusted,) = book.when(approve())
    assert isinstance(adjusted, PointsAdjusted)
    assert adjusted.expires_at == YEAR_ON + 10 * DAY


@pytest.mark.parametrize("by", ["dave", "carol"])
def test_anybody_may_decline_and_then_nobody_can_approve(by: str) -> None:
    book = given(enrol(), adjust(101))
    assert book.when(decline(by=by)) == [AdjustmentDeclined("a1", "no", by)]
    assert refused(book, approve()) == "adjustment_already_declined"
    assert book.balance() == (0, 0, 0)


def test_what_was_adjusted_at_once_needs_nobody() -> None:
    book = given(enrol(), adjust(1))
    assert refused(book, approve()) == "adjustment_already_applied"
    assert refused(book, decline()) == "adjustment_already_applied"


def test_without_the_section_nothing_is_adjusted_by_hand() -> None:
    assert refused(Given(clock(NOON), enrol(), rules=program()), adjust(1)) == "reason_unknown"


def test_with_a_limit_of_nothing_everything_needs_two() -> None:
    book = given(enrol(), adjustments={"reasons": ["goodwill"], "limit": 0})
    assert isinstance(book.when(adjust(1))[0], AdjustmentRequested)


def test_a_return_takes_back_what_its_purchase_earned_before_what_was_given_by_hand() -> None:
    book = given(enrol(), adjust(50), purchase(amount=5_000))
    book.when(return_())
    left = [(lot.remaining, lot.purchase) for lot in book.member().lots.values() if lot.remaining]
    assert left == [(50, "")]


@pytest.mark.parametrize(
    ("event", "accounts"),
    [
        (PointsAdjusted("a", 10, "r", "", "c", "", None, 4, []),
         [("adjustment", ANN, 6, 7), ("adjustment", ANN, 4, None)]),
        (PointsAdjusted("a", -10, "r", "", "c", "d", None, 0, [(1, 4), (2, 6)]),
         [(ANN, "adjustment", 4, 1), (ANN, "adjustment", 6, 2)]),
        (AdjustmentRequested("a", 10, "r", "", "c"), []),
    ],
)  # fmt: skip
def test_postings_are_against_the_account_of_adjustments(event: Any, accounts: list[Any]) -> None:
    found = postings_of(event, "ann", 7)
    assert [(debit, credit, amount, lot) for debit, credit, _, amount, lot in found] == accounts


@pytest.mark.parametrize(
    "event",
    [
        AdjustmentDeclined("a9", "", "dave"), AdjustmentDeclined("a1", "", "dave"),
        PointsAdjusted("a1", 101, "goodwill", "", "carol", "dave", None, 0, []),
        PointsAdjusted("a2", -1, "goodwill", "", "carol", "", None, 0, [(99, 1)]),
        PointsAdjusted("a2", 1, "goodwill", "", "carol", "", None, 1, []),
    ],
)  # fmt: skip
def test_an_adjustment_that_cant_follow_is_refused_by_the_book(event: Any) -> None:
    book = given(enrol(), adjust(101), approve())
    with pytest.raises(InvariantBroken):
        evolve(book.book, CHAIN, "grocer", Decided(event, "ann", NOON + timedelta(hours=1)), 99)


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ({}, "ledger.adjustments.reasons"),
        ({"reasons": [], "limit": 1}, "ledger.adjustments.reasons"),
        ({"reasons": ["Good Will"], "limit": 1}, "ledger.adjustments.reasons"),
        ({"reasons": ["goodwill"]}, "ledger.adjustments.limit"),
        ({"reasons": ["goodwill"], "limit": -1}, "ledger.adjustments.limit"),
        ({"reasons": ["goodwill"], "limit": 1, "limits": 2}, "ledger.adjustments.limits"),
    ],
)
def test_a_document_that_is_wrong_is_told_the_field(section: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as error:
        adjusting(adjustments=section)
    assert error.value.field == field


def test_points_by_hand_are_never_pending_and_pending_ones_cant_be_taken() -> None:
    book = given(purchase(amount=5_000), pending={"days": 14})
    assert refused(book, adjust(-1)) == "insufficient_points"
    book.when(adjust(10))
    assert book.member().pending == 50
    assert book.member().lots[book.lot()].matures_at is None
    assert book.when(adjust(-10, "a2"))


def test_points_by_hand_begin_the_count_of_inactivity_and_put_off_nothing() -> None:
    lapsing = {"inactivity_months": 1, "activities": ["purchase"]}
    book = given(enrol(), expiry=lapsing)
    kinds = [type(event).__name__ for event in book.when(adjust(10))]
    assert kinds == ["PointsAdjusted", "MemberActive"]
    first = book.member().lapses_at
    book.when(clock(NOON + DAY))
    assert [type(event).__name__ for event in book.when(adjust(10, "a2"))] == ["PointsAdjusted"]
    assert book.member().lapses_at == first
    assert first is not None
    book.when(clock(first))
    assert book.balance() == (0, 0, 0)
