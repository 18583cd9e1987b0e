"""What the demo shows, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from services.ops.importing.stream import Imported
from services.ops.local.stack import Stack

STATEMENT_FIRST = 4
STATEMENT_LAST = 4


def summary(imported: Imported, totals: Mapping[str, int], tiers: Mapping[str, int]) -> Table:
    """Rate, tiers, and the points of the program."""
    table = Table(show_header=False, box=None, pad_edge=False)
    events = imported.published.records
    table.add_row(
        "purchases", f"{events:,}", f"of {totals['members']:,} households, {imported.account.rows:,} lines"
    )
    table.add_row(
        "rate", f"{events / imported.seconds:,.0f}/s", "file -> Kafka -> ledger -> tiering and rewards level"
    )
    for tier, members in tiers.items():
        share = members / max(totals["members"], 1)
        table.add_row(f"tier {tier}", f"{members:,}", f"{share:.0%} of members")
    for name in ("issued", "spent", "expired", "clawed_back", "outstanding"):
        table.add_row(f"points {name.replace('_', ' ')}", f"{totals[name]:,}", "")
    table.columns[1].justify = "right"
    return table


def statement(entries: Sequence[Mapping[str, Any]]) -> Table:
    """The first and the last entries of a statement, each with the rules that made it."""
    table = Table("when", "points", "what", "why", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    moving = [entry for entry in entries if entry["points"]]
    first, last = moving[:STATEMENT_FIRST], moving[STATEMENT_FIRST:][-STATEMENT_LAST:]
    for entry in first:
        table.add_row(*_entry(entry))
    between = len(moving) - len(first) - len(last)
    if between:
        table.add_row("...", "", f"{between} more", "")
    for entry in last:
        table.add_row(*_entry(entry))
    return table


def _entry(entry: Mapping[str, Any]) -> tuple[str, str, str, str]:
    why = "; ".join(f"{rule['rule']}: {rule['arithmetic']}" for rule in entry.get("rules") or [])
    when = str(entry["occurred_at"])[:16].replace("T", " ")
    return when, f"{entry['points']:+,}", escape(str(entry["text"])), escape(why)


def redemption(
    path: str, before: Mapping[str, Any], answers: Sequence[Mapping[str, Any]], after: Mapping[str, Any]
) -> Table:
    """Each request with its answer, and the points before and after."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("wallet before", _points(before["points"]))
    requests = (f"POST {path}", "the same again", "POST .../capture")
    for request, answer in zip(requests, answers, strict=True):
        table.add_row(
            escape(request), f"{answer['state']} ({answer['points']} points, {answer['redemption']})"
        )
    table.add_row("ledger after", _points(after["points"]))
    return table


def _points(points: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {points[name]:,}" for name in ("available", "posted", "held"))


def where(stack: Stack) -> Table:
    """Where the APIs and their documentation are, and the key to try them with."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for service in ("ledger", "tiering", "rewards"):
        table.add_row(f"{service} API", f"{stack.url(service)}/docs")
    table.add_row("kafka", f"{stack.state.bootstrap}, topics {stack.state.topic_prefix}*")
    table.add_row("ops key", stack.state.ops_key)
    member = f"{stack.url('ledger')}/v1/programs/grocer/members/h1"
    table.add_row("try", f"curl -H 'Authorization: Bearer {stack.state.ops_key}' {member}")
    return table
