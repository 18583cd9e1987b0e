"""Which time a metric is counted over: rolling months, a calendar year, a membership year, or for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.tiering.domain.months import EARLIEST, anniversary_start, window_start, year_start

PERIODS = ("calendar_year", "anniversary_year", "lifetime")
MOMENT = timedelta(microseconds=1)
WORDS = {
    "calendar_year": "of the calendar year",
    "anniversary_year": "of the membership year",
    "lifetime": "of a lifetime",
}


@dataclass(slots=True, frozen=True)
class Span:
    """A window's length. With `months` it rolls: (t - months, t]. A `period` holds t: it begins with its first moment.

    A window is named by the moment after which it begins, so a period's is the last moment before its first.
    """

    zone: ZoneInfo
    months: int = 0
    period: str = ""

    @property
    def is_lifetime(self) -> bool:
        """What is counted is never lost by time."""
        return self.period == "lifetime"

    @property
    def is_yearly(self) -> bool:
        """Windows follow each other and do not overlap: a late purchase belongs to exactly one, maybe one gone by."""
        return self.period in ("calendar_year", "anniversary_year")

    def start(self, time: datetime, enrolled_at: datetime, closing: bool = False) -> datetime:
        """The moment after which the window of `time` begins.

        With `closing`, that of the window that has just ended when `time` is the first moment of the next: a review at
        midnight of New Year looks at the year that is over.
        """
        if self.months:
            return window_start(time, self.months, self.zone)
        if self.is_lifetime:
            return EARLIEST
        try:
            moment = time - MOMENT if closing else time
            if self.period == "calendar_year":
                return year_start(moment, self.zone) - MOMENT
            return anniversary_start(moment, enrolled_at, self.zone) - MOMENT
        except OverflowError:
            return EARLIEST

    def end(self, time: datetime, enrolled_at: datetime) -> datetime | None:
        """The last moment of the period of `time`; None for a window that does not end by itself."""
        if not self.is_yearly:
            return None
        try:
            if self.period == "calendar_year":
                return year_start(time, self.zone, 1) - MOMENT
            # Every membership year has 365 or 366 days, give or take a change of the clocks.
            start = anniversary_start(time, enrolled_at, self.zone)
            return anniversary_start(start + timedelta(days=367), enrolled_at, self.zone) - MOMENT
        except OverflowError:
            return None

    def words(self) -> str:
        """`of 12 months`, `of the calendar year`, ..."""
        return f"of {self.months} months" if self.months else WORDS[self.period]
