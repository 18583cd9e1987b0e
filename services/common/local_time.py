"""When something holds by the clock on the wall: days, weekdays, hours, where a store or else the program is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from services.common.program_section import Section

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WINDOWS_MAX = 1_000
FIELDS = ("dates", "weekdays", "hours")
_HOUR = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


@dataclass(slots=True, frozen=True)
class Window:
    """All of it must hold; what is empty asks for nothing."""

    dates: tuple[tuple[int, int], ...] = ()
    """Proleptic ordinals of the first and the last day."""
    weekdays: frozenset[int] = frozenset()
    """From 0, Monday."""
    hours: tuple[tuple[int, int], ...] = ()
    """Minutes of the day: from the first to before the second."""

    def holds(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether it is open at a moment, in a place's time."""
        there = at.astimezone(zone)
        day, minute = there.toordinal(), there.hour * 60 + there.minute
        return (
            (not self.weekdays or there.weekday() in self.weekdays)
            and (not self.dates or any(first <= day <= last for first, last in self.dates))
            and (not self.hours or any(first <= minute < last for first, last in self.hours))
        )


ALWAYS = Window()


def read_window(when: Section) -> Window:
    """`dates`, `weekdays` and `hours`. Raises ProgramError."""
    return Window(tuple(read_spans(when, "dates")), read_weekdays(when), tuple(read_spans(when, "hours")))


def read_weekdays(when: Section) -> frozenset[int]:
    """`weekdays` as numbers. Raises ProgramError."""
    weekdays = when.texts("weekdays")
    if "weekdays" in when.values and not weekdays:
        raise when.wrong("weekdays", "is empty: leave it out where anything will do")
    for day in weekdays:
        if day not in WEEKDAYS:
            raise when.wrong("weekdays", f"has {day!r}; days are {', '.join(WEEKDAYS)}")
    return frozenset(WEEKDAYS.index(day) for day in weekdays)


def read_spans(when: Section, key: str) -> Iterator[tuple[int, int]]:
    """`hours` as minutes of the day, or `dates` as days' ordinals. Raises ProgramError."""
    for span in when.sections(key, WINDOWS_MAX):
        span.only("from", "to")
        first, last = _bound(span, "from", key), _bound(span, "to", key)
        if first > last or (key == "hours" and first == last):
            raise span.wrong("to", "is before `from`; a window over midnight is written as two")
        yield first, last


def read_store_zones(stores: Section) -> Mapping[str, ZoneInfo]:
    """`ledger.stores`: the time zones of stores that keep another time than the program. Raises ProgramError."""
    zones = {}
    for store in stores.values:
        section = stores.section(store)
        section.only("time_zone")
        zones[str(store)] = section.zone("time_zone")
    return zones


def _bound(span: Section, key: str, kind: str) -> int:
    if kind == "hours":
        told = span.text(key)
        if not _HOUR.fullmatch(told):
            raise span.wrong(key, f"is {told!r}; a time of day from 00:00 to 24:00")
        return int(told[:2]) * 60 + int(told[3:])
    day = span.day(key)
    if day is None:
        raise span.wrong(key, "is missing")
    return day.toordinal()
