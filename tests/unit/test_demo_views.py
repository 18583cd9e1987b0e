"""What the demo shows of answers that look like the services'."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from rich.table import Table

from services.ops import demo_views
from services.ops.importing.account import RowAccount
from services.ops.importing.publish import Published
from services.ops.importing.stream import Imported


def text(table: Table) -> str:
    console = Console(width=160, file=io.StringIO())
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def entry(number: int, points: int = 7) -> dict[str, Any]:
    rules = [{"rule": "base", "arithmetic": "[1/100]"}, {"rule": "rounding floor", "arithmetic": "7.1 -> 7"}]
    at = f"2017-01-{number:02}T12:00:00+00:00"
    return {"occurred_at": at, "points": points, "text": f"entry {number}", "rules": rules}


def test_a_statement_shows_its_first_and_last_entries_with_their_reasons() -> None:
    shown = text(demo_views.statement([entry(n) for n in range(1, 12)]))
    assert [n for n in range(1, 12) if f"entry {n} " in shown] == [1, 2, 3, 4, 8, 9, 10, 11]
    assert "3 more" in shown
    assert "base: [1/100]; rounding floor: 7.1 -> 7" in shown


def test_a_short_statement_is_shown_whole_without_what_moves_no_points() -> None:
    shown = text(demo_views.statement([entry(1), entry(2, points=0), entry(3)]))
    assert "entry 1" in shown
    assert "entry 2" not in shown
    assert "entry 3" in shown
    assert "more" not in shown


def test_the_summary_has_rate_tiers_and_points() -> None:
    account = RowAccount(rows=90)
    imported = Imported(account, Published(1_000, 5.0), 10.0, {})
    totals = {"members": 4, "issued": 1_234, "spent": 0, "expired": 0, "clawed_back": 0, "outstanding": 1_234}
    shown = text(demo_views.summary(imported, totals, {"member": 3, "gold": 1}))
    assert "100/s" in shown
    assert "25% of members" in shown
    assert "1,234" in shown
