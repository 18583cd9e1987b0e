"""What a purchase of the version v3 earns, read naively: a carried fraction, rules that stack or compete, and caps.

Written from docs/programs/earning.md, with whole fractions and no look-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

RATE = Fraction("0.0123")
PARTS = 40_000
"""The smallest part of a point that its rates, with every tier, make."""
CAPS = {"day": 250, "month": 600, "lifetime": 2_500}
EARNING: dict[str, Any] = {
    "points_per_unit": "0.0123",
    "rounding": "carry",
    "caps": CAPS,
    "groups": {"campaigns": "best_of"},
    "rules": [
        {"id": "weekend", "group": "campaigns", "when": {"weekdays": ["sat", "sun"]}, "earn": {"multiplier": "2.5"}},
        {"id": "tea", "group": "campaigns", "when": {"categories": ["TEA"]}, "earn": {"points_per_item": 11}},
        {"id": "stamp", "when": {"visits": {"every": 3}}, "earn": {"points_per_visit": 20}},
        {"id": "gold", "when": {"tiers": ["gold"], "hours": [{"from": "06:00", "to": "18:00"}]},
         "earn": {"bands": [{"from": 5_000, "points": 7}, {"from": 15_000, "points": 30}]}},
    ],
}  # fmt: skip
Line = tuple[str, int, int]
"""(category, units, yen)"""


@dataclass
class Counts:
    """What is counted of a member before a purchase."""

    purchases: int
    carry: Fraction
    earned: dict[str, int]
    """Points by period: that day, that month, ever."""

    @property
    def left(self) -> int:
        """Points that the caps leave. After a merge more may be earned than a cap allows: then nothing is left."""
        return max(
            0, min(cap - earned for cap, earned in zip(CAPS.values(), self.earned.values(), strict=True))
        )


def periods(at: datetime) -> list[str]:
    """The periods of a purchase, as the caps have them."""
    return [f"{at:%Y-%m-%d}", f"{at:%Y-%m}", "lifetime"]


def worth(
    lines: dict[int, Line], at: datetime, tier: str, multiplier: Fraction, visit: int
) -> dict[int, Fraction]:
    """What each line is worth before it is rounded or capped; `lines` are those that earn."""
    whole = sum(yen for _, _, yen in lines.values())
    base = {n: yen * RATE * multiplier for n, (_, _, yen) in lines.items()}
    weekend = {
        n: yen * RATE * Fraction(3, 2) if at.weekday() >= 5 else Fraction(0)
        for n, (_, _, yen) in lines.items()
    }
    tea = {n: Fraction(11 * units) if kind == "TEA" else Fraction(0) for n, (kind, units, _) in lines.items()}
    best = tea if sum(tea.values()) > sum(weekend.values()) else weekend
    fixed = 20 if visit % 3 == 0 else 0
    if tier == "gold" and 6 <= at.hour < 18:
        fixed += 30 if whole >= 15_000 else 7 if whole >= 5_000 else 0
    return {n: base[n] + best[n] + Fraction(fixed * yen, whole) for n, (_, _, yen) in lines.items()}


def points(worths: dict[int, Fraction], counts: Counts) -> tuple[int, Fraction]:
    """(points, the fraction to carry on); where a cap cuts, the fraction stays as it was."""
    exact = sum(worths.values()) + counts.carry
    if int(exact) > counts.left:
        return counts.left, counts.carry
    return int(exact), exact - int(exact)
