"""Which points an order takes first, where the program says so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.common.program_section import ProgramError
from services.ledger.domain.commands import Adjust
from tests.unit import ledger_given as g
from tests.unit.ledger_given import CHAIN, NO_CAUSE, NOON, Given

DAY = timedelta(days=1)
ADJUSTMENTS = {"reasons": ["goodwill"], "limit": 1_000}


def adjust(points: int, id_: str = "a1") -> Adjust:
    return Adjust("grocer", "ann", CHAIN, NO_CAUSE, NOON, id_, points, "goodwill", "", "k1")


def club(first: str | None) -> Given:
    """50 points of a purchase, which expire sooner, and 50 by hand."""
    spending = {"spending": {"first": first}} if first else {}
    rules = g.program(adjustments=ADJUSTMENTS, **spending)
    return Given(g.purchase("p1", at=NOON - DAY), g.clock(NOON), adjust(50), rules=rules)


def left(given: Given) -> list[int]:
    """Points that are not held, by lot: of the purchase, by hand."""
    return [lot.free for lot in given.member().lots.values()]


@pytest.mark.parametrize(("first", "free"), [(None, [0, 30]), ("earned", [0, 30]), ("given", [30, 0])])
def test_the_kind_that_goes_first_pays_before_what_expires_sooner(first: str | None, free: list[int]) -> None:
    given = club(first)
    given.when(g.hold(70))
    assert left(given) == free


def test_an_order_in_parts_spends_and_gives_back_in_that_order() -> None:
    given = club("given")
    given.when(g.hold(70))
    given.when(g.capture(amount=30, final=False))
    assert given.member().holds["h1"].spent == [(given.lot(), 30)]
    given.when(g.capture(amount=40))
    given.when(g.refund(amount=10))
    assert left(given) == [40, 0], "a refund undoes what was spent last"
    given.when(g.refund(amount=40, id_="f2"))
    assert left(given) == [50, 30]


def test_points_taken_by_hand_follow_it_too() -> None:
    given = club("given")
    given.when(adjust(-60, "a2"))
    assert left(given) == [40, 0]


def test_another_version_moves_nothing_that_is_held() -> None:
    given = club("given")
    given.when(g.hold(20))
    given.activate(g.program("v2", adjustments=ADJUSTMENTS))
    given.when(g.hold(20, "h2"))
    assert left(given) == [30, 30]


@pytest.mark.parametrize(("spending", "field"), [({"first": "old"}, "first"), ({"last": "given"}, "last")])
def test_a_wrong_field_is_named(spending: dict[str, str], field: str) -> None:
    with pytest.raises(ProgramError) as wrong:
        g.program(spending=spending)
    assert wrong.value.field == f"ledger.spending.{field}"
