"""How long a tier lasts and how it is lost: reviews, policies of downgrades, grace, lifetime, returns at once."""

from __future__ import annotations

from typing import Any

from tests.unit.tiering_given import Chain, day, rules, said

FOUR = [
    {"name": "member"},
    {"name": "silver", "from": 100_00},
    {"name": "gold", "from": 250_00},
    {"name": "black", "from": 500_00},
]


def kept(**tiering: Any) -> Chain:
    return Chain(rules(tiers=FOUR, **tiering))


def test_requalification_needs_the_same_in_the_months_of_the_status() -> None:
    chain, short = Chain(rules()), Chain(rules())
    for one, amount in ((chain, 250_00), (short, 249_99)):
        one.buys("2026-01-05", 250_00)
        one.buys("2026-06-05", amount)
    assert said(chain.clock("2027-01-05")) == [("ann", "gold", "renewal", "2027-01-05")]
    assert said(short.clock("2027-01-05")) == [("ann", "silver", "downgrade", "2027-01-05")]


def test_a_month_later_has_a_last_day_too() -> None:
    chain = kept()
    chain.buys("2028-02-29", 100_00)
    assert chain.member().until == day("2029-02-28")


def test_a_review_on_the_first_of_the_month_comes_at_local_midnight() -> None:
    chain = kept(review={"at": "first_of_month"}, window=1, zone="Asia/Shanghai")
    chain.buys("2026-01-31T15:59:59", 100_00)  # 23:59:59 on the 31st there
    assert chain.member().until == day("2026-01-31T16:00")
    assert said(chain.clock("2026-01-31T16:00")) == [("ann", "silver", "renewal", "2026-01-31")]
    assert chain.member().until == day("2026-02-28T16:00")
    # A month before the 1st of March is the 1st of February: what was bought on 31 January is out.
    assert said(chain.clock("2026-03-01")) == [("ann", "member", "downgrade", "2026-02-28")]


def test_one_step_at_a_time() -> None:
    chain = kept(downgrade={"to": "one_step"})
    chain.buys("2026-01-05", 500_00)
    (event,) = chain.clock("2027-01-05")
    assert (event.to_tier, event.rule) == ("gold", "spend of 12 months < 50000; one step at a time")
    assert said(chain.clock("2030-01-05")) == [
        ("ann", "silver", "downgrade", "2028-01-05"),
        ("ann", "member", "downgrade", "2029-01-05"),
    ]


def test_one_step_never_lifts_above_what_is_earned_and_never_lands_below_it() -> None:
    chain = kept(downgrade={"to": "one_step"})
    chain.buys("2026-01-05", 500_00)
    chain.buys("2026-06-05", 250_00)
    (event,) = chain.clock("2027-01-05")
    assert (event.to_tier, event.rule) == ("gold", "spend of 12 months < 50000")


def test_a_soft_landing_is_one_step_at_the_first_review_and_the_rest_at_the_next() -> None:
    chain = kept(downgrade={"to": "soft_landing"})
    chain.buys("2026-01-05", 500_00)
    assert said(chain.clock("2029-01-05")) == [
        ("ann", "gold", "downgrade", "2027-01-05"),
        ("ann", "member", "downgrade", "2028-01-05"),
    ]


def test_after_a_soft_landing_that_was_earned_there_is_another() -> None:
    chain = kept(downgrade={"to": "soft_landing"})
    chain.buys("2026-01-05", 500_00)
    chain.clock("2027-01-05")
    chain.buys("2027-06-05", 250_00)
    assert said(chain.clock("2029-01-05")) == [
        ("ann", "gold", "renewal", "2028-01-05"),
        ("ann", "silver", "downgrade", "2029-01-05"),
    ]


def test_grace_lends_the_tier_once_more() -> None:
    chain = kept(review={"months": 12, "grace_months": 3})
    chain.buys("2026-01-05", 100_00)
    (event,) = chain.clock("2027-01-05")
    assert (event.from_tier, event.to_tier, event.reason) == ("silver", "silver", "grace")
    assert (event.until, event.metric, event.threshold) == (day("2027-04-05"), 0, 100_00)
    assert said(chain.clock("2027-04-05")) == [("ann", "member", "downgrade", "2027-04-05")]


def test_what_is_bought_in_the_time_of_grace_keeps_the_tier() -> None:
    chain = kept(review={"months": 12, "grace_months": 3})
    chain.buys("2026-01-05", 100_00)
    chain.clock("2027-01-05")
    chain.buys("2027-02-05", 100_00)
    assert said(chain.clock("2027-04-05")) == [("ann", "silver", "renewal", "2027-04-05")]
    assert chain.member().until == day("2028-04-05")
    assert not chain.member().standing.grace


def test_at_most_one_downgrade_in_so_many_months() -> None:
    chain = kept(window=1, review={"at": "first_of_month"}, downgrade={"to": "one_step", "once_in_months": 6})
    chain.buys("2026-01-15", 500_00)
    changes = [change for change in said(chain.clock("2027-03-01")) if change[2] != "renewal"]
    assert [change for change in changes if change[2] == "downgrade"] == [
        ("ann", "gold", "downgrade", "2026-03-01"),
        ("ann", "silver", "downgrade", "2026-09-01"),
        ("ann", "member", "downgrade", "2027-03-01"),
    ]
    assert [change[3] for change in changes if change[2] == "protected"][:2] == ["2026-04-01", "2026-05-01"]


