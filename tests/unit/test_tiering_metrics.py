"""Metrics as given / when / then: what each row counts for, on which day, and what returns take."""

from __future__ import annotations

from typing import Any

import pytest

from services.tiering.domain.events import PurchaseRecorded, ReturnRecorded, ToppedUp
from tests.unit.tiering_given import Chain, day, rules, said

YEAR = {"months": 12}


def counting(threshold: int, zone: str = "UTC", **metric: Any) -> Chain:
    """A program with one metric `m` and one tier above the lowest."""
    tiers = [{"name": "member"}, {"name": "gold", "from": threshold}]
    return Chain(rules(zone=zone, metric="m", metrics=[{"name": "m", **metric}], tiers=tiers))


def held(chain: Chain) -> int:
    return chain.member().values_now(chain.rules)["m"]


def test_points_count_on_the_day_of_their_purchase() -> None:
    chain = counting(500, counts="points")
    chain.buys("2026-01-05", 400_00, purchase="p1")
    assert chain.points("2026-01-05", 400, "p1") == []
    chain.buys("2026-02-05", 100_00, purchase="p2")
    assert said(chain.points("2026-02-05", 100, "p2")) == [("ann", "gold", "upgrade", "2026-02-05")]


def test_points_taken_back_lower_the_window_of_their_purchase() -> None:
    chain = counting(500, counts="points")
    chain.buys("2026-01-05", 500_00, purchase="p1")
    chain.points("2026-01-05", 500, "p1")
    chain.buys("2026-06-05", 500_00, purchase="p2")
    chain.points("2026-06-05", 500, "p2")
    chain.returns("2026-08-01", 1_00, bought="2026-06-05", purchase="p2")
    assert chain.points("2026-08-01", -1, "p2") == []
    (event,) = chain.clock("2027-01-05")
    assert (event.to_tier, event.metric, event.threshold) == ("member", 499, 500)


def test_points_for_a_tier_learnt_late_count_on_the_day_of_the_purchase_too() -> None:
    chain = counting(500, counts="points")
    chain.buys("2026-01-05", 480_00, purchase="p1")
    chain.points("2026-01-05", 480, "p1")
    chain.clock("2027-03-01")
    assert said(chain.points("2027-03-01", 100, "p1")) == [("ann", "gold", "upgrade", "2026-01-05")]
    assert said(chain.clock("2027-03-01")) == [("ann", "member", "downgrade", "2027-01-05")]


def test_points_of_a_purchase_that_nobody_followed_count_for_nothing() -> None:
    chain = counting(1, counts="points")
    assert chain.points("2026-01-05", 100, "p1") == []


def test_a_visit_is_a_purchase_of_at_least_so_much() -> None:
    chain = counting(2, counts="visits", least=100_01)
    chain.buys("2026-01-05", 100_00)
    chain.buys("2026-01-06", 100_01)
    assert held(chain) == 1
    assert said(chain.buys("2026-01-06", 500_00)) == [("ann", "gold", "upgrade", "2026-01-06")]


@pytest.mark.parametrize(("back", "left"), [(49, 1), (50, 1), (51, 0)])
def test_a_purchase_of_which_too_little_is_left_was_no_visit(back: int, left: int) -> None:
    chain = counting(5, counts="visits", least=50)
    chain.buys("2026-01-05", 100, purchase="p1")
    chain.returns("2026-02-05", back, bought="2026-01-05", purchase="p1")
    assert held(chain) == left


def test_parts_brought_back_one_by_one_undo_a_visit_once() -> None:
    chain = counting(5, counts="visits")
    chain.buys("2026-01-05", 100, purchase="p1")
    for _ in range(4):
        chain.returns("2026-02-05", 25, bought="2026-01-05", purchase="p1")
    assert held(chain) == 0


def test_two_visits_on_a_local_day_are_one_day() -> None:
    chain = counting(2, counts="days", zone="America/New_York")
    chain.buys("2026-01-05T06:00", 1)
    chain.buys("2026-01-06T04:59:59.999999", 1)  # 23:59 in New York
    assert held(chain) == 1
    assert said(chain.buys("2026-01-06T05:00", 1)) == [("ann", "gold", "upgrade", "2026-01-06")]


def test_a_day_is_lost_with_its_last_visit() -> None:
    chain = counting(5, counts="days")
    chain.buys("2026-01-05T08:00", 10, purchase="p1")
    chain.buys("2026-01-05T18:00", 10, purchase="p2")
    chain.returns("2026-01-06", 10, bought="2026-01-05T08:00", purchase="p1")
    assert held(chain) == 1
    chain.returns("2026-01-06", 10, bought="2026-01-05T18:00", purchase="p2")
    assert held(chain) == 0


def test_a_day_that_the_window_cuts_is_not_in_it() -> None:
    chain = counting(5, counts="days")
    chain.buys("2025-01-05T18:00", 10)
    chain.buys("2026-01-05T12:00", 10)
    assert held(chain) == 1


