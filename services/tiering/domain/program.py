"""A program as tiering sees it: the section `tiering:` of its document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.tiering.domain.months import next_review, window_start

TIER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
METRICS = ("spend",)
TIERS_MAX = 20
MONTHS_MAX = 1_200
THRESHOLD_MAX = 10**15
CATEGORIES_MAX = 1_000


class ProgramError(ValueError):
    """The document is wrong at `field` (a path such as `tiering.window.months`)."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


@dataclass(slots=True, frozen=True)
class Tier:
    """A tier and the least value of the metric that earns it (minor units of money for spend)."""

    name: str
    threshold: int


@dataclass(slots=True, frozen=True)
class Rules:
    """The tiering of one version of a program. A tier's rank is its place in `tiers`; rank 0 is everybody's."""

    program: str
    version: str
    time_zone: ZoneInfo
    runs_on_events: bool
    """True: the program's clock is the watermark of its events; False: the wall's, told by ClockAdvanced."""
    metric: str
    window_months: int
    review_months: int
    excluded_categories: frozenset[str]
    tiers: tuple[Tier, ...]

    def rank(self, name: str | None) -> int:
        """The rank of a tier by name; 0 for None and for a tier that this version does not have."""
        return next((rank for rank, tier in enumerate(self.tiers) if tier.name == name), 0)

    def earned(self, metric: int) -> int:
        """The rank that `metric` earns."""
        rank = len(self.tiers) - 1
        while rank > 0 and metric < self.tiers[rank].threshold:
            rank -= 1
        return rank

    def window_start(self, time: datetime) -> datetime:
        """What lies after this moment and up to `time` is in the window that ends with `time`."""
        return window_start(time, self.window_months, self.time_zone)

    def review_after(self, time: datetime, rank: int) -> datetime | None:
        """When a tier given at `time` is reviewed; None for the lowest, which can't be lost."""
        return next_review(time, self.review_months, self.time_zone) if rank > 0 else None


def parse_rules(document: Mapping[str, Any], version: str) -> Rules | None:
    """Tiering's view of a document; None when it has no section `tiering`. Raises ProgramError that names the field."""
    top = _Section(document, "")
    if "tiering" not in top.values:
        return None
    clock = top.text("clock", "wall")
    if clock not in ("wall", "events"):
        raise ProgramError("clock", f"is {clock!r}; one of wall, events")
    zone_name = top.text("time_zone", "UTC")
    try:
        zone = ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ProgramError("time_zone", f"{zone_name!r} is no time zone of the IANA database") from error
    tiering = top.section("tiering")
    tiering.only("metric", "window", "exclude_categories", "review", "tiers")
    metric = tiering.text("metric")
    if metric not in METRICS:
        raise ProgramError("tiering.metric", f"is {metric!r}; one of {', '.join(METRICS)}")
    window = tiering.section("window")
    window.only("months")
    review = tiering.section("review")
    review.only("months")
    return Rules(
        program=top.text("program"),
        version=version,
        time_zone=zone,
        runs_on_events=clock == "events",
        metric=metric,
        window_months=window.whole("months", 1, MONTHS_MAX),
        review_months=review.whole("months", 1, MONTHS_MAX),
        excluded_categories=frozenset(tiering.texts("exclude_categories")),
        tiers=_tiers(tiering.entries("tiers")),
    )


def _tiers(entries: list[Any]) -> tuple[Tier, ...]:
    """The ladder, lowest first: it begins at 0 and every step asks for more."""
    if not 1 <= len(entries) <= TIERS_MAX:
        raise ProgramError("tiering.tiers", f"has {len(entries)} tiers; from 1 to {TIERS_MAX} are taken")
    tiers: list[Tier] = []
    for index, entry in enumerate(entries):
        path = f"tiering.tiers[{index}]"
        section = _Section(entry, path)
        section.only("name", "from")
        name, threshold = section.text("name"), section.whole("from", 0, THRESHOLD_MAX)
        if not TIER_NAME.fullmatch(name):
            raise ProgramError(f"{path}.name", f"is {name!r}; 1 to 32 of a-z, 0-9, _ and -")
        if any(tier.name == name for tier in tiers):
            raise ProgramError(f"{path}.name", f"{name!r} is there twice")
        if not tiers and threshold != 0:
            raise ProgramError(f"{path}.from", "must be 0: the first tier is everybody's")
        if tiers and threshold <= tiers[-1].threshold:
            raise ProgramError(
                f"{path}.from", f"must be more than {tiers[-1].threshold}, that of the tier before"
            )
        tiers.append(Tier(name, threshold))
    return tuple(tiers)


class _Section:
    """Typed reading of one mapping of the document, with the path for errors."""

    def __init__(self, values: Any, path: str) -> None:
        if not isinstance(values, Mapping):
            raise ProgramError(path or "document", "must be a mapping")
        self.values = values
        self._path = path

    def _at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def only(self, *keys: str) -> None:
        for key in self.values:
            if key not in keys:
                raise ProgramError(self._at(str(key)), f"is not known here; known: {', '.join(keys)}")

    def section(self, key: str) -> _Section:
        if key not in self.values:
            raise ProgramError(self._at(key), "is missing")
        return _Section(self.values[key], self._at(key))

    def text(self, key: str, default: str | None = None) -> str:
        value = self.values.get(key, default)
        if not isinstance(value, str) or not value:
            raise ProgramError(self._at(key), "is missing" if value is None else "must be text")
        return value

    def texts(self, key: str) -> list[str]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ProgramError(self._at(key), "must be a list of texts")
        if len(value) > CATEGORIES_MAX:
            raise ProgramError(self._at(key), f"has {len(value)} entries; at most {CATEGORIES_MAX} are taken")
        return value

    def entries(self, key: str) -> list[Any]:
        value = self.values.get(key)
        if not isinstance(value, list):
            raise ProgramError(self._at(key), "is missing" if value is None else "must be a list")
        return value

    def whole(self, key: str, least: int, most: int) -> int:
        value = self.values.get(key)
        if value is None:
            raise ProgramError(self._at(key), "is missing")
        if type(value) is not int or not least <= value <= most:
            raise ProgramError(self._at(key), f"must be a whole number from {least} to {most}")
        return value
