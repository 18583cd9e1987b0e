"""Windows at their edges: the last millisecond, 29 February, a change of the clocks, the thirteenth month."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.tiering.domain.events import MemberEnrolled
from services.tiering.domain.program import Rules
from services.tiering.domain.windows import Span
from tests.unit.tiering_given import Chain, day, held, rules, said

NEW_YORK = ZoneInfo("America/New_York")
CALENDAR = {"period": "calendar_year"}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def yearly(**tiering: Any) -> Rules:
    return rules(window=CALENDAR, review={"at": "end_of_next_year"}, **tiering)


def test_thirty_stars_over_thirteen_months_are_no_gold() -> None:
    stars = [{"name": "stars", "counts": "visits"}]
    gold = Chain(
        rules(metric="stars", metrics=stars, tiers=[{"name": "green"}, {"name": "gold", "from": 30}])
    )
    late = Chain(gold.rules)
    for number in range(29):
        gold.buys(f"2025-{number % 12 + 1:02}-10T{number % 24:02}:00", 1)
    assert [e.to_tier for e in gold.buys("2026-01-01", 1)] == ["gold"]  # all within 12 months
    late.buys("2025-01-10", 1)
    for number in range(28):
        late.buys(f"2025-{number % 11 + 2:02}-10T{number % 24:02}:00", 1)
    assert late.buys("2026-01-10", 1) == []  # the thirtieth, in the thirteenth month: the first is a year old
    assert [e.to_tier for e in late.buys("2026-01-11", 1)] == ["gold"]


def test_the_last_millisecond_of_a_calendar_year_counts_and_the_first_of_the_next_begins_anew() -> None:
    chain = Chain(yearly(zone="America/New_York"))
    chain.buys("2026-02-01", 60_00)
    last, first = "2027-01-01T04:59:59.999", "2027-01-01T05:00"
    assert said(Chain(yearly(zone="America/New_York")).buys(last, 100_00)) == [
        ("ann", "silver", "upgrade", "2027-01-01")
    ]
    assert chain.buys(first, 40_00) == []
    assert held(chain.member()) == 40_00
    kept = Chain(yearly(zone="America/New_York"))
    kept.buys("2026-02-01", 60_00)
    assert said(kept.buys(last, 40_00)) == [("ann", "silver", "upgrade", "2027-01-01")]
    # Reached in 2026 by local time: kept to the end of 2027.
    assert kept.member().until == utc("2028-01-01T05:00:00")


def test_the_first_moment_of_a_calendar_year_is_in_it() -> None:
    chain = Chain(yearly())
    chain.buys("2026-01-01", 60_00)
    assert said(chain.buys("2026-12-31T23:59:59.999", 40_00)) == [("ann", "silver", "upgrade", "2026-12-31")]


def test_status_is_kept_to_the_end_of_the_next_year_and_reviewed_by_the_year_that_is_over() -> None:
    chain = Chain(yearly())
    chain.buys("2026-03-01", 100_00)
    chain.buys("2027-12-31T23:59:59.999", 100_00)
    assert chain.clock("2027-12-31T23:59:59.999999") == []
    (event,) = chain.clock("2028-01-01")
    assert (event.reason, event.metric, event.until) == ("renewal", 100_00, day("2029-01-01"))
    assert event.measures[0].up_to < day("2028-01-01")
    (event,) = chain.clock("2029-06-01")
    assert (event.to_tier, event.since, event.metric) == ("member", day("2029-01-01"), 0)


def test_a_late_purchase_counts_in_the_year_of_its_day() -> None:
    chain = Chain(yearly())
    chain.buys("2026-12-01", 60_00)
    chain.buys("2027-01-10", 1_00)
    (event,) = chain.buys("2026-12-20", 40_00)
    assert (event.to_tier, event.metric, event.threshold) == ("silver", 100_00, 100_00)
    # Given since the latest known moment, and kept as if it had been told in time.
    assert (event.since, event.until) == (day("2027-01-10"), day("2028-01-01"))
    assert (event.measures[0].after, event.measures[0].up_to) == (
        utc("2025-12-31T23:59:59.999999"),
        utc("2026-12-31T23:59:59.999999"),
    )


def test_a_late_purchase_of_a_year_whose_status_is_over_gives_nothing() -> None:
    chain = Chain(yearly())
    chain.buys("2026-12-01", 60_00)
    chain.buys("2028-01-01", 1_00)
    assert chain.buys("2026-12-20", 40_00) == []


def test_a_membership_year_begins_with_the_day_of_the_enrolment() -> None:
    chain = Chain(rules(window={"period": "anniversary_year"}, zone="America/New_York"))
    chain.when("2026-03-10T18:00", MemberEnrolled())
    chain.buys("2026-06-01", 60_00)
    assert chain.buys("2027-03-10T05:00", 40_00) == []  # midnight of the anniversary in New York
    other = Chain(chain.rules)
    other.when("2026-03-10T18:00", MemberEnrolled())
    other.buys("2026-06-01", 60_00)
    assert said(other.buys("2027-03-10T04:59:59.999", 40_00)) == [("ann", "silver", "upgrade", "2027-03-10")]


@pytest.mark.parametrize(
    ("period", "enrolled", "at", "after"),
    [
        ("calendar_year", "2020-01-01", "2026-07-01T00:00:00", "2026-01-01T04:59:59.999999"),
        # Enrolled on 29 February: the year begins on the 28th where there is no 29th.
        ("anniversary_year", "2024-02-29T15:00", "2025-02-28T04:59:59", "2024-02-29T04:59:59.999999"),
        ("anniversary_year", "2024-02-29T15:00", "2025-02-28T05:00:00", "2025-02-28T04:59:59.999999"),
        ("anniversary_year", "2024-02-29T15:00", "2028-02-29T04:59:59", "2027-02-28T04:59:59.999999"),
        ("anniversary_year", "2024-02-29T15:00", "2028-02-29T05:00:00", "2028-02-29T04:59:59.999999"),
        # The offset of the day itself: 8 March 2026 begins in winter time, 9 March in summer time.
        ("anniversary_year", "2020-03-08T15:00", "2026-03-08T23:00:00", "2026-03-08T04:59:59.999999"),
        ("anniversary_year", "2020-03-09T15:00", "2026-03-09T23:00:00", "2026-03-09T03:59:59.999999"),
        # Before the enrolment.
        ("anniversary_year", "2024-05-05T15:00", "2024-05-01T00:00:00", "2023-05-05T03:59:59.999999"),
    ],
)
def test_where_a_year_begins(period: str, enrolled: str, at: str, after: str) -> None:
    span = Span(NEW_YORK, 0, period)
    assert span.start(utc(at), utc(enrolled)) == utc(after)


@pytest.mark.parametrize("period", ["calendar_year", "anniversary_year"])
def test_each_year_begins_where_the_one_before_ends(period: str) -> None:
    span, enrolled = Span(NEW_YORK, 0, period), utc("2024-02-29T15:00")
    at = utc("2023-06-01T00:00")
    for _ in range(12):
        end = span.end(at, enrolled)
        assert end is not None
        assert span.start(end, enrolled) == span.start(at, enrolled)
        at = span.start(end, enrolled).replace(microsecond=0)
        at = end + (utc("2026-01-01T00:00:00.000001") - utc("2026-01-01"))
        assert span.start(at, enrolled) == end


def test_a_lifetime_forgets_nothing() -> None:
    chain = Chain(rules(window={"period": "lifetime"}))
    chain.buys("2006-01-01", 50_00)
    (event,) = chain.buys("2026-01-01", 50_00)
    assert (event.to_tier, event.until, event.rule) == ("silver", None, "spend of a lifetime >= 10000")
    assert chain.clock("2096-01-01") == []


def test_each_metric_may_have_a_window_of_its_own() -> None:
    metrics = [{"name": "ever", "counts": "spend", "window": {"period": "lifetime"}}]
    tiers = [
        {"name": "member"},
        {"name": "gold", "all_of": [{"from": 10_00}, {"metric": "ever", "from": 100_00}]},
    ]
    chain = Chain(rules(metrics=metrics, tiers=tiers))
    chain.buys("2020-01-05", 95_00)
    assert said(chain.buys("2026-01-05", 10_00)) == [("ann", "gold", "upgrade", "2026-01-05")]
    assert chain.member().values_now(chain.rules) == {"spend": 10_00, "ever": 105_00}


def test_a_rolling_window_of_months_keeps_the_local_hour_over_a_change_of_the_clocks() -> None:
    chain = Chain(rules(window=1, zone="America/New_York"))
    chain.buys("2026-02-20T14:00", 60_00)  # 09:00 in winter
    other = Chain(chain.rules)
    other.buys("2026-02-20T14:00:00.001", 60_00)
    assert chain.buys("2026-03-20T13:00", 40_00) == []  # 09:00 in summer, a month later to the moment
    assert said(other.buys("2026-03-20T13:00", 40_00)) == [("ann", "silver", "upgrade", "2026-03-20")]
