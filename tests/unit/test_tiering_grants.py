"""Tiers that no metric gives: cards bought, renewed, refunded and issued, and tiers given by hand."""

from __future__ import annotations

from typing import Any

from services.tiering.domain.decide import take_retired
from services.tiering.domain.state import ProgramState
from tests.unit.tiering_given import Chain, day, rules, said

TIERS = [
    {"name": "member"},
    {"name": "silver", "from": 100_00},
    {"name": "plus"},
    {"name": "gold", "from": 500_00},
]
CARDS = [
    {"name": "plus", "tier": "plus", "months": 12, "sku": "PLUS-12"},
    {"name": "regular", "tier": "silver", "months": 6, "metric": "visits", "from": 3},
]


def club(**tiering: Any) -> Chain:
    return Chain(rules(**({"tiers": TIERS, "cards": CARDS, "exclude_categories": ["CARD"]} | tiering)))


def card(chain: Chain, at: str, purchase: str = "c1", units: int = 1) -> list[tuple[str, str, str, str]]:
    return said(chain.buys(at, 99_00, category="CARD", sku="PLUS-12", purchase=purchase, units=units))


def back(
    chain: Chain, at: str, bought: str, purchase: str = "c1", units: int = 1
) -> list[tuple[str, str, str, str]]:
    events = chain.returns(
        at, 99_00, bought=bought, category="CARD", sku="PLUS-12", purchase=purchase, units=units
    )
    return said(events)


def test_a_card_that_is_bought_gives_its_tier_until_a_day() -> None:
    chain = club()
    assert card(chain, "2026-01-05") == [("ann", "plus", "card", "2026-01-05")]
    assert chain.member().until == day("2027-01-05")
    assert chain.clock("2027-01-04T23:59:59.999999") == []
    assert said(chain.clock("2027-01-05")) == [("ann", "member", "card_ended", "2027-01-05")]


def test_a_card_that_is_bought_again_begins_where_the_first_ends() -> None:
    chain = club()
    card(chain, "2026-01-05")
    assert card(chain, "2026-12-05", "c2") == []  # nothing shows before the first has ended
    (event,) = chain.clock("2027-01-05")
    assert (event.to_tier, event.reason, event.until) == ("plus", "card_renewed", day("2028-01-05"))
    assert event.grant.startswith("purchase:c2")
    assert said(chain.clock("2028-01-05")) == [("ann", "member", "card_ended", "2028-01-05")]


def test_several_units_are_several_terms() -> None:
    chain = club()
    card(chain, "2026-01-05", units=2)
    assert chain.member().until == day("2028-01-05")
    assert back(chain, "2026-02-05", "2026-01-05") == [("ann", "plus", "card_refunded", "2026-02-05")]
    assert chain.member().until == day("2027-01-05")


def test_a_card_that_is_brought_back_ends_at_once() -> None:
    chain = club()
    card(chain, "2026-01-05")
    assert back(chain, "2026-02-05", "2026-01-05") == [("ann", "member", "card_refunded", "2026-02-05")]
    assert chain.clock("2030-01-01") == []


def test_a_renewal_takes_the_place_of_the_card_that_is_brought_back() -> None:
    chain = club()
    card(chain, "2026-01-05")
    card(chain, "2026-12-05", "c2")
    assert back(chain, "2026-12-10", "2026-01-05") == [("ann", "plus", "card_refunded", "2026-12-10")]
    assert chain.member().until == day("2027-12-05")
    assert back(chain, "2026-12-11", "2026-12-05", "c2") == [("ann", "member", "card_refunded", "2026-12-11")]


def test_a_renewal_that_is_brought_back_leaves_the_first_card() -> None:
    chain = club()
    card(chain, "2026-01-05")
    card(chain, "2026-12-05", "c2")
    assert back(chain, "2026-12-10", "2026-12-05", "c2") == []
    assert said(chain.clock("2028-01-01")) == [("ann", "member", "card_ended", "2027-01-05")]


def test_what_the_metrics_give_shows_through_when_a_card_ends() -> None:
    chain = club()
    chain.buys("2026-01-01", 100_00)
    card(chain, "2026-01-05")
    chain.buys("2026-12-20", 100_00)
    # The review of silver comes before the card ends, and nobody sees it.
    assert chain.clock("2027-01-01") == []
    assert said(chain.clock("2027-01-05")) == [("ann", "silver", "card_ended", "2027-01-05")]
    assert chain.member().until == day("2028-01-01")


