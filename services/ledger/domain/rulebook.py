"""A program's earning rules, made ready once for every purchase: whole numbers over one denominator, and look-ups.

What a rule asks of the whole purchase (tier, store, channel, payment, day, hour) is the same for many purchases, so
it is decided once for each combination that comes up; what it asks of lines is looked up by the line. So a purchase
costs as much as the rules that apply to it, not as much as the rules that there are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import partial
from math import lcm
from typing import NamedTuple, Protocol, TypeVar

from services.ledger.domain.commands import PurchaseLine
from services.ledger.domain.earning_rules import AMOUNT, BANDS, ITEMS, LINES, VISIT, EarningRules, Rule

PLANS_MAX = 10_000
T = TypeVar("T")


class Bought(Protocol):
    """What rules look at in a purchase."""

    occurred_at: datetime
    lines: list[PurchaseLine]
    store: str
    channel: str
    payment_method: str


class Found(NamedTuple):
    """A rule that gives something: how much it counted, and points over the rulebook's denominator."""

    rule: Rule
    counted: int
    value: int


# Half of Found(...), which is a call of Python's; a purchase may meet many rules.
_found: Callable[[tuple[Rule, int, int]], Found] = partial(tuple.__new__, Found)


@dataclass(slots=True, frozen=True)
class Plan:
    """Places of the rules that can apply to purchases of one kind: for all lines, or by what a line says."""

    whole: tuple[int, ...]
    by_sku: Mapping[str, tuple[int, ...]]
    by_brand: Mapping[str, tuple[int, ...]]
    by_category: Mapping[str, tuple[int, ...]]


class Rulebook:
    """The rules of one version of a program."""

    def __init__(self, rules: EarningRules, rates: Sequence[Fraction]) -> None:
        """`rates` are the base rates of all tiers: the denominator suits them too."""
        self.rules = rules.rules
        self.denominator = lcm(*(rate.denominator for rate in [*rates, *(r.points for r in rules.rules)]))
        self._values = [int(rule.points * self.denominator) for rule in self.rules]
        self._asks_for_visits = [rule.asks_for_visits for rule in self.rules]
        self._narrow = [_narrower(rule) for rule in self.rules]
        self._zone, self._zones = rules.zone, rules.zones
        self._best_of, self._best_of_groups = rules.best_of, rules.best_of_groups
        self._stores = any(rule.stores for rule in self.rules)
        self._channels = any(rule.channels for rule in self.rules)
        self._payments = any(rule.payment_methods for rule in self.rules)
        self._days = any(rule.weekdays or rule.dates for rule in self.rules)
        # The day falls into parts in each of which no hour begins or ends.
        ends = {minute for rule in self.rules for window in rule.hours for minute in window}
        self._minutes = sorted(ends | {0}) if ends else []
        self._plans: dict[tuple[object, ...], Plan] = {}

    def find(
        self, bought: Bought, lines: Sequence[PurchaseLine], amount: int, tier: str, visit: int
    ) -> list[Found]:
        """The rules that give something for `lines`, which cost `amount`, in the order of the program.

        `visit` is the number of the purchase among the member's.
        """
        if not lines:
            return []
        plan = self._plan(bought, tier)
        tallies = self._tally(plan, lines)
        if plan.whole:
            everything = (amount, sum([line.quantity for line in lines]), len(lines))
            for place in plan.whole:
                tallies[place] = everything
        found = []
        for place in sorted(tallies):
            rule = self.rules[place]
            first, below = rule.amount
            if not first <= amount < below:
                continue
            if self._asks_for_visits[place]:
                first, last, every = rule.visits
                if not first <= visit <= last or visit % every:
                    continue
            counts = rule.counts
            if counts == BANDS:
                counted = tallies[place][AMOUNT]
                value = band(rule, counted) * self.denominator
            else:
                counted = 1 if counts == VISIT else tallies[place][counts]
                value = counted * self._values[place]
            if value:
                found.append(_found((rule, counted, value)))
        if found and (self._best_of or self._best_of_groups):
            return self._combine(found)
        return found

    def takes_the_best_of(self, group: str) -> bool:
        """Of the rules of this group only the best counts."""
        return group in self._best_of

    def _tally(self, plan: Plan, lines: Sequence[PurchaseLine]) -> dict[int, Sequence[int]]:
        """By rule that looks at lines: (minor units, units, lines) of those that it is for."""
        by_sku, by_brand, by_category = plan.by_sku, plan.by_brand, plan.by_category
        tallies: dict[int, Sequence[int]] = {}
        if not (by_sku or by_brand or by_category):
            return tallies
        narrow = self._narrow
        for line in lines:
            _, sku, category, quantity, amount, brand = line
            places = by_category.get(category, ()) + by_brand.get(brand, ()) + by_sku.get(sku, ())
            for place in places:
                if narrow[place] and not matches(self.rules[place], line):
                    continue
                sums = tallies.get(place)
                if sums is None:
                    tallies[place] = (amount, quantity, 1)
                else:
                    tallies[place] = (sums[AMOUNT] + amount, sums[ITEMS] + quantity, sums[LINES] + 1)
        return tallies

    def _combine(self, found: list[Found]) -> list[Found]:
        """Of a group's rules the best or all, and of the groups the best or all; of equals the first."""
        groups: dict[str, list[Found]] = {}
        for one in found:
            # A rule in no group is a group of its own; no group's name has a blank before it.
            groups.setdefault(one.rule.group or f" {one.rule.id}", []).append(one)
        for group, members in groups.items():
            if group in self._best_of:
                groups[group] = [max(members, key=lambda one: one.value)]
        if self._best_of_groups:
            return max(groups.values(), key=lambda members: sum(one.value for one in members))
        kept = {one.rule.id for members in groups.values() for one in members}
        return [one for one in found if one.rule.id in kept]

    def _plan(self, bought: Bought, tier: str) -> Plan:
        """The plan for purchases like this one. Nothing is in the key that no rule asks for."""
        store = bought.store
        day, minute = 0, 0
        if self._days or self._minutes:
            local = bought.occurred_at.astimezone(self._zones.get(store, self._zone))
            if self._days:
                day = local.toordinal()
            if self._minutes:
                minute = self._minutes[bisect_right(self._minutes, local.hour * 60 + local.minute) - 1]
        key = (
            tier,
            store if self._stores else "",
            bought.channel if self._channels else "",
            bought.payment_method if self._payments else "",
            day,
            minute,
        )
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            plan = self._plans[key] = self._planned(*key)
        return plan

    def _planned(self, tier: str, store: str, channel: str, payment: str, day: int, minute: int) -> Plan:
        whole: list[int] = []
        by: tuple[dict[str, tuple[int, ...]], ...] = ({}, {}, {})
        for place, rule in enumerate(self.rules):
            if not (
                _takes(rule.tiers, tier)
                and _takes(rule.stores, store)
                and _takes(rule.channels, channel)
                and _takes(rule.payment_methods, payment)
                and _takes(rule.weekdays, (day - 1) % 7)
                and (not rule.dates or any(first <= day <= last for first, last in rule.dates))
                and (not rule.hours or any(first <= minute < last for first, last in rule.hours))
            ):
                continue
            for index, names in zip(by, (rule.skus, rule.brands, rule.categories), strict=True):
                if names:
                    for name in names:
                        index[name] = (*index.get(name, ()), place)
                    break
            else:
                whole.append(place)
        return Plan(tuple(whole), *by)


