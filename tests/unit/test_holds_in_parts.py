"""A hold is captured in parts: what is left stays held, until it is spent, released or timed out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain.events import (
    ClockAdvanced,
    Decided,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    PointsExpired,
)
from services.ledger.domain.evolve import evolve
from tests.unit.ledger_given import CHAIN, NOON, Given, capture, clock, hold, purchase, release

MINUTE = timedelta(minutes=1)
YEAR_ON = NOON.replace(year=2027)


def test_a_capture_that_is_not_final_leaves_the_rest_held() -> None:
    given = Given(purchase(amount=10_000), hold(60))
    lot = given.lot()
    assert given.when(capture(amount=20, final=False)) == [
        HoldCaptured("h1", "order-h1", 20, [(lot, 20)], [], 40, 0)
    ]
    assert given.balance() == (80, 40, 0)
    assert given.when(capture(amount=15, final=False)) == [
        HoldCaptured("h1", "order-h1", 15, [(lot, 15)], [], 25, 20)
    ]
    assert given.balance() == (65, 25, 0)


def test_the_final_capture_frees_what_no_part_took() -> None:
    given = Given(purchase(amount=10_000), hold(60), capture(amount=20, final=False))
    lot = given.lot()
    assert given.when(capture(amount=30)) == [
        HoldCaptured("h1", "order-h1", 30, [(lot, 30)], [(lot, 10)], 0, 20)
    ]
    assert given.balance() == (50, 0, 0)
    with pytest.raises(Refusal, match="hold_already_captured"):
        given.when(capture(amount=1))


@pytest.mark.parametrize("final", [True, False])
def test_a_capture_without_an_amount_takes_all_that_is_left(final: bool) -> None:
    given = Given(purchase(amount=10_000), hold(60), capture(amount=20, final=False))
    given.when(capture(final=final))
    assert given.balance() == (40, 0, 0)
    assert given.member().holds["h1"].state == "captured"
    assert given.member().holds["h1"].captured == 60


def test_parts_can_take_as_much_as_is_left_and_not_one_point_more() -> None:
    given = Given(purchase(amount=10_000), hold(60), capture(amount=20, final=False))
    with pytest.raises(Refusal, match="41 points asked for, the hold has 40"):
        given.when(capture(amount=41, final=False))
    given.when(capture(amount=40, final=False))
    assert given.balance() == (40, 0, 0)


def test_parts_take_the_lots_in_the_order_of_the_hold() -> None:
    given = Given(*(purchase(f"p{n}", 1_000, at=NOON + n * MINUTE) for n in range(3)))
    one, two, three = given.member().lots
    given.when(hold(25))
    parts = [given.when(capture(amount=amount, final=False))[0] for amount in (4, 10, 11)]
    assert [part.allocations for part in parts] == [  # type: ignore[union-attr]
        [(one, 4)], [(one, 6), (two, 4)], [(two, 6), (three, 5)]
    ]  # fmt: skip
    assert given.member().holds["h1"].spent == [(one, 10), (two, 10), (three, 5)]


def test_the_rest_can_be_released() -> None:
    given = Given(purchase(amount=10_000), hold(60), capture(amount=20, final=False))
    assert given.when(release()) == [HoldReleased("h1", "order-h1", 40, "released", [(given.lot(), 40)], 20)]
    assert given.balance() == (80, 0, 0)
    with pytest.raises(Refusal, match="hold_already_released"):
        given.when(capture(amount=1))


def test_the_rest_times_out_at_the_holds_instant() -> None:
    given = Given(clock(NOON), purchase(amount=10_000), hold(60, ttl=60), capture(amount=20, final=False))
    assert given.when(clock(NOON + MINUTE)) == [
        ClockAdvanced(NOON + MINUTE),
        HoldReleased("h1", "order-h1", 40, "expired", [(given.lot(), 40)], 20),
    ]
    assert given.balance() == (80, 0, 0)
    with pytest.raises(Refusal, match="hold_expired"):
        given.when(capture(amount=1))


def test_what_stays_held_is_protected_from_expiry_and_what_is_freed_is_not() -> None:
    given = Given(clock(YEAR_ON - MINUTE), purchase(amount=10_000), hold(60, ttl=3_600), clock(YEAR_ON))
    lot = given.lot()
    assert given.balance() == (60, 60, 0)
    assert given.when(capture(amount=20, final=False)) == [
        HoldCaptured("h1", "order-h1", 20, [(lot, 20)], [], 40, 0)
    ]
    assert given.when(capture(amount=20))[1:] == [PointsExpired(lot, 20)]
    assert given.balance() == (0, 0, 0)


@pytest.mark.parametrize(
    "event",
    [
        HoldCaptured("h1", "order-h1", 20, [(4, 20)], [], 41, 0),
        HoldCaptured("h1", "order-h1", 20, [(4, 20)], [], 0, 0),
        HoldCaptured("h1", "order-h1", 61, [(4, 61)], [], 0, 0),
        HoldPlaced("h1", "order-h1", 1, NOON, [(4, 1)]),
    ],
)  # fmt: skip
def test_a_part_that_cant_follow_is_refused_by_the_book(event: object) -> None:
    given = Given(purchase(amount=10_000), hold(60))
    with pytest.raises(InvariantBroken):
        evolve(given.book, CHAIN, "grocer", Decided(event, "ann", NOON), 99)  # type: ignore[arg-type]
