"""Points that wait out the return window: earned, shown, not spent, and the first to be taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.common.errors import Refusal
from services.common.program_section import ProgramError
from services.ledger.domain.events import (
    PointsAccrued,
    PointsClawedBack,
    PointsExpired,
    PointsMatured,
)
from services.ledger.domain.program import Program, parse_program
from tests.unit.ledger_given import (
    DAY,
    LEDGER,
    NOON,
    Given,
    capture,
    clock,
    hold,
    line,
    program,
    purchase,
    return_,
    tier,
)

FORTNIGHT = 14 * DAY
MICRO = timedelta(microseconds=1)


def waiting(**ledger: Any) -> Program:
    """The grocer's program with a return window of 14 days."""
    return program(pending={"days": 14}, **ledger)


def test_points_are_pending_until_the_window_is_over() -> None:
    given = Given(purchase(amount=10_000), rules=waiting())
    lot = given.member().lots[given.lot()]
    assert lot.matures_at == NOON + FORTNIGHT
    assert (given.member().posted, given.member().pending, given.member().available) == (100, 100, 0)

    assert given.when(clock(NOON + FORTNIGHT - MICRO))[1:] == []
    assert given.decided(clock(NOON + FORTNIGHT))[1].occurred_at == NOON + FORTNIGHT
    assert (given.member().posted, given.member().pending, given.member().available) == (100, 0, 100)


def test_each_lot_matures_at_its_own_instant() -> None:
    given = Given(purchase("a"), purchase("b", at=NOON + DAY), rules=waiting())
    first, second = given.member().lots
    happened = given.decided(clock(NOON + 30 * DAY))[1:]
    assert [(one.event, one.occurred_at) for one in happened] == [
        (PointsMatured(first, 50), NOON + FORTNIGHT),
        (PointsMatured(second, 50), NOON + DAY + FORTNIGHT),
    ]


def test_pending_points_cant_be_set_aside() -> None:
    given = Given(purchase("old"), clock(NOON + FORTNIGHT), rules=waiting())
    given.when(purchase("new", 10_000, at=NOON + FORTNIGHT))
    with pytest.raises(Refusal, match="51 points asked for, 50 available"):
        given.when(hold(51))
    given.when(hold(50))


def test_pending_points_stay_pending_until_the_clock_has_come_by() -> None:
    """Of the till's wall clock they are mature; the book's own time decides, so that what is shown can be spent."""
    given = Given(purchase(), rules=program(clock="wall", pending={"days": 14}))
    with pytest.raises(Refusal, match="0 available"):
        given.when(hold(1, now=NOON + FORTNIGHT + DAY))


def test_a_purchase_told_after_its_window_is_mature_at_once() -> None:
    given = Given(clock(NOON + FORTNIGHT), rules=waiting())
    happened = given.when(purchase(amount=10_000))
    assert [event.matures_at for event in happened if isinstance(event, PointsAccrued)] == [None]
    assert given.member().available == 100


def test_a_window_ends_at_the_same_time_of_the_programs_day() -> None:
    rules = parse_program(
        {
            "program": "grocer",
            "time_zone": "America/New_York",
            "clock": "events",
            "ledger": {**LEDGER, "pending": {"days": 14}},
        },
        "v1",
    )
    given = Given(rules=rules)
    given.when(purchase(at=datetime(2026, 3, 1, 17, tzinfo=UTC), now=NOON + 90 * DAY))
    assert given.member().lots[given.lot()].matures_at == datetime(2026, 3, 15, 16, tzinfo=UTC)


def test_a_return_in_the_window_takes_the_pending_points_and_leaves_the_others() -> None:
    given = Given(purchase("old", 10_000), clock(NOON + FORTNIGHT), rules=waiting())
    given.when(purchase("new", 10_000, at=NOON + FORTNIGHT))
    lot = given.lot()
    at = NOON + FORTNIGHT
    assert given.when(return_("new", at=at))[-1] == PointsClawedBack(
        "new", "return", 100, "", [(lot, 100)], 0, 100
    )
    assert (given.member().pending, given.member().available) == (0, 100)
    assert given.when(clock(NOON + 60 * DAY))[1:] == [], "nothing is left that could mature"


