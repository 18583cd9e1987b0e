"""How much of what was given will never be spent: the chain ladder over cohorts of lots, by age in months.

A cohort is what was earned in one month. How much of it had been spent by each age is a row of the triangle; how the
older cohorts went on from an age to the next says how the younger ones will (age-to-age factors).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Cohort:
    """What was earned in `month`, less what was reversed since. `redeemed` counts up by age, from the month itself
    (age 0) to the last whole month; `expired` is what has expired by then."""

    month: date
    amount: int
    redeemed: tuple[int, ...]
    expired: int

    @property
    def age(self) -> int:
        """Whole months that are behind it."""
        return len(self.redeemed) - 1

    @property
    def left(self) -> int:
        """What is neither spent nor expired."""
        return self.amount - self.redeemed[-1] - self.expired


@dataclass(frozen=True, slots=True)
class Expected:
    """What is to be expected of a cohort. `ultimate` is what will have been spent of it in the end."""

    cohort: Cohort
    ultimate: Fraction

    @property
    def breakage(self) -> Fraction | None:
        """The share that is never spent; None where nothing was earned."""
        return 1 - self.ultimate / self.cohort.amount if self.cohort.amount > 0 else None

    @property
    def unused(self) -> int:
        """Of what is left, how much will never be spent: whole points, halves up."""
        return half_up(self.cohort.left - (self.ultimate - self.cohort.redeemed[-1]))


@dataclass(frozen=True, slots=True)
class Breakage:
    """The chain ladder's answer. `factors[k]` leads from age k to age k + 1; beyond the oldest cohort nothing moves."""

    factors: tuple[Fraction, ...]
    expected: tuple[Expected, ...]

    @property
    def rate(self) -> Fraction | None:
        """The share of all that was earned that is never spent; None where nothing was earned."""
        amount = sum(each.cohort.amount for each in self.expected)
        return 1 - sum((each.ultimate for each in self.expected), Fraction()) / amount if amount > 0 else None

    @property
    def unused(self) -> int:
        """Outstanding points that will never be spent: the sum of the cohorts' whole points."""
        return sum(each.unused for each in self.expected)

    def to_ultimate(self, age: int) -> Fraction:
        """What has been spent at an age, times this, is what will have been spent in the end."""
        product = Fraction(1)
        for factor in self.factors[age:]:
            product *= factor
        return product


def chain_ladder(cohorts: Sequence[Cohort]) -> Breakage:
    """Age-to-age factors weighted by amount, and what follows from them for each cohort.

    A factor counts the cohorts that have seen both ages; where none of them had spent anything it is 1. No cohort is
    expected to spend more than it has left.
    """
    oldest = max((cohort.age for cohort in cohorts), default=0)
    factors = tuple(_factor(cohorts, age) for age in range(oldest))
    ladder = Breakage(factors, ())
    expected = []
    for cohort in cohorts:
        spent = cohort.redeemed[-1]
        ultimate = spent * ladder.to_ultimate(cohort.age)
        most = spent + max(cohort.left, 0)
        expected.append(Expected(cohort, max(Fraction(spent), min(ultimate, Fraction(most)))))
    return Breakage(factors, tuple(expected))


def half_up(value: Fraction) -> int:
    """The nearest whole number, halves up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def decimal(value: Fraction, places: int) -> str:
    """A fraction as a decimal with so many places (at least 1), halves away from zero."""
    digits = half_up(abs(value) * 10**places)
    whole, rest = divmod(digits, 10**places)
    return f"{'-' if value < 0 and digits else ''}{whole}.{rest:0{places}d}"


def _factor(cohorts: Sequence[Cohort], age: int) -> Fraction:
    both = [cohort.redeemed for cohort in cohorts if cohort.age > age]
    before, after = sum(row[age] for row in both), sum(row[age + 1] for row in both)
    return Fraction(after, before) if before > 0 else Fraction(1)
