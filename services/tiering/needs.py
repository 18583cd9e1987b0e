"""What a batch of facts needs to be loaded: members up to which moment, purchases, days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from services.tiering.domain.decide import time_after
from services.tiering.domain.events import (
    Fact,
    FactsMoved,
    PointsMoved,
    PurchaseRecorded,
    ReturnRecorded,
    ToppedUp,
    TopUpReversed,
)
from services.tiering.domain.state import Bought, State
from services.tiering.domain.tally import TOP_UP

Key = tuple[str, str]
"""(program, member)"""


@dataclass(slots=True)
class Needs:
    """Each program's clock after the facts, and what they tell of each member: the latest and the earliest moment, and
    whether anything is taken back."""

    clocks: dict[str, datetime] = field(default_factory=dict)
    latest: dict[Key, datetime] = field(default_factory=dict)
    earliest: dict[Key, datetime] = field(default_factory=dict)
    falls: set[Key] = field(default_factory=set)

    def end(self, key: Key, as_of: datetime) -> datetime:
        """How far the member's time can go.

        Up to the clock, even if no review is due yet: a late purchase may give a tier whose review is due at once.
        """
        end = max(as_of, self.latest.get(key, as_of))
        return max(end, self.clocks.get(key[0], end))


def needs_of(state: State, facts: Sequence[Fact], purchases: Mapping[tuple[str, str], Bought]) -> Needs:
    """What `facts` need; `purchases` are the earlier ones that they name."""
    needs = Needs()
    days = {key: bought.at for key, bought in purchases.items()}
    for fact in facts:
        program = state.get(fact.program)
        if program is None:
            continue
        now = time_after(program, fact)
        if now is not None and (fact.program not in needs.clocks or now > needs.clocks[fact.program]):
            needs.clocks[fact.program] = now
        if fact.member is None:
            continue
        event, at, last = fact.event, fact.occurred_at, fact.occurred_at
        if isinstance(event, PurchaseRecorded):
            if program.rules.follows_purchases:
                days[fact.program, event.purchase] = at
        elif isinstance(event, ReturnRecorded):
            at = event.purchased_at
            needs.falls.add((fact.program, fact.member))
        elif isinstance(event, FactsMoved):
            last = max(last, event.as_of)
        elif isinstance(event, ToppedUp):
            days[fact.program, TOP_UP + event.top_up] = at
        elif isinstance(event, TopUpReversed):
            at = days.get((fact.program, TOP_UP + event.top_up), at)
            needs.falls.add((fact.program, fact.member))
        elif isinstance(event, PointsMoved):
            day = days.get((fact.program, event.purchase))
            if day is None:
                continue
            at = day
            if event.points < 0:
                needs.falls.add((fact.program, fact.member))
        key = (fact.program, fact.member)
        if key not in needs.latest or last > needs.latest[key]:
            needs.latest[key] = last
        if key not in needs.earliest or at < needs.earliest[key]:
            needs.earliest[key] = at
    return needs


def needed_purchases(state: State, facts: Sequence[Fact]) -> list[tuple[str, str]]:
    """(program, purchase) that are named again, in programs that follow them."""
    found: dict[tuple[str, str], None] = {}
    if not any(p.rules.follows_purchases or "top_ups" in p.rules.kinds for p in state.values()):
        return []
    for fact in facts:
        program = state.get(fact.program)
        if program is None:
            continue
        if isinstance(fact.event, (ReturnRecorded, PointsMoved)):
            if program.rules.follows_purchases:
                found[fact.program, fact.event.purchase] = None
        elif isinstance(fact.event, TopUpReversed) and "top_ups" in program.rules.kinds:
            found[fact.program, TOP_UP + fact.event.top_up] = None
    return list(found)


def needed_days(state: State, facts: Sequence[Fact]) -> list[tuple[str, str, str, date]]:
    """(program, member, metric, local day) of the visits that are made or undone."""
    found: dict[tuple[str, str, str, date], None] = {}
    if not any("days" in program.rules.kinds for program in state.values()):
        return []
    for fact in facts:
        program = state.get(fact.program)
        if program is None or fact.member is None or "days" not in program.rules.kinds:
            continue
        event = fact.event
        if isinstance(event, FactsMoved):
            found.update(
                dict.fromkeys((fact.program, fact.member, metric, day) for metric, day, _ in event.days)
            )
            continue
        if isinstance(event, PurchaseRecorded):
            at = fact.occurred_at
        elif isinstance(event, ReturnRecorded):
            at = event.purchased_at
        else:
            continue
        day = at.astimezone(program.rules.time_zone).date()
        for metric in program.rules.counted:
            if metric.counts == "days":
                found[fact.program, fact.member, metric.name, day] = None
    return list(found)