def test_what_the_purchases_own_lot_cant_pay_is_taken_from_pending_points_first() -> None:
    """The returned purchase's points are spent; of two other lots the pending one pays, though it expires later."""
    given = Given(purchase("spent"), purchase("mature"), clock(NOON + FORTNIGHT), rules=waiting())
    given.when(hold(50))
    given.when(capture())
    given.when(purchase("pending", at=NOON + FORTNIGHT))
    lot = given.lot()
    taken = given.when(return_("spent", at=NOON + FORTNIGHT))[-1]
    assert isinstance(taken, PointsClawedBack)
    assert (taken.allocations, taken.pending, taken.debt) == ([(lot, 50)], 50, 0)
    assert (given.member().pending, given.member().available) == (0, 50)


def test_pending_points_repay_debt_at_once() -> None:
    given = Given(purchase("spent"), clock(NOON + FORTNIGHT), hold(50), capture(), rules=waiting())
    given.when(return_("spent", at=NOON + FORTNIGHT))
    assert given.balance() == (-50, 0, 50)
    given.when(purchase("new", 8_000, at=NOON + FORTNIGHT))
    assert given.balance() == (30, 0, 0)
    assert (given.member().pending, given.member().available) == (30, 0)


def test_an_accrual_that_only_repays_debt_waits_for_nothing() -> None:
    given = Given(purchase("spent"), clock(NOON + FORTNIGHT), hold(50), capture(), rules=waiting())
    given.when(return_("spent", at=NOON + FORTNIGHT))
    accrued = given.when(purchase("new", 3_000, at=NOON + FORTNIGHT))[-1]
    assert isinstance(accrued, PointsAccrued)
    assert accrued.matures_at is None
    assert given.member().pending == 0


def test_a_tier_learnt_late_gives_points_that_wait_as_long_as_the_others() -> None:
    given = Given(purchase(amount=10_000), rules=waiting())
    accrued = given.when(tier("gold", NOON - DAY))[-1]
    assert isinstance(accrued, PointsAccrued)
    assert (accrued.points, accrued.matures_at) == (50, NOON + FORTNIGHT)

    late = Given(purchase(amount=10_000), clock(NOON + FORTNIGHT), rules=waiting())
    late.when(tier("gold", NOON - DAY))
    assert late.member().available == 150


def test_a_return_in_parts_takes_back_exactly_what_waits() -> None:
    given = Given(purchase(lines=[line(quantity=3, amount=10_000)]), rules=waiting())
    for n in range(3):
        given.when(return_(id_=f"r{n}"))
    assert given.balance() == (0, 0, 0)
    assert given.member().pending == 0


def test_points_of_a_purchase_too_old_for_its_expiry_are_not_pending_either() -> None:
    given = Given(purchase(), clock(NOON + 400 * DAY), rules=waiting())
    assert given.balance() == (0, 0, 0)
    expired = [decided.event for _, decided in given.journal if isinstance(decided.event, PointsExpired)]
    assert [event.pending for event in expired] == [0]
    assert given.member().pending == 0


def test_a_lot_stays_pending_under_a_version_without_a_window_and_the_next_one_is_not() -> None:
    given = Given(purchase("a"), rules=waiting())
    given.activate(program("v2"))
    given.when(purchase("b"))
    assert (given.member().pending, given.member().available) == (50, 50)


@pytest.mark.parametrize(
    ("pending", "expiry", "field"),
    [
        ({"days": 0}, {}, "ledger.pending.days"),
        ({"days": 367}, {}, "ledger.pending.days"),
        ({"weeks": 2}, {}, "ledger.pending.weeks"),
        ({"days": 28}, {"months": 1}, "ledger.pending.days"),
    ],
)
def test_a_window_that_cant_be_is_refused(
    pending: dict[str, Any], expiry: dict[str, Any], field: str
) -> None:
    with pytest.raises(ProgramError) as refused:
        program(pending=pending, expiry=expiry)
    assert refused.value.field == field


def test_no_window_is_no_window() -> None:
    assert program().pending_days == program(pending={}).pending_days == 0