def matches(rule: Rule, line: PurchaseLine) -> bool:
    """The rule is for this line."""
    return (
        _takes(rule.skus, line.sku)
        and _takes(rule.brands, line.brand)
        and _takes(rule.categories, line.category)
    )


def band(rule: Rule, amount: int) -> int:
    """Points of the highest band that `amount` reaches; 0 below the first."""
    reached = bisect_right(rule.bands, amount, key=lambda one: one[0])
    return rule.bands[reached - 1][1] if reached else 0


def shares(found: Found, lines: Sequence[PurchaseLine]) -> Iterator[tuple[int, Fraction | int]]:
    """(place of the line, its part of what the rule gave, over the rulebook's denominator).

    What is given for the purchase as such is shared among the rule's lines by what they cost.
    """
    own = [(place, line) for place, line in enumerate(lines) if matches(found.rule, line)]
    counts = found.rule.counts
    if counts == ITEMS:
        weights = [line.quantity for _, line in own]
    elif counts == LINES:
        weights = [1] * len(own)
    else:
        weights = [line.amount for _, line in own]
    if not any(weights):
        weights = [1] * len(own)
    whole = sum(weights)
    for (place, _), weight in zip(own, weights, strict=True):
        # Nearly all parts are whole, and whole numbers are made and added much faster.
        part, rest = divmod(found.value * weight, whole)
        yield place, Fraction(found.value * weight, whole) if rest else part


def _takes(wanted: frozenset[T], value: T) -> bool:
    return not wanted or value in wanted


def _narrower(rule: Rule) -> bool:
    """It asks more of a line than the one thing that it is looked up by."""
    return sum(map(bool, (rule.skus, rule.brands, rule.categories))) > 1
