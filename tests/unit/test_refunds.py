"""Points spent on an order come back to the lots that they came from."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given as any_of
from hypothesis import strategies as st

from services.common.errors import InvariantBroken, Refusal
from services.common.program_section import ProgramError
from services.ledger.domain.events import (
    Decided,
    LotsReinstated,
    MemberActive,
    MemberLapsed,
    PointsExpired,
    SpendRefunded,
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
    hold,
    line,
    program,
    purchase,
    refund,
    release,
    return_,
)

YEAR_ON = NOON.replace(year=2027)
MINUTE = timedelta(minutes=1)
REINSTATE = program(returns={"expired_lots": {"reinstate_days": 30}})


def spent(points: int = 60, **rules: object) -> Given:
    """Ann has earned 100 points and spent some of them on order-h1."""
    return Given(purchase(amount=10_000), hold(points), capture(), **rules)  # type: ignore[arg-type]


def test_an_order_is_refunded_to_the_lot_that_paid_it() -> None:
    given = spent()
    lot = given.lot()
    assert given.when(refund()) == [
        SpendRefunded("f1", "order-h1", 60, [("h1", lot, 60)], [(lot, 60)], 0, 0, 0)
    ]
    assert given.balance() == (100, 0, 0)
    assert given.member().lots[lot].remaining == 100


def test_what_came_back_can_be_spent_and_refunded_again() -> None:
    given = spent(100)
    for _ in range(3):
        given.when(refund())
        given.when(hold(100, f"h{given.position}", order="order-h1"))
        given.when(capture(f"h{given.position - 1}"))
    assert given.balance() == (0, 0, 0)
    given.when(refund())
    assert given.balance() == (100, 0, 0)


def test_never_more_than_was_captured_comes_back_over_any_number_of_refunds() -> None:
    given = spent()
    given.when(refund(amount=20))
    given.when(refund(amount=20))
    with pytest.raises(Refusal, match="21 points to give back, 20 of the order are spent"):
        given.when(refund(amount=21))
    event = given.when(refund(amount=20))[0]
    assert isinstance(event, SpendRefunded)
    assert event.left == 0
    assert given.balance() == (100, 0, 0)
    with pytest.raises(Refusal, match="order_already_refunded"):
        given.when(refund(amount=1))


def test_of_a_hold_only_what_was_captured_comes_back() -> None:
    given = Given(purchase(amount=10_000), hold(60), capture(amount=25, final=False))
    given.when(refund())
    assert given.balance() == (100, 35, 0)
    given.when(capture(amount=5, final=False))
    given.when(release())
    given.when(refund())
    assert given.balance() == (100, 0, 0)


def test_an_order_paid_by_several_holds_is_refunded_as_one() -> None:
    given = Given(purchase(amount=10_000), hold(30, "a", order="o"), hold(30, "b", order="o"))
    given.when(hold(30, "c", order="another"))
    for id_ in "abc":
        given.when(capture(id_))
    event = given.when(refund("o", 45))[0]
    assert isinstance(event, SpendRefunded)
    assert [(part, points) for part, _, points in event.parts] == [("a", 15), ("b", 30)]
    assert event.left == 15
    given.when(refund("o"))
    assert given.balance() == (70, 0, 0)


def test_the_points_that_live_longest_come_back_first() -> None:
    given = Given(*(purchase(f"p{n}", 1_000, at=NOON + n * MINUTE) for n in range(3)), hold(30), capture())
    _, two, three = given.member().lots
    event = given.when(refund(amount=15))[0]
    assert isinstance(event, SpendRefunded)
    assert event.allocations == [(two, 5), (three, 10)]


@any_of(
    lots=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    parts=st.lists(st.integers(0, 50), max_size=4),
    data=st.data(),
)
def test_after_a_refund_it_is_as_if_less_had_been_spent(
    lots: list[int], parts: list[int], data: st.DataObject
) -> None:
    bought = [purchase(f"p{n}", points * 100, at=NOON + n * MINUTE) for n, points in enumerate(lots)]
    most = data.draw(st.integers(1, sum(lots)))
    given, less, spends = Given(*bought, hold(most), capture()), Given(*bought), most
    for part in parts:
        if 0 < part <= spends:
            given.when(refund(amount=part))
            spends -= part
    if spends:
        for command in (hold(spends), capture()):
            less.when(command)
    assert given.member().lots == less.member().lots
    assert given.balance() == less.balance()


# --- cases known to break others


def test_goods_bought_with_points_and_brought_back_leave_neither_points_nor_debt() -> None:
    """A refund that keeps the points: both the points that were earned and those that were spent would be hers."""
    given = Given(purchase(amount=10_000), hold(60), capture())
    given.when(return_())
    assert given.balance() == (-60, 0, 60)
    given.when(refund())
    assert given.balance() == (0, 0, 0)
    assert given.member().lots[given.lot()].remaining == 0


def test_it_does_not_matter_whether_the_return_or_the_refund_comes_first() -> None:
    given = Given(purchase(amount=10_000), hold(60), capture())
    given.when(refund())
    given.when(return_())
    assert given.balance() == (0, 0, 0)


def test_points_that_paid_a_debt_are_not_forfeited_on_top() -> None:
    """One that charges the spent points again: the lot has expired, yet what was spent of it is owed."""
    given = Given(purchase(amount=10_000), hold(60), capture(), return_(), clock(YEAR_ON + DAY))
    assert given.balance() == (-60, 0, 60)
    (event,) = given.when(refund())
    assert isinstance(event, SpendRefunded)
    assert (event.allocations, event.debt_repaid, event.expired) == ([], 60, 0)
    assert given.balance() == (0, 0, 0)


def test_a_wallet_drained_by_another_order_gets_back_what_the_first_one_spent() -> None:
    given = Given(purchase(amount=10_000), hold(60), capture(), hold(40, "h2"), capture("h2"))
    given.when(return_())
    assert given.balance() == (-100, 0, 100)
    given.when(refund())
    assert given.balance() == (-40, 0, 40)
    given.when(refund("order-h2"))
    assert given.balance() == (0, 0, 0)


def test_a_third_three_times_gives_back_exactly_what_was_earned_and_what_was_spent() -> None:
    given = Given(purchase(lines=[line(1, 10_000, 3)]), hold(100), capture())
    for n, points in enumerate((33, 33, 34)):
        given.when(return_(id_=f"r{n}"))
        given.when(refund(amount=points, id_=f"f{n}"))
    assert given.balance() == (0, 0, 0)
    assert given.member().settlements["p1"].adjusted == -100


# --- lots that have expired meanwhile


def test_points_of_a_lot_past_its_day_go_to_breakage() -> None:
    given = spent()
    lot = given.lot()
    given.when(clock(YEAR_ON))
    assert given.balance() == (0, 0, 0)
    assert given.when(refund()) == [
        SpendRefunded("f1", "order-h1", 60, [("h1", lot, 60)], [(lot, 60)], 0, 0, 60),
        PointsExpired(lot, 60),
    ]
    assert given.balance() == (0, 0, 0)


def test_or_they_live_on_for_as_long_as_the_program_says() -> None:
    given = spent(rules=REINSTATE)
    lot, until = given.lot(), YEAR_ON + 30 * DAY
    given.when(clock(YEAR_ON))
    assert given.when(refund())[1:] == [LotsReinstated([lot], until)]
    assert given.balance() == (60, 0, 0)
    given.when(clock(until - MINUTE))
    assert given.balance() == (60, 0, 0)
    assert given.when(clock(until))[1:] == [PointsExpired(lot, 60)]


def test_what_was_never_spent_of_a_lot_past_its_day_does_not_live_on_with_it() -> None:
    """The wall's time is past the lot's day, the ticker has not come by yet."""
    rules = program(clock="wall", returns={"expired_lots": {"reinstate_days": 30}})
    given = spent(rules=rules)
    lot, now = given.lot(), YEAR_ON + MINUTE
    assert given.when(refund(amount=10, now=now))[1:] == [
        PointsExpired(lot, 40), LotsReinstated([lot], now + 30 * DAY)
    ]  # fmt: skip
    assert given.balance() == (10, 0, 0)
    given.when(clock(now + DAY))
    assert given.balance() == (10, 0, 0)


def test_points_that_come_back_after_a_lapse_begin_a_count_of_their_own() -> None:
    rules = program(expiry={"inactivity_months": 1, "activities": ["purchase"]})
    given = spent(rules=rules)
    given.when(clock(NOON + 60 * DAY))
    assert given.balance() == (0, 0, 0)
    happened = given.when(refund())
    assert [type(event) for event in happened] == [SpendRefunded, MemberActive]
    assert given.balance() == (60, 0, 0)
    given.when(clock(NOON + 100 * DAY))
    assert given.balance() == (0, 0, 0)


def test_points_that_come_back_while_only_a_hold_protects_the_rest_lapse_at_once() -> None:
    rules = program(
        expiry={"inactivity_months": 1, "activities": ["purchase"]}, holds={"max_ttl_seconds": 10_000_000}
    )
    given = Given(clock(NOON), purchase(amount=10_000), hold(60), capture(), rules=rules)
    given.when(hold(40, "h2", ttl=9_000_000))
    given.when(clock(NOON + 60 * DAY))
    assert given.balance() == (40, 40, 0)
    assert [type(event) for event in given.when(refund())] == [SpendRefunded, MemberLapsed]
    assert given.balance() == (40, 40, 0)


def test_a_refund_moves_points_back_from_what_was_redeemed() -> None:
    event = SpendRefunded("f", "o", 9, [("h", 1, 4), ("h", 2, 5)], [(1, 1), (2, 5)], 3, 0, 0)
    assert postings_of(event, "ann", 7) == [
        ("redeemed", "member/ann", "points", 1, 1),
        ("redeemed", "member/ann", "points", 5, 2),
        ("redeemed", "member/ann", "points", 3, None),
    ]


@pytest.mark.parametrize(
    "event",
    [
        SpendRefunded("f", "o", 61, [("h1", 4, 61)], [(4, 61)], 0, 0, 0),
        SpendRefunded("f", "o", 1, [("h9", 4, 1)], [(4, 1)], 0, 0, 0),
        SpendRefunded("f", "o", 1, [("h1", 4, 1)], [(9, 1)], 0, 0, 0),
        SpendRefunded("f", "o", 1, [("h1", 4, 1)], [], 1, 0, 0),
        SpendRefunded("f", "o", 61, [("h1", 4, 1)], [(4, 61)], 0, 0, 0),
        LotsReinstated([9], NOON),
    ],
)
def test_a_refund_that_cant_follow_is_refused_by_the_book(event: object) -> None:
    given = spent()
    with pytest.raises(InvariantBroken):
        evolve(given.book, CHAIN, "grocer", Decided(event, "ann", NOON), 99)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("returns", "field"),
    [
        ({"expired_lots": "keep"}, "ledger.returns.expired_lots"),
        ({"expired_lots": {"reinstate_days": 0}}, "ledger.returns.expired_lots.reinstate_days"),
        ({"expired_lots": {"days": 3}}, "ledger.returns.expired_lots.days"),
        ({"shortfall": "keep"}, "ledger.returns.shortfall"),
        ({"unknown_purchase": "keep"}, "ledger.returns.unknown_purchase"),
        ({"without_purchase": "keep"}, "ledger.returns.without_purchase"),
        ({"window_days": 3}, "ledger.returns.window_days"),
    ],
)
def test_a_rule_of_returns_that_is_none_is_refused_by_its_field(returns: object, field: str) -> None:
    with pytest.raises(ProgramError) as refused:
        program(returns=returns)
    assert refused.value.field == field
