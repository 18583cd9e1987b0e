"""`tally re-decide`: every recorded fact of the ledger through the decider again (L8)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import asyncpg
import typer
from rich.markup import escape
from rich.table import Table

from services.common.errors import InvariantBroken
from services.ops.book_options import BookUnreadable, place_of
from services.ops.chain_pool import progress_bar
from services.ops.redecide.run import Redecided, redecide
from services.ops.screen import err, out

SHOWN_MAX = 50


def register(app: typer.Typer) -> None:
    """Add the command `re-decide`."""
    app.command("re-decide")(redecide_command)


def redecide_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    processes: Annotated[int, typer.Option(help="Processes at once; 0: what is worth it.", min=0)] = 0,
    database_url: Annotated[str, typer.Option(help="The owner's URL of the databases' server.")] = "",
    database_prefix: Annotated[str, typer.Option(help="What the databases' names begin with.")] = "",
) -> None:
    """Decide everything that the ledger's journal tells of again, and compare what comes out with what is recorded.

    Under the program version and the tier that were recorded, as the book was then; nothing is written, and the
    ledger may go on working. Exit status 1 when anything came out otherwise: then row, field and rule are named.
    """
    place = place_of(database_url, database_prefix, "", "")
    try:
        with progress_bar(err()) as progress:
            task = progress.add_task("deciding again", total=None)
            found = redecide(
                place.urls["ledger"],
                processes,
                lambda done, rows: progress.update(task, completed=done, total=rows),
            )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        raise BookUnreadable(f"the ledger's database can't be read: {fault}") from fault
    except InvariantBroken as broken:
        raise BookUnreadable(f"the journal can't be read as one: {broken}; see `tally verify`") from broken
    if as_json:
        out().print_json(json.dumps(as_object(found)))
    else:
        show(found)
    if not found.report.same:
        raise typer.Exit(1)


def as_object(found: Redecided) -> dict[str, object]:
    """The result as JSON has it. `differences` are at most a hundred a group of chains; `differing` has all."""
    report = found.report
    return {
        "same": report.same,
        "journal_rows": report.rows,
        "rows_left_out": report.left_out,
        "seconds": round(found.seconds, 3),
        "decided": dict(report.decided.most_common()),
        "differing": dict(report.differing.most_common()),
        "not_told": dict(report.untold.most_common()),
        "differences": [asdict(each) for each in report.differences],
    }


def show(found: Redecided) -> None:
    """A line a kind of command, what could not be decided again, then the differences."""
    report = found.report
    table = Table("command", "decided again", "otherwise", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for kind in dict.fromkeys([*dict(report.decided.most_common()), *report.differing]):
        wrong = report.differing[kind]
        table.add_row(kind, f"{report.decided[kind]:,}", f"{wrong:,}", style="red" if wrong else None)
    for what, rows in report.untold.most_common():
        table.add_row(f"{what}: the journal does not keep what was asked", "", f"{rows:,} rows", style="dim")
    out().print(table)
    for difference in report.differences[:SHOWN_MAX]:
        out().print(escape(str(difference)), style="red", soft_wrap=True)
    if len(report.differences) > SHOWN_MAX:
        out().print(f"... and {len(report.differences) - SHOWN_MAX:,} more; --json has them", style="red")
    if report.left_out:
        out().print(
            f"{report.left_out:,} rows were left out: they stand behind a row that can't follow from those before it",
            style="red",
        )
    rate = report.rows / found.seconds if found.seconds else 0
    total = report.differing.total()
    words = "the same events" if report.same else f"NOT the same: {total:,} came out otherwise"
    out().print(
        f"{report.rows:,} journal rows in {found.seconds:.1f} s ({rate:,.0f} a second): {words}",
        style="bold green" if report.same else "bold red",
    )
