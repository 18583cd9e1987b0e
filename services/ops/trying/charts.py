"""Bars and lines as SVG that stands in a page by itself: no script, no font, no colour of its own.

Colours come from the page's `--before` and `--after`, so that they suit light and dark; before is dashed or pale as
well, so that nothing hangs on colour alone. The numbers stand in a table beside each chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH = 720
LABEL, RIGHT, TOP = 170, 110, 34
BAR, GAP, GROUP = 15, 3, 16
PLOT = 240
"""Height of what is drawn over months."""
TICKS = (1, 2, 5, 10)
LABELS_MAX = 8
"""Months that are written under a chart."""


class Series(NamedTuple):
    """One thing, or one month, before and after."""

    label: str
    before: int
    after: int


def bars(name: str, title: str, rows: Sequence[Series]) -> str:
    """Two bars a row, lying, each with its number."""
    top = max((max(row.before, row.after) for row in rows), default=0) or 1
    low = min((min(row.before, row.after) for row in rows), default=0)
    low = min(low, 0)
    room = WIDTH - LABEL - RIGHT
    step = 2 * BAR + GAP + GROUP

    def x(value: int) -> float:
        return LABEL + room * (value - low) / (top - low)

    parts = []
    for number, row in enumerate(rows):
        y = TOP + number * step
        parts.append(_text(LABEL - 10, y + BAR + GAP + 2, row.label, "end"))
        for place, (kind, value) in enumerate((("before", row.before), ("after", row.after))):
            at = y + place * (BAR + GAP)
            left, right = sorted((x(0), x(value)))
            parts.append(
                f'<rect class="{kind}" x="{left:.1f}" y="{at}" width="{max(right - left, 1):.1f}" '
                f'height="{BAR}" rx="2"/>'
            )
            parts.append(_text(right + 6, at + BAR - 3, f"{value:,}", "start", "number"))
    axis = x(0)
    height = TOP + len(rows) * step
    parts.append(
        f'<line class="axis" x1="{axis:.1f}" y1="{TOP - 6}" x2="{axis:.1f}" y2="{height - GROUP + 4}"/>'
    )
    return _svg(name, title, _said(rows), height, parts)


def columns(name: str, title: str, rows: Sequence[Series]) -> str:
    """Two columns a month."""
    scale = _Scale(rows)
    parts = scale.grid()
    slot = scale.room / max(len(rows), 1)
    width = max(slot * 0.36, 1)
    for number, row in enumerate(rows):
        middle = scale.left + slot * (number + 0.5)
        for kind, value, x in (("before", row.before, middle - width - 1), ("after", row.after, middle + 1)):
            high, foot = sorted((scale.y(value), scale.y(0)))
            parts.append(
                f'<rect class="{kind}" x="{x:.1f}" y="{high:.1f}" width="{width:.1f}" height="{foot - high:.1f}"/>'
            )
    parts += scale.months(rows, slot)
    return _svg(name, title, _said(rows), scale.height, parts)


def lines(name: str, title: str, rows: Sequence[Series]) -> str:
    """Two lines over months."""
    scale = _Scale(rows)
    parts = scale.grid()
    slot = scale.room / max(len(rows), 1)
    for kind in ("before", "after"):
        points = [
            f"{scale.left + slot * (number + 0.5):.1f},{scale.y(getattr(row, kind)):.1f}"
            for number, row in enumerate(rows)
        ]
        parts.append(f'<polyline class="{kind}" points="{" ".join(points)}"/>')
        for point in points[-1:]:
            x, _, y = point.partition(",")
            parts.append(f'<circle class="{kind}" cx="{x}" cy="{y}" r="3.5"/>')
    parts += scale.months(rows, slot)
    return _svg(name, title, _said(rows), scale.height, parts)


class _Scale:
    """Values up, months across."""

    left = 84
    height = TOP + PLOT + 30

    def __init__(self, rows: Sequence[Series]) -> None:
        values = [value for row in rows for value in (row.before, row.after)]
        self.step = _step(max(values, default=0) - min([0, *values]))
        self.low = min([0, *values]) // self.step * self.step
        self.high = -(-max([1, *values]) // self.step) * self.step
        self.room = WIDTH - self.left - 16

    def y(self, value: int) -> float:
        return TOP + PLOT * (self.high - value) / (self.high - self.low)

    def grid(self) -> list[str]:
        parts = []
        for value in range(self.low, self.high + 1, self.step):
            y, kind = self.y(value), "axis" if value == 0 else "grid"
            parts.append(
                f'<line class="{kind}" x1="{self.left}" y1="{y:.1f}" x2="{WIDTH - 16}" y2="{y:.1f}"/>'
            )
            parts.append(_text(self.left - 8, y + 4, f"{value:,}", "end", "number"))
        return parts

    def months(self, rows: Sequence[Series], slot: float) -> list[str]:
        every = -(-len(rows) // LABELS_MAX)
        return [
            _text(self.left + slot * (number + 0.5), TOP + PLOT + 20, row.label, "middle")
            for number, row in enumerate(rows)
            if number % every == 0
        ]


def _step(span: int) -> int:
    """A round distance between lines, so that there are four to eight of them."""
    power = 1
    while power * 50 < span:
        power *= 10
    return next((tick * power for tick in TICKS if tick * power * 5 >= span), 10 * power)


def _said(rows: Sequence[Series]) -> str:
    """The chart in words, for who can't see it."""
    return "; ".join(f"{row.label}: {row.before:,} before, {row.after:,} after" for row in rows)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(name: str, title: str, said: str, height: float, parts: list[str]) -> str:
    key = "".join(
        f'<rect class="{kind}" x="{x}" y="6" width="14" height="12" rx="2"/>{_text(x + 20, 17, kind, "start")}'
        for kind, x in (("before", LABEL), ("after", LABEL + 90))
    )
    return (
        f'<figure><figcaption id="{name}-title">{escape(title)}</figcaption>'
        f'<svg role="img" viewBox="0 0 {WIDTH} {height:.0f}" aria-labelledby="{name}-title" '
        f'aria-describedby="{name}-said"><desc id="{name}-said">{escape(said)}</desc>'
        f"{key}{''.join(parts)}</svg></figure>"
    )
