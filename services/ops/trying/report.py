"""The report of a try: one HTML file that needs nothing else, with charts, readable in light and in dark."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from html import escape
from string import Template

from services.ops.trying.charts import Series, bars, columns, lines
from services.ops.trying.run import Tried
from services.ops.trying.tables import Table, Value, Worth, text_of

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --quiet: #57606a; --line: #d0d7de; --card: #f6f8fa;
  --before: #6e7b8a; --after: #0b6bcb; }
@media (prefers-color-scheme: dark) { :root { --page: #0f1318; --ink: #e6edf3; --quiet: #9da7b3; --line: #30363d;
  --card: #171c23; --before: #8b98a7; --after: #58a6ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .25rem; }
p { margin: .25rem 0; } .quiet { color: var(--quiet); }
ul.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: .75rem; padding: 0;
  margin: 1.25rem 0; list-style: none; }
ul.cards li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
ul.cards small { font-size: .95rem; font-weight: 400; }
ul.cards b { display: block; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
ul.notes { background: var(--card); border-left: 4px solid var(--after); margin: 1rem 0;
  padding: .5rem 1rem .5rem 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0; font-size: .925rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .75rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th.text, td.text { text-align: left; } td.text { white-space: normal; }
thead th { color: var(--quiet); font-weight: 600; } tbody th { font-weight: 400; }
figure { margin: .75rem 0; overflow-x: auto; } figcaption { font-weight: 600; }
svg { display: block; width: 100%; min-width: 34rem; max-width: 45rem; height: auto; margin: .5rem 0; }
svg text { fill: var(--ink); font-size: 12px; font-family: inherit; } svg text.number { fill: var(--quiet); }
rect.before { fill: var(--before); fill-opacity: .35; stroke: var(--before); } rect.after { fill: var(--after); }
polyline { fill: none; stroke-width: 2.5; stroke-linejoin: round; } polyline.before { stroke: var(--before);
  stroke-dasharray: 6 4; } polyline.after { stroke: var(--after); }
circle.before { fill: var(--before); } circle.after { fill: var(--after); }
line.grid { stroke: var(--line); } line.axis { stroke: var(--quiet); }
@media print { body { max-width: none; } h2 { break-after: avoid; } svg, table { break-inside: avoid; } }
</style>
</head>
<body>
<main>
<h1>$title</h1>
<p class="quiet">$says</p>
$notes
$cards
$sections
</main>
</body>
</html>
""")
CARDS = {"totals": ("issued", "expired (breakage)", "outstanding at the end"), "money": ("points issued",)}
"""Which rows are told first, by how they begin."""


def page(tried: Tried, tables: list[Table], document: str, against: str, worth: Worth | None) -> str:
    """The whole page. `document` and `against` name what was tried and what it is held against."""
    by_name = {table.name: table for table in tables if table.name != "members"}
    says = (
        f"{document} over {tried.rows:,} recorded rows of program {tried.program}, up to "
        f"{tried.until:%Y-%m-%d}. Before: {against}. Nothing was written."
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in tried.notes)
    return PAGE.substitute(
        title=escape(f"What if: {tried.program}"),
        says=escape(says),
        notes=f'<ul class="notes">{notes}</ul>' if notes else "",
        cards=_cards(tried, by_name, worth),
        sections="\n".join(_section(table, worth) for table in by_name.values()),
    )


def _cards(tried: Tried, tables: dict[str, Table], worth: Worth | None) -> str:
    cards = []
    for name, wanted in CARDS.items():
        table = tables.get(name)
        for row in table.rows if table else ():
            if table and str(row[0]).startswith(wanted):
                kind = table.columns[1].kind
                change = text_of(row[3], kind, worth, signed=True)
                share = _percent(row[1], row[3])
                unit = "points" if kind == "whole" else worth.currency if worth else "minor units"
                cards.append((str(row[0]), text_of(row[2], kind, worth), unit, f"{change}{share}"))
    moved = sum(one.before.tier != one.after.tier for one in tried.part.members)
    cards.append(("end in another tier", f"{moved:,}", "members", f"of {len(tried.part.members):,}"))
    items = "".join(
        f"<li>{escape(what)}<b>{escape(now)} <small>{escape(unit)}</small></b>"
        f'<span class="quiet">{escape(change)}</span></li>'
        for what, now, unit, change in cards
    )
    return f'<ul class="cards">{items}</ul>'


def _percent(before: Value, change: Value) -> str:
    """By how much in a hundred, to one decimal place; nothing where there was nothing before."""
    if isinstance(before, str) or isinstance(change, str) or not before:
        return ""
    tenths = round(Fraction(1000) * change / before)
    sign = "-" if tenths < 0 else "+"
    return f" ({sign}{abs(tenths) // 10}.{abs(tenths) % 10}%)"


def _section(table: Table, worth: Worth | None) -> str:
    drawn = "".join(chart(table) for chart in CHARTS.get(table.name, ()))
    head = "".join(
        f'<th scope="col" class="{column.kind}">{escape(column.title)}</th>' for column in table.columns
    )
    body = "".join(f"<tr>{_row(table, row, worth)}</tr>" for row in table.rows)
    return (
        f'<section aria-labelledby="{table.name}"><h2 id="{table.name}">{escape(table.title)}</h2>'
        f'<p class="quiet">{escape(table.says)}</p>{drawn}'
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(table.title)}, as a table">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _row(table: Table, row: tuple[Value, ...], worth: Worth | None) -> str:
    cells = []
    for number, (column, value) in enumerate(zip(table.columns, row, strict=True)):
        text = escape(text_of(value, column.kind, worth, signed=column.name == "change"))
        cells.append(
            f'<th scope="row" class="{column.kind}">{text}</th>'
            if number == 0
            else f'<td class="{column.kind}">{text}</td>'
        )
    return "".join(cells)


def _changes(table: Table) -> str:
    rows = [Series(str(row[0]), int(row[1]), int(row[2])) for row in table.rows]
    return bars(f"chart-{table.name}", f"{table.title} before and after", rows)


def _over_months(draw: Callable[..., str], what: str) -> Callable[[Table], str]:
    def chart(table: Table) -> str:
        at = next(n for n, column in enumerate(table.columns) if column.name == f"{what}_before")
        rows = [Series(str(row[0]), int(row[at]), int(row[at + 1])) for row in table.rows]
        return draw(f"chart-{what}", f"Points {what} by month", rows)

    return chart


CHARTS: dict[str, tuple[Callable[[Table], str], ...]] = {
    "totals": (_changes,),
    "tiers": (_changes,),
    "rules": (_changes,),
    "months": (_over_months(columns, "issued"), _over_months(lines, "outstanding")),
}
"""By table; each chart's numbers are in the table below it."""
