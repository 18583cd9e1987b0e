"""A till tells its own time; what is odd about it is told back, and changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

CLOCK_AHEAD_TOLERANCE = timedelta(minutes=5)
LATE_AFTER = timedelta(hours=24)


def flags(occurred_at: datetime | None, now: datetime) -> list[str]:
    """What is odd about a till's time. It earns by the rules of its day all the same."""
    if occurred_at is None:
        return []
    if occurred_at > now + CLOCK_AHEAD_TOLERANCE:
        return ["clock_ahead"]
    return ["late"] if occurred_at < now - LATE_AFTER else []
