"""What a program counts of each member, because what the next purchase earns depends on it.

The fraction of a point that was carried on, the member's purchases, and points earned in a day, a month, altogether.
An accrual says what each counter was before it and is after it, so that it can be understood, and replayed, by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

CARRY, VISITS = "carry", "visits"


class Counter(NamedTuple):
    """A counter that an accrual looked at. Values are exact decimals, as text."""

    name: str
    before: str
    after: str


class Counted(NamedTuple):
    """A member's counter as it is now, and the accrual that set it."""

    value: Fraction
    position: int


class Contribution(NamedTuple):
    """A rule that had a part in an accrual, and how much of what it counts there was."""

    rule: str
    counted: int


@dataclass(slots=True, frozen=True)
class Counting:
    """Which counters a version of a program looks at."""

    carries: bool
    visits: bool
    caps: tuple[tuple[str, int], ...]
    """(period, points)"""
    zone: ZoneInfo

    def names(self, at: datetime) -> list[str]:
        """The counters for a purchase made at `at`: late ones count in the day and month of their own."""
        names = []
        if self.carries:
            names.append(CARRY)
        if self.visits:
            names.append(VISITS)
        if self.caps:
            day = at.astimezone(self.zone).date().isoformat()
            own = {"day": f"day {day}", "month": f"month {day[:7]}", "lifetime": "lifetime"}
            names += [own[period] for period, _ in self.caps]
        return names

    def left(self, before: Mapping[str, Fraction]) -> tuple[str, int, int] | None:
        """(counter, its cap, points left) of the cap that leaves least; None without caps."""
        if not self.caps:
            return None
        caps = dict(self.caps)
        return min(
            (
                (name, caps[period], max(0, caps[period] - int(value)))
                for name, value in before.items()
                if (period := name.partition(" ")[0]) in caps
            ),
            key=lambda cap: cap[2],
            default=None,
        )

    def after(self, before: Mapping[str, Fraction], points: int, rest: Fraction) -> list[Counter]:
        """What the counters are once a purchase earned `points`, with `rest` of a point to carry on."""
        now = {CARRY: rest, VISITS: before.get(VISITS, Fraction(0)) + 1}
        return [
            Counter(name, as_text(value), as_text(now.get(name, value + points)))
            for name, value in before.items()
        ]


def before(names: Iterable[str], counters: Mapping[str, Counted], uncounted: int) -> dict[str, Fraction]:
    """What a member's counters say now; `uncounted` purchases came since its visits were last written."""
    values = {name: counters[name].value if name in counters else Fraction(0) for name in names}
    if VISITS in values:
        values[VISITS] += uncounted
    return values


def recorded(counters: Sequence[Counter]) -> dict[str, Fraction]:
    """What an accrual found."""
    return {name: Fraction(value) for name, value, _ in counters}


def as_text(value: Fraction) -> str:
    """An exact decimal; rates are decimals, so whatever is left of points is one too."""
    whole, rest = divmod(abs(value.numerator), value.denominator)
    sign = "-" if value < 0 else ""
    if rest == 0:
        return f"{sign}{whole}"
    digits = ""
    while rest:
        digit, rest = divmod(rest * 10, value.denominator)
        digits += str(digit)
    return f"{sign}{whole}.{digits}"
