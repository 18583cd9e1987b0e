"""Birthdays: on which days they are kept, 29 February and the turn of the year among them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from services.rewards.domain.birthdays import SPANS, Window, begins_on, birthday_in, window_of, window_on


def test_a_leap_day_is_kept_on_the_28th_where_there_is_no_29th() -> None:
    kept = [birthday_in(year, 2, 29) for year in (2024, 2026, 2000, 2100)]
    assert [day.isoformat() for day in kept] == ["2024-02-29", "2026-02-28", "2000-02-29", "2100-02-28"]


@pytest.mark.parametrize(
    ("year", "month", "day", "span", "first", "last"),
    [
        (2026, 6, 17, "day", "2026-06-17", "2026-06-17"),
        (2026, 6, 17, "week", "2026-06-15", "2026-06-21"),
        (2026, 6, 15, "week", "2026-06-15", "2026-06-21"),
        (2026, 6, 21, "week", "2026-06-15", "2026-06-21"),
        (2026, 6, 17, "month", "2026-06-01", "2026-06-30"),
        (2026, 2, 29, "day", "2026-02-28", "2026-02-28"),
        (2026, 2, 29, "month", "2026-02-01", "2026-02-28"),
        (2024, 2, 29, "month", "2024-02-01", "2024-02-29"),
        (2027, 1, 1, "week", "2026-12-28", "2027-01-03"),
    ],
)
def test_a_birthday_is_kept_on_the_day_in_the_week_or_in_the_month(
    year: int, month: int, day: int, span: str, first: str, last: str
) -> None:
    wanted = Window(year, date.fromisoformat(first), date.fromisoformat(last))
    assert window_of(year, month, day, span) == wanted


def test_a_week_over_new_year_belongs_to_the_year_of_the_birthday() -> None:
    on = date(2026, 12, 29)
    assert window_on(on, 1, 1, "week") == window_of(2027, 1, 1, "week")
    assert window_on(on, 12, 31, "week") == window_of(2026, 12, 31, "week")
    assert window_on(date(2027, 1, 2), 12, 31, "week") == window_of(2026, 12, 31, "week")
    assert window_on(on, 1, 4, "week") is None


@pytest.mark.parametrize("span", SPANS)
def test_every_birthday_begins_once_a_year_and_its_window_is_open_then(span: str) -> None:
    day, seen = date(2024, 1, 1), dict.fromkeys(range(2024, 2029), 0)
    while day < date(2028, 12, 25):
        for month, number in begins_on(day, span):
            window = window_on(day, month, number, span)
            assert window is not None and window.first == day
            seen[window.year] += 1
        day += timedelta(days=1)
    assert [seen[year] for year in (2024, 2025, 2026, 2027)] == [366] * 4, (
        "all days of a leap year, each year"
    )
