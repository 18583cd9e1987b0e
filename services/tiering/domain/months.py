"""Where windows, reviews and membership years begin and end, in a program's time zone."""

from __future__ import annotations

from datetime import MAXYEAR, MINYEAR, UTC, datetime
from zoneinfo import ZoneInfo

from services.common.months import shift_months

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)


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
