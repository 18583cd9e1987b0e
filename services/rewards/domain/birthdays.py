"""When a birthday is kept: on the day, in its week or in its month, each year once.

Only the month and the day are known here. Who was born on 29 February has it on the 28th where there is no 29th, so
that it stays in the same month.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from dataclasses import dataclass
from datetime import date, timedelta

SPANS = ("day", "week", "month")
LEAP_DAY = (2, 29)
DAYS_OF_WEEK = 7


@dataclass(slots=True, frozen=True)
class Window:
    """The days, first and last included, in which the birthday of `year` is kept."""

    year: int
    first: date
    last: date


def birthday_in(year: int, month: int, day: int) -> date:
    """The birthday of a year."""
    if (month, day) == LEAP_DAY and not isleap(year):
        day -= 1
    return date(year, month, day)


def window_of(year: int, month: int, day: int, span: str) -> Window:
    """The day itself, its week from Monday to Sunday, or its month. `year` is the birthday's, not the window's."""
    birthday = birthday_in(year, month, day)
    match span:
        case "day":
            return Window(year, birthday, birthday)
        case "week":
            monday = birthday - timedelta(days=birthday.weekday())
            return Window(year, monday, monday + timedelta(days=DAYS_OF_WEEK - 1))
    last = monthrange(year, month)[1]
    return Window(year, birthday.replace(day=1), birthday.replace(day=last))


def window_on(on: date, month: int, day: int, span: str) -> Window | None:
    """The window that a day is in, if it is in one. A week may be of a birthday in the year before or after."""
    for year in (on.year - 1, on.year, on.year + 1):
        window = window_of(year, month, day, span)
        if window.first <= on <= window.last:
            return window
    return None


def open_on(on: date, span: str) -> frozenset[tuple[int, int]]:
    """The (month, day) of the birthdays whose window a day is in."""
    begun = {"day": on, "week": on - timedelta(days=on.weekday()), "month": on.replace(day=1)}[span]
    return begins_on(begun, span)


def begins_on(on: date, span: str) -> frozenset[tuple[int, int]]:
    """The (month, day) of the birthdays whose window begins on a day."""
    if (span == "week" and on.weekday() != 0) or (span == "month" and on.day != 1):
        return frozenset()
    match span:
        case "day":
            days = [on]
        case "week":
            days = [on + timedelta(days=number) for number in range(DAYS_OF_WEEK)]
        case _:
            days = [on.replace(day=number + 1) for number in range(monthrange(on.year, on.month)[1])]
    found = {(day.month, day.day) for day in days}
    if any((day.month, day.day) == (2, 28) and not isleap(day.year) for day in days):
        found.add(LEAP_DAY)
    return frozenset(found)
