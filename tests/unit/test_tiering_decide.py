"""The rules of tiers as given / when / then: what the ledger's rows of one chain lead to."""

from __future__ import annotations

import pytest

from services.tiering.domain.decide import take_retired
from services.tiering.domain.events import (
    Lines,
    MemberEnrolled,
    PurchaseRecorded,
    TierChanged,
    ToppedUp,
    TopUpReversed,
)
from services.tiering.domain.state import ProgramState
from tests.unit.tiering_given import Chain, day, held, rules, said


def test_the_lowest_tier_is_implied_at_enrolment() -> None:
    chain = Chain()
    assert chain.when("2026-01-05", MemberEnrolled()) == []
    ann = chain.member()
    assert (ann.tier, ann.since, ann.until) == (None, day("2026-01-05"), None)


def test_the_purchase_that_reaches_a_threshold_upgrades_at_once() -> None:
    chain = Chain()
    assert chain.buys("2026-01-05", 99_99) == []
    (event,) = chain.buys("2026-02-05", 1)
    assert event == TierChanged(
        "grocer", "ann", "member", "silver", day("2026-02-05"), day("2027-02-05"),
        "upgrade", "spend of 12 months >= 10000", 100_00, 100_00, 2, "v1",
    )  # fmt: skip


def test_one_purchase_may_climb_two_steps() -> None:
    (event,) = Chain().buys("2026-01-05", 300_00)
    assert (event.from_tier, event.to_tier, event.threshold) == ("member", "gold", 250_00)


def test_excluded_categories_count_for_nothing() -> None:
    chain = Chain()
    assert chain.buys("2026-01-05", 500_00, category="FUEL") == []
    assert chain.when("2026-01-06", PurchaseRecorded([("FUEL", 500_00, 1, ""), ("food", 99_99, 1, "")])) == []
    assert held(chain.member()) == 99_99


def test_the_window_is_open_at_its_start_and_closed_at_its_end() -> None:
    late, still = Chain(), Chain()
    late.buys("2025-03-01", 60_00)
    assert late.buys("2026-03-01", 40_00) == []
    still.buys("2025-03-01T00:00:00.000001", 60_00)
    assert said(still.buys("2026-03-01", 40_00)) == [("ann", "silver", "upgrade", "2026-03-01")]


def test_a_purchase_that_keeps_the_tier_does_not_move_its_review() -> None:
    chain = Chain()
    chain.buys("2026-01-05", 100_00)
    assert chain.buys("2026-06-05", 100_00) == []
    assert chain.member().until == day("2027-01-05")


def test_a_review_renews_the_tier_that_is_still_earned() -> None:
    chain = Chain()
    chain.buys("2026-01-05", 100_00)
    chain.buys("2026-06-05", 100_00)
    (event,) = chain.clock("2027-01-05")
    assert said([event]) == [("ann", "silver", "renewal", "2027-01-05")]
    assert (event.from_tier, event.metric, event.threshold) == ("silver", 100_00, 100_00)
    assert event.until == day("2028-01-05")


def test_a_review_takes_the_tier_that_is_not_earned_by_as_many_steps_as_it_takes() -> None:
    chain = Chain()
    chain.buys("2026-01-05", 300_00)
    chain.buys("2026-07-05", 50_00)
    (event,) = chain.clock("2027-01-05")
    assert (event.from_tier, event.to_tier, event.reason) == ("gold", "member", "downgrade")
    assert (event.rule, event.metric, event.threshold) == ("spend of 12 months < 25000", 50_00, 250_00)
    assert (event.until, chain.member().tier) == (None, None)


def test_nothing_is_reviewed_a_moment_before_its_time() -> None:
    chain = Chain()
    chain.buys("2026-01-05", 100_00)
    assert chain.clock("2027-01-04T23:59:59.999999") == []
    assert len(chain.clock("2027-01-05")) == 1


def test_reviews_come_before_the_event_that_made_them_due() -> None:
    chain = Chain()
    chain.buys("2026-01-05", 100_00)
    assert said(chain.buys("2027-01-05", 100_00)) == [
        ("ann", "member", "downgrade", "2027-01-05"),
        ("ann", "silver", "upgrade", "2027-01-05"),
    ]


def test_on_event_time_any_members_event_moves_the_clock_of_the_chain() -> None:
    chain = Chain()
    chain.buys("2026-01-05", 100_00, "ann")
    chain.buys("2026-01-04", 100_00, "bob")
    assert said(chain.buys("2027-02-01", 1, "cat")) == [
        ("bob", "member", "downgrade", "2027-01-04"),
        ("ann", "member", "downgrade", "2027-01-05"),
    ]


def test_a_long_silence_brings_every_review_that_it_skipped() -> None:
    chain = Chain(rules(window=36))
    chain.buys("2026-01-05", 100_00)
    assert said(chain.clock("2030-01-05")) == [
        ("ann", "silver", "renewal", "2027-01-05"),
        ("ann", "silver", "renewal", "2028-01-05"),
        ("ann", "member", "downgrade", "2029-01-05"),
    ]


def test_on_the_walls_clock_only_the_tick_and_the_members_own_events_review() -> None:
    chain = Chain(rules(runs_on_events=False))
    chain.buys("2026-01-05", 100_00, "ann")
    chain.buys("2026-01-05", 100_00, "bob")
    assert said(chain.buys("2027-01-06", 1, "bob")) == [("bob", "member", "downgrade", "2027-01-05")]
    assert said(chain.clock("2027-01-07")) == [("ann", "member", "downgrade", "2027-01-05")]


def test_the_clock_never_goes_back() -> None:
    chain = Chain()
    chain.clock("2027-01-05")
    chain.buys("2026-01-05", 100_00)
    assert chain.program.clock == day("2027-01-05")


