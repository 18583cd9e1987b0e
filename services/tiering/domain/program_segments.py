"""The section `tiering.segments:` of a program document (docs/programs/segments.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from services.common.program_section import Section
from services.tiering.domain.months import local_midnight, month_start, window_start
from services.tiering.domain.program_metrics import MONTHS_MAX, THRESHOLD_MAX

EVERY = ("never", "day", "month")
DAYS_MAX = 36_500
STEPS_MAX = 9
SCORE_MAX = STEPS_MAX + 1
QUINTILES = 5
TAG = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
TAGS_MAX = 100


@dataclass(slots=True, frozen=True)
class LifecycleDays:
    """new: so long after the first purchase; dormant, lost: so long without one; won_back: so long after the return."""

    new: int
    dormant: int
    lost: int
    won_back: int


@dataclass(slots=True, frozen=True)
class Scores:
    """Fixed scores: a score is 1 and one more for each step that is met.

    `recency_days` descend (a last purchase within so many days), `frequency` (purchases) and `monetary` (minor units)
    ascend. All empty: quintiles of the members with a purchase in the window.
    """

    recency_days: tuple[int, ...] = ()
    frequency: tuple[int, ...] = ()
    monetary: tuple[int, ...] = ()


@dataclass(slots=True, frozen=True)
class Classes:
    """The bounds of the seven classes; percents are of the members with a purchase in the window."""

    high_spend_percent: int
    high_ticket_percent: int
    bargain_percent: int
    loyal_gap_days: int
    half_year_days: int
    dormant_days: int


@dataclass(slots=True, frozen=True)
class Rules:
    """The segments of one version of a program. `high` None: above the average score; else from these scores on."""

    time_zone: ZoneInfo
    every: str
    window_months: int
    lifecycle: LifecycleDays
    scores: Scores
    high: tuple[int, int, int] | None
    classes: Classes
    tags: tuple[str, ...]

    def window_start(self, at: datetime) -> datetime:
        """The moment after which the window that ends with `at` begins."""
        return window_start(at, self.window_months, self.time_zone)

    def period_start(self, at: datetime) -> datetime | None:
        """The first moment of the local day or month of `at`: each has one run. None: runs are on demand only."""
        if self.every == "never":
            return None
        return (
            local_midnight(at, self.time_zone) if self.every == "day" else month_start(at, self.time_zone, 0)
        )


def parse_segments(tiering: Section, time_zone: ZoneInfo) -> Rules | None:
    """None when the document has none. Raises ProgramError."""
    if "segments" not in tiering.values:
        return None
    section = tiering.section("segments")
    section.only("every", "window", "lifecycle", "scores", "high", "classes", "tags")
    window = section.section("window", optional=True)
    window.only("months")
    tags = tuple(dict.fromkeys(section.texts("tags")))
    if len(tags) > TAGS_MAX or not all(TAG.fullmatch(tag) for tag in tags):
        raise section.wrong("tags", f"must be at most {TAGS_MAX}, each 1 to 32 of a-z, 0-9, _ and -")
    return Rules(
        time_zone=time_zone,
        every=section.choice("every", EVERY, "never"),
        window_months=window.whole("months", 1, MONTHS_MAX, 12),
        lifecycle=_lifecycle(section.section("lifecycle", optional=True)),
        scores=_scores(section.section("scores", optional=True)),
        high=_high(section) if "high" in section.values else None,
        classes=_classes(section.section("classes", optional=True)),
        tags=tags,
    )


def _lifecycle(section: Section) -> LifecycleDays:
    section.only("new_days", "dormant_days", "lost_days", "won_back_days")
    days = LifecycleDays(
        new=section.whole("new_days", 1, DAYS_MAX, 30),
        dormant=section.whole("dormant_days", 1, DAYS_MAX, 90),
        lost=section.whole("lost_days", 1, DAYS_MAX, 365),
        won_back=section.whole("won_back_days", 1, DAYS_MAX, 30),
    )
    if days.lost <= days.dormant:
        raise section.wrong("lost_days", f"must be more than dormant_days, {days.dormant}")
    return days


def _scores(section: Section) -> Scores:
    section.only("recency_days", "frequency", "monetary")
    if not section.values:
        return Scores()
    recency = _steps(section, "recency_days", DAYS_MAX)
    if list(recency) != sorted(set(recency), reverse=True):
        raise section.wrong("recency_days", "must fall from step to step: fewer days are the better score")
    frequency = _steps(section, "frequency", THRESHOLD_MAX)
    monetary = _steps(section, "monetary", THRESHOLD_MAX)
    for key, steps in (("frequency", frequency), ("monetary", monetary)):
        if list(steps) != sorted(set(steps)):
            raise section.wrong(key, "must rise from step to step")
    return Scores(recency, frequency, monetary)


def _steps(section: Section, key: str, most: int) -> tuple[int, ...]:
    """1 to STEPS_MAX whole numbers from 1 on."""
    steps = section.values.get(key)
    if not isinstance(steps, list) or not 1 <= len(steps) <= STEPS_MAX:
        raise section.wrong(key, f"must be a list of 1 to {STEPS_MAX} steps")
    if not all(type(step) is int and 1 <= step <= most for step in steps):
        raise section.wrong(key, f"must be whole numbers from 1 to {most}")
    return tuple(steps)


def _high(section: Section) -> tuple[int, int, int]:
    high = section.section("high")
    high.only("recency", "frequency", "monetary")
    recency, frequency, monetary = (
        high.whole(key, 2, SCORE_MAX) for key in ("recency", "frequency", "monetary")
    )
    return recency, frequency, monetary


def _classes(section: Section) -> Classes:
    section.only(
        "high_spend_percent",
        "high_ticket_percent",
        "bargain_percent",
        "loyal_gap_days",
        "half_year_days",
        "dormant_days",
    )
    return Classes(
        high_spend_percent=section.whole("high_spend_percent", 1, 100, 20),
        high_ticket_percent=section.whole("high_ticket_percent", 1, 100, 20),
        bargain_percent=section.whole("bargain_percent", 1, 100, 20),
        loyal_gap_days=section.whole("loyal_gap_days", 1, DAYS_MAX, 60),
        half_year_days=section.whole("half_year_days", 1, DAYS_MAX, 182),
        dormant_days=section.whole("dormant_days", 1, DAYS_MAX, 365),
    )
