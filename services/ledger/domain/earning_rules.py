"""Earning rules as a program states them: what stands under `ledger.earning` beside the base rate, field by field.

docs/programs/earning.md tells their owners what the fields mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from zoneinfo import ZoneInfo

from services.common.local_time import read_store_zones, read_window
from services.common.program_section import ProgramError, Section

RULES_MAX = 500
BANDS_MAX = 100
FIXED_POINTS_MAX = 1_000_000_000
MINOR_UNITS_MAX = 1_000_000_000_000_000
VISITS_MAX = 1_000_000_000
CAP_MAX = 1_000_000_000_000_000
COMBINATIONS = ("stack", "best_of")
PERIODS = ("day", "month", "lifetime")
"""What a cap can hold for, of a member."""
RULE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

AMOUNT, ITEMS, LINES, VISIT, BANDS = range(5)
"""What an effect counts: minor units, units bought, lines, the purchase itself, or minor units by a table."""
EFFECTS = {
    "points_per_unit": AMOUNT,
    "multiplier": AMOUNT,
    "points_per_item": ITEMS,
    "points_per_line": LINES,
    "points_per_visit": VISIT,
    "bands": BANDS,
}


@dataclass(slots=True, frozen=True)
class Rule:
    """When it applies, and what then comes on top of the base. An empty set asks for nothing."""

    id: str
    group: str
    """Rules of a group are combined by themselves; a rule that is in none is a group of its own."""
    skus: frozenset[str]
    categories: frozenset[str]
    brands: frozenset[str]
    stores: frozenset[str]
    channels: frozenset[str]
    payment_methods: frozenset[str]
    tiers: frozenset[str]
    weekdays: frozenset[int]
    """From 0, Monday; like hours and dates in the time zone of the store."""
    hours: tuple[tuple[int, int], ...]
    """Minutes of the day: from the first to before the second."""
    dates: tuple[tuple[int, int], ...]
    """Proleptic ordinals of the first and the last day."""
    amount: tuple[int, int]
    """Minor units of the whole purchase that earn: from the first to before the second."""
    visits: tuple[int, int, int]
    """The member's purchases by number, from 1: from the first to the second, each so many-th."""
    counts: int
    points: Fraction
    """For one of what it counts."""
    multiplier: Fraction | None
    """Where it was stated as one; `points` says what it adds."""
    bands: tuple[tuple[int, int], ...]
    """(from so many minor units, points), ascending."""

    @property
    def asks_for_visits(self) -> bool:
        """It looks at how many purchases the member made before."""
        return self.visits != ANY_VISIT


ANY_AMOUNT = (0, MINOR_UNITS_MAX + 1)
ANY_VISIT = (1, VISITS_MAX, 1)


@dataclass(slots=True, frozen=True)
class EarningRules:
    """All that a program may state beside its base rate and tier multipliers."""

    rules: tuple[Rule, ...]
    best_of_groups: bool
    """Of the groups only the best counts; else they add up."""
    best_of: frozenset[str]
    """Groups of whose rules only the best counts."""
    excluded_skus: frozenset[str]
    excluded_brands: frozenset[str]
    caps: tuple[tuple[str, int], ...]
    """(period, points a member can earn in it)"""
    zone: ZoneInfo
    zones: Mapping[str, ZoneInfo]
    """Of stores that keep another time than the program."""


FIELDS = ("exclude_skus", "exclude_brands", "combine", "groups", "rules", "caps")


def read_earning_rules(
    earning: Section, stores: Section, zone: ZoneInfo, base: Fraction, minor: int
) -> EarningRules:
    """What stands under `ledger.earning` and `ledger.stores`.

    `base` is points for a minor unit; a unit of the currency has `minor` of them.

    Raises:
        ProgramError: it names the field.
    """
    groups = earning.section("groups", optional=True)
    for group in groups.values:
        if not RULE_ID.fullmatch(str(group)):
            raise groups.wrong(group, "must be 1 to 64 of letters, digits, _ . and -")
        groups.choice(group, COMBINATIONS)
    rules: list[Rule] = []
    for entry in earning.sections("rules", RULES_MAX):
        rule = _rule(entry, groups, base, minor)
        if any(rule.id == other.id for other in rules):
            raise entry.wrong("id", f"is {rule.id!r}, as that of a rule before it")
        rules.append(rule)
    used = {rule.group for rule in rules}
    for group in groups.values:
        if group not in used:
            raise groups.wrong(group, "is the group of no rule")
    caps = earning.section("caps", optional=True)
    caps.only(*PERIODS)
    return EarningRules(
        rules=tuple(rules),
        best_of_groups=earning.choice("combine", COMBINATIONS, "stack") == "best_of",
        best_of=frozenset(group for group, how in groups.values.items() if how == "best_of"),
        excluded_skus=frozenset(earning.texts("exclude_skus")),
        excluded_brands=frozenset(earning.texts("exclude_brands")),
        caps=tuple((period, caps.whole(period, 1, CAP_MAX)) for period in PERIODS if period in caps.values),
        zone=zone,
        zones=read_store_zones(stores),
    )


