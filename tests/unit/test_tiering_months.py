"""Calendar months in a program's own time zone."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.tiering.domain.months import EARLIEST, next_review, shift_months, window_start

NEW_YORK = ZoneInfo("America/New_York")


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


FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2019, 2027))


@given(
    st.sampled_from(["America/New_York", "Australia/Adelaide", "Australia/Lord_Howe", "Asia/Tehran", "UTC"]),
    st.integers(FIRST, LAST).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.integers(-84, 84),
)
@example("Australia/Lord_Howe", utc("2026-04-04T14:45:00"), -72)
@example("Australia/Adelaide", utc("2020-10-03T16:29:59"), 72)
@example("America/New_York", utc("2026-01-31T04:59:59"), 1)
def test_every_instant_of_an_hour_is_moved_as_the_calendar_says(
    zone: str, time: datetime, months: int
) -> None:
    local = time.astimezone(ZoneInfo(zone))
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    there = local.replace(year=year, month=month + 1, day=day, fold=0)
    assert shift_months(time, months, ZoneInfo(zone)) == there.astimezone(UTC)


def test_years_that_do_not_exist_end_windows_and_reviews() -> None:
    assert window_start(utc("0001-06-01T00:00:00"), 12, NEW_YORK) == EARLIEST
    assert window_start(EARLIEST, 1, NEW_YORK) == EARLIEST
    assert next_review(utc("9999-06-01T00:00:00"), 12, NEW_YORK) is None
    assert next_review(utc("9999-12-31T23:59:59"), 1, ZoneInfo("Asia/Tokyo")) is None
