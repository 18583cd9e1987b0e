"""`tally replay`: rebuild a service's projections beside the live ones, and compare digests (L7)."""

from __future__ import annotations

import json
import signal
from enum import StrEnum
from types import FrameType
from typing import Annotated

import asyncpg
import typer
from rich.markup import escape
from rich.table import Table

from services.common.errors import InvariantBroken
from services.ops.book_options import BookUnreadable, place_of
from services.ops.chain_pool import progress_bar
from services.ops.replay.digest import total
from services.ops.replay.run import SHAPES, Replayed, replay
from services.ops.screen import err, out

DIGITS = 16
SHOWN_MAX = 20


class Service(StrEnum):
    """Whose projections."""

    LEDGER = "ledger"
    TIERING = "tiering"
    REWARDS = "rewards"


def register(app: typer.Typer) -> None:
    """Add the command `replay`."""
    app.command("replay")(replay_command)


def replay_command(
    services: Annotated[list[Service], typer.Argument(help="Whose projections to rebuild.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    processes: Annotated[int, typer.Option(help="Processes at once; 0: what is worth it.", min=0)] = 0,
    database_url: Annotated[str, typer.Option(help="The owner's URL of the databases' server.")] = "",
    database_prefix: Annotated[str, typer.Option(help="What the databases' names begin with.")] = "",
) -> None:
    """Rebuild projections from the journals in a schema of their own, compare them with the live ones, drop them.

    The services may go on working: both sides are of one moment. Exit status 1 when anything differs: then table,
    chain and the first row that differs are named.
    """
    signal.signal(signal.SIGTERM, _as_interrupt)
    place = place_of(database_url, database_prefix, "", "")
    results = []
    for service in services:
        try:
            with progress_bar(err()) as progress:
                task = progress.add_task(f"replaying {service}", total=None)
                results.append(
                    replay(
                        service,
                        place.urls,
                        processes,
                        lambda done, rows, task=task, progress=progress: progress.update(  # type: ignore[misc]
                            task, completed=done, total=rows
                        ),
                    )
                )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
            raise BookUnreadable(f"the databases can't be used: {fault}") from fault
        except InvariantBroken as broken:
            raise BookUnreadable(
                f"{service}: the journal can't be replayed: {broken}; see `tally verify`"
            ) from broken
    if as_json:
        out().print_json(json.dumps([as_object(result) for result in results]))
    else:
        for result in results:
            show(result)
    if not all(result.same for result in results):
        raise typer.Exit(1)


def as_object(result: Replayed) -> dict[str, object]:
    """The result as JSON has it: every table and chain."""
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
    }


def show(result: Replayed) -> None:
    """A line a table, over all chains; then where they first differ."""
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
    wrong = [part for part in result.compared if not part.same]
    for part in wrong[:SHOWN_MAX]:
        out().print(
            escape(f"{part.table} chain {part.chain}: {part.difference}"), style="red", soft_wrap=True
        )
    if len(wrong) > SHOWN_MAX:
        out().print(f"... and {len(wrong) - SHOWN_MAX} more; --json has all of them", style="red")
    rate = result.rows / result.seconds if result.seconds else 0
    words = "the same" if result.same else "NOT the same"
    out().print(
        f"{result.service}: {result.rows:,} journal rows in {result.seconds:.1f} s ({rate:,.0f} a second): {words}",
        style="bold green" if result.same else "bold red",
    )


def _as_interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
