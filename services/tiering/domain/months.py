"""Calendar months in a program's time zone: what `12 months` before or after a moment is."""

from __future__ import annotations

from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
SHORTEST_MONTH = 28
HOUR = timedelta(hours=1)
HOURS_REMEMBERED = 8_192
"""A batch's purchases are hours apart at most, and so are their windows. Measured: a tenth of what a purchase costs."""


def shift_months(time: datetime, months: int, zone: ZoneInfo) -> datetime:
    """The same local date and time `months` later (earlier when negative), in UTC.

    A day that the month does not have becomes its last day (31 January and one month: 28 or 29 February). A local time
    that a change of the clocks leaves out, or has twice, is taken by the offset before the change.

    Raises:
        OverflowError: there is no such year.
    """
    if time.tzinfo is UTC:
        shift = _shift_of_hour(time.toordinal() * 24 + time.hour, months, zone)
        if shift is not None:
            return time + shift
    return _shifted(time, months, zone)


@lru_cache(maxsize=HOURS_REMEMBERED)
def _shift_of_hour(number: int, months: int, zone: ZoneInfo) -> timedelta | None:
    """How far all instants of an hour, counted in UTC, are moved; None when they differ (a clock is changed, a month is
    short) or there is no such year for some."""
    day, hour = divmod(number, 24)
    first = datetime.fromordinal(day).replace(hour=hour, tzinfo=UTC)
    try:
        last = first + HOUR - timedelta.resolution
        shift = _shifted(first, months, zone) - first
        return shift if _shifted(last, months, zone) - last == shift else None
    except OverflowError:
        return None


def _shifted(time: datetime, months: int, zone: ZoneInfo) -> datetime:
    local = time.astimezone(zone)
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    if not MINYEAR <= year <= MAXYEAR:
        raise OverflowError(f"{months} months from {time} is out of range")
    day = local.day
    if day > SHORTEST_MONTH:
        day = min(day, monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day, fold=0).astimezone(UTC)


def window_start(time: datetime, months: int, zone: ZoneInfo) -> datetime:
    """The moment after which a window of `months` that ends with `time` begins."""
    try:
        return shift_months(time, -months, zone)
    except OverflowError:
        return EARLIEST


def next_review(time: datetime, months: int, zone: ZoneInfo) -> datetime | None:
    """When a tier given at `time` is reviewed; None when that is after the last year there is."""
    try:
        return shift_months(time, months, zone)
    except OverflowError:
        return None


def local_midnight(time: datetime, zone: ZoneInfo) -> datetime:
    """The first moment of the local day of `time`, in UTC."""
    return time.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)


def year_start(time: datetime, zone: ZoneInfo, years: int = 0) -> datetime:
    """1 January, midnight, of the local year of `time` and `years` later, in UTC.

    Raises:
        OverflowError: there is no such year.
    """
    year = time.astimezone(zone).year + years
    if not MINYEAR <= year <= MAXYEAR:
        raise OverflowError(f"year {year} is out of range")
    return datetime(year, 1, 1, tzinfo=zone).astimezone(UTC)


def month_start(time: datetime, zone: ZoneInfo, months: int) -> datetime:
    """The first of the month, midnight, `months` after the local month of `time`, in UTC. Raises OverflowError."""
    return shift_months(local_midnight(time, zone).astimezone(zone).replace(day=1), months, zone)


def anniversary_start(time: datetime, enrolled_at: datetime, zone: ZoneInfo) -> datetime:
    """The first moment of the membership year of `time`: midnight of the day on which the member enrolled, in its year.

    Who enrolled on 29 February has an anniversary on the last of February. Times before the enrolment belong to
    membership years before the first.
    """
    first = local_midnight(enrolled_at, zone)
    years = time.astimezone(zone).year - first.astimezone(zone).year
    start = shift_months(first, 12 * years, zone)
    return start if start <= time else shift_months(first, 12 * (years - 1), zone)