def test_a_higher_tier_by_metrics_shows_over_a_card() -> None:
    chain = club()
    card(chain, "2026-01-05")
    assert said(chain.buys("2026-02-05", 500_00)) == [("ann", "gold", "upgrade", "2026-02-05")]
    assert chain.clock("2027-01-31") == []
    assert said(chain.clock("2027-02-05")) == [("ann", "member", "downgrade", "2027-02-05")]


def test_a_card_told_so_late_that_it_is_over_gives_nothing() -> None:
    chain = club()
    chain.clock("2027-06-01")
    assert card(chain, "2026-01-05") == []
    assert chain.clock("2028-01-01") == []


def test_a_card_is_issued_once_to_whoever_meets_its_condition() -> None:
    chain = club()
    for number in (1, 2):
        assert chain.buys(f"2026-01-0{number}", 1_00) == []
    (event,) = chain.buys("2026-01-03", 1_00)
    assert (event.to_tier, event.reason, event.rule) == (
        "silver",
        "card",
        "card regular: visits of 12 months >= 3",
    )
    assert event.grant == "card:regular"
    assert said(chain.clock("2026-07-03")) == [("ann", "member", "card_ended", "2026-07-03")]
    assert chain.buys("2026-07-04", 1_00) == []


def test_a_tier_given_by_hand_ends_on_its_day() -> None:
    chain = club()
    chain.buys("2026-01-05", 1_00)
    (event,) = chain.grants("2026-02-01", "gold", "2026-08-01")
    assert (event.to_tier, event.reason, event.since, event.until) == (
        "gold", "grant", day("2026-02-01"), day("2026-08-01"),
    )  # fmt: skip
    assert (event.rule, event.grant) == ("granted by hand: a guest of the house", "grant:g1")
    assert said(chain.clock("2026-08-01")) == [("ann", "member", "grant_ended", "2026-08-01")]


def test_what_is_earned_under_a_grant_stays_when_it_ends() -> None:
    chain = club()
    chain.buys("2026-01-05", 1_00)
    chain.grants("2026-02-01", "gold", "2026-08-01")
    assert chain.buys("2026-03-01", 100_00) == []
    assert said(chain.clock("2026-08-01")) == [("ann", "silver", "grant_ended", "2026-08-01")]
    assert chain.member().until == day("2027-03-01")


def test_a_grant_of_a_lower_tier_shows_when_the_higher_is_lost() -> None:
    chain = club()
    chain.buys("2026-01-05", 500_00)
    assert chain.grants("2026-02-01", "silver", "2028-01-01") == []
    assert said(chain.clock("2027-01-05")) == [("ann", "silver", "downgrade", "2027-01-05")]
    assert chain.member().until == day("2028-01-01")


def test_a_granted_tier_that_a_version_drops_leaves_what_was_earned_alone() -> None:
    chain = club()
    chain.buys("2026-01-05", 100_00)
    card(chain, "2026-02-05")
    without = rules(version="v2", tiers=[TIERS[0], TIERS[1], TIERS[3]])
    chain.state["grocer"] = ProgramState.of(without, chain.program.clock, chain.program.members)
    (event,) = take_retired(chain.program, chain.member(), day("2026-03-05"), 9)
    assert (event.from_tier, event.to_tier, event.until) == ("plus", "silver", day("2027-01-05"))
    assert event.rule == "tier plus is not in version v2"


def test_a_grant_is_taken_back() -> None:
    chain = club()
    chain.buys("2026-01-05", 1_00)
    chain.grants("2026-02-01", "gold", "2026-08-01")
    assert said(chain.revokes("2026-03-01")) == [("ann", "member", "grant_revoked", "2026-03-01")]
    assert chain.revokes("2026-03-02") == []
    assert chain.clock("2027-01-01") == []


def test_a_grant_is_given_since_the_latest_moment_that_is_known() -> None:
    chain = club(runs_on_events=False)
    chain.buys("2026-05-05", 1_00)
    (event,) = chain.grants("2026-02-01", "gold", "2026-08-01")
    assert event.since == day("2026-05-05")
