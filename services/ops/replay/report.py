"""What a replay prints: for people a line a table, for machines everything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from services.ops.replay.checkpoint import Checkpoint
from services.ops.replay.digest import Compared, total
from services.ops.replay.fold import SHAPES
from services.ops.replay.run import Replayed
from services.ops.screen import err, out

DIGITS = 16
SHOWN_MAX = 20


def as_object(result: Replayed) -> dict[str, object]:
    """The result as JSON has it: every table and chain; `switched` is empty unless that was asked for."""
    return {
        "service": result.service,
        "same": result.same,
        "journal_rows": result.rows,
        "seconds": round(result.seconds, 3),
        "tables": [
            {
                "table": part.table,
                "chain": part.chain,
                "rows": part.live.rows,
                "digest": part.live.sha256,
                "rebuilt_rows": part.rebuilt.rows,
                "rebuilt_digest": part.rebuilt.sha256,
                "difference": part.difference,
            }
            for part in sorted(result.compared, key=lambda part: (part.table, part.chain))
        ],
        "switched": [
            {
                "chain": chain.chain,
                "pause_ms": chain.pause_ms,
                "rows_since": chain.rows_since,
                "replaced": list(chain.replaced),
                "refused": chain.refused,
            }
            for chain in sorted(result.switched, key=lambda chain: chain.chain)
        ],
        "mended": result.mended,
    }


def show(result: Replayed) -> None:
    """A line a table, over all chains; then where they first differ; then what was switched."""
    table = Table(result.service, "rows", "rebuilt", "digest", "rebuilt", "chains", box=None, pad_edge=False)
    for column in (1, 2):
        table.columns[column].justify = "right"
    for shape in SHAPES[result.service]:
        parts = sorted((p for p in result.compared if p.table == shape.table), key=lambda part: part.chain)
        live, rebuilt = total([part.live for part in parts]), total([part.rebuilt for part in parts])
        same = sum(part.same for part in parts)
        table.add_row(
            shape.table, f"{live.rows:,}", f"{rebuilt.rows:,}", live.sha256[:DIGITS], rebuilt.sha256[:DIGITS],
            f"{same} of {len(parts)} the same", style=None if same == len(parts) else "red",
        )  # fmt: skip
    out().print(table)
    _show_differences([part for part in result.compared if not part.same])
    rate = result.rows / result.seconds if result.seconds else 0
    words = "the same" if result.same else "NOT the same"
    if result.switched:
        words = f"{'they were ' if not result.same else ''}{words}; {_show_switched(result)}"
    out().print(
        f"{result.service}: {result.rows:,} journal rows in {result.seconds:.1f} s ({rate:,.0f} a second): {words}",
        style="bold green" if result.ended_well else "bold red",
    )


def _show_differences(wrong: Sequence[Compared]) -> None:
    for part in wrong[:SHOWN_MAX]:
        out().print(
            escape(f"{part.table} chain {part.chain}: {part.difference}"), style="red", soft_wrap=True
        )
    if len(wrong) > SHOWN_MAX:
        out().print(f"... and {len(wrong) - SHOWN_MAX} more; --json has all of them", style="red")


def _show_switched(result: Replayed) -> str:
    """Chains that got rebuilt rows, and those that could not; returns the words for all."""
    for chain in sorted(result.switched, key=lambda chain: chain.chain):
        if chain.refused is not None:
            line = f"chain {chain.chain} was left as it is: {chain.refused}"
            out().print(escape(line), style="red", soft_wrap=True)
        elif chain.replaced:
            out().print(f"chain {chain.chain}: rebuilt rows in {', '.join(chain.replaced)}")
    for name, rows in result.mended.items():
        out().print(f"{name}: {rows:,} rows set right")
    pauses = sorted(chain.pause_ms for chain in result.switched)
    switched = sum(chain.refused is None for chain in result.switched)
    return (
        f"{switched} of {len(result.switched)} chains switched; each waited for {pauses[len(pauses) // 2]:,.0f} ms "
        f"(median; the longest {pauses[-1]:,.0f} ms)"
    )


def show_checkpoints(found: Mapping[str, Sequence[Checkpoint]], as_json: bool) -> None:
    """Every service's, by name."""
    rows: list[dict[str, Any]] = [
        {
            "service": str(service), "name": one.name, "made_at": one.made_at.isoformat(timespec="seconds"),
            "journal_rows": one.journal_rows, "chains": one.chains, "rows": one.rows,
        }
        for service, checkpoints in found.items() for one in checkpoints
    ]  # fmt: skip
    if as_json:
        out().print_json(json.dumps(rows))
        return
    if not rows:
        err().print("no checkpoints: `tally replay SERVICE --checkpoint NAME` makes one")
        return
    table = Table("service", "name", "made at", "journal rows", "chains", "rows", box=None, pad_edge=False)
    for row in rows:
        numbers = (f"{row[column]:,}" for column in ("journal_rows", "chains", "rows"))
        table.add_row(row["service"], row["name"], row["made_at"], *numbers)
    out().print(table)
