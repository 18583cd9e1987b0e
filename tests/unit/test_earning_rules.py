"""Earning rules: what a program may give beside the base, when, and what of it goes back with returned units."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.common.errors import Refusal
from services.ledger.domain.checks import POINTS_MAX
from services.ledger.domain.commands import PurchaseLine
from services.ledger.domain.counters import Contribution, recorded
from services.ledger.domain.earning import earn, explain
from services.ledger.domain.events import PointsAccrued, PointsClawedBack, PurchaseRecorded
from services.ledger.domain.program import Program
from tests.unit.ledger_given import DAY, LEDGER, NOON, Given, enrol, line, program, purchase, return_, tier

HOUR = timedelta(hours=1)


def rules(*rules: dict[str, Any], stores: dict[str, Any] | None = None, **earning: Any) -> Program:
    """The grocer's program (a point a dollar, floor, gold x 1.5, FUEL excluded) with earning rules."""
    ledger: dict[str, Any] = {"earning": {**LEDGER["earning"], "rules": list(rules), **earning}}
    return program(**ledger, **({"stores": stores} if stores else {}))


def rule(id_: str, earn: dict[str, Any], group: str = "", **when: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "earn": earn,
        **({"when": when} if when else {}),
        **({"group": group} if group else {}),
    }


def accrued(given: Given, **told: Any) -> PointsAccrued:
    """The accrual of one more purchase."""
    event = given.when(purchase(**told))[-1]
    assert isinstance(event, PointsAccrued)
    return event


def earned(document: Program, **told: Any) -> int:
    """Points of a first purchase."""
    given = Given(enrol(), rules=document)
    events = given.when(purchase(**told))
    return sum(event.points for event in events if isinstance(event, PointsAccrued))


def basket(*amounts: int, **changes: Any) -> list[PurchaseLine]:
    return [line(n, amount)._replace(**changes) for n, amount in enumerate(amounts, 1)]


def why(document: Program, event: PointsAccrued) -> list[tuple[str, str]]:
    told = explain(document, event.amount, event.tier, event.contributions, event.counters)
    return [(each.rule, each.arithmetic) for each in told]


DOUBLE = {"multiplier": 2}


