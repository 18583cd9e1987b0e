"""What the naive ledger keeps of one member: credits, purchases, holds, for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from tests.simulation import naive_earning
from tests.simulation.naive_earning import Counts
from tests.simulation.naive_holds import Hold

FAR = datetime.max.replace(tzinfo=UTC)
TIERS = {"": Fraction(1), "member": Fraction(1), "silver": Fraction(5, 4), "gold": Fraction(3, 2)}
RATES = {"v1": Fraction(1, 100), "v2": Fraction("0.033333333")}
"""Points for a yen, by version (no minor units: exact rates are easy to read); other versions have v1's."""
EXCLUDED = "FUEL"
SPEND_FIRST = {"v2": "given", "month_end": "earned"}
"""Points of which kind go first, by version."""


@dataclass
class Credit:
    number: int
    left: int
    expires: datetime | None
    purchase: str
    matures: datetime | None
    held: int = 0

    @property
    def free(self) -> int:
        return self.left - self.held

    def order(self) -> tuple[datetime, int]:
        """Soonest expiry first, then the oldest."""
        return (FAR if self.expires is None else self.expires, self.number)


def spending(version: str) -> Callable[[Any], tuple[bool, datetime, int]]:
    """The order in which credits are spent."""
    first = SPEND_FIRST.get(version.removesuffix("-park"))
    late = {None: (), "given": (False,), "earned": (True,)}[first]
    return lambda credit: ((credit.purchase == "") in late, *credit.order())


@dataclass
class Bought:
    at: datetime
    version: str
    lines: list[tuple[str, int, int]]
    """(category, units, yen); lines are numbered from 1."""
    tiers: list[tuple[datetime, str]]
    """Those of who bought it, whoever has it now."""
    back: dict[int, int] = field(default_factory=dict)
    given: int = 0
    counts: Counts | None = None
    """What was counted before it, where the version counts."""
    earned: int = 0
    """What it earned by then, as the caps count it, whatever came back."""
    stands: Fraction = Fraction(0)
    """What it stood for when it was settled last, where the version counts."""

    def owed(self) -> int:
        """Points of every single unit that was not brought back."""
        tier = tier_at(self.tiers, self.at)
        earning = [(n, units, yen) for n, (kind, units, yen) in enumerate(self.lines, 1) if kind != EXCLUDED]
        whole = sum(yen for _, _, yen in earning)
        total = int(whole * RATES.get(self.version, RATES["v1"]) * TIERS[tier])
        kept, so_far = 0, 0
        for number, units, yen in earning:
            if whole == 0:
                return 0
            share = total * (so_far + yen) // whole - total * so_far // whole
            of_unit = [share * (k + 1) // units - share * k // units for k in range(units)]
            kept += sum(of_unit[self.back.get(number, 0) :])
            so_far += yen
        return kept

    def worths(self, tier: str, counts: Counts) -> dict[int, Fraction]:
        """By line, where the version has rules."""
        lines = {n: line for n, line in enumerate(self.lines, 1) if line[0] != EXCLUDED}
        return naive_earning.worth(lines, self.at, tier, TIERS[tier], counts.purchases + 1)

    def stands_for(self, counts: Counts) -> Fraction:
        """Where the version counts: points, and the fraction left to others, of all units that stayed."""
        worths = self.worths(tier_at(self.tiers, self.at), counts)
        points, carry = naive_earning.points(worths, counts)
        total = int((points + carry - counts.carry) * naive_earning.PARTS)
        kept, so_far, whole = 0, Fraction(0), sum(worths.values())
        for number, worth in worths.items():
            if whole == 0:
                return Fraction(0)
            share = total * (so_far + worth) // whole - total * so_far // whole
            units = self.lines[number - 1][1]
            of_unit = [share * (k + 1) // units - share * k // units for k in range(units)]
            kept += sum(of_unit[self.back.get(number, 0) :])
            so_far += worth
        return Fraction(kept, naive_earning.PARTS)


def tier_at(tiers: list[tuple[datetime, str]], at: datetime) -> str:
    return next((name for since, name in reversed(tiers) if since < at), "")


class Account:
    """One member."""

    def __init__(self) -> None:
        self.credits: list[Credit] = []
        self.debt = 0
        self.bought: dict[str, Bought] = {}
        self.holds: dict[str, Hold] = {}
        self.tiers: list[tuple[datetime, str]] = []
        self.ended: dict[str, Hold] = {}
        """Holds that were over before their member was merged into this one."""
        self.status = "active"
        self.by_hand: dict[str, tuple[int, str, str]] = {}
        """(points, who asked, state) by adjustment."""
        self.lapses: datetime | None = None
        self.parked: dict[str, list[tuple[datetime, dict[int, int]]]] = {}
        """When, and units by line, of returns by the purchase that they wait for."""
        self.carry = Fraction(0)
        self.earned: Counter[str] = Counter()
        """Points by day, month and altogether, of purchases under the version that has caps."""

    @property
    def posted(self) -> int:
        return sum(credit.left for credit in self.credits) - self.debt

    @property
    def pending(self) -> int:
        return sum(credit.left for credit in self.credits if credit.matures is not None)

    @property
    def held(self) -> int:
        return sum(credit.held for credit in self.credits)
