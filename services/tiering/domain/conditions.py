"""What a tier asks for: a small tree of any_of / all_of over (metric, threshold)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from services.tiering.domain.metrics import Metric, Values


@dataclass(slots=True, frozen=True)
class AtLeast:
    """A leaf: the metric's window holds `threshold` or more."""

    metric: str
    threshold: int

    def holds(self, values: Values) -> bool:
        """A metric that is not among `values` holds nothing."""
        return values.get(self.metric, -1) >= self.threshold

    def leaves(self) -> Iterator[AtLeast]:
        """This one."""
        yield self

    def decisive(self, values: Values) -> AtLeast:
        """This one."""
        return self

    def words(self, metrics: Mapping[str, Metric], reached: bool, nested: bool = False) -> str:
        """`spend of 12 months >= 10000`; with `reached` false what was seen instead."""
        metric = metrics[self.metric]
        if metric.is_flag:
            return metric.words() if reached else f"not {metric.words()}"
        return f"{metric.words()} {'>=' if reached else '<'} {self.threshold}"


@dataclass(slots=True, frozen=True)
class Joined:
    """Conditions of which one (`any`) or each must hold."""

    any: bool
    parts: tuple[Condition, ...]

    def holds(self, values: Values) -> bool:
        """Whether it is met."""
        met = (part.holds(values) for part in self.parts)
        return any(met) if self.any else all(met)

    def leaves(self) -> Iterator[AtLeast]:
        """All leaves, in order."""
        for part in self.parts:
            yield from part.leaves()

    def decisive(self, values: Values) -> AtLeast:
        """The leaf that shows why it holds or not: the first met of what is met, or missed of what is missed."""
        met = self.holds(values)
        return next(part for part in self.parts if part.holds(values) == met).decisive(values)

    def words(self, metrics: Mapping[str, Metric], reached: bool, nested: bool = False) -> str:
        """The rule in words; what misses `a or b` misses both."""
        word = " or " if self.any == reached else " and "
        text = word.join(part.words(metrics, reached, True) for part in self.parts)
        return f"({text})" if nested else text


Condition = AtLeast | Joined


def known_only(values: Values, names: Collection[str]) -> Values:
    """`values` of some metrics."""
    return {name: value for name, value in values.items() if name in names}
