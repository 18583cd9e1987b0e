"""Reads a program document field by field, with errors that name the field. What fields mean is each service's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

PROGRAM_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
SECTIONS = ("ledger", "tiering", "rewards")
ENTRIES_MAX = 10_000
RATE_MAX = 1_000_000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DECIMAL = re.compile(r"\d{1,9}(\.\d{1,9})?")


class ProgramError(ValueError):
    """The document is wrong at `field` (a path such as `ledger.earning.rounding`)."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


class Section:
    """Typed reading of one mapping of the document. Every reader raises ProgramError with the field's path."""

    def __init__(self, values: Any, path: str) -> None:
        if not isinstance(values, Mapping):
            raise ProgramError(path or "document", "must be a mapping")
        self.values = values
        self.path = path

    def at(self, key: str) -> str:
        """The path of a field."""
        return f"{self.path}.{key}" if self.path else key

    def wrong(self, key: str, detail: str) -> ProgramError:
        """The error to raise for a field."""
        return ProgramError(self.at(key), detail)

    def only(self, *keys: str) -> None:
        """Refuse fields that nobody reads: a misspelt rule must not be passed over."""
        for key in self.values:
            if key not in keys:
                raise self.wrong(str(key), f"is not known here; known: {', '.join(keys)}")

    def section(self, key: str, *, optional: bool = False) -> Section:
        """The mapping at `key`; an empty one where it is optional and missing."""
        if key not in self.values:
            if optional:
                return Section({}, self.at(key))
            raise self.wrong(key, "is missing")
        return Section(self.values[key], self.at(key))

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self.values.get(key, default)
        if not isinstance(value, str) or not value:
            raise self.wrong(key, "is missing" if value is None else "must be text")
        return value

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of `choices`."""
        value = self.text(key, default)
        if value not in choices:
            raise self.wrong(key, f"is {value!r}; one of {', '.join(choices)}")
        return value

    def texts(self, key: str) -> list[str]:
        """A list of texts; an empty one where it is missing."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, "must be a list of texts")
        if len(value) > ENTRIES_MAX:
            raise self.wrong(key, f"has {len(value)} entries; at most {ENTRIES_MAX} are taken")
        return value

    def sections(self, key: str, most: int = ENTRIES_MAX) -> Iterator[Section]:
        """The mappings of the list at `key`, each with its place in its path; none where it is missing."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise self.wrong(key, "must be a list")
        if len(value) > most:
            raise self.wrong(key, f"has {len(value)} entries; at most {most} are taken")
        for place, entry in enumerate(value):
            yield Section(entry, f"{self.at(key)}[{place}]")

    def whole(self, key: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number from `least` to `most`."""
        value = self.values.get(key, default)
        if value is None:
            raise self.wrong(key, "is missing")
        if type(value) is not int or not least <= value <= most:
            raise self.wrong(key, f"must be a whole number from {least} to {most}")
        return value

    def day(self, key: str) -> date | None:
        """A day such as 2026-11-27; None where it is missing."""
        if key not in self.values:
            return None
        told = self.text(key)
        try:
            if _DAY.fullmatch(told):
                return date.fromisoformat(told)
        except ValueError:
            pass
        raise self.wrong(key, f"is {told!r}; a day such as 2026-11-27")

    def zone(self, key: str, default: str | None = None) -> ZoneInfo:
        """A time zone of the IANA database, by its name."""
        name = self.text(key, default)
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise self.wrong(key, f"{name!r} is no time zone of the IANA database") from error

    def rate(self, key: str) -> Fraction:
        """An exact rate from a whole number or a decimal's text. Bounded, so that points fit in 64 bits."""
        if key not in self.values:
            raise self.wrong(key, "is missing")
        value = self.values[key]
        if type(value) is int or (isinstance(value, str) and _DECIMAL.fullmatch(value)):
            rate = Fraction(value)
            if 0 <= rate <= RATE_MAX:
                return rate
        raise self.wrong(key, f"is {value!r}; a decimal from 0 to {RATE_MAX} with at most 9 places")

    def rates(self, key: str) -> dict[str, Fraction]:
        """The rates in the mapping at `key`, by name; none where it is missing."""
        section = self.section(key, optional=True)
        return {str(name): section.rate(name) for name in section.values}


@dataclass(slots=True, frozen=True)
class Head:
    """What stands above the sections, the same for every service."""

    program: str
    time_zone: ZoneInfo
    runs_on_events: bool
    """True: the program's clock is the watermark of its events; False: the wall's."""


def read_head(top: Section) -> Head:
    """The head of a document. Raises ProgramError."""
    program = top.text("program")
    if not PROGRAM_ID.fullmatch(program):
        raise top.wrong("program", "must be 1 to 64 of a-z, 0-9, _ and -, starting with a letter or digit")
    zone = top.zone("time_zone", "UTC")
    runs_on_events = top.choice("clock", ("wall", "events"), "wall") == "events"
    top.only("program", "name", "time_zone", "clock", *SECTIONS)
    return Head(program, zone, runs_on_events)
