"""What a program gave and took over recorded facts: points by month, by rule and by member, and what was refused."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from services.ledger.domain import commands as c
from services.ledger.domain import earning
from services.ledger.domain import events as e
from services.ledger.domain.program import Program

ISSUED, TAKEN_BACK, REDEEMED, GIVEN_BACK, EXPIRED = (
    "issued",
    "taken back",
    "redeemed",
    "given back",
    "expired",
)
FORGIVEN = "debt forgiven"
MEASURES = (ISSUED, TAKEN_BACK, REDEEMED, GIVEN_BACK, EXPIRED, FORGIVEN)
"""Points that moved; with `SIGNS` they add up to what is outstanding."""
SIGNS = {ISSUED: 1, TAKEN_BACK: -1, REDEEMED: -1, GIVEN_BACK: 1, EXPIRED: -1, FORGIVEN: 1}


class Refused(NamedTuple):
    """Requests that were taken once and would not be: how many, and the points that they asked for."""

    requests: int = 0
    points: int = 0


@dataclass(slots=True)
class _Bought:
    """Purchases under one version and tier, added up: base and tier give in proportion to `amount`."""

    program: Program
    amount: int = 0
    points: int = 0
    by_rules: Fraction = Fraction(0)


@dataclass(slots=True)
class Figures:
    """Points of one program. Months are the program's own, as 2026-01."""

    by_month: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """By (month, measure)."""
    by_rule: defaultdict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    """What was issued, by what it was issued for; exact before rounding. Of purchases only once it is `settled`."""
    refused: dict[tuple[str, str], Refused] = field(default_factory=dict)
    """By (command, code)."""
    earned: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By member, what was issued less what was taken back."""
    bonus_money: int = 0
    """Minor units of stored value given on top of what was paid in."""
    _bought: dict[tuple[str, str], _Bought] = field(default_factory=dict)
    """By (version, tier)."""

    def total(self, measure: str) -> int:
        """Points of a measure over all months."""
        return sum(points for (_, what), points in self.by_month.items() if what == measure)

    @property
    def outstanding(self) -> int:
        """What the members have at the end, by what moved; below zero is owed."""
        return sum(SIGNS[measure] * points for (_, measure), points in self.by_month.items())

    def outstanding_by_month(self, months: list[str]) -> list[int]:
        """The same at the end of each of `months`, which are all that there are, in order."""
        so_far, found = 0, []
        for month in months:
            so_far += sum(SIGNS[measure] * self.by_month.get((month, measure), 0) for measure in MEASURES)
            found.append(so_far)
        return found

    def note(self, program: Program, decided: e.Decided) -> None:
        """Count one event in."""
        event = decided.event
        match event:
            case e.PurchaseRecorded() | e.ClockAdvanced():
                # Half of all events, which move nothing, need not be held against each of the others.
                return
            case e.PointsAccrued():
                self._issue(program, decided, event.points)
                self._by_rules(program, event)
            case e.PointsAwarded():
                self._issue(program, decided, event.points)
                # interaction/review/day/2026-01-05: what the award counts as comes first.
                self.by_rule[event.counted[0].rsplit("/", 2)[0]] += event.points
            case e.PointsAdjusted():
                measure = ISSUED if event.points > 0 else TAKEN_BACK
                self._move(program, decided, measure, abs(event.points))
                self.earned[decided.member or ""] += event.points
                if event.points > 0:
                    self.by_rule["by hand"] += event.points
            case e.PointsClawedBack():
                self._move(program, decided, TAKEN_BACK, event.points)
                self.earned[decided.member or ""] -= event.points
            case e.HoldCaptured():
                self._move(program, decided, REDEEMED, event.amount)
            case e.SpendRefunded():
                self._move(program, decided, GIVEN_BACK, event.amount)
            case e.PointsExpired() | e.MemberLapsed():
                self._move(program, decided, EXPIRED, event.points)
            case e.MemberClosed():
                self._move(program, decided, EXPIRED, event.points)
                self._move(program, decided, FORGIVEN, event.debt)
            case e.MoneyCredited() if event.reason == "bonus":
                self.bonus_money += event.amount

    def refuse(self, command: c.Command, code: str) -> None:
        """Count a refusal."""
        points = (
            command.amount or 0 if isinstance(command, (c.PlaceHold, c.CaptureHold, c.RefundSpend)) else 0
        )
        key = type(command).__name__, code
        before = self.refused.get(key, Refused())
        self.refused[key] = Refused(before.requests + 1, before.points + points)

    def add(self, other: Figures) -> None:
        """Count another's in."""
        for month, points in other.by_month.items():
            self.by_month[month] += points
        for rule, exact in other.by_rule.items():
            self.by_rule[rule] += exact
        for key, refused in other.refused.items():
            before = self.refused.get(key, Refused())
            self.refused[key] = Refused(before.requests + refused.requests, before.points + refused.points)
        for member, points in other.earned.items():
            self.earned[member] += points
        self.bonus_money += other.bonus_money

    def _issue(self, program: Program, decided: e.Decided, points: int) -> None:
        self._move(program, decided, ISSUED, points)
        self.earned[decided.member or ""] += points

    def _move(self, program: Program, decided: e.Decided, measure: str, points: int) -> None:
        if points:
            self.by_month[month_of(program, decided.occurred_at), measure] += points

    def _by_rules(self, program: Program, event: e.PointsAccrued) -> None:
        if event.reason != "purchase":
            self.by_rule["top-up" if event.reason == "top_up" else "tier learnt late"] += event.points
            return
        bought = self._bought.get((program.version, event.tier))
        if bought is None:
            bought = self._bought[program.version, event.tier] = _Bought(program)
        bought.amount += event.amount
        bought.points += event.points
        for rule, exact in earning.rule_parts(program, event.contributions):
            self.by_rule[rule] += exact
            bought.by_rules += exact

    def settle(self) -> None:
        """Share out what purchases were given: to the base, the tiers, and what was rounded or cut off."""
        for (_, tier), bought in self._bought.items():
            rest = bought.points - bought.by_rules
            for rule, exact in earning.base_parts(bought.program, bought.amount, tier):
                self.by_rule[rule] += exact
                rest -= exact
            if rest:
                self.by_rule["rounding and caps"] += rest
        self._bought.clear()


def month_of(program: Program, at: datetime) -> str:
    """The month in the program's time zone."""
    there = at.astimezone(program.time_zone)
    return f"{there.year:04}-{there.month:02}"
