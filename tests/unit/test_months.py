"""Calendar months in a program's own time zone; the look by the hour says what the calendar says."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.common.months import shift_months

NEW_YORK = ZoneInfo("America/New_York")
HALF_AN_HOUR = timedelta(minutes=30)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "months", "shifted"),
    [
        ("2026-01-31T12:00:00", 1, "2026-02-28T12:00:00"),
        ("2024-01-31T12:00:00", 1, "2024-02-29T12:00:00"),
        ("2024-02-29T12:00:00", 12, "2025-02-28T12:00:00"),
        ("2026-03-31T12:00:00", -1, "2026-02-28T12:00:00"),
        ("2026-01-15T12:00:00", -12, "2025-01-15T12:00:00"),
        ("2026-12-01T00:00:00.000001", 1, "2027-01-01T00:00:00.000001"),
    ],
)
def test_a_day_that_the_month_lacks_becomes_its_last(time: str, months: int, shifted: str) -> None:
    assert shift_months(utc(time), months, ZoneInfo("UTC")) == utc(shifted)


def test_the_local_hour_is_kept_over_a_change_of_the_clocks() -> None:
    # 09:00 in New York is 14:00 UTC in winter and 13:00 UTC in summer.
    assert shift_months(utc("2026-01-10T14:00:00"), 6, NEW_YORK) == utc("2026-07-10T13:00:00")


def test_the_local_day_decides_not_the_day_in_utc() -> None:
    # 31 March 23:30 in New York is 1 April in UTC.
    assert shift_months(utc("2026-04-01T03:30:00"), -1, NEW_YORK) == utc("2026-03-01T04:30:00")


def test_an_hour_that_the_change_of_the_clocks_leaves_out_is_taken_by_the_offset_before() -> None:
    # 02:30 on 8 March 2026 does not exist in New York.
    assert shift_months(utc("2026-02-08T07:30:00"), 1, NEW_YORK) == utc("2026-03-08T07:30:00")


def test_an_hour_that_comes_twice_is_the_first_one() -> None:
    # 01:30 on 1 November 2026 comes twice in New York.
    assert shift_months(utc("2026-10-01T05:30:00"), 1, NEW_YORK) == utc("2026-11-01T05:30:00")


def test_from_the_second_of_two_such_hours_too() -> None:
    # 1 November 2020 was such a day as well: 05:30 in UTC is its first 01:30, and 06:30 its second.
    assert shift_months(utc("2020-11-01T05:30:00"), 72, NEW_YORK) == utc("2026-11-01T05:30:00")
    assert shift_months(utc("2020-11-01T06:30:00"), 72, NEW_YORK) == utc("2026-11-01T05:30:00")


@pytest.mark.parametrize(("time", "months"), [("9999-06-01T00:00:00", 12), ("0001-06-01T00:00:00", -12)])
def test_there_are_no_years_before_the_first_or_after_the_last(time: str, months: int) -> None:
    with pytest.raises(OverflowError, match="out of range"):
        shift_months(utc(time), months, NEW_YORK)


def by_the_calendar(time: datetime, months: int, zone: str) -> datetime:
    local = time.astimezone(ZoneInfo(zone))
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day, fold=0).astimezone(UTC)


FIRST, LAST = (datetime(year, 1, 1) for year in (1970, 2060))  # noqa: DTZ001
ZONES = (
    "UTC", "America/New_York", "Asia/Kolkata", "Asia/Tehran", "Australia/Adelaide", "Australia/Lord_Howe",
    "Europe/Dublin", "Pacific/Apia",
)  # fmt: skip


@given(st.datetimes(FIRST, LAST, timezones=st.just(UTC)), st.integers(-84, 84), st.sampled_from(ZONES))
@example(utc("2026-04-04T14:45:00"), -72, "Australia/Lord_Howe")
@example(utc("2020-10-03T16:29:59"), 72, "Australia/Adelaide")
@example(utc("2026-01-31T04:59:59"), 1, "America/New_York")
@example(utc("2026-01-31T18:45:00"), 1, "Asia/Kolkata")
@example(utc("2026-01-29T18:45:00"), 1, "Asia/Kolkata")
def test_every_instant_of_an_hour_is_moved_as_the_calendar_says(
    time: datetime, months: int, zone: str
) -> None:
    assert shift_months(time, months, ZoneInfo(zone)) == by_the_calendar(time, months, zone)


def clock_changes(zone: str) -> list[datetime]:
    """Half hours of 2024 and 2025 at which the zone's offset changes, and the one a year before each."""
    start, tz = utc("2024-01-01T00:00"), ZoneInfo(zone)
    halves = [start + n * HALF_AN_HOUR for n in range(2 * 366 * 48)]
    changed = [b for a, b in pairwise(halves) if a.astimezone(tz).utcoffset() != b.astimezone(tz).utcoffset()]
    return [*changed, *(time - timedelta(days=366) for time in changed)]


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Europe/Dublin"])
def test_so_it_is_where_a_clock_is_changed(zone: str) -> None:
    changes = clock_changes(zone)
    assert len(changes) == 8
    for months in (6, 12):
        for change in changes:
            for minutes in range(-90, 91, 7):
                time = change + timedelta(minutes=minutes, microseconds=1)
                assert shift_months(time, months, ZoneInfo(zone)) == by_the_calendar(time, months, zone), time
