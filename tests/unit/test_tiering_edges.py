"""Every metric and every policy at its edges: the last millisecond, 29 February, a change of the clocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.tiering.domain.events import ToppedUp
from tests.unit.tiering_given import Chain, day, rules, said

NEW_YORK = "America/New_York"
METRICS = [
    {"name": "rentals", "counts": "units", "categories": ["food"]},
    {
        "name": "growth",
        "counts": "formula",
        "sum": [{"metric": "spend", "times": "0.5"}, {"metric": "visits", "times": 1}],
    },
]


def buys(chain: Chain, at: str) -> None:
    """10 of every metric but visits and days, which get 1; growth gets 6."""
    purchase = f"p{chain.position}"
    chain.buys(at, 10, purchase=purchase, units=10)
    chain.points(at, 10, purchase)
    chain.when(at, ToppedUp(10, f"t{chain.position}"))


def held(metric: str, window: dict[str, Any], at: str, now: str, zone: str = "UTC") -> int:
    """What the windows of `now` hold of a purchase at `at`, as a review would see them."""
    names = {name: {"metric": name, "from": 1} for name in ("spend", "points", "visits", "days", "top_ups")}
    known = [*names.values(), {"metric": "rentals", "from": 1}, {"metric": "growth", "from": 1}]
    tiers = [{"name": "member"}, {"name": "gold", "any_of": known}]
    chain = Chain(rules(window=window, zone=zone, metrics=METRICS, tiers=tiers))
    buys(chain, at)
    member = chain.member()
    chain.program.touch(member, day(now))
    return member.values_now(chain.rules)[metric]


COUNTED = {"spend": 10, "points": 10, "visits": 1, "top_ups": 10, "rentals": 10, "growth": 6}
ROLLING, YEAR = {"months": 12}, {"period": "calendar_year"}


@pytest.mark.parametrize(("metric", "amount"), COUNTED.items())
@pytest.mark.parametrize(
    ("window", "at", "last", "first"),
    [
        # Exactly a year ago is out.
        (ROLLING, "2026-01-10T08:00", "2027-01-10T07:59:59.999999", "2027-01-10T08:00"),
        # 29 February is a year ago from 1 March on, for 28 February a year later has 28 February before it.
        (ROLLING, "2028-02-29T08:00", "2029-02-28T23:59:59.999", "2029-03-01T08:00"),
        # Winter time against summer time: 09:00 in New York both times.
        ({"months": 1}, "2026-02-20T14:00", "2026-03-20T12:59:59.999", "2026-03-20T13:00"),
        ({"months": 1}, "2026-10-20T13:00", "2026-11-20T13:59:59.999", "2026-11-20T14:00"),
        # The last millisecond of the year in New York, and the first moment of the next.
        (YEAR, "2027-01-01T04:59:59.999", "2027-01-01T04:59:59.999", "2027-01-01T05:00"),
        (YEAR, "2026-01-01T05:00", "2027-01-01T04:59:59.999999", "2027-01-01T05:00"),
        ({"period": "anniversary_year"}, "2026-02-28T15:00", "2027-02-28T04:59:59.999", "2027-02-28T05:00"),
        ({"period": "anniversary_year"}, "2028-02-29T15:00", "2029-02-28T04:59:59.999", "2029-02-28T05:00"),
    ],
)
def test_what_is_counted_leaves_its_window_to_the_moment(
    metric: str, amount: int, window: dict[str, Any], at: str, last: str, first: str
) -> None:
    zone = "UTC" if window == ROLLING else NEW_YORK
    assert held(metric, window, at, last, zone) == amount
    assert held(metric, window, at, first, zone) == 0


def test_days_leave_with_the_first_moment_of_their_day() -> None:
    assert held("days", ROLLING, "2026-01-10T18:00", "2027-01-09T23:59:59.999999") == 1
    assert held("days", ROLLING, "2026-01-10T18:00", "2027-01-10") == 0
    # A day of 23 hours in New York begins at 05:00, the day after at 04:00.
    assert held("days", {"months": 1}, "2026-03-08T20:00", "2026-04-08T03:59:59.999", NEW_YORK) == 1
    assert held("days", {"months": 1}, "2026-03-08T20:00", "2026-04-08T04:00", NEW_YORK) == 0


@pytest.mark.parametrize("metric", [*COUNTED, "days"])
def test_a_lifetime_has_no_edge(metric: str) -> None:
    assert held(metric, {"period": "lifetime"}, "2006-02-28", "2106-03-01") > 0


Bought = Callable[[Chain], Any]
REVIEWS = [
    # (review, window, bought at, the review's moment)
    ({"months": 12}, 12, "2028-02-29T08:00", "2029-02-28T08:00"),
    ({"months": 12}, 12, "2027-02-28T08:00", "2028-02-28T08:00"),
    ({"months": 1}, 1, "2026-02-20T14:00", "2026-03-20T13:00"),
    ({"months": 13}, 12, "2026-01-31T08:00", "2027-02-28T08:00"),
    ({"at": "first_of_month"}, 1, "2026-02-10T08:00", "2026-03-01T05:00"),
    ({"at": "first_of_month"}, 1, "2026-03-31T12:00", "2026-04-01T04:00"),
    ({"at": "end_of_next_year"}, 12, "2027-01-01T04:59:59.999", "2028-01-01T05:00"),
    ({"at": "end_of_next_year"}, 12, "2027-01-01T05:00", "2029-01-01T05:00"),
]


@pytest.mark.parametrize(("review", "window", "bought", "due"), REVIEWS)
def test_a_review_comes_to_the_moment(review: dict[str, Any], window: int, bought: str, due: str) -> None:
    chain = Chain(rules(review=review, window=window, zone=NEW_YORK))
    chain.buys(bought, 100_00)
    assert chain.member().until == day(due)
    before = day(due).replace(tzinfo=None)
    assert chain.clock((before - (day("2026-01-01T00:00:00.000001") - day("2026-01-01"))).isoformat()) == []
    (event,) = chain.clock(due)
    assert (event.since, event.reason in ("downgrade", "renewal")) == (day(due), True)


LADDER = [
    {"name": "member"},
    {"name": "silver", "from": 100_00},
    {"name": "gold", "from": 250_00},
    {"name": "black", "from": 500_00},
]


@pytest.mark.parametrize(
    ("policy", "review", "falls"),
    [
        ({}, {}, [("member", "2029-02-28")]),
        (
            {"to": "one_step"},
            {},
            [("gold", "2029-02-28"), ("silver", "2030-02-28"), ("member", "2031-02-28")],
        ),
        ({"to": "soft_landing"}, {}, [("gold", "2029-02-28"), ("member", "2030-02-28")]),
        # A month of grace from 28 February ends on 28 March.
        ({}, {"grace_months": 1}, [("black", "2029-02-28"), ("member", "2029-03-28")]),
        (
            {"to": "one_step", "once_in_months": 18},
            {},
            [("gold", "2029-02-28"), ("gold", "2030-02-28"), ("silver", "2031-02-28"), ("silver", "2032-02-28"),
             ("member", "2033-02-28")],
        ),
    ],
)  # fmt: skip
def test_every_policy_of_downgrades_from_the_29th_of_february_on(
    policy: dict[str, Any], review: dict[str, Any], falls: list[tuple[str, str]]
) -> None:
    chain = Chain(rules(tiers=LADDER, downgrade=policy, review={"months": 12, **review}))
    chain.buys("2028-02-29T23:59:59.999", 500_00)
    for tier, moment in falls:
        at = f"{moment}T23:59:59.999"
        assert chain.clock(f"{moment}T23:59:59.998") == []
        (event,) = chain.clock(at)
        assert (event.to_tier, event.since) == (tier, day(at))
    assert chain.clock("2050-01-01") == []


def test_at_most_one_downgrade_is_counted_in_calendar_months() -> None:
    chain = Chain(
        rules(
            tiers=LADDER, window=1, review={"at": "first_of_month"},
            downgrade={"to": "one_step", "once_in_months": 6}, zone=NEW_YORK,
        )
    )  # fmt: skip
    chain.buys("2026-08-15", 500_00)
    # From 1 October, 00:00 in summer time, to 1 April, 00:00 in summer time: winter lies between.
    falls = [change for change in said(chain.clock("2027-04-01T03:59:59.999")) if change[2] == "downgrade"]
    assert falls == [("ann", "gold", "downgrade", "2026-10-01")]
    assert said(chain.clock("2027-04-01T04:00")) == [("ann", "silver", "downgrade", "2027-04-01")]


def test_a_card_and_a_grant_end_to_the_moment() -> None:
    card = {"name": "plus", "tier": "gold", "months": 12, "sku": "PLUS"}
    chain = Chain(rules(cards=[card]))
    chain.buys("2028-02-29T08:00", 1, sku="PLUS")
    assert chain.clock("2029-02-28T07:59:59.999999") == []
    assert said(chain.clock("2029-02-28T08:00")) == [("ann", "member", "card_ended", "2029-02-28")]
    chain.grants("2029-03-01", "gold", "2029-03-02T00:00:00.001")
    assert chain.clock("2029-03-02") == []
    assert said(chain.clock("2029-03-02T00:00:00.001")) == [("ann", "member", "grant_ended", "2029-03-02")]
