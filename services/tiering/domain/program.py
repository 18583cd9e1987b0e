"""A program as tiering sees it: the section `tiering:` of its document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.common.program_section import Section, read_head
from services.tiering.domain.months import next_review, window_start

TIER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
METRICS = ("spend",)
TIERS_MAX = 20
MONTHS_MAX = 1_200
THRESHOLD_MAX = 10**15


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
    top = Section(document, "")
    if "tiering" not in top.values:
        return None
    head = read_head(top)
    tiering = top.section("tiering")
    tiering.only("metric", "window", "exclude_categories", "review", "tiers")
    window = tiering.section("window")
    window.only("months")
    review = tiering.section("review")
    review.only("months")
    return Rules(
        program=head.program,
        version=version,
        time_zone=head.time_zone,
        runs_on_events=head.runs_on_events,
        metric=tiering.choice("metric", METRICS),
        window_months=window.whole("months", 1, MONTHS_MAX),
        review_months=review.whole("months", 1, MONTHS_MAX),
        excluded_categories=frozenset(tiering.texts("exclude_categories")),
        tiers=_tiers(tiering),
    )


def _tiers(tiering: Section) -> tuple[Tier, ...]:
    """The ladder, lowest first: it begins at 0 and every step asks for more."""
    tiers: list[Tier] = []
    for section in tiering.sections("tiers", TIERS_MAX):
        section.only("name", "from")
        name, threshold = section.text("name"), section.whole("from", 0, THRESHOLD_MAX)
        if not TIER_NAME.fullmatch(name):
            raise section.wrong("name", f"is {name!r}; 1 to 32 of a-z, 0-9, _ and -")
        if any(tier.name == name for tier in tiers):
            raise section.wrong("name", f"{name!r} is there twice")
        if not tiers and threshold != 0:
            raise section.wrong("from", "must be 0: the first tier is everybody's")
        if tiers and threshold <= tiers[-1].threshold:
            raise section.wrong("from", f"must be more than {tiers[-1].threshold}, that of the tier before")
        tiers.append(Tier(name, threshold))
    if not tiers:
        raise tiering.wrong("tiers", "is missing or empty: there is at least the tier that is everybody's")
    return tuple(tiers)
