"""When something holds by the clock on the wall, on the days on which the clocks change too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.common.local_time import ALWAYS, read_store_zones, read_window
from services.common.program_section import Section

BERLIN, KATHMANDU = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")
NIGHT = {"hours": [{"from": "02:00", "to": "03:00"}]}


def holds(when: dict[str, Any], at: str, zone: ZoneInfo = BERLIN) -> bool:
    return read_window(Section(when, "")).holds(datetime.fromisoformat(at).replace(tzinfo=UTC), zone)


@pytest.mark.parametrize(
    ("when", "at", "open_"),
    [
        ({}, "2026-01-05T12:00:00", True),
        ({"weekdays": ["mon"]}, "2026-01-05T22:59:59.999999", True),
        ({"weekdays": ["mon"]}, "2026-01-05T23:00:00", False),
        ({"dates": [{"from": "2026-01-05", "to": "2026-01-06"}]}, "2026-01-04T22:59:59", False),
        ({"dates": [{"from": "2026-01-05", "to": "2026-01-06"}]}, "2026-01-04T23:00:00", True),
        ({"dates": [{"from": "2026-01-05", "to": "2026-01-06"}]}, "2026-01-06T22:59:59", True),
        ({"dates": [{"from": "2026-01-05", "to": "2026-01-06"}]}, "2026-01-06T23:00:00", False),
        ({"hours": [{"from": "00:00", "to": "24:00"}]}, "2026-01-05T22:59:59", True),
        ({"weekdays": ["mon"], "hours": [{"from": "09:00", "to": "10:00"}]}, "2026-01-06T08:30:00", False),
        # The night in which two o'clock comes twice, and the one in which it does not come.
        (NIGHT, "2026-10-25T00:30:00", True),
        (NIGHT, "2026-10-25T01:30:00", True),
        (NIGHT, "2026-10-25T02:00:00", False),
        (NIGHT, "2026-03-29T00:59:59", False),
        (NIGHT, "2026-03-29T01:00:00", False),
    ],
)
def test_a_window_holds_by_the_clock_on_the_wall(when: dict[str, Any], at: str, open_: bool) -> None:
    assert holds(when, at) is open_


def test_a_place_may_be_three_quarters_of_an_hour_off() -> None:
    nine = {"hours": [{"from": "09:00", "to": "09:15"}]}
    assert holds(nine, "2026-01-05T03:15:00", KATHMANDU)
    assert not holds(nine, "2026-01-05T03:30:00", KATHMANDU)


def test_nothing_asked_is_always() -> None:
    assert read_window(Section({}, "")) == ALWAYS


def test_stores_have_zones_of_their_own() -> None:
    zones = read_store_zones(Section({"ktm": {"time_zone": "Asia/Kathmandu"}}, "ledger.stores"))
    assert zones == {"ktm": KATHMANDU}
