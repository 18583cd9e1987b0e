"""What is counted (caps, a carried fraction) when units come back, or a tier is learnt late."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest

from services.ledger.domain.checks import POINTS_MAX
from services.ledger.domain.counters import Counter
from services.ledger.domain.earning import explain
from services.ledger.domain.events import PointsAccrued, PointsClawedBack, PurchaseRecounted
from services.ledger.domain.program import Program
from tests.unit.ledger_given import DAY, LEDGER, NOON, Given, enrol, line, program, purchase, return_, tier

HOUR = timedelta(hours=1)


def rules(**earning: Any) -> Program:
    """The grocer's program (a point a dollar) with gold x 2, and this."""
    return program(earning={**LEDGER["earning"], "tier_multipliers": {"gold": 2}, **earning})


def moved(events: list[Any]) -> list[tuple[str, int]]:
    """(purchase, points given or taken)"""
    return [
        (event.purchase, event.points if isinstance(event, PointsAccrued) else -event.points)
        for event in events
        if isinstance(event, PointsAccrued | PointsClawedBack)
    ]


def value(given: Given, name: str) -> Fraction:
    return given.member().counters[name].value


# --- caps


def test_what_a_late_tier_adds_counts_under_the_cap_for_the_purchases_behind_it() -> None:
    document = rules(caps={"day": 100})
    told = [purchase("p1", 6_000, at=NOON + HOUR), purchase("p2", 6_000, at=NOON + 2 * HOUR)]
    known = Given(enrol(), tier("gold", NOON), *told, rules=document)
    late = Given(enrol(), *told, rules=document)
    assert known.balance()[0] == late.balance()[0] == 100
    assert moved(late.when(tier("gold", NOON))) == [("p1", 40), ("p2", -40)]
    assert late.balance() == known.balance() == (100, 0, 0)
    assert value(late, "day 2026-01-05") == 100
    for given in (known, late):
        given.when(return_("p1"))
        assert given.balance() == (0, 0, 0)


def test_a_purchase_that_a_late_tier_concerns_only_by_the_cap_is_settled_too() -> None:
    document = rules(caps={"month": 150})
    told = [purchase("p1", 6_000, at=NOON + HOUR), purchase("p2", 6_000, at=NOON - DAY)]
    given = Given(enrol(), *told, purchase("p3", 5_000, at=NOON - 2 * DAY), rules=document)
    assert given.balance()[0] == 150
    assert moved(given.when(tier("gold", NOON))) == [("p1", 60), ("p2", -30), ("p3", -30)]
    assert given.balance() == (150, 0, 0)


def test_a_purchase_of_another_window_is_left_alone() -> None:
    told = [purchase("p1", 6_000, at=NOON + HOUR), purchase("p2", 6_000, at=NOON - DAY)]
    given = Given(enrol(), *told, rules=rules(caps={"day": 100}))
    assert moved(given.when(tier("gold", NOON))) == [("p1", 40)]


def test_a_lower_tier_learnt_late_leaves_the_cap_to_the_purchases_behind() -> None:
    told = [purchase("p1", 6_000, at=NOON + HOUR), purchase("p2", 6_000, at=NOON + 2 * HOUR)]
    given = Given(enrol(), tier("gold", NOON), *told, rules=rules(caps={"day": 100}))
    assert moved(given.when(tier("member", NOON))) == [("p1", -40), ("p2", 40)]
    assert given.balance() == (100, 0, 0)


def test_a_row_says_what_a_purchase_counts_by_now_and_by_how_much_the_member_moves() -> None:
    given = Given(enrol(), purchase("p1", 3_000, at=NOON + HOUR), rules=rules(caps={"day": 100}))
    recounted, accrued = given.when(tier("gold", NOON))[1:]
    day = "day 2026-01-05"
    assert recounted == PurchaseRecounted(
        "p1", "tier_change", [Counter(day, "0", "60")], [Counter(day, "30", "60")]
    )
    assert isinstance(accrued, PointsAccrued)
    assert accrued.points == 30


def test_what_moves_is_counted_though_no_points_do() -> None:
    document = rules(caps={"day": 100})
    given = Given(enrol(), purchase("p1", 6_000, at=NOON + HOUR), return_("p1"), rules=document)
    (recounted,) = given.when(tier("gold", NOON))[1:]
    assert isinstance(recounted, PurchaseRecounted)
    assert value(given, "day 2026-01-05") == 100, "what a return takes back stays counted, by the right tier"
    assert given.balance() == (0, 0, 0)


def test_room_that_a_return_frees_under_a_cap_is_not_given_to_other_purchases() -> None:
    document = rules(caps={"day": 100})
    told = [purchase("p1", 6_000, at=NOON), purchase("p2", 6_000, at=NOON)]
    given = Given(enrol(), *told, return_("p1"), rules=document)
    assert given.balance()[0] == 40
    given.when(purchase("p3", at=NOON))
    assert given.balance()[0] == 40