def test_a_return_lowers_the_window_of_its_purchase_and_takes_no_tier_at_once() -> None:
    chain = Chain()
    chain.buys("2026-01-05", 100_00)
    chain.buys("2026-06-05", 100_00)
    assert chain.returns("2026-06-20", 1, bought="2026-06-05") == []
    assert chain.member().tier == "silver"
    (event,) = chain.clock("2027-01-05")
    assert (event.to_tier, event.metric) == ("member", 99_99)


def test_a_return_of_an_old_purchase_leaves_todays_window_alone() -> None:
    chain = Chain()
    chain.buys("2025-01-05", 50_00)
    chain.buys("2026-02-05", 60_00)
    chain.returns("2026-02-06", 50_00, bought="2025-01-05")
    assert held(chain.member()) == 60_00


def test_a_late_purchase_counts_on_its_day_and_the_tier_begins_at_the_latest_known_moment() -> None:
    chain = Chain()
    chain.buys("2026-03-05", 60_00)
    assert said(chain.buys("2026-01-05", 40_00)) == [("ann", "silver", "upgrade", "2026-03-05")]


def test_a_purchase_later_than_the_window_changes_nothing_now() -> None:
    chain = Chain()
    chain.buys("2026-03-05", 60_00)
    assert chain.buys("2025-03-05", 40_00) == []
    assert held(chain.member()) == 60_00


def test_a_late_purchase_after_a_lost_review_brings_the_tier_back_from_the_review_on() -> None:
    chain = Chain()
    chain.buys("2026-01-05", 100_00)
    chain.clock("2027-01-10")
    assert said(chain.buys("2026-12-30", 100_00)) == [("ann", "silver", "upgrade", "2027-01-05")]


def test_a_program_that_has_no_tiers_here_is_passed_over() -> None:
    assert Chain().when("2026-01-05", PurchaseRecorded([("food", 500_00, 1, "")]), program="other") == []


def test_a_purchase_of_a_member_who_was_never_announced_enrols() -> None:
    chain = Chain()
    chain.buys("2026-01-05", 1)
    assert chain.member().enrolled_at == day("2026-01-05")


def test_new_thresholds_and_windows_show_at_the_next_purchase() -> None:
    chain = Chain(rules(window=1))
    chain.buys("2026-01-05", 60_00)
    chain.buys("2026-03-05", 30_00)
    before = chain.program
    chain.state["grocer"] = ProgramState.of(rules(window=12, version="v2"), before.clock, before.members)
    (event,) = chain.buys("2026-03-05", 10_00)
    assert (event.to_tier, event.metric, event.version) == ("silver", 100_00, "v2")


def test_a_tier_that_left_the_program_is_reviewed_at_once() -> None:
    chain = Chain()
    chain.buys("2026-01-05", 300_00)
    shorter = rules(version="v2", tiers=[{"name": "member", "from": 0}, {"name": "silver", "from": 100_00}])
    chain.state["grocer"] = ProgramState.of(shorter, chain.program.clock, chain.program.members)
    (event,) = take_retired(chain.program, chain.member(), day("2026-05-01"), 9)
    assert (event.from_tier, event.to_tier, event.since) == ("gold", "silver", day("2026-01-05"))
    assert event.rule == "tier gold is not in version v2; spend of 12 months >= 10000"


def test_a_purchase_counts_every_line_once_whatever_its_order() -> None:
    lines: Lines = [
        ("food", 30_00, 1, ""),
        ("FUEL", 99_00, 2, ""),
        ("wine", 69_99, 3, ""),
        ("food", 1, 1, ""),
    ]
    one, other = Chain(), Chain()
    assert said(one.when("2026-01-05", PurchaseRecorded(lines))) == said(
        other.when("2026-01-05", PurchaseRecorded(lines[::-1]))
    )
    assert held(one.member()) == 100_00


def test_a_return_of_what_a_merged_member_bought_breaks_nothing() -> None:
    """The ledger books it for the survivor, who never bought it: less than nothing earns the lowest tier."""
    chain = Chain()
    chain.when("2026-01-05", MemberEnrolled())
    assert chain.returns("2026-01-06", 100_00, "2026-01-01") == []


CARD = {"name": "plus", "tier": "gold", "months": 12, "sku": "PLUS"}


@pytest.mark.parametrize("returns", ["review", "at_once"])
def test_what_is_taken_back_after_a_review_but_told_before_its_tick_comes_after_the_review(
    returns: str,
) -> None:
    chain = Chain(rules(runs_on_events=False, returns=returns, cards=[CARD]))
    chain.buys("2026-06-05T10:00", 250_00)
    chain.buys("2026-07-05", 1, sku="PLUS", purchase="c1")
    back = chain.returns("2027-06-05T10:30", 1, "2026-07-05", sku="PLUS", purchase="c1")
    assert said(back) == [("ann", "member", "card_refunded", "2027-06-05")]
    assert back[0].since == day("2027-06-05T10:30")
    assert chain.clock("2027-06-05T11:00") == []


def test_a_top_up_that_is_handed_back_after_a_review_comes_after_it() -> None:
    chain = Chain(rules(metric="top_ups", returns="at_once"))
    chain.when("2026-01-05", ToppedUp(100_00, "t1"))
    (event,) = chain.when("2027-02-05", TopUpReversed(10_00, "t1"))
    assert (event.to_tier, event.reason, event.since) == ("member", "downgrade", day("2027-01-05"))


def test_points_of_a_purchase_that_nobody_followed_touch_no_member() -> None:
    chain = Chain(rules(metric="points"))
    chain.points("2026-01-05", 10, "p0")
    assert chain.program.members == {}
