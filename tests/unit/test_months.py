"""When points expire: the shortcut by whole hours says what the calendar says, to the microsecond."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.common.chain import from_micros
from services.ledger.domain.earning import add_months, expiry_of
from tests.unit.ledger_given import program

ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "Europe/Dublin")
HALF_AN_HOUR = timedelta(minutes=30)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def clock_changes(zone: str) -> list[datetime]:
    """Half hours of 2024 and 2025 at which the zone's offset changes, and the one a year before each."""
    start, tz = utc("2024-01-01T00:00"), ZoneInfo(zone)
    halves = [start + n * HALF_AN_HOUR for n in range(2 * 366 * 48)]
    changed = [b for a, b in pairwise(halves) if a.astimezone(tz).utcoffset() != b.astimezone(tz).utcoffset()]
    return [*changed, *(time - timedelta(days=366) for time in changed)]


def by_the_calendar(earned_at: datetime, zone: str, months: int) -> datetime:
    return add_months(earned_at.astimezone(ZoneInfo(zone)), months).astimezone(UTC)


@given(
    st.integers(0, 90 * 365 * 86_400 * 1_000_000).map(from_micros),
    st.sampled_from(ZONES),
    st.sampled_from((1, 6, 12, 13)),
)
@example(utc("2026-01-31T18:45"), "Asia/Kolkata", 1)
@example(utc("2026-01-29T18:45"), "Asia/Kolkata", 1)
def test_the_shortcut_is_the_calendar(earned_at: datetime, zone: str, months: int) -> None:
    rules = replace(program(), time_zone=ZoneInfo(zone), expiry_months=months)
    assert expiry_of(rules, earned_at) == by_the_calendar(earned_at, zone, months)


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Europe/Dublin"])
def test_the_shortcut_is_the_calendar_where_a_clock_is_changed(zone: str) -> None:
    changes = clock_changes(zone)
    assert len(changes) == 8
    for months in (6, 12):
        rules = replace(program(), time_zone=ZoneInfo(zone), expiry_months=months)
        for change in changes:
            for minutes in range(-90, 91, 7):
                time = change + timedelta(minutes=minutes, microseconds=1)
                assert expiry_of(rules, time) == by_the_calendar(time, zone, months), time
