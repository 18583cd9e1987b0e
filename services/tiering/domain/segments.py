"""Segments of one member: what a purchase or a tag changes at once, and what every segment means.

A member is in one segment of each family. `lifecycle`: by the days since the last purchase; a purchase is looked at
when it comes, time that goes by without one at the next run. `rfm` and `class` compare members with each other, so only
a run gives them (services/tiering/segments.py). Tags come from outside; a member has any number of them.

A day is 24 hours here: how long ago something was does not depend on a change of the clocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.tiering.domain.events import Fact, FactsMoved, MemberTagged, PurchaseRecorded, SegmentChanged
from services.tiering.domain.merges import lived_together
from services.tiering.domain.months import EARLIEST
from services.tiering.domain.program_segments import LifecycleDays, Rules
from services.tiering.domain.state import Life, ProgramState

LIFECYCLE = ("new", "active", "dormant", "lost", "won_back")
CLASSES = ("dormant", "churning", "high_spend", "high_ticket", "loyal", "bargain_hunter", "low_low")
"""The seven, in the order in which they are asked for: the first that fits is the member's."""
GROUPS = {
    (True, True, True): "important_value",
    (True, False, True): "important_develop",
    (False, True, True): "important_keep",
    (False, False, True): "important_retain",
    (True, True, False): "general_value",
    (True, False, False): "general_develop",
    (False, True, False): "general_keep",
    (False, False, False): "general_retain",
}
"""The eight groups by whether recency, frequency and monetary are high, as the field names them: money says important
or general; who comes often and came lately has value, who came lately but rarely is to be developed, who came often but
not lately is to be kept, and who did neither is to be retained."""
UNSCORED = ""
"""The group of members without a purchase in the window."""
FIRST = {"lifecycle": "new", "class": "low_low"}
"""What everybody is to begin with; nothing is published of it."""


def days_before(at: datetime, days: int) -> datetime:
    """So many times 24 hours before `at`, where that exists."""
    try:
        return at - timedelta(days=days)
    except OverflowError:
        return EARLIEST


def lifecycle(days: LifecycleDays, life: Life, at: datetime) -> str:
    """The segment at `at` of a member who has bought. The run's SQL says the same of all members."""
    if life.first_at is None or life.last_at is None:
        return FIRST["lifecycle"]
    if life.last_at <= days_before(at, days.lost):
        return "lost"
    if life.last_at <= days_before(at, days.dormant):
        return "dormant"
    if life.won_back_at is not None and life.won_back_at > days_before(at, days.won_back):
        return "won_back"
    return "new" if life.first_at > days_before(at, days.new) else "active"


def after_purchase(days: LifecycleDays, life: Life, at: datetime, now: datetime) -> Life:
    """The life with a purchase at `at`, seen at `now`; `since` moves with the segment.

    A late purchase tells when the member began, and never takes back that the member was away.
    """
    if life.first_at is None or life.last_at is None:
        lived = replace(life, first_at=at, last_at=at)
    elif at > life.last_at:
        away = life.last_at <= days_before(at, days.dormant)
        lived = replace(life, last_at=at, won_back_at=at if away else life.won_back_at)
    else:
        lived = replace(life, first_at=min(life.first_at, at))
    segment = lifecycle(days, lived, now)
    if segment != lived.segment:
        return replace(lived, segment=segment, since=now)
    return lived


def take(program: ProgramState, fact: Fact) -> list[SegmentChanged]:
    """What follows from one row; `program` is at the row's clock already and is moved on."""
    rules, event, name = program.rules.segments, fact.event, fact.member
    if name is None:
        return []
    if isinstance(event, MemberTagged):
        return _tagged(program, name, fact, event)
    if isinstance(event, FactsMoved):
        return _joined(program, name, fact, event)
    if rules is None or not isinstance(event, PurchaseRecorded):
        return []
    at = fact.occurred_at
    now = max(at, program.clock or at)
    before = program.lives.get(name) or Life(since=at)
    after = after_purchase(rules.lifecycle, before, at, now)
    if after == before:
        return []
    program.lives[name] = after
    program.lived.add(name)
    if after.segment == before.segment:
        return []
    rule = rule_of(rules, "lifecycle", after.segment)
    return [_changed(program, name, ("lifecycle", before.segment, after.segment), now, rule, fact.position)]