@pytest.mark.parametrize(
    ("when", "bought", "other"),
    [
        ({"skus": ["A"]}, {"lines": [line(sku="A")]}, {"lines": [line(sku="B")]}),
        ({"categories": ["TEA"]}, {"lines": [line(category="TEA")]}, {"lines": [line(category="MILK")]}),
        ({"brands": ["own"]}, {"lines": [line(brand="own")]}, {"lines": [line(brand="")]}),
        (
            {"categories": ["TEA"], "brands": ["own"]},
            {"lines": [line(category="TEA", brand="own")]},
            {"lines": [line(category="TEA")]},
        ),
        (
            {"skus": ["A"], "categories": ["TEA"]},
            {"lines": [line(category="TEA", sku="A")]},
            {"lines": [line(category="MILK", sku="A")]},
        ),
        ({"stores": ["s1", "s2"]}, {"store": "s2"}, {"store": "s3"}),
        ({"channels": ["app"]}, {"channel": "app"}, {"channel": ""}),
        ({"payment_methods": ["own_card"]}, {"payment_method": "own_card"}, {"payment_method": "cash"}),
        ({"amount": {"from": 5_000}}, {"amount": 5_000}, {"lines": basket(4_900, 99)}),
        ({"amount": {"below": 5_001}}, {"amount": 5_000}, {"amount": 5_001}),
        ({"weekdays": ["mon"]}, {"at": NOON}, {"at": NOON + 13 * HOUR}),
        ({"hours": [{"from": "12:00", "to": "12:30"}]}, {"at": NOON}, {"at": NOON + HOUR / 2}),
        ({"hours": [{"from": "11:00", "to": "12:00"}]}, {"at": NOON - HOUR}, {"at": NOON}),
        ({"hours": [{"from": "12:30", "to": "24:00"}]}, {"at": NOON + 11 * HOUR}, {"at": NOON + 12 * HOUR}),
        (
            {"dates": [{"from": "2026-01-04", "to": "2026-01-05"}]},
            {"at": NOON + 11 * HOUR},
            {"at": NOON + DAY},
        ),
        ({"dates": [{"from": "2026-01-05", "to": "2026-01-05"}]}, {"at": NOON}, {"at": NOON - DAY}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_rule_applies_where_all_of_its_conditions_hold(
    when: dict[str, Any], bought: dict[str, Any], other: dict[str, Any]
) -> None:
    document = rules(rule("double", DOUBLE, **when))
    plain = program()
    now = NOON + 2 * DAY
    assert earned(document, **bought, now=now) == 2 * earned(plain, **bought, now=now) > 0
    assert earned(document, **other, now=now) == earned(plain, **other, now=now) > 0


@pytest.mark.parametrize(
    ("earn", "points"),
    [
        ({"points_per_unit": "0.5"}, 30 + 10),
        ({"multiplier": "1.5"}, 30 + 10),
        ({"points_per_item": 7}, 30 + 21),
        ({"points_per_line": 7}, 30 + 14),
        ({"points_per_visit": 7}, 30 + 7),
        ({"bands": [{"from": 0, "points": 1}, {"from": 2_000, "points": 5}, {"from": 2_001, "points": 9}]}, 30 + 5),
        ({"bands": [{"from": 2_001, "points": 9}]}, 30),
    ],
)  # fmt: skip
def test_what_a_rule_gives_comes_on_top_of_the_base(earn: dict[str, Any], points: int) -> None:
    lines = [line(1, 1_500, 2, "TEA"), line(2, 500, 1, "TEA"), line(3, 1_000, 5)]
    assert earned(rules(rule("tea", earn, categories=["TEA"])), lines=lines) == points


def test_a_tier_multiplies_the_base_and_not_what_rules_give() -> None:
    document = rules(rule("double", DOUBLE), rule("gold", {"points_per_visit": 5}, tiers=["gold"]))
    given = Given(enrol(), tier("gold", NOON - DAY), rules=document)
    event = accrued(given, amount=10_000)
    assert event.points == 150 + 100 + 5
    assert event.contributions == [Contribution("double", 10_000), Contribution("gold", 1)]
    assert earned(document, amount=10_000) == 200


def test_an_accrual_tells_its_rules_with_their_arithmetic_in_order() -> None:
    document = rules(
        rule("double", DOUBLE, "campaigns"),
        rule("tea", {"points_per_item": 5}, "campaigns", categories=["TEA"]),
        rule("half", {"points_per_unit": "0.5"}),
        rule("visit", {"points_per_visit": 3}, visits={"every": 2}),
        rule("basket", {"bands": [{"from": 1_000, "points": 2}]}),
        rule("lines", {"points_per_line": 1}),
        groups={"campaigns": "best_of"},
        caps={"day": 60},
        rounding="half_up",
    )
    given = Given(enrol(), tier("gold", NOON - DAY), rules=document)
    accrued(given, id_="p0", amount=101)
    event = accrued(given, id_="p1", lines=[line(1, 1_005, 2, "TEA"), line(2, 0)])
    assert why(document, event) == [
        ("base", "1005 USD minor units x 1/100 = 10.05"),
        ("tier gold", "x 1.5 = 15.075"),
        ("rule double", "base x 2, 1005 USD minor units x 1/100 more, best of campaigns: + 10.05 = 25.125"),
        ("rule half", "1005 USD minor units x 1/200 more: + 5.025 = 30.15"),
        ("rule visit", "for the purchase, purchase 2: + 3 = 33.15"),
        ("rule basket", "1005 USD minor units reach the band from 1000: + 2 = 35.15"),
        ("rule lines", "2 lines x 1: + 2 = 37.15"),
        ("rounding half_up", "37.15 -> 37"),
    ]
    assert event.points == 37
    last = accrued(given, id_="p2", amount=10_000)
    assert why(document, last)[-1] == (
        "cap day 2026-01-05", "41 of 60 were earned before, 19 are left: 303 -> 19",
    )  # fmt: skip
    assert last.points == 19


@pytest.mark.parametrize(
    ("combine", "groups", "points"),
    [
        ("stack", {}, 100 + 10 + 30 + 20 + 30),
        ("stack", {"a": "best_of"}, 100 + 30 + 20 + 30),
        ("best_of", {"a": "stack"}, 100 + 40),
        ("best_of", {"a": "best_of"}, 100 + 30),
    ],
)
def test_rules_stack_or_the_best_counts_in_a_group_and_among_groups(
    combine: str, groups: dict[str, str], points: int
) -> None:
    group = "a" if groups else ""
    document = rules(
        rule("ten", {"points_per_visit": 10}, group),
        rule("thirty", {"points_per_visit": 30}, group),
        rule("twenty", {"points_per_visit": 20}),
        rule("more", {"points_per_visit": 30}),
        combine=combine,
        groups=groups,
    )
    assert earned(document, amount=10_000) == points


def test_of_equals_the_first_is_the_best() -> None:
    document = rules(
        rule("b", {"points_per_visit": 5}), rule("a", {"points_per_visit": 5}), combine="best_of"
    )
    assert accrued(Given(rules=document)).contributions == [Contribution("b", 1)]


def test_windows_are_in_the_time_of_the_store_and_else_of_the_program() -> None:
    document = rules(
        rule("evening", {"points_per_visit": 5}, hours=[{"from": "20:00", "to": "21:00"}], weekdays=["mon"]),
        stores={"tokyo": {"time_zone": "Asia/Tokyo"}, "far": {"time_zone": "America/Los_Angeles"}},
    )
    monday_evening_there = NOON.replace(hour=11)
    assert earned(document, at=monday_evening_there, store="tokyo") == 55
    assert earned(document, at=monday_evening_there, store="here") == 50
    assert earned(document, at=NOON.replace(hour=20), store="here", now=NOON + DAY) == 55
    assert earned(document, at=NOON.replace(hour=4), store="far") == 50
    assert earned(document, at=NOON.replace(hour=4) + DAY, store="far", now=NOON + DAY) == 55


def test_a_late_purchase_earns_by_the_rules_of_its_day() -> None:
    document = rules(
        rule("fifth", DOUBLE, dates=[{"from": "2026-01-05", "to": "2026-01-05"}]), caps={"day": 120}
    )
    given = Given(enrol(), rules=document)
    later = NOON + 30 * DAY
    assert accrued(given, id_="p1", at=later, now=later).points == 50
    assert accrued(given, id_="p2", at=NOON, now=later).points == 100
    assert accrued(given, id_="p3", at=NOON, now=later).points == 20
    assert accrued(given, id_="p4", at=later, now=later).points == 50


def test_excluded_skus_and_brands_earn_nothing_by_no_rule() -> None:
    document = rules(
        rule("line", {"points_per_line": 10}), rule("all", {"bands": [{"from": 6_000, "points": 500}]}),
        exclude_skus=["CARD"], exclude_brands=["tax"],
    )  # fmt: skip
    lines = [line(1), line(2, 900, sku="CARD"), line(3, 900, brand="tax"), line(4, 900, category="FUEL")]
    assert earned(document, lines=lines) == 60
    given = Given(enrol(), rules=document)
    bought = purchase(lines=lines[1:])
    assert given.when(bought) == [PurchaseRecorded(bought.purchase)]


# --- what is counted


def test_the_first_purchase_is_the_first_that_the_book_has() -> None:
    document = rules(rule("welcome", {"points_per_visit": 100}, first_purchase=True))
    given = Given(rules=document)
    assert [accrued(given, id_=f"p{n}").points for n in range(3)] == [150, 50, 50]


def test_who_bought_before_the_rule_came_makes_no_first_purchase_under_it() -> None:
    given = Given(purchase("old"), purchase("nothing", 0))
    given.activate(rules(rule("welcome", {"points_per_visit": 100}, visits={"to": 3})))
    assert [accrued(given, id_=f"p{n}").points for n in range(2)] == [150, 50]
    given.activate(program("v9"))
    given.when(purchase("between"))
    given.activate(rules(rule("sixth", {"points_per_visit": 7}, visits={"from": 6, "to": 6})))
    assert accrued(given, id_="p6").points == 57


def test_every_third_visit_counts_whatever_the_others_earned() -> None:
    document = rules(rule("stamp", {"points_per_visit": 10}, visits={"every": 3}))
    given = Given(enrol(), rules=document)
    assert [accrued(given, id_=f"p{n}", amount=99).points for n in range(7)] == [0, 0, 10, 0, 0, 10, 0]
    assert given.balance() == (20, 0, 0)
    assert len(given.member().lots) == 2


def test_a_fraction_is_carried_to_the_next_purchase_exactly() -> None:
    document = rules(rounding="carry", points_per_unit="0.7")
    given = Given(enrol(), rules=document)
    events = [accrued(given, id_=f"p{n}", amount=100) for n in range(10)]
    assert [event.points for event in events] == [0, 1, 1, 0, 1, 1, 0, 1, 1, 1]
    assert given.balance()[0] == 7
    name, before, after = events[1].counters[0]
    assert (name, before, after) == ("carry", "0.7", "0.4")
    assert why(document, events[1])[1:] == [
        ("carry", "+ 0.7 from purchases before = 1.4"), ("rounding carry", "1.4 -> 1, 0.4 carried on"),
    ]  # fmt: skip


def test_a_fraction_is_carried_over_a_change_of_the_program() -> None:
    given = Given(enrol(), rules=rules(rounding="carry", points_per_unit="0.123456789"))
    accrued(given, amount=100)
    given.activate(program("v2", earning={"rounding": "carry", "points_per_unit": "0.876543211"}))
    assert accrued(given, id_="p2", amount=100).points == 1
    assert given.member().counters["carry"].value == 0


def test_caps_hold_for_the_day_the_month_and_altogether_in_the_programs_time() -> None:
    document = rules(caps={"day": 60, "month": 100, "lifetime": 130})
    given = Given(enrol(), rules=document)
    later = NOON + 60 * DAY
    points = [
        accrued(given, id_=f"p{n}", at=at, now=later).points
        for n, at in enumerate([NOON, NOON, NOON + DAY, NOON + DAY, NOON + 40 * DAY, NOON + 41 * DAY])
    ]
    assert points == [50, 10, 40, 0, 30, 0]


def test_the_day_of_a_cap_begins_at_the_programs_midnight() -> None:
    document = program(time_zone="America/New_York", earning={"points_per_unit": 1, "caps": {"day": 60}})
    given = Given(enrol(), rules=document)
    midnight = datetime(2026, 1, 6, 5, tzinfo=UTC)
    at = [midnight - HOUR, midnight - timedelta(microseconds=1), midnight]
    assert [accrued(given, id_=f"p{n}", at=t, now=midnight).points for n, t in enumerate(at)] == [50, 10, 50]


def test_points_out_of_range_are_those_after_the_cap() -> None:
    huge = rule("huge", {"points_per_item": 1_000_000_000})
    lines = [line(quantity=1_000_000_000)]
    with pytest.raises(Refusal, match="points_out_of_range"):
        earned(rules(huge), lines=lines)
    assert earned(rules(huge, caps={"day": POINTS_MAX}), lines=lines) == POINTS_MAX


def test_an_accrual_and_its_purchase_are_all_that_deciding_again_needs() -> None:
    document = rules(
        rule("welcome", {"points_per_visit": 5}, first_purchase=True),
        rule("tea", {"points_per_item": 3}, categories=["TEA"]),
        rounding="carry", caps={"day": 90, "lifetime": 140},
    )  # fmt: skip
    told = [
        purchase(f"p{n}", lines=[line(1, 3_033), line(2, 777, 3, "TEA")], at=NOON + n * HOUR)
        for n in range(4)
    ]
    given = Given(*told, rules=document)
    events = [d.event for _, d in given.journal if isinstance(d.event, PointsAccrued)]
    assert [event.points for event in events] == [52, 38, 0, 0]
    for command, event in zip(told, events, strict=True):
        again = earn(document, command.purchase, event.tier, recorded(event.counters))
        assert again == (event.amount, event.points, event.contributions, event.counters)


def test_a_purchase_of_two_thousand_lines_earns_by_all_of_its_rules_and_comes_back_whole() -> None:
    document = rules(*(rule(f"r{n}", {"points_per_unit": "0.123"}, categories=["TEA"]) for n in range(50)))
    given = Given(purchase(lines=[line(n, 101, 3, "TEA") for n in range(2_000)]), rules=document)
    assert given.balance()[0] == 2_020 + 12_423
    given.when(return_(units=[(n, 2) for n in range(2_000)]))
    given.when(return_(units=[(n, 1) for n in range(2_000)], id_="r2"))
    assert given.balance() == (0, 0, 0)


# --- returns


def test_a_return_gives_back_what_its_units_really_earned() -> None:
    document = rules(
        rule("tea", {"points_per_item": 7}, categories=["TEA"]), rule("visit", {"points_per_visit": 10})
    )
    given = Given(purchase(lines=[line(1, 3_000, 3, "TEA"), line(2, 2_000)]), rules=document)
    assert given.balance()[0] == 50 + 21 + 10
    # Of line 1: 30 by the base, 21 for its units, 6 of the 10 for the purchase.
    assert [given.when(return_(id_=f"r{n}"))[1].points for n in range(3)] == [19, 19, 19]  # type: ignore[union-attr]
    given.when(return_(id_="r3", units=[(2, 1)]))
    assert given.balance() == (0, 0, 0)


def test_what_was_given_for_a_free_line_goes_back_with_it() -> None:
    document = rules(rule("gift", {"points_per_visit": 10}, skus=["GIFT"]))
    given = Given(purchase(lines=[line(1, 1_000), line(2, 0, sku="GIFT")]), rules=document)
    assert given.balance()[0] == 20
    given.when(return_(units=[(2, 1)]))
    assert given.balance()[0] == 10


def test_a_return_of_a_capped_purchase_gives_back_no_more_than_it_earned() -> None:
    given = Given(enrol(), rules=rules(caps={"day": 70}))
    given.when(purchase("p1"))
    given.when(purchase("p2", lines=[line(1, 3_000, 3), line(2, 1_000)]))
    assert given.balance()[0] == 70
    taken = given.when(return_("p2", [(1, 3)]))[1]
    assert isinstance(taken, PointsClawedBack)
    assert taken.points == 15
    given.when(return_("p2", [(2, 1)], id_="r2"))
    assert given.balance()[0] == 50
    assert accrued(given, id_="p3").points == 0, "what was earned under a cap stays counted"