def test_what_is_settled_again_is_explained_by_what_it_meets_now() -> None:
    document = rules(caps={"day": 100})
    told = [purchase("p1", 6_000, at=NOON + HOUR), purchase("p2", 6_000, at=NOON + 2 * HOUR)]
    given = Given(enrol(), *told, rules=document)
    accrual = next(event for event in given.when(tier("gold", NOON)) if isinstance(event, PointsAccrued))
    told_rules = explain(document, accrual.amount, accrual.tier, accrual.contributions, accrual.counters)
    assert told_rules[-1].arithmetic == "0 of 100 were earned before, 100 are left: 120 -> 100"


def test_a_late_tier_makes_of_a_purchase_no_more_than_its_limit() -> None:
    """It can't be refused, and 64 bits hold it."""
    huge = {"id": "huge", "when": {"tiers": ["gold"]}, "earn": {"points_per_item": 1_000_000_000}}
    for rounding in ("floor", "carry"):
        document = rules(rules=[huge], rounding=rounding)
        bought = purchase(lines=[line(amount=5_050, quantity=1_000_000_000)], at=NOON + HOUR)
        given = Given(enrol(), bought, rules=document)
        given.when(tier("gold", NOON))
        assert given.balance()[0] == POINTS_MAX
        given.when(return_(units=[(1, 1_000_000_000)]))
        assert given.balance() == (0, 0, 0)


# --- the fraction that is carried on


def test_what_a_returned_purchase_left_in_the_carry_goes_with_it() -> None:
    given = Given(enrol(), rules=rules(rounding="carry"))
    for n in range(20):
        given.when(purchase(f"big{n}", 99))
        given.when(return_(f"big{n}", id_=f"r{n}"))
        given.when(purchase(f"small{n}", 1))
    assert given.balance() == (0, 0, 0)
    assert value(given, "carry") == Fraction("0.2")


def test_a_point_that_only_a_returned_fraction_made_is_taken_back() -> None:
    given = Given(enrol(), purchase("p1", 99), purchase("p2", 1), rules=rules(rounding="carry"))
    assert given.balance()[0] == 1
    recounted, taken = given.when(return_("p1"))[1:]
    assert isinstance(recounted, PurchaseRecounted)
    assert recounted.moved == [Counter("carry", "0", "0.01")]
    assert moved([taken]) == [("p1", -1)]
    assert given.balance() == (0, 0, 0)


def test_a_return_gives_back_the_point_that_a_fraction_from_before_made() -> None:
    given = Given(purchase("p1", 60), purchase("p2", lines=[line(1, 50, 2)]), rules=rules(rounding="carry"))
    assert given.balance()[0] == 1
    given.when(return_("p2", [(1, 2)]))
    assert given.balance()[0] == 0
    assert value(given, "carry") == Fraction("0.6"), "what the first put there waits again"


@pytest.mark.parametrize("order", list(permutations(["p1", "p2", "p3"])))
@pytest.mark.parametrize("parts", [[3], [1, 2], [2, 1], [1, 1, 1]])
def test_all_units_back_in_any_order_and_parts_leave_no_point_and_no_fraction(
    order: tuple[str, ...], parts: list[int]
) -> None:
    document = rules(rounding="carry", rules=[{"id": "visit", "earn": {"points_per_visit": 1}}])
    told = [
        purchase(id_, lines=[line(1, amount, 3), line(2, 50)])
        for id_, amount in (("p1", 100), ("p2", 77), ("p3", 251))
    ]
    given = Given(*told, rules=document)
    assert given.balance()[0] == 8
    exact = Fraction("8.78")
    for id_ in order:
        for part, units in enumerate(parts):
            given.when(return_(id_, [(1, units)], id_=f"{id_}-{part}"))
            now = given.balance()[0] + value(given, "carry")
            assert 0 <= now <= exact
            assert 0 <= value(given, "carry") < 1
            exact = now
        given.when(return_(id_, [(2, 1)], id_=f"{id_}-rest"))
    assert given.balance() == (0, 0, 0)
    assert value(given, "carry") == 0


def test_with_a_carried_fraction_too_it_does_not_matter_how_late_a_tier_is_learnt() -> None:
    document = rules(rounding="carry", tier_multipliers={"gold": "1.5"})
    told = [purchase(f"p{n}", 130, at=NOON + HOUR) for n in range(5)]
    known = Given(enrol(), tier("gold", NOON), *told, rules=document)
    late = Given(enrol(), *told, tier("gold", NOON), rules=document)
    assert known.balance() == late.balance() == (9, 0, 0)
    assert value(known, "carry") == value(late, "carry") == Fraction("0.75")


def test_a_fraction_waits_when_a_cap_cuts_a_purchase() -> None:
    given = Given(enrol(), rules=rules(rounding="carry", caps={"day": 2}))
    for n, amount in enumerate([170, 250, 250]):
        given.when(purchase(f"p{n}", amount))
    assert (given.balance()[0], value(given, "carry")) == (2, Fraction("0.7"))
    for n in (1, 0, 2):
        given.when(return_(f"p{n}", id_=f"r{n}"))
        assert given.balance()[0] >= 0
    assert (given.balance(), value(given, "carry")) == ((0, 0, 0), 0)