def _joined(program: ProgramState, name: str, fact: Fact, event: FactsMoved) -> list[SegmentChanged]:
    """What the absorbed member bought and was said to be is the survivor's; both life cycles are one."""
    decided = []
    for tag, _ in event.tags:
        told = MemberTagged("", tag, True, f"came over from {event.absorbed}", fact.position)
        decided += _tagged(program, name, fact, told)
    rules = program.rules.segments
    if rules is None or event.life is None:
        return decided
    now = max(fact.occurred_at, program.clock or fact.occurred_at)
    before = program.lives.get(name) or Life(since=now)
    after = lived_together(before, event)
    segment = lifecycle(rules.lifecycle, after, now)
    program.lives[name] = after if segment == before.segment else replace(after, segment=segment, since=now)
    program.lived.add(name)
    if segment != before.segment:
        rule = rule_of(rules, "lifecycle", segment)
        moved = ("lifecycle", before.segment, segment)
        decided.append(_changed(program, name, moved, now, rule, fact.position))
    return decided


def rule_of(rules: Rules, family: str, segment: str) -> str:
    """What puts a member there, in words."""
    days, classes = rules.lifecycle, rules.classes
    return {
        ("lifecycle", "new"): f"first purchase within {days.new} days",
        ("lifecycle", "active"): f"a purchase within {days.dormant} days",
        ("lifecycle", "dormant"): f"no purchase for {days.dormant} days",
        ("lifecycle", "lost"): f"no purchase for {days.lost} days",
        ("lifecycle", "won_back"): f"a purchase within {days.won_back} days, after none for {days.dormant}",
        ("class", "dormant"): f"no purchase for {classes.dormant_days} days",
        ("class", "churning"): "half-year frequency below half of the usual",
        ("class", "high_spend"): f"spend among the top {classes.high_spend_percent} percent",
        ("class", "high_ticket"): f"average purchase among the top {classes.high_ticket_percent} percent",
        ("class", "loyal"): f"upper half by spend, visits at most {classes.loyal_gap_days} days apart",
        ("class", "bargain_hunter"): f"promotion spend among the top {classes.bargain_percent} percent",
        ("class", "low_low"): "none of the others",
    }[family, segment]


def _tagged(program: ProgramState, name: str, fact: Fact, event: MemberTagged) -> list[SegmentChanged]:
    """A tag is set or taken away; what is so already is no change."""
    key = (name, event.tag)
    if program.tags.get(key, False) == event.set:
        return []
    program.tags[key] = event.set
    program.tagged[key] = fact.occurred_at
    moved = ("tag", "", event.tag) if event.set else ("tag", event.tag, "")
    return [_changed(program, name, moved, fact.occurred_at, event.reason, fact.position)]


def _changed(
    program: ProgramState, name: str, moved: tuple[str, str, str], at: datetime, rule: str, position: int
) -> SegmentChanged:
    rules = program.rules
    return SegmentChanged(rules.program, name, *moved, at, rule, "", position, rules.version)


@dataclass(slots=True, frozen=True)
class Cuts:
    """The moments that a run at `at` asks of times: exact, so that SQL and the functions here can't differ."""

    window: datetime
    new: datetime
    dormant: datetime
    lost: datetime
    won_back: datetime
    class_dormant: datetime
    half_year: datetime
    usual: datetime

    @classmethod
    def at(cls, rules: Rules, at: datetime) -> Cuts:
        """Those of a run."""
        days, half_year = rules.lifecycle, rules.classes.half_year_days
        return cls(
            window=rules.window_start(at),
            new=days_before(at, days.new),
            dormant=days_before(at, days.dormant),
            lost=days_before(at, days.lost),
            won_back=days_before(at, days.won_back),
            class_dormant=days_before(at, rules.classes.dormant_days),
            half_year=days_before(at, half_year),
            usual=days_before(at, 3 * half_year),
        )
