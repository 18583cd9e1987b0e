"""How points end: the modes of `ledger.expiry`, and where in the calendar their months come to lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.common.program_section import Section

MONTHS_MAX = 1_200
ENDS = ("same_day", "month_end")
ACTIVITIES = ("purchase", "return", "redemption")
"""What can put off the lapse of a member's points."""
ACTIVITIES_DEFAULT = ("purchase", "redemption")
ONE_OF = ("months", "fixed_day", "inactivity_months")
GOES_WITH = {"to": "months", "after_months": "fixed_day", "activities": "inactivity_months"}
COMMON_YEAR = 2025


@dataclass(slots=True, frozen=True)
class Expiry:
    """Where the months of a program's expiry end. By default: the same day and time so many months on."""

    to_month_end: bool = False
    fixed_day: tuple[int, int] | None = None
    """(month, day): with the end of the first such day."""
    activities: frozenset[str] = frozenset()
    """Not empty: points have no day of their own; all lapse when the member did none of these for so long."""

    def end(self, there: datetime, zone: ZoneInfo) -> datetime:
        """The instant at which points expire whose months are over `there`. Days end at midnight in `zone`."""
        if not self.to_month_end and self.fixed_day is None:
            return there
        local = there.astimezone(zone)
        if self.fixed_day is None:
            first_of_next = date(local.year + local.month // 12, local.month % 12 + 1, 1)
            return end_of_day(first_of_next - timedelta(days=1), zone)
        day = date(local.year, *self.fixed_day)
        if day < local.date():
            day = date(local.year + 1, *self.fixed_day)
        return end_of_day(day, zone)


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The midnight after `day` in `zone`, as UTC."""
    after = day + timedelta(days=1)
    return datetime(after.year, after.month, after.day, tzinfo=zone).astimezone(UTC)


def read_expiry(section: Section) -> tuple[int | None, Expiry]:
    """(months, where they end) of a document's `expiry`; None: points never expire. Raises ProgramError."""
    section.only("months", "to", "fixed_day", "after_months", "inactivity_months", "activities")
    modes = [key for key in ONE_OF if key in section.values]
    if len(modes) > 1:
        raise section.wrong(modes[1], f"cannot stand beside {modes[0]}: points end in one way")
    for key, mode in GOES_WITH.items():
        if key in section.values and mode not in modes:
            raise section.wrong(key, f"says something only beside {mode}")
    to = section.choice("to", ENDS, "same_day")
    match modes:
        case ["months"]:
            return section.whole("months", 1, MONTHS_MAX), Expiry(to_month_end=to == "month_end")
        case ["fixed_day"]:
            return section.whole("after_months", 1, MONTHS_MAX), Expiry(fixed_day=_day(section))
        case ["inactivity_months"]:
            return section.whole("inactivity_months", 1, MONTHS_MAX), Expiry(activities=_activities(section))
    return None, Expiry()


def _day(section: Section) -> tuple[int, int]:
    text = section.text("fixed_day")
    match = re.fullmatch(r"(\d\d)-(\d\d)", text)
    try:
        if match is not None:
            day = date(COMMON_YEAR, int(match[1]), int(match[2]))
            return day.month, day.day
    except ValueError:
        pass
    raise section.wrong("fixed_day", f'is {text!r}; month and day of every year, such as "12-31"')


def _activities(section: Section) -> frozenset[str]:
    kinds = section.texts("activities") if "activities" in section.values else list(ACTIVITIES_DEFAULT)
    for kind in kinds:
        if kind not in ACTIVITIES:
            raise section.wrong("activities", f"has {kind!r}; known: {', '.join(ACTIVITIES)}")
    if not kinds:
        raise section.wrong(
            "activities", "is empty: name at least one, or points lapse whatever a member does"
        )
    return frozenset(kinds)
