"""Where a run must have put a member: the rules of docs/programs/segments.md, read once more, member by member."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.ops.verify.segments_journal import time_of
from tallybook.tiering.v1 import events_pb2 as pb

GROUPS = {"HHH": "important_value", "HLH": "important_develop", "LHH": "important_keep", "LLH": "important_retain",
          "HHL": "general_value", "HLL": "general_develop", "LHL": "general_keep", "LLL": "general_retain"}  # fmt: skip
"""By recency, frequency and monetary, each high or low."""


@dataclass(slots=True)
class Purchase:
    """What was kept of a purchase."""

    at: datetime
    kept: int
    promoted: int


@dataclass(slots=True)
class Sorted:
    """A member's segments after a run."""

    lifecycle: str
    class_: str
    rfm: str
    scores: tuple[int, int, int] | None


def rfm_of(scores: Sequence[int], bounds: pb.SegmentBounds) -> str:
    """The group of three scores."""
    least = (bounds.recency_high, bounds.frequency_high, bounds.monetary_high)
    return GROUPS["".join("H" if score >= high else "L" for score, high in zip(scores, least, strict=True))]


def sort_member(
    run: pb.SegmentsRun,
    rules: Mapping[str, Any],
    zone: ZoneInfo,
    life: tuple[datetime, datetime | None, datetime | None],
    purchases: Sequence[Purchase],
) -> Sorted:
    """`rules` are the run's parameters; `life`: the last purchase (or the enrolment), the first, the last return."""
    at, bounds = time_of(run.at), run.bounds
    start = _months_before(at, rules["window_months"], zone)
    kept = sorted((p for p in purchases if p.kept > 0 and p.at <= at), key=lambda p: p.at)
    inside = [p for p in kept if p.at > start]
    scores = None
    if inside:
        scores = (
            1 + sum(time_of(bound) <= inside[-1].at for bound in bounds.recency),
            1 + sum(bound <= len(inside) for bound in bounds.frequency),
            1 + sum(bound <= sum(p.kept for p in inside) for bound in bounds.monetary),
        )
    return Sorted(
        _lifecycle(rules["lifecycle"], at, life),
        _class(rules["classes"], bounds, at, life[0], kept, inside),
        rfm_of(scores, bounds) if scores else "",
        scores,
    )


def _lifecycle(
    days: Mapping[str, int], at: datetime, life: tuple[datetime, datetime | None, datetime | None]
) -> str:
    last, first, won_back = life
    if _ago(last, at, days["lost"]):
        return "lost"
    if _ago(last, at, days["dormant"]):
        return "dormant"
    if won_back is not None and not _ago(won_back, at, days["won_back"]):
        return "won_back"
    return "active" if first is not None and _ago(first, at, days["new"]) else "new"


def _class(
    rules: Mapping[str, int],
    bounds: pb.SegmentBounds,
    at: datetime,
    last: datetime,
    kept: Sequence[Purchase],
    inside: Sequence[Purchase],
) -> str:
    if _ago(last, at, rules["dormant_days"]):
        return "dormant"
    half = rules["half_year_days"]
    lately = sum(not _ago(p.at, at, half) for p in kept)
    usual = sum(_ago(p.at, at, half) and not _ago(p.at, at, 3 * half) for p in kept)
    if lately * 4 < usual:
        return "churning"
    if not inside:
        return "low_low"
    sales = sum(p.kept for p in inside)
    moments = [p.at for p in inside]
    gaps = [later - before for before, later in zip(moments, [*moments[1:], at], strict=True)]
    if sales >= bounds.high_spend:
        return "high_spend"
    if sales // len(inside) >= bounds.high_ticket:
        return "high_ticket"
    if sales >= bounds.loyal and len(inside) > 1 and max(gaps) <= timedelta(days=rules["loyal_gap_days"]):
        return "loyal"
    return "bargain_hunter" if sum(p.promoted for p in inside) >= bounds.bargain_hunter else "low_low"


def _ago(moment: datetime, at: datetime, days: int) -> bool:
    """At least so many times 24 hours before `at`."""
    return at - moment >= timedelta(days=days)


def _months_before(at: datetime, months: int, zone: ZoneInfo) -> datetime:
    """The same local time so many months before; a day that is not there is the month's last."""
    local = at.astimezone(zone)
    year, month = divmod(local.year * 12 + local.month - 1 - months, 12)
    if year < 1:
        return datetime.min.replace(tzinfo=UTC)
    day = min(local.day, monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day, fold=0).astimezone(UTC)
