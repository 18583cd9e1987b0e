"""A till's clock that is off is told, within tolerances."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from services.ledger.routes.till_clocks import CLOCK_AHEAD_TOLERANCE, LATE_AFTER, flags
from tests.unit.ledger_given import NOON

MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("occurred_at", "expected"),
    [
        (None, []),
        (NOON, []),
        (NOON + CLOCK_AHEAD_TOLERANCE, []),
        (NOON + CLOCK_AHEAD_TOLERANCE + MOMENT, ["clock_ahead"]),
        (NOON - LATE_AFTER, []),
        (NOON - LATE_AFTER - MOMENT, ["late"]),
    ],
)
def test_a_time_is_flagged_beyond_the_tolerance(occurred_at: datetime | None, expected: list[str]) -> None:
    assert flags(occurred_at, NOON) == expected