def test_an_upgrade_is_not_held_up_by_an_earlier_downgrade() -> None:
    chain = kept(window=1, review={"at": "first_of_month"}, downgrade={"once_in_months": 6})
    chain.buys("2026-01-15", 500_00)
    assert said(chain.clock("2026-03-01"))[-1] == ("ann", "member", "downgrade", "2026-03-01")
    assert said(chain.buys("2026-03-02", 500_00)) == [("ann", "black", "upgrade", "2026-03-02")]
    changes = said(chain.clock("2026-10-01"))
    assert [change for change in changes if change[2] == "downgrade"] == [
        ("ann", "member", "downgrade", "2026-09-01")
    ]


LIFETIME = {
    "metrics": [{"name": "ever", "counts": "spend", "window": {"period": "lifetime"}}],
    "tiers": [
        {"name": "member"},
        {"name": "silver", "any_of": [{"from": 100_00}, {"metric": "ever", "from": 200_00}]},
        {"name": "gold", "from": 250_00},
    ],
}


def test_a_tier_reached_by_a_lifetime_metric_is_never_lost() -> None:
    chain = Chain(rules(**LIFETIME))
    chain.buys("2026-01-05", 100_00)
    chain.buys("2026-12-05", 99_99)
    chain.clock("2027-01-05")
    (event,) = chain.buys("2027-06-05", 1)
    assert (event.to_tier, event.reason, event.until) == ("silver", "upgrade", None)
    assert chain.returns("2027-06-06", 1, bought="2027-06-05") == []
    assert chain.clock("2090-01-01") == []


def test_a_lifetime_metric_that_is_reached_meanwhile_ends_the_reviews() -> None:
    chain = Chain(rules(**LIFETIME))
    chain.buys("2026-01-05", 199_99)
    (event,) = chain.buys("2026-02-05", 1)
    assert (event.from_tier, event.to_tier, event.reason, event.until) == (
        "silver",
        "silver",
        "lifetime",
        None,
    )


def test_a_higher_tier_falls_no_lower_than_the_lifetime_one() -> None:
    chain = Chain(rules(**LIFETIME))
    chain.buys("2026-01-05", 250_00)
    (event,) = chain.clock("2027-01-05")
    assert (event.to_tier, event.reason, event.until) == ("silver", "downgrade", None)


def test_a_return_may_take_the_tier_at_once_where_the_program_says_so() -> None:
    patient, strict = kept(), kept(returns="at_once")
    for chain in (patient, strict):
        chain.buys("2026-01-05", 250_00)
    assert patient.returns("2026-02-05", 1, bought="2026-01-05") == []
    (event,) = strict.returns("2026-02-05", 1, bought="2026-01-05")
    assert (event.from_tier, event.to_tier, event.reason) == ("gold", "silver", "return")
    assert (event.since, event.until) == (day("2026-02-05"), day("2027-01-05"))
    assert (event.metric, event.threshold) == (249_99, 250_00)


def test_a_return_takes_nothing_at_once_that_later_purchases_have_earned_anew() -> None:
    chain = kept(returns="at_once")
    chain.buys("2026-01-05", 100_00)
    chain.buys("2026-06-05", 100_00)
    assert chain.returns("2026-06-06", 100_00, bought="2026-01-05") == []


def test_a_return_of_a_year_that_is_over_takes_the_tier_that_it_earned() -> None:
    chain = kept(window={"period": "calendar_year"}, review={"at": "end_of_next_year"}, returns="at_once")
    chain.buys("2026-11-05", 100_00, purchase="p1")
    chain.buys("2026-12-05", 20_00, purchase="p2")
    chain.buys("2027-01-05", 1_00)
    assert chain.returns("2027-01-06", 20_00, bought="2026-11-05", purchase="p1") == []
    assert said(chain.returns("2027-01-07", 1, bought="2026-12-05", purchase="p2")) == [
        ("ann", "member", "return", "2027-01-07")
    ]


def test_a_return_of_what_no_window_of_the_tier_holds_takes_nothing() -> None:
    chain = kept(returns="at_once")
    chain.buys("2024-01-05", 100_00)
    chain.clock("2025-06-05")
    chain.buys("2026-01-05", 100_00)
    assert chain.returns("2026-01-06", 100_00, bought="2024-01-05") == []


def test_a_return_takes_nothing_at_once_of_a_tier_that_a_policy_left() -> None:
    chain = kept(returns="at_once", downgrade={"to": "one_step"})
    chain.buys("2026-01-05", 500_00)
    chain.buys("2026-06-05", 10_00)
    assert said(chain.clock("2027-01-05")) == [("ann", "gold", "downgrade", "2027-01-05")]
    assert chain.returns("2027-01-06", 1_00, bought="2026-06-05") == []
