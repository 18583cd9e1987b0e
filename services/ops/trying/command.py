"""`tally program try`: what a changed document would have made of everything that is recorded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import asyncpg
import typer
from rich.markup import escape
from rich.table import Table as RichTable

from services.common.errors import InvariantBroken
from services.common.program_document import canonical, version_of
from services.ledger.domain.program import MINOR_DIGITS
from services.ops.book_options import BookUnreadable, place_of
from services.ops.chain_pool import progress_bar
from services.ops.program_check import checked
from services.ops.screen import err, out
from services.ops.trying import parquet
from services.ops.trying.report import page
from services.ops.trying.run import Tried, TryRefused, try_document
from services.ops.trying.tables import Table, Worth, all_tables, text_of
from services.ops.trying.world import Document

IN_FORCE = "the versions that were in force"


def try_(
    name: Annotated[str, typer.Argument(help="A file, or the name of a document in deploy/programs")],
    against: Annotated[
        str, typer.Option(help="Another document to hold it against; by default what was in force.")
    ] = "",
    since: Annotated[
        str, typer.Option(help="From this day on, as 2026-07-01; by default from the beginning.")
    ] = "",
    instead_of: Annotated[
        str,
        typer.Option(help="In force where this version was, and nowhere else: see `tally program history`."),
    ] = "",
    point_value: Annotated[
        str,
        typer.Option(
            help="What a point costs, as 0.01; by default what `rewards.points_as_payment` says it is worth."
        ),
    ] = "",
    html: Annotated[Path | None, typer.Option(help="Write a report with charts: one file.")] = None,
    parquet_folder: Annotated[
        Path | None, typer.Option("--parquet", help="Write the tables, and every member, into this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    processes: Annotated[int, typer.Option(help="Processes at once; 0: what is worth it.", min=0)] = 0,
    database_url: Annotated[str, typer.Option(help="The owner's URL of the databases' server.")] = "",
    database_prefix: Annotated[str, typer.Option(help="What the databases' names begin with.")] = "",
) -> None:
    """Try a document over all recorded facts: points, cost, breakage, tiers, who moves, rule by rule.

    Purchases, returns, interactions and redemptions are taken as they were, once under the documents of then and once
    under this one. The databases are only read.
    """
    document = checked(name)
    program = str(document.data["program"])
    other = checked(against) if against else None
    if other is not None and other.data["program"] != program:
        raise other.error(
            ("program",), f"is {other.data['program']!r}; {document.file} is a document of {program!r}"
        )
    if since and instead_of:
        raise typer.BadParameter(
            "the version's own time is the time: leave --since out", param_hint="--instead-of"
        )
    worth = worth_of(document.data, point_value)
    begins = day_of(document.data, since) if since else None
    place = place_of(database_url, database_prefix, "", "")
    try:
        with progress_bar(err()) as progress:
            task = progress.add_task(f"trying {program}", total=None)
            tried = try_document(
                place.urls,
                program,
                version_document(document.data),
                None if other is None else version_document(other.data),
                begins,
                processes,
                lambda done, rows: progress.update(task, completed=done, total=rows),
                instead_of,
            )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        raise BookUnreadable(f"the databases can't be read: {fault}") from fault
    except InvariantBroken as broken:
        raise BookUnreadable(f"what is recorded can't be tried: {broken}; see `tally re-decide`") from broken
    tables = all_tables(tried, worth)
    try:
        if html is not None:
            what = f"{document.file} from {since} on" if since else document.file
            what += f" in place of version {instead_of}" if instead_of else ""
            said = page(tried, tables, what, other.file if other else IN_FORCE, worth)
            html.write_text(said, encoding="utf-8")
        if parquet_folder is not None:
            parquet.write(tables, parquet_folder, worth)
    except OSError as fault:
        raise TryRefused(f"{fault.filename} can't be written: {fault.strerror}") from fault
    if as_json:
        out().print_json(json.dumps(as_object(tried, tables, worth)))
        return
    for table in tables:
        if table.name != "members":
            show(table, worth)
    for note in tried.notes:
        out().print(f"note: {note}", markup=False)
    if worth is None:
        out().print("what points cost is not shown: give --point-value, such as 0.01")
    for written in filter(None, (html, parquet_folder)):
        out().print(f"written: {written}", markup=False)
    rate = tried.rows / tried.seconds if tried.seconds else 0
    out().print(
        f"{tried.rows:,} recorded rows up to {tried.until:%Y-%m-%d} in {tried.seconds:.1f} s ({rate:,.0f} a second); "
        "nothing was written to the book",
        style="bold",
    )


def worth_of(document: dict[str, Any], named: str) -> Worth | None:
    """What a point costs: as `named`, or as the document says that points pay; None when neither says it.

    Raises:
        typer.BadParameter: `named` is no amount.
    """
    currency = str(document["ledger"]["currency"])
    digits = MINOR_DIGITS.get(currency, 2)
    if named:
        try:
            value = Decimal(named)
        except InvalidOperation:
            value = Decimal(-1)
        if not value.is_finite() or value < 0:
            raise typer.BadParameter(
                f"{named!r} is no amount of {currency}, such as 0.01", param_hint="--point-value"
            )
        return Worth(Fraction(value) * 10**digits, currency, digits)
    pays = (document.get("rewards") or {}).get("points_as_payment")
    return Worth(Fraction(int(pays["value"]), int(pays["points"])), currency, digits) if pays else None


def day_of(document: dict[str, Any], named: str) -> datetime:
    """The beginning of a day in the program's time zone, or the moment that `named` is.

    Raises:
        typer.BadParameter: it is neither.
    """
    try:
        moment = datetime.fromisoformat(named)
    except ValueError as error:
        raise typer.BadParameter(f"{named!r} is no day, such as 2026-07-01", param_hint="--since") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(str(document.get("time_zone", "UTC"))))
    return moment.astimezone(UTC)


def version_document(data: Any) -> Document:
    """A checked document as a version of its program."""
    content = canonical(data)
    return Document(version_of(content), content)


def as_object(tried: Tried, tables: list[Table], worth: Worth | None) -> dict[str, object]:
    """The result as JSON has it: each table as objects by column, money as text in the currency's own unit."""

    def cell(value: Any, kind: str) -> object:
        return text_of(value, "money", worth).replace(",", "") if kind == "money" else value

    found: dict[str, object] = {
        table.name: [
            {column.name: cell(value, column.kind) for column, value in zip(table.columns, row, strict=True)}
            for row in table.rows
        ]
        for table in tables
    }
    return {
        "program": tried.program,
        "until": tried.until.isoformat(),
        "journal_rows": tried.rows,
        "seconds": round(tried.seconds, 3),
        "currency": worth.currency if worth else None,
        "notes": tried.notes,
        **found,
    }


def show(table: Table, worth: Worth | None) -> None:
    """A table in the terminal."""
    grid = RichTable(box=None, pad_edge=False, title=table.title, title_justify="left", title_style="bold")
    for column in table.columns:
        grid.add_column(column.title, justify="left" if column.kind == "text" else "right")
    for row in table.rows:
        grid.add_row(
            *(
                escape(text_of(value, column.kind, worth, signed=column.name == "change"))
                for column, value in zip(table.columns, row, strict=True)
            )
        )
    out().print(grid)
    out().print(escape(table.says), style="dim")
    out().print()
