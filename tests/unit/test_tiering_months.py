"""Windows and reviews at the ends of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from services.tiering.domain.months import EARLIEST, next_review, window_start

NEW_YORK = ZoneInfo("America/New_York")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_years_that_do_not_exist_end_windows_and_reviews() -> None:
    assert window_start(utc("0001-06-01T00:00:00"), 12, NEW_YORK) == EARLIEST
    assert window_start(EARLIEST, 1, NEW_YORK) == EARLIEST
    assert next_review(utc("9999-06-01T00:00:00"), 12, NEW_YORK) is None
    assert next_review(utc("9999-12-31T23:59:59"), 1, ZoneInfo("Asia/Tokyo")) is None
