"""Points and money held for one order in one command: spent in parts, freed, timed out and given back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain import money
from services.ledger.domain.commands import Money
from services.ledger.domain.events import (
    ClockAdvanced,
    Decided,
    Event,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    LotsReinstated,
    MemberActive,
    MoneyExpired,
    PointsExpired,
    SpendRefunded,
)
from services.ledger.domain.evolve import evolve
from services.ledger.domain.postings import postings_of
from tests.unit import ledger_given as g
from tests.unit.ledger_given import CHAIN, DAY, NOON, Given, capture, clock, hold, refund, release, usd

SOON = datetime(2026, 4, 5, 12, tzinfo=UTC)
"""When the bonus runs out."""
NEAR = SOON - timedelta(seconds=60)


def given(*, rules: dict[str, Any] | None = None, **stored_value: Any) -> Given:
    """Ann has 100 points, paid in 10,000 cents, and got 1,000 on top."""
    section = {"ladder": [{"load": 10_000, "bonus": 1_000}], "expiry": {"bonus_months": 3}, **stored_value}
    return Given(
        clock(NOON),
        g.purchase(amount=10_000),
        g.top_up(),
        rules=g.program(stored_value=section, **rules or {}),
    )


def lots(book: Given) -> tuple[int, int, int]:
    """The lots of points, principal and bonus."""
    return book.lot(), book.lot_of("USD.principal"), book.lot_of("USD.bonus")


def left(book: Given) -> tuple[tuple[int, int], ...]:
    """(left, held) of points, principal and bonus."""
    assets = ("USD.principal", "USD.bonus")
    found = [[lot for lot in book.member().money.values() if lot.asset == asset] for asset in assets]
    return (
        book.balance()[:2],
        *((sum(lot.remaining for lot in some), sum(lot.held for lot in some)) for some in found),
    )


def test_points_and_money_are_set_aside_in_one_event() -> None:
    book = given()
    points, principal, bonus = lots(book)
    (placed,) = book.when(hold(60, money=usd(1_500)))
    assert placed == HoldPlaced(
        "h1", "order-h1", 60, NOON + timedelta(seconds=900), [(points, 60)],
        "USD", 1_500, [(principal, 500)], [(bonus, 1_000)],
    )  # fmt: skip
    assert left(book) == ((100, 60), (10_000, 500), (1_000, 1_000))
    assert money.spendable(book.member(), "USD", NOON) == 9_500


def test_either_is_enough_and_of_no_money_the_event_says_nothing() -> None:
    book = given()
    (placed,) = book.when(hold(0, "h1", money=usd(1)))
    assert isinstance(placed, HoldPlaced)
    assert (placed.amount, placed.allocations, placed.money_amount) == (0, [], 1)
    (placed,) = book.when(hold(1, "h2", money=usd(0)))
    assert placed == HoldPlaced("h2", "order-h2", 1, placed.expires_at, [(book.lot(), 1)])  # type: ignore[union-attr]


@pytest.mark.parametrize(("points", "amount"), [(101, 1), (1, 11_001)])
def test_where_one_of_both_is_short_neither_is_held(points: int, amount: int) -> None:
    book = given()
    with pytest.raises(Refusal, match="insufficient"):
        book.when(hold(points, money=usd(amount)))
    assert left(book) == ((100, 0), (10_000, 0), (1_000, 0))


def test_what_is_held_can_be_neither_held_again_nor_given_away() -> None:
    book = given()
    book.when(hold(0, money=usd(10_000)))
    book.when(g.enrol("bob"))
    with pytest.raises(Refusal, match="insufficient_value"):
        book.when(hold(0, "h2", money=usd(1_001)))
    with pytest.raises(Refusal, match="insufficient_value"):
        book.when(g.gift(1_001))
    with pytest.raises(Refusal, match="top_up_held"):
        book.when(g.reverse_top_up())


def test_a_capture_spends_both_from_the_members_lots() -> None:
    book = given()
    points, principal, bonus = lots(book)
    book.when(hold(60, money=usd(1_500)))
    (captured,) = book.when(capture())
    assert isinstance(captured, HoldCaptured)
    assert left(book) == ((40, 0), (9_500, 0), (0, 0))
    assert book.member().holds["h1"].state == "captured"
    assert postings_of(captured, "ann", 9) == [
        ("member/ann", "redeemed", "points", 60, points),
        ("member/ann", "redeemed", "USD.principal", 500, principal),
        ("member/ann", "redeemed", "USD.bonus", 1_000, bonus),
    ]


def test_parts_take_one_or_the_other_and_the_hold_is_open_while_either_is_left() -> None:
    book = given()
    _, principal, bonus = lots(book)
    book.when(hold(60, money=usd(1_500)))
    book.when(capture(amount=60, final=False))
    assert left(book) == ((40, 0), (10_000, 500), (1_000, 1_000))
    assert book.when(capture(money=usd(1_200), final=False)) == [
        HoldCaptured("h1", "order-h1", 0, [], [], 0, 60, "USD", 1_200, [(principal, 200)], [(bonus, 1_000)],
                     [], [], 300, 0)
    ]  # fmt: skip
    assert book.member().holds["h1"].state == "open"
    book.when(capture(final=False))
    assert book.member().holds["h1"].state == "captured"
    assert left(book) == ((40, 0), (9_500, 0), (0, 0))


def test_who_names_one_of_both_spends_none_of_the_other_and_the_final_part_frees_it() -> None:
    book = given()
    book.when(hold(60, money=usd(1_500)))
    book.when(capture(amount=20))
    assert left(book) == ((80, 0), (10_000, 0), (1_000, 0))
    assert book.member().holds["h1"].state == "captured"


@pytest.mark.parametrize(
    ("order", "spent"), [("bonus_first", (9_900, 0)), ("principal_first", (8_900, 1_000)), ("pro_rata", (9_000, 900))]
)  # fmt: skip
def test_a_part_is_taken_in_the_order_of_spending(order: str, spent: tuple[int, int]) -> None:
    book = given(spend_order=order)
    book.when(hold(0, money=usd(11_000)))
    book.when(capture(money=usd(1_100)))
    assert left(book)[1:] == ((spent[0], 0), (spent[1], 0))


def test_money_that_was_held_before_the_program_gave_it_up_can_be_spent_and_freed() -> None:
    book = given()
    book.when(hold(0, money=usd(1_500)))
    book.activate(g.program("v2"))
    with pytest.raises(Refusal, match="stored_value_off"):
        book.when(hold(0, "h2", money=usd(1)))
    book.when(capture(money=usd(1_000), final=False))
    book.when(release())
    assert left(book)[1:] == ((10_000, 0), (0, 0))


def test_a_release_frees_what_is_left_of_both() -> None:
    book = given()
    points, principal, _ = lots(book)
    book.when(hold(60, money=usd(1_500)))
    book.when(capture(amount=10, money=usd(1_100), final=False))
    assert book.when(release()) == [
        HoldReleased(
            "h1", "order-h1", 50, "released", [(points, 50)], 10, "USD", 400, [(principal, 400)], [], 1_100
        )
    ]
    assert left(book) == ((90, 0), (9_900, 0), (0, 0))


def test_held_bonus_outlives_its_day_and_goes_when_the_hold_times_out() -> None:
    book = given()
    _, _, bonus = lots(book)
    book.when(clock(NEAR))
    book.when(hold(0, money=usd(400), ttl=120))
    assert book.when(clock(SOON)) == [ClockAdvanced(SOON), MoneyExpired(bonus, "USD.bonus", 600)]
    end = NEAR + timedelta(seconds=120)
    assert book.when(clock(end)) == [
        ClockAdvanced(end),
        HoldReleased("h1", "order-h1", 0, "expired", [], 0, "USD", 400, [], [(bonus, 400)], 0),
        MoneyExpired(bonus, "USD.bonus", 400),
    ]
    assert left(book)[1:] == ((10_000, 0), (0, 0))


@pytest.mark.parametrize("end", [release(), capture(money=usd(1))])
def test_freed_bonus_past_its_day_expires_with_the_hold(end: Any) -> None:
    book = given()
    book.when(clock(NEAR))
    book.when(hold(0, money=usd(1_000), ttl=3_600))
    book.when(clock(SOON))
    assert isinstance(book.when(end)[-1], MoneyExpired)
    assert left(book)[2] == (0, 0)


def test_only_points_that_are_spent_put_off_a_lapse() -> None:
    book = given(rules={"expiry": {"inactivity_months": 12}})
    book.when(clock(NOON + DAY))
    book.when(hold(10, money=usd(10)))
    assert not any(isinstance(e, MemberActive) for e in book.when(capture(money=usd(5), final=False)))
    assert any(isinstance(e, MemberActive) for e in book.when(capture(amount=5)))


# --- refunds


def spent(**options: Any) -> Given:
    """60 points and 1,500 cents spent on an order, 1,000 of them bonus."""
    book = given(**options)
    book.when(hold(60, money=usd(1_500)))
    book.when(capture())
    return book


def test_all_comes_back_to_the_very_lots_and_buckets() -> None:
    book = spent()
    points, principal, bonus = lots(book)
    (back,) = book.when(refund())
    assert back == SpendRefunded(
        "f1", "order-h1", 60, [("h1", points, 60)], [(points, 60)], 0, 0, 0,
        "USD", 1_500, [("h1", principal, 500), ("h1", bonus, 1_000)], [(principal, 500)], [(bonus, 1_000)], 0, 0,
    )  # fmt: skip
    assert left(book) == ((100, 0), (10_000, 0), (1_000, 0))
    assert [posting[:4] for posting in postings_of(back, "ann", 9)] == [
        ("redeemed", "member/ann", "points", 60),
        ("redeemed", "member/ann", "USD.principal", 500),
        ("redeemed", "member/ann", "USD.bonus", 1_000),
    ]
    with pytest.raises(Refusal, match="order_already_refunded"):
        book.when(refund())


@pytest.mark.parametrize(
    ("order", "amount", "stays"),
    [("bonus_first", 500, (0, 1_000)), ("bonus_first", 700, (0, 800)),
     ("principal_first", 500, (1_000, 0)), ("pro_rata", 1_100, (0, 0))],
)  # fmt: skip
def test_after_a_part_came_back_it_is_as_if_less_had_been_spent(
    order: str, amount: int, stays: tuple[int, int]
) -> None:
    book = given(spend_order=order)
    total = amount + sum(stays)
    book.when(hold(0, money=usd(total)))
    book.when(capture())
    book.when(refund(money=usd(amount)))
    assert left(book)[1:] == ((10_000 - stays[0], 0), (1_000 - stays[1], 0))


def test_points_may_come_back_without_money_and_money_without_points() -> None:
    book = spent()
    book.when(refund(amount=60))
    assert left(book) == ((100, 0), (9_500, 0), (0, 0))
    book.when(refund(money=usd(1_500)))
    assert left(book) == ((100, 0), (10_000, 0), (1_000, 0))


def test_bonus_whose_day_has_passed_is_forfeited_and_was_then_not_spent() -> None:
    book = spent()
    _, _, bonus = lots(book)
    book.when(clock(SOON))
    events = book.when(refund(money=usd(1_500), now=SOON))
    assert events[0].money_expired == 1_000  # type: ignore[union-attr]
    assert events[1:] == [MoneyExpired(bonus, "USD.bonus", 1_000)]
    (undone,) = book.when(g.reverse_top_up(at=SOON))
    assert undone.paid_out[0][1] == 10_000  # type: ignore[union-attr]


def test_points_and_bonus_past_their_day_live_on_where_the_program_says_so() -> None:
    book = spent(rules={"returns": {"expired_lots": {"reinstate_days": 30}}})
    points, principal, bonus = lots(book)
    later = NOON.replace(year=2027)
    events: list[Event] = [*book.when(clock(later)), *book.when(refund())]
    assert PointsExpired(points, 40) in events
    assert events[-1] == LotsReinstated([points, bonus], later + 30 * DAY)
    assert left(book) == ((60, 0), (10_000, 0), (1_000, 0))
    assert book.when(clock(later + 30 * DAY))[1:] == [
        PointsExpired(points, 60),
        MoneyExpired(bonus, "USD.bonus", 1_000),
    ]
    assert principal in book.member().money


@pytest.mark.parametrize(
    "event",
    [
        HoldPlaced("h2", "o", 0, NOON, [], "USD", 1, [(4, 2)], []),
        HoldPlaced("h2", "o", 0, NOON, [], "USD", 10_000, [(4, 10_000)], []),
        HoldPlaced("h2", "o", 0, NOON, [], "USD", 1, [(99, 1)], []),
        HoldCaptured("h1", "o", 0, [], [], 60, 0, "USD", 1, [], [], [], [], 1_499, 0),
        HoldCaptured("h1", "o", 0, [], [], 60, 0, "USD", 1_501, [(4, 1_501)], [], [], [], 0, 0),
        HoldReleased("h1", "o", 0, "released", [], 0, "USD", 1, [(4, 1)], [], 0),
        SpendRefunded("f1", "o", 0, [], [], 0, 0, 0, "USD", 1, [("h1", 4, 1)], [(4, 1)], [], 0, 0),
        SpendRefunded("f1", "o", 0, [], [], 0, 0, 0, "USD", 1, [("h9", 4, 1)], [(4, 1)], [], 0, 0),
        SpendRefunded("f1", "o", 0, [], [], 0, 0, 0, "USD", 1, [], [(4, 1)], [], 0, 0),
    ],
)  # fmt: skip
def test_what_cant_follow_is_refused_by_the_book(event: Any) -> None:
    book = given()
    book.when(hold(60, money=Money("USD", 1_500)))
    with pytest.raises(InvariantBroken):
        evolve(book.book, CHAIN, "grocer", Decided(event, "ann", NOON), 99)
