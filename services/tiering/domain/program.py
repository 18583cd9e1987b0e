"""A program as tiering sees it: the section `tiering:` of its document."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.common.months import shift_months
from services.common.program_section import Section, read_head
from services.tiering.domain import program_segments
from services.tiering.domain.metrics import PAID_CARD, Metric, Values
from services.tiering.domain.months import month_start, next_review, year_start
from services.tiering.domain.program_metrics import MONTHS_MAX, Metrics
from services.tiering.domain.program_tiers import Card, Tier, parse_cards, parse_tiers
from services.tiering.domain.windows import MOMENT

REVIEWS_AT = ("end_of_next_year", "first_of_month")
LANDINGS = ("earned", "one_step", "soft_landing")
RETURNS = ("review", "at_once")
MONTHS_OF_YEAR = 12


@dataclass(slots=True, frozen=True)
class Review:
    """When a tier is looked at again: `months` after it was given, or `at` a fixed time. With grace, maybe."""

    months: int
    at: str
    grace_months: int

    def after(self, time: datetime, zone: ZoneInfo, closing: bool = False) -> datetime | None:
        """The review of a tier given at `time` (`closing`: by a review then); None after the last year there is.

        The review at New Year is of the year that is over, so what it gives lasts to the end of the year that begins.
        """
        if self.months:
            return next_review(time, self.months, zone)
        try:
            if self.at == "first_of_month":
                return month_start(time, zone, 1)
            return year_start(time - MOMENT if closing else time, zone, 2)
        except OverflowError:
            return None

    def ranking(self, time: datetime, zone: ZoneInfo, later: int = 0) -> datetime:
        """The first moment of the period that `time` is in, or of one `later`: all members are ranked then.

        A ranking is of all at once, so it has fixed days: the 1st of each month, of each year, or of each so many
        months, counted from January of the year 0. Raises OverflowError: there is no such year.
        """
        step = self.months or (1 if self.at == "first_of_month" else MONTHS_OF_YEAR)
        local = time.astimezone(zone)
        past = (local.year * MONTHS_OF_YEAR + local.month - 1) % step
        return month_start(time, zone, later * step - past)


@dataclass(slots=True, frozen=True)
class Downgrade:
    """Where a member lands who is not worth the tier any more.

    `to`: earned (what the metrics say), one_step (one tier a review), soft_landing (one tier at the first review that
    fails, the rest at the next). `once_in_months`: after one downgrade so many months without another; 0: no limit.
    """

    to: str
    once_in_months: int


@dataclass(slots=True, frozen=True)
class Rules:
    """The tiering of one version of a program. A tier's rank is its place in `tiers`; rank 0 is everybody's."""

    program: str
    version: str
    time_zone: ZoneInfo
    runs_on_events: bool
    """True: the program's clock is the watermark of its events; False: the wall's, told by ClockAdvanced."""
    metrics: dict[str, Metric]
    excluded_categories: frozenset[str]
    review: Review
    downgrade: Downgrade
    returns_at_once: bool
    cards: tuple[Card, ...]
    tiers: tuple[Tier, ...]
    counted: tuple[Metric, ...]
    """The metrics that have entries: all but the formulas and the flags."""
    flags: tuple[Metric, ...]
    """What a member is or has, and what nobody counts."""
    kinds: frozenset[str]
    """What `counted` counts."""
    yearly: tuple[Metric, ...]
    """Those of `counted` whose windows follow each other."""
    follows_purchases: bool
    """Whether what returns leave of a purchase, or its day, has to be known later."""
    sells_cards: bool
    """Whether a purchase can hold a card."""
    lifetime: frozenset[str]
    """The names of metrics that no time takes from."""
    ranked: frozenset[str]
    """The tiers that ask for a place among the best: the ranking is their review, not the clock."""
    carded: frozenset[str]
    """The tiers that ask for a paid card."""
    segments: program_segments.Rules | None = None

    def rank(self, name: str | None) -> int:
        """The rank of a tier by name; 0 for None and for a tier that this version does not have."""
        if name is not None:
            for rank, tier in enumerate(self.tiers):
                if tier.name == name:
                    return rank
        return 0

    def earned(self, values: Values) -> int:
        """The highest rank whose condition holds."""
        rank = len(self.tiers) - 1
        while rank > 0:
            condition = self.tiers[rank].condition
            if condition is not None and condition.holds(values):
                return rank
            rank -= 1
        return 0

    def review_after(self, time: datetime, rank: int, closing: bool = False) -> datetime | None:
        """When a tier given at `time` is reviewed; None for the lowest, which can't be lost."""
        return self.review.after(time, self.time_zone, closing) if rank > 0 else None

    @property
    def tops(self) -> tuple[Metric, ...]:
        """The flags that a ranking sets."""
        return tuple(flag for flag in self.flags if flag.of)

    def ranking_start(self, time: datetime) -> datetime:
        """The moment whose ranking is in force at `time`."""
        return self.review.ranking(time, self.time_zone)

    def until(self, time: datetime, rank: int, closing: bool = False) -> tuple[datetime | None, bool]:
        """How long a tier lasts that is given at `time`, and whether a ranking ends it, and not the clock."""
        if self.tiers[rank].name not in self.ranked:
            return self.review_after(time, rank, closing), False
        try:
            return self.review.ranking(time, self.time_zone, 1), True
        except OverflowError:
            return None, True

    def reviewed_from(self, metric: Metric, at: datetime, enrolled_at: datetime, since: datetime) -> datetime:
        """The moment after which a metric's window begins, for the review at `at` of a tier given at `since`.

        When its time is over, a window that is no longer than that does not reach behind it. Months do so on their last
        days: a year after 29 February is 28 February, and a year before that is a day earlier. What earned a tier would
        keep it.
        """
        start = metric.span.start(at, enrolled_at, closing=True)
        if 0 < metric.span.months <= self.review.months and self.later(since, self.review.months) == at:
            return max(start, since)
        return start

    def later(self, time: datetime, months: int) -> datetime | None:
        """So many months after `time`; None after the last year there is."""
        return next_review(time, months, self.time_zone)

    def protected_until(self, lowered_at: datetime) -> datetime:
        """When a member who was lowered at that time can be lowered again."""
        return shift_months(lowered_at, self.downgrade.once_in_months, self.time_zone)