def _rule(entry: Section, groups: Section, base: Fraction, minor: int) -> Rule:
    entry.only("id", "group", "when", "earn")
    id_ = entry.text("id")
    if not RULE_ID.fullmatch(id_):
        raise entry.wrong("id", "must be 1 to 64 of letters, digits, _ . and -")
    group = entry.text("group") if "group" in entry.values else ""
    if group and group not in groups.values:
        raise entry.wrong("group", f"is {group!r}, which `groups` does not say how to combine")
    when = entry.section("when", optional=True)
    when.only(
        "skus", "categories", "brands", "stores", "channels", "payment_methods", "tiers", "weekdays", "hours",
        "dates", "amount", "visits", "first_purchase",
    )  # fmt: skip
    window = read_window(when)
    counts, points, multiplier, bands = _effect(entry.section("earn"), base, minor)
    return Rule(
        id=id_,
        group=group,
        skus=_some(when, "skus"),
        categories=_some(when, "categories"),
        brands=_some(when, "brands"),
        stores=_some(when, "stores"),
        channels=_some(when, "channels"),
        payment_methods=_some(when, "payment_methods"),
        tiers=_some(when, "tiers"),
        weekdays=window.weekdays,
        hours=window.hours,
        dates=window.dates,
        amount=_amount(when),
        visits=_visits(when),
        counts=counts,
        points=points,
        multiplier=multiplier,
        bands=bands,
    )


def _some(when: Section, key: str) -> frozenset[str]:
    """A condition's texts; one that nothing can meet is a mistake."""
    texts = when.texts(key)
    if key in when.values and not texts:
        raise when.wrong(key, "is empty: leave it out where anything will do")
    return frozenset(texts)


def _effect(
    earn: Section, base: Fraction, minor: int
) -> tuple[int, Fraction, Fraction | None, tuple[tuple[int, int], ...]]:
    """(what it counts, points for one of it, multiplier, bands)"""
    earn.only(*EFFECTS)
    if len(earn.values) != 1:
        raise ProgramError(earn.path, f"must have one of {', '.join(EFFECTS)}")
    (name,) = earn.values
    counts = EFFECTS[name]
    if name == "points_per_unit":
        return counts, earn.rate(name) / minor, None, ()
    if name == "multiplier":
        multiplier = earn.rate(name)
        if multiplier < 1:
            raise earn.wrong(name, f"is {multiplier}; a rule adds to the base, so a multiplier is 1 or more")
        return counts, base * (multiplier - 1), multiplier, ()
    if name == "bands":
        return counts, Fraction(0), None, _bands(earn)
    return counts, Fraction(earn.whole(name, 1, FIXED_POINTS_MAX)), None, ()


def _bands(earn: Section) -> tuple[tuple[int, int], ...]:
    bands: list[tuple[int, int]] = []
    for band in earn.sections("bands", BANDS_MAX):
        band.only("from", "points")
        start = band.whole("from", 0, MINOR_UNITS_MAX)
        if bands and start <= bands[-1][0]:
            raise band.wrong("from", "must be more than that of the band before")
        bands.append((start, band.whole("points", 0, FIXED_POINTS_MAX)))
    if not bands:
        raise earn.wrong("bands", "is empty")
    return tuple(bands)


def _amount(when: Section) -> tuple[int, int]:
    amount = when.section("amount", optional=True)
    amount.only("from", "below")
    first = amount.whole("from", 0, MINOR_UNITS_MAX, ANY_AMOUNT[0])
    return first, amount.whole("below", first + 1, MINOR_UNITS_MAX + 1, ANY_AMOUNT[1])


def _visits(when: Section) -> tuple[int, int, int]:
    if "first_purchase" in when.values:
        if when.values["first_purchase"] is not True:
            raise when.wrong("first_purchase", "must be true; leave it out where any purchase will do")
        if "visits" in when.values:
            raise when.wrong("visits", "says the same as `first_purchase` or nothing: leave one out")
        return (1, 1, 1)
    visits = when.section("visits", optional=True)
    visits.only("from", "to", "every")
    first = visits.whole("from", 1, VISITS_MAX, ANY_VISIT[0])
    last = visits.whole("to", first, VISITS_MAX, ANY_VISIT[1])
    return first, last, visits.whole("every", 1, VISITS_MAX, ANY_VISIT[2])
