"""What is counted: each row of the ledger's book gives entries (metric, amount, at) for its member.

A formula counts nothing by itself: it is an exact sum over other metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import floor

from services.tiering.domain.events import Lines
from services.tiering.domain.windows import Span

COUNTS = ("spend", "points", "visits", "days", "units", "top_ups", "formula")
SIMPLE = ("spend", "points", "visits", "days", "top_ups")
"""What can be named as a metric without being described first."""
PAID_CARD = "paid_card"

Values = dict[str, int]
"""What each metric's window holds, by name. A formula's is rounded down: no whole threshold can tell."""


@dataclass(slots=True, frozen=True)
class Metric:
    """One metric of a version.

    Amounts: spend and top_ups in minor units of money, points in points, visits, days and units in numbers. `least` is
    what a purchase must have cost to be a visit; `categories` are those whose units count; `parts` are (metric, times)
    of a formula, which has no window of its own: each part has its own.

    A flag counts nothing: it is 1 for a member who has something else, and 0. `top_percent` is 1 for the best `percent`
    by the metric `of`, as the last ranking found them; `paid_card` for who has one.
    """

    name: str
    counts: str
    span: Span
    least: int = 1
    categories: frozenset[str] = frozenset()
    parts: tuple[tuple[str, Fraction], ...] = ()
    of: str = ""
    percent: Fraction = Fraction(0)

    @property
    def percent_text(self) -> str:
        """The percentage as an exact decimal."""
        return f"{(Decimal(self.percent.numerator) / self.percent.denominator).normalize():f}"

    @property
    def is_flag(self) -> bool:
        """It is there or not, and is not counted."""
        return self.counts in ("top_percent", PAID_CARD)

    def words(self) -> str:
        """The metric in a rule's text."""
        return self.name if self.parts or self.is_flag else f"{self.name} {self.span.words()}"


def top_percent(base: Metric, percent: Fraction) -> Metric:
    """The flag of the best so many percent by a metric. Its name has spaces, so that no document's metric has it."""
    flag = Metric("", "top_percent", base.span, of=base.name, percent=percent)
    return replace(flag, name=f"top {flag.percent_text} percent by {base.words()}")


def paid_card(span: Span) -> Metric:
    """The flag of who has a paid card."""
    return Metric(PAID_CARD, PAID_CARD, span)


def counted(excluded: frozenset[str], lines: Lines) -> int:
    """Minor units of money that count."""
    return sum([line[1] for line in lines if line[0] not in excluded])


def units(metric: Metric, lines: Lines) -> int:
    """Units of the metric's categories."""
    return sum(line[2] for line in lines if line[0] in metric.categories)


def with_formulas(metrics: Iterable[Metric], values: Values) -> Values:
    """`values` of the counted metrics, with those of the formulas."""
    for metric in metrics:
        if metric.parts:
            values[metric.name] = floor(
                sum((values[name] * times for name, times in metric.parts), Fraction(0))
            )
    return values


def counted_names(metrics: Mapping[str, Metric], name: str) -> list[str]:
    """The metrics that have the entries behind a metric: itself, the parts of a formula, what a ranking is by."""
    metric = metrics[name]
    if metric.is_flag:
        return counted_names(metrics, metric.of) if metric.of else []
    return [part for part, _ in metric.parts] if metric.parts else [name]
