"""Places among the best, and paid cards, as leaves of a condition."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from services.common.program_section import ProgramError
from services.tiering.domain.decide import take_ranking, take_retired
from services.tiering.domain.events import MemberClosed, TierChanged, ToppedUp, TopUpReversed
from services.tiering.domain.state import ProgramState
from tests.unit.tiering_given import Chain, day, rules, said

TOP = "top 10 percent by spend of 12 months"
BEST = [{"name": "member"}, {"name": "silver", "from": 100_00}, {"name": "black", "top_percent": 10}]
CARD = {"name": "plus", "months": 1, "sku": "PLUS"}
CARDED = [{"name": "member"}, {"name": "silver", "any_of": [{"paid_card": True}, {"from": 100_00}]}]


def best(**tiering: Any) -> Chain:
    return Chain(rules(**({"tiers": BEST, "review": {"at": "first_of_month"}} | tiering)))


def ranks(
    chain: Chain, at: str, *, inside: bool, member: str = "ann", least: int = 50_00
) -> list[TierChanged]:
    """A ranking in which the last one in has `least`."""
    names = {flag.name: least for flag in chain.rules.tops}
    tops, missed = (names, {}) if inside else ({}, names)
    return take_ranking(chain.program, chain.member(member), tops, missed, day(at), chain.position)


def test_a_place_is_given_at_the_ranking_and_lasts_until_the_next_one_takes_it() -> None:
    chain = best()
    assert chain.buys("2026-01-05", 60_00) == []
    (event,) = ranks(chain, "2026-02-01", inside=True)
    assert (event.to_tier, event.reason, event.rule) == ("black", "upgrade", TOP)
    assert (event.metric, event.threshold, event.until) == (60_00, 50_00, day("2026-03-01"))
    # The clock does not end it: the ranking of March may come some moments later.
    assert chain.clock("2026-03-01T00:00:01") == []
    assert said(ranks(chain, "2026-03-01", inside=True)) == [("ann", "black", "renewal", "2026-03-01")]
    (event,) = ranks(chain, "2026-04-01", inside=False, least=70_00)
    assert (event.to_tier, event.reason, event.rule) == ("member", "downgrade", f"not {TOP}")
    assert (event.metric, event.threshold) == (60_00, 70_00)


def test_who_loses_the_place_keeps_what_the_metrics_give() -> None:
    chain = best()
    chain.buys("2026-01-05", 100_00)
    ranks(chain, "2026-02-01", inside=True)
    assert said(ranks(chain, "2026-03-01", inside=False)) == [("ann", "silver", "downgrade", "2026-03-01")]
    assert chain.member().until == day("2026-04-01")
    assert said(chain.clock("2026-04-01")) == [("ann", "silver", "renewal", "2026-04-01")]


def test_a_place_that_is_lost_is_a_review_that_failed_grace_and_steps_included() -> None:
    lent = best(review={"at": "first_of_month", "grace_months": 2})
    steps = best(downgrade={"to": "one_step"})
    for chain in (lent, steps):
        chain.buys("2026-01-05", 60_00)
        ranks(chain, "2026-02-01", inside=True)
    assert said(ranks(lent, "2026-03-01", inside=False)) == [("ann", "black", "grace", "2026-03-01")]
    assert ranks(lent, "2026-04-01", inside=False) == []
    assert said(lent.clock("2026-05-01")) == [("ann", "member", "downgrade", "2026-05-01")]
    assert said(ranks(steps, "2026-03-01", inside=False)) == [("ann", "silver", "downgrade", "2026-03-01")]


def test_a_place_and_a_threshold_can_be_asked_together() -> None:
    tiers = [{"name": "member"}, {"name": "black", "all_of": [{"top_percent": 10}, {"from": 100_00}]}]
    chain = best(tiers=tiers)
    chain.buys("2026-01-05", 60_00)
    assert ranks(chain, "2026-02-01", inside=True) == []
    # The purchase that crosses the threshold upgrades at once: the place is there.
    (event,) = chain.buys("2026-02-05", 40_00)
    assert (event.to_tier, event.since) == ("black", day("2026-02-05"))
    assert [(m.metric, m.value, m.threshold) for m in event.measures] == [
        ("spend", 100_00, 50_00),
        ("spend", 100_00, 100_00),
    ]


def test_a_version_without_the_place_reviews_who_has_the_tier() -> None:
    chain = best()
    chain.buys("2026-01-05", 60_00)
    ranks(chain, "2026-02-01", inside=True)
    tiers = [{"name": "member"}, {"name": "silver", "from": 50_00}, {"name": "black", "from": 250_00}]
    plain = rules(version="v2", tiers=tiers)
    chain.state["grocer"] = ProgramState.of(plain, chain.program.clock, chain.program.members)
    (event,) = take_retired(chain.program, chain.member(), day("2026-02-05"), 9)
    assert (event.to_tier, event.reason) == ("silver", "downgrade")
    assert not chain.member().standing.ranked


@pytest.mark.parametrize(
    ("review", "time", "start", "after"),
    [
        ({"at": "first_of_month"}, "2026-02-28T23:59:59", "2026-02-01", "2026-03-01"),
        ({"at": "end_of_next_year"}, "2026-12-31T23:59:59", "2026-01-01", "2027-01-01"),
        ({"months": 3}, "2026-05-05", "2026-04-01", "2026-07-01"),
        ({"months": 12}, "2028-02-29", "2028-01-01", "2029-01-01"),
        ({"months": 1}, "2026-02-01", "2026-02-01", "2026-03-01"),
    ],
)
def test_rankings_have_fixed_days(review: dict[str, Any], time: str, start: str, after: str) -> None:
    found = rules(tiers=BEST, review=review)
    assert found.ranking_start(day(time)) == day(start)
    assert found.until(day(time), 2) == (day(after), True)


def test_a_ranking_begins_at_local_midnight_across_a_change_of_the_clocks() -> None:
    found = rules(tiers=BEST, review={"at": "first_of_month"}, zone="America/New_York")
    assert found.ranking_start(day("2026-04-01T03:59:59")) == day("2026-03-01T05:00")
    assert found.ranking_start(day("2026-04-01T04:00")) == day("2026-04-01T04:00")


@pytest.mark.parametrize(
    ("tiering", "message"),
    [
        (
            {"tiers": [{"name": "a"}, {"name": "b", "top_percent": 0}]},
            r"tiers\[1\].top_percent: must be more than 0",
        ),
        (
            {"tiers": [{"name": "a"}, {"name": "b", "top_percent": "100.1"}]},
            r"top_percent: must be more than 0",
        ),
        (
            {"tiers": [{"name": "a"}, {"name": "b", "top_percent": 5, "from": 1}]},
            "top_percent: is there beside from",
        ),
        (
            {"tiers": [{"name": "a"}, {"name": "b", "top_percent": 5}, {"name": "c", "top_percent": 5}]},
            r"tiers\[2\].top_percent: must be less than that of the tier before",
        ),
        ({"tiers": BEST, "window": {"period": "anniversary_year"}}, "membership years, which nobody shares"),
        ({"tiers": CARDED}, "cards: has none with a sku"),
        (
            {"tiers": [{"name": "a"}, {"name": "b", "paid_card": False}], "cards": [CARD]},
            "paid_card: must be true",
        ),
    ],
)
def test_what_can_not_be_ranked_or_had_is_refused(tiering: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        rules(**tiering)


def test_a_percentage_is_exact() -> None:
    (flag,) = rules(tiers=[{"name": "a"}, {"name": "b", "top_percent": "0.10"}]).tops
    assert flag.name == "top 0.1 percent by spend of 12 months"


def carded(**tiering: Any) -> Chain:
    return Chain(rules(tiers=CARDED, cards=[CARD], **tiering))


def test_a_tier_by_a_paid_card_goes_with_the_card_not_with_the_review() -> None:
    chain = carded()
    (event,) = chain.buys("2026-01-05", 10_00, sku="PLUS")
    assert (event.to_tier, event.reason, event.rule) == (
        "silver",
        "upgrade",
        "paid_card or spend of 12 months >= 10000",
    )
    assert said(chain.clock("2026-02-05")) == [("ann", "member", "downgrade", "2026-02-05")]


def test_a_paid_card_that_is_brought_back_takes_its_tier_at_once() -> None:
    chain = carded()
    chain.buys("2026-01-05", 10_00, sku="PLUS", purchase="c1")
    (event,) = chain.returns("2026-01-07", 10_00, "2026-01-05", purchase="c1", sku="PLUS")
    assert (event.to_tier, event.since) == ("member", day("2026-01-07"))


def test_a_tier_that_the_metrics_have_earned_too_outlives_the_card() -> None:
    before, later = carded(), carded()
    before.buys("2026-01-04", 100_00)
    before.buys("2026-01-05", 10_00, sku="PLUS")
    later.buys("2026-01-05", 10_00, sku="PLUS")
    later.buys("2026-01-20", 100_00)
    for chain in (before, later):
        assert chain.clock("2026-02-05") == []
        assert chain.member().tier == "silver"
        assert not chain.member().standing.by_card
    # From then on it is reviewed as any other.
    assert said(later.clock("2027-01-05")) == [("ann", "silver", "renewal", "2027-01-05")]


def test_a_card_renewed_in_time_keeps_the_tier() -> None:
    chain = carded()
    chain.buys("2026-01-05", 10_00, sku="PLUS")
    chain.buys("2026-02-04", 10_00, sku="PLUS")
    assert chain.clock("2026-02-05") == []
    assert said(chain.clock("2026-03-05")) == [("ann", "member", "downgrade", "2026-03-05")]


def test_what_is_handed_back_of_a_load_counts_down_on_its_day() -> None:
    chain = Chain(rules(metric="top_ups", returns="at_once"))
    (event,) = chain.when("2026-01-05", ToppedUp(100_00, "t1"))
    assert event.to_tier == "silver"
    (event,) = chain.when("2026-03-05", TopUpReversed(60_00, "t1"))
    assert (event.to_tier, event.reason) == ("member", "return")
    assert chain.member().windows["top_ups"].entries == [
        (day("2026-01-05"), 100_00),
        (day("2026-01-05"), -60_00),
    ]
    assert chain.when("2026-03-06", TopUpReversed(60_00, "unknown")) == []
    assert chain.member().windows["top_ups"].total == 40_00


def test_a_closed_account_is_given_and_reviewed_nothing_any_more() -> None:
    chain = Chain()
    chain.buys("2026-01-05", 100_00)
    assert chain.when("2026-02-05", MemberClosed()) == []
    assert chain.buys("2026-02-06", 900_00) == []
    assert chain.clock("2030-01-01") == []
    assert chain.member().tier == "silver"
    assert chain.member().due is None


def test_a_closed_account_has_no_place() -> None:
    chain = best()
    chain.buys("2026-01-05", 60_00)
    chain.when("2026-01-06", MemberClosed())
    assert ranks(chain, "2026-02-01", inside=True) == []
    assert chain.member().tops == {}


def test_a_ranking_that_is_told_late_gives_since_the_latest_moment_known() -> None:
    chain = best()
    chain.buys("2026-01-05", 60_00)
    chain.buys("2026-02-03", 1_00)
    (event,) = ranks(chain, "2026-02-01", inside=True)
    since: datetime = event.since
    assert since == day("2026-02-03")


YEARLY = {"window": {"period": "calendar_year"}, "review": {"at": "end_of_next_year"}}
BOTH = [{"name": "member"}, {"name": "black", "all_of": [{"top_percent": 10}, {"from": 100_00}]}]


def test_a_ranking_at_new_year_asks_the_year_that_is_over_for_the_threshold_too() -> None:
    chain = best(tiers=BOTH, **YEARLY)
    chain.buys("2026-05-05", 100_00)
    (event,) = ranks(chain, "2027-01-01", inside=True)
    assert (event.to_tier, event.reason, event.until) == ("black", "upgrade", day("2028-01-01"))
    assert [(m.metric, m.value, m.threshold) for m in event.measures] == [
        ("spend", 100_00, 50_00),
        ("spend", 100_00, 100_00),
    ]
    chain.buys("2027-05-05", 99_99)
    # In the best tenth, and a cent short in 2027.
    assert said(ranks(chain, "2028-01-01", inside=True)) == [("ann", "member", "downgrade", "2028-01-01")]


def test_purchases_between_new_year_and_its_ranking_count_for_the_new_year() -> None:
    first, again, short = (best(tiers=BOTH, **YEARLY) for _ in range(3))
    for chain in (first, again, short):
        chain.buys("2026-05-05", 100_00)
    chain = first
    chain.buys("2027-01-01T10:00", 5_00)
    (event,) = ranks(chain, "2027-01-01", inside=True)
    assert (event.to_tier, event.metric, event.since) == ("black", 100_00, day("2027-01-01T10:00"))
    assert event.measures[1].up_to == day("2026-12-31T23:59:59.999999")
    for chain in (again, short):
        ranks(chain, "2027-01-01", inside=True)
    again.buys("2027-12-31T23:59:59.999", 100_00)
    short.buys("2027-12-31T23:59:59.999", 50_00)
    for chain in (again, short):
        chain.buys("2028-01-01T10:00", 60_00)
    assert said(ranks(again, "2028-01-01", inside=True)) == [("ann", "black", "renewal", "2028-01-01")]
    # 50 and 60 of two years are no 100 of one.
    assert said(ranks(short, "2028-01-01", inside=True)) == [("ann", "member", "downgrade", "2028-01-01")]


def test_what_the_year_that_is_over_has_earned_besides_the_place_is_kept() -> None:
    tiers = [{"name": "member"}, {"name": "silver", "from": 100_00}, {"name": "black", "top_percent": 10}]
    chain = best(tiers=tiers, **YEARLY)
    chain.buys("2026-05-05", 600_00)
    ranks(chain, "2027-01-01", inside=True)
    chain.buys("2027-05-05", 100_00)
    chain.buys("2028-01-01T10:00", 5_00)
    (event,) = ranks(chain, "2028-01-01", inside=False)
    assert (event.to_tier, event.since, event.until) == ("silver", day("2028-01-01T10:00"), day("2029-01-01"))


def test_a_card_for_a_place_is_issued_to_who_has_another_place_already() -> None:
    card = {"name": "inner", "tier": "inner", "months": 3, "top_percent": 1}
    tiers = [{"name": "member"}, {"name": "black", "top_percent": 10}, {"name": "inner"}]
    chain = best(tiers=tiers, cards=[card])
    chain.buys("2026-01-05", 60_00)
    inner, black = sorted((flag.name for flag in chain.rules.tops), key=lambda name: "10" in name)
    for at, tops, told in (
        ("2026-02-01", {black: 1}, [("ann", "black", "upgrade", "2026-02-01")]),
        ("2026-03-01", {black: 1, inner: 1}, [("ann", "black", "renewal", "2026-03-01"),
                                              ("ann", "inner", "card", "2026-03-01")]),
    ):  # fmt: skip
        missed = {name: 1 for name in (black, inner) if name not in tops}
        assert said(take_ranking(chain.program, chain.member(), tops, missed, day(at), 9)) == told


def test_a_return_that_leaves_a_tier_to_the_card_leaves_it_for_as_long_as_the_card_runs() -> None:
    tiers = [*CARDED, {"name": "gold", "from": 300_00}]
    chain = Chain(rules(tiers=tiers, cards=[CARD], returns="at_once"))
    chain.buys("2026-01-05", 10_00, sku="PLUS")
    chain.buys("2026-01-06", 300_00)
    assert said(chain.returns("2026-01-07", 250_00, "2026-01-06")) == [
        ("ann", "silver", "return", "2026-01-07")
    ]
    assert said(chain.clock("2026-02-05")) == [("ann", "member", "downgrade", "2026-02-05")]


def test_a_closed_account_keeps_its_tier_when_a_card_is_brought_back_or_bought() -> None:
    chain = Chain(rules(cards=[CARD | {"tier": "gold"}]))
    chain.buys("2026-01-05", 1, sku="PLUS", purchase="c1")
    chain.buys("2026-01-05", 1, member="bob")
    for name in ("ann", "bob"):
        chain.when("2026-01-06", MemberClosed(), name)
    assert chain.returns("2026-01-07", 1, "2026-01-05", purchase="c1", sku="PLUS") == []
    assert chain.buys("2026-01-07", 1, member="bob", sku="PLUS") == []
    assert (chain.member().tier, chain.member("bob").tier, chain.member("bob").grants) == ("gold", None, [])


@pytest.mark.parametrize(
    "policy",
    [
        {"review": {"months": 1, "grace_months": 1}},
        {"review": {"months": 1}, "downgrade": {"to": "one_step"}},
        {"review": {"months": 1}, "downgrade": {"to": "soft_landing"}},
    ],
)
def test_no_policy_lends_the_tier_of_a_card_that_ends_with_the_review(policy: dict[str, Any]) -> None:
    tiers = [
        {"name": "member"},
        {"name": "silver", "from": 100_00},
        {"name": "gold", "any_of": [{"from": 200_00}, {"paid_card": True}]},
    ]
    chain = Chain(rules(tiers=tiers, cards=[CARD], **policy))
    chain.buys("2026-01-05", 10_00, sku="PLUS")
    assert chain.member().until == day("2026-02-05")
    assert said(chain.clock("2026-02-05")) == [("ann", "member", "downgrade", "2026-02-05")]
    assert chain.clock("2030-01-01") == []


def test_a_return_takes_nothing_between_a_review_and_its_ranking() -> None:
    chain = best(returns="at_once")
    chain.buys("2026-01-05", 120_00, purchase="p1")
    ranks(chain, "2026-02-01", inside=True)
    chain.clock("2026-03-01")
    assert chain.returns("2026-03-01T10:00", 30_00, "2026-01-05", purchase="p1") == []
    (event,) = ranks(chain, "2026-03-01", inside=False)
    assert (event.to_tier, event.since) == ("member", day("2026-03-01"))
    assert chain.clock("2030-01-01") == []