def parse_rules(document: Mapping[str, Any], version: str) -> Rules | None:
    """Tiering's view of a document; None when it has no section `tiering`. Raises ProgramError that names the field."""
    top = Section(document, "")
    if "tiering" not in top.values:
        return None
    head = read_head(top)
    tiering = top.section("tiering")
    tiering.only(
        "metric",
        "metrics",
        "window",
        "exclude_categories",
        "review",
        "downgrade",
        "returns",
        "cards",
        "tiers",
        "segments",
    )
    metrics = Metrics(tiering, head.time_zone)
    review = _review(tiering.section("review"))
    downgrade = tiering.section("downgrade", optional=True)
    downgrade.only("to", "once_in_months")
    landing = Downgrade(
        downgrade.choice("to", LANDINGS, "earned"), downgrade.whole("once_in_months", 0, MONTHS_MAX, 0)
    )
    at_once = tiering.choice("returns", RETURNS, "review") == "at_once"
    excluded = frozenset(tiering.texts("exclude_categories"))
    cards = parse_cards(tiering, metrics)
    tiers = parse_tiers(tiering, metrics, cards)
    used = metrics.used.values()
    counted = tuple(metric for metric in used if not metric.parts and not metric.is_flag)
    flags = tuple(metric for metric in used if metric.is_flag)
    sells_cards = any(card.sku for card in cards)
    if PAID_CARD in metrics.used and not sells_cards:
        raise tiering.wrong("cards", "has none with a sku: nobody could have a paid card")
    kinds = frozenset(metric.counts for metric in counted)
    segments = program_segments.parse_segments(tiering, head.time_zone)
    return Rules(
        program=head.program,
        version=version,
        time_zone=head.time_zone,
        runs_on_events=head.runs_on_events,
        metrics=metrics.used,
        excluded_categories=excluded,
        review=review,
        downgrade=landing,
        returns_at_once=at_once,
        cards=cards,
        tiers=tiers,
        counted=counted,
        flags=flags,
        kinds=kinds,
        yearly=tuple(metric for metric in counted if metric.span.is_yearly),
        follows_purchases=segments is not None or not kinds.isdisjoint(("points", "visits", "days")),
        sells_cards=sells_cards,
        lifetime=metrics.lifetime(),
        ranked=_asking(tiers, {flag.name for flag in flags if flag.of}),
        carded=_asking(tiers, {PAID_CARD}),
        segments=segments,
    )


def _asking(tiers: Sequence[Tier], names: Collection[str]) -> frozenset[str]:
    """The tiers in whose conditions one of these metrics is."""
    return frozenset(
        tier.name
        for tier in tiers
        if tier.condition is not None and any(leaf.metric in names for leaf in tier.condition.leaves())
    )


def _review(section: Section) -> Review:
    section.only("months", "at", "grace_months")
    if "at" in section.values and "months" in section.values:
        raise section.wrong("at", "is there beside months: a tier is reviewed by one of them")
    at = section.choice("at", REVIEWS_AT) if "at" in section.values else ""
    months = 0 if at else section.whole("months", 1, MONTHS_MAX)
    return Review(months, at, section.whole("grace_months", 0, MONTHS_MAX, 0))
