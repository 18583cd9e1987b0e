"""The metrics and windows of the section `tiering:`."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

from services.common.program_section import Section
from services.tiering.domain.metrics import COUNTS, PAID_CARD, SIMPLE, Metric, paid_card, top_percent
from services.tiering.domain.windows import PERIODS, Span

METRIC_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
METRICS_MAX = 20
PARTS_MAX = 10
MONTHS_MAX = 1_200
THRESHOLD_MAX = 10**15


class Metrics:
    """The metrics that a document describes, and those that it only names; `used` grows as conditions are read."""

    def __init__(self, tiering: Section, zone: ZoneInfo) -> None:
        self._tiering = tiering
        self._zone = zone
        self._span = self._window(tiering.section("window"))
        self.used: dict[str, Metric] = {}
        for section in tiering.sections("metrics", METRICS_MAX):
            metric = self._described(section)
            if metric.name in self.used:
                raise section.wrong("name", f"{metric.name!r} is there twice")
            self.used[metric.name] = metric
        self.default = tiering.text("metric") if "metric" in tiering.values else ""
        if self.default:
            self.default = self.name(tiering, "metric")

    def name(self, section: Section, key: str = "metric") -> str:
        """The metric that `section` names at `key`, or the document's own when it names none."""
        if key not in section.values:
            if not self.default:
                raise self._tiering.wrong("metric", f"is missing, and {section.at(key)} names none")
            return self.default
        name = section.text(key)
        if name not in self.used:
            if name not in SIMPLE:
                known = [*self.used, *(simple for simple in SIMPLE if simple not in self.used)]
                raise section.wrong(key, f"is {name!r}; one of {', '.join(known)}")
            self.used[name] = Metric(name, name, self._span)
        return name

    def top(self, section: Section) -> str:
        """The flag of the best `top_percent` by the metric that `section` names; a ranking compares all members."""
        base = self.used[self.name(section)]
        percent = section.rate("top_percent")
        if not 0 < percent <= 100:
            raise section.wrong("top_percent", "must be more than 0 and at most 100")
        for name in [part for part, _ in base.parts] or [base.name]:
            if self.used[name].span.period == "anniversary_year":
                raise section.wrong("top_percent", f"{name!r} is of membership years, which nobody shares")
        flag = top_percent(base, percent)
        self.used[flag.name] = flag
        return flag.name

    def paid_card(self, section: Section) -> str:
        """The flag of who has a paid card."""
        if section.values["paid_card"] is not True:
            raise section.wrong("paid_card", "must be true, or left out")
        self.used.setdefault(PAID_CARD, paid_card(self._span))
        return PAID_CARD

    def lifetime(self) -> frozenset[str]:
        """The names of metrics that are counted over a lifetime; of a formula each part is."""
        return frozenset(
            metric.name
            for metric in self.used.values()
            if not metric.is_flag
            and all(
                self.used[name].span.is_lifetime
                for name in ([part for part, _ in metric.parts] or [metric.name])
            )
        )

    def _window(self, section: Section) -> Span:
        section.only("months", "period")
        if "period" not in section.values:
            return Span(self._zone, section.whole("months", 1, MONTHS_MAX))
        if "months" in section.values:
            raise section.wrong("period", "is there beside months: a window is one of them")
        return Span(self._zone, 0, section.choice("period", PERIODS))

    def _described(self, section: Section) -> Metric:
        section.only("name", "counts", "window", "least", "categories", "sum")
        name, counts = section.text("name"), section.choice("counts", COUNTS)
        if not METRIC_NAME.fullmatch(name):
            raise section.wrong("name", f"is {name!r}; 1 to 32 of a-z, 0-9, _ and -")
        if name == PAID_CARD:
            raise section.wrong("name", f"{name!r} says that a member has a paid card")
        fields = {"least": ("visits", "days"), "categories": ("units",), "sum": ("formula",)}
        for field, kinds in fields.items():
            if field in section.values and counts not in kinds:
                raise section.wrong(field, f"is for {' and '.join(kinds)}, and this counts {counts}")
        if counts == "formula" and "window" in section.values:
            raise section.wrong("window", "is not for a formula: each of its parts has its own")
        span = self._window(section.section("window")) if "window" in section.values else self._span
        categories = frozenset(section.texts("categories"))
        if counts == "units" and not categories:
            raise section.wrong("categories", "is missing or empty: units of which categories count?")
        parts = []
        for part in section.sections("sum", PARTS_MAX):
            part.only("metric", "times")
            if "metric" not in part.values:
                raise part.wrong("metric", "is missing")
            summand = self.name(part)
            if self.used[summand].parts:
                raise part.wrong("metric", f"{summand!r} is itself a formula")
            parts.append((summand, part.rate("times")))
        if counts == "formula" and not parts:
            raise section.wrong("sum", "is missing or empty")
        return Metric(
            name, counts, span, section.whole("least", 0, THRESHOLD_MAX, 1), categories, tuple(parts)
        )
