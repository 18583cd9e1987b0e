"""Pending points, month ends, fixed days and inactivity, read naively: day by day, in UTC."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta

RULES = {
    "v1": {"expiry": {"months": 1}},
    "v2": {},
    "v3": {"expiry": {"months": 1}},
    "month_end": {"pending": {"days": 3}, "expiry": {"months": 1, "to": "month_end"}},
    "fixed_day": {"pending": {"days": 14}, "expiry": {"fixed_day": "03-10", "after_months": 1}},
    "inactivity": {"pending": {"days": 7}, "expiry": {"inactivity_months": 1, "activities": ["purchase"]}},
    "redeeming": {"expiry": {"inactivity_months": 2, "activities": ["redemption", "return"]}},
}
"""What the program says of its lots, by version."""
KEEPS_ALIVE = {"inactivity": (1, ("purchase",)), "redeeming": (2, ("redemption", "return"))}
"""(months, activities) by version."""
PENDING_DAYS = {"month_end": 3, "fixed_day": 14, "inactivity": 7}


def months_on(at: datetime, months: int) -> datetime:
    """The same day and time so many months on, or that month's last day."""
    first = at.replace(day=1)
    for _ in range(months):
        first = (first + timedelta(days=31)).replace(day=1)
    return first.replace(day=min(at.day, monthrange(first.year, first.month)[1]))


def midnight_after(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def expiry(version: str, at: datetime) -> datetime | None:
    """When points that a purchase at `at` earned expire; None: not on a day of their own."""
    if version not in ("v1", "v3", "month_end", "fixed_day"):
        return None
    there = months_on(at, 1)
    day = midnight_after(there)
    if version == "month_end":
        while day.day != 1:
            day += timedelta(days=1)
        return day
    if version == "fixed_day":
        while (day - timedelta(days=1)).strftime("%m-%d") != "03-10":
            day += timedelta(days=1)
        return day
    return there


def maturity(version: str, at: datetime, clock: datetime) -> datetime | None:
    """Until when such points are pending."""
    matures = at + timedelta(days=PENDING_DAYS.get(version, 0))
    return matures if matures > max(at, clock) else None


def lapse(version: str, kind: str, at: datetime, before: datetime | None) -> datetime | None:
    """When a member's points lapse after an activity, if `before` says when they would have without it."""
    if version not in KEEPS_ALIVE:
        # Points that nobody did anything for leave the day as it is.
        return before if kind == "points" else None
    months, activities = KEEPS_ALIVE[version]
    there = midnight_after(months_on(at, months))
    if before is None:
        return there
    return max(before, there) if kind in activities else before