def test_the_day_of_a_change_of_the_clocks_is_one_day() -> None:
    chain = counting(5, counts="days", zone="America/New_York")
    for hour in ("05:30", "12:00"):  # 8 March 2026 has 23 hours there
        chain.buys(f"2026-03-08T{hour}", 1)
    chain.buys("2026-03-09T03:30", 1)
    assert held(chain) == 1
    chain.buys("2026-11-01T04:30", 1)  # 1 November has 25: from 04:00 UTC to 05:00 of the next day
    chain.buys("2026-11-02T04:30", 1)
    assert held(chain) == 2


def test_units_of_the_named_categories_count_and_go_back() -> None:
    chain = counting(40, counts="units", categories=["RENTAL"])
    chain.when("2026-01-05", PurchaseRecorded([("RENTAL", 90_00, 30, ""), ("FUEL", 10_00, 20, "")], "p1"))
    assert held(chain) == 30
    assert said(chain.buys("2026-02-05", 30_00, category="RENTAL", units=10)) == [
        ("ann", "gold", "upgrade", "2026-02-05")
    ]
    chain.when("2026-02-06", ReturnRecorded([("RENTAL", 3_00, 1, "")], day("2026-01-05"), "p1"))
    assert held(chain) == 39


def test_money_loaded_counts_when_it_is_loaded() -> None:
    chain = counting(100_00, counts="top_ups")
    assert chain.when("2026-01-05", ToppedUp(99_99)) == []
    assert said(chain.when("2026-01-06", ToppedUp(1))) == [("ann", "gold", "upgrade", "2026-01-06")]


def growing() -> Chain:
    metrics = [
        {"name": "orders", "counts": "visits", "least": 100_01},
        {"name": "growth", "counts": "formula", "sum": [{"metric": "spend", "times": "0.0033"},
                                                       {"metric": "orders", "times": 100}]},
    ]  # fmt: skip
    tiers = [{"name": "member"}, {"name": "gold", "from": 200}]
    return Chain(rules(metric="growth", metrics=metrics, tiers=tiers))


def test_a_formula_is_exact() -> None:
    chain = growing()
    chain.buys("2026-01-05", 30_300)  # 100 + 99.99
    assert chain.member().values_now(chain.rules)["growth"] == 199
    assert said(chain.buys("2026-01-06", 4)) == [
        ("ann", "gold", "upgrade", "2026-01-06")
    ]  # + 0.0132 = 200.0032


def test_a_formulas_change_names_every_part() -> None:
    chain = growing()
    (event,) = chain.buys("2026-01-05", 100_000)
    assert (event.metric, event.threshold, event.rule) == (430, 200, "growth >= 200")
    assert [(m.metric, m.value, m.threshold) for m in event.measures] == [("growth", 430, 200)]


def test_either_metric_gives_a_tier_that_asks_for_any_of_them() -> None:
    tiers = [
        {"name": "member"},
        {"name": "gold", "any_of": [{"metric": "visits", "from": 3}, {"from": 100_00}]},
    ]
    by_visits, by_spend = Chain(rules(tiers=tiers)), Chain(rules(tiers=tiers))
    by_visits.buys("2026-01-05", 1)
    by_visits.buys("2026-01-06", 1)
    (event,) = by_visits.buys("2026-01-07", 1)
    assert (event.metric, event.threshold) == (3, 3)
    assert event.rule == "visits of 12 months >= 3 or spend of 12 months >= 10000"
    assert [(m.metric, m.value, m.threshold) for m in event.measures] == [
        ("visits", 3, 3),
        ("spend", 3, 100_00),
    ]
    (event,) = by_spend.buys("2026-01-05", 100_00)
    assert (event.metric, event.threshold) == (100_00, 100_00)
    (event,) = by_spend.clock("2027-01-05")
    assert event.rule == "visits of 12 months < 3 and spend of 12 months < 10000"


def test_all_metrics_are_needed_for_a_tier_that_asks_for_all_of_them() -> None:
    both = {"all_of": [{"metric": "visits", "from": 2}, {"from": 100_00}]}
    chain = Chain(rules(tiers=[{"name": "member"}, {"name": "gold", "any_of": [{"from": 500_00}, both]}]))
    assert chain.buys("2026-01-05", 200_00) == []
    (event,) = chain.buys("2026-01-06", 1)
    assert (
        event.rule
        == "spend of 12 months >= 50000 or (visits of 12 months >= 2 and spend of 12 months >= 10000)"
    )
    assert (event.metric, event.threshold) == (2, 2)


def test_a_change_says_between_which_moments_it_counted() -> None:
    (event,) = Chain().buys("2026-01-05", 100_00)
    (measure,) = event.measures
    assert (measure.after, measure.up_to) == (day("2025-01-05"), day("2026-01-05"))
