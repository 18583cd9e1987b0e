"""`tally liability`: what is owed to members, what moved it, how much of it will never be used; proved to the point."""

from __future__ import annotations

import asyncio
import csv
import json
import re
from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.common.db import Reader
from services.common.errors import Refusal
from services.ledger import liability as books
from services.ledger.answers_liability import breakage_answer, liability_answer
from services.ledger.domain.breakage import Breakage, decimal
from services.ledger.domain.liability import NAMES, Line
from services.ops.book_options import BookUnreadable, place_of
from services.ops.screen import err, out

MONTH = re.compile(r"[1-9]\d{3}-(0[1-9]|1[0-2])")
DIMENSIONS = ("month", "asset", "store")
PROGRAMS = text("SELECT DISTINCT program FROM programs ORDER BY program")
NO_TIMEOUT = text("SET LOCAL statement_timeout = 0")


class Time(StrEnum):
    """What decides the month of a posting."""

    RECORDED = books.RECORDED
    BUSINESS = books.BUSINESS


def register(app: typer.Typer) -> None:
    """Add the command `liability`."""
    app.command("liability")(liability)


def liability(
    program: Annotated[str, typer.Option(help="One program; all of them without it.")] = "",
    from_: Annotated[str, typer.Option("--from", help="The first month to show, as 2026-01.")] = "",
    to: Annotated[str, typer.Option(help="The last month to show, as 2026-12.")] = "",
    by: Annotated[str, typer.Option(help="month, asset, store, with commas; the asset always is.")] = "month",
    time: Annotated[Time, typer.Option(help="What decides the month of a movement.")] = Time.RECORDED,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the lines to this file too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    database_url: Annotated[str, typer.Option(help="The owner's URL of the databases' server.")] = "",
    database_prefix: Annotated[str, typer.Option(help="What the databases' names begin with.")] = "",
) -> None:
    """Points and stored value that are owed, what moved them month by month, and the breakage to expect.

    Everything is read at one moment, beside whatever goes on. The lines are reconciled with every account: exit
    status 1 when that does not hold to the point. docs/liability.md says what each column is.
    """
    first, last, dimensions = _month(from_, "--from"), _month(to, "--to"), _dimensions(by)
    url = place_of(database_url, database_prefix, "", "").urls["ledger"]
    try:
        with err().status("adding up the postings"):
            reports, ladders = asyncio.run(_read(url, program, dimensions, time, first, last))
    except (OSError, DBAPIError) as fault:
        raise BookUnreadable(f"the ledger's database can't be read: {fault}") from fault
    except Refusal as refusal:
        raise BookUnreadable(refusal.detail) from refusal
    if csv_file is not None:
        _write_csv(csv_file, reports)
    if as_json:
        answer = [
            {**liability_answer(report), "breakage": breakage_answer(report.program, ladder)["assets"]}
            for report, ladder in zip(reports, ladders, strict=True)
        ]
        out().print_json(json.dumps(answer))
    else:
        for report, ladder in zip(reports, ladders, strict=True):
            _show(report)
            for asset, found in ladder.items():
                _show_breakage(asset, found)
    if not all(report.same for report in reports):
        raise typer.Exit(1)


async def _read(
    url: str, program: str, by: Sequence[str], time: str, first: date | None, last: date | None
) -> tuple[list[books.Liability], list[dict[str, Breakage]]]:
    """The reports of one program or all, at one moment."""
    reader = Reader.connect(url)
    try:
        async with reader.snapshot() as connection:
            await connection.execute(NO_TIMEOUT)
            programs = [program] if program else list((await connection.execute(PROGRAMS)).scalars())
            reports = [await books.liability(connection, name, by, time, first, last) for name in programs]
            ladders = [await books.breakage(connection, name, last) for name in programs]
            return reports, ladders
    finally:
        await reader.close()


def _show(report: books.Liability) -> None:
    """A table an asset, with the movements that there are, and a line that proves it."""
    out().print(f"{report.program}: months of {report.zone}, {report.time} time", style="bold", markup=False)
    for each in report.reconciled:
        shown = [line for line in report.lines if line.key.asset == each.asset]
        _show_lines(each.asset, shown)
        parts = (
            f"{each.asset}: report {each.report:,}, postings {each.postings:,}, accounts {each.accounts:,}, "
            f"lots {each.lots:,} less debt {each.debt:,}; of the lots {each.held:,} held, {each.pending:,} pending: "
        )
        if each.same:
            out().print(parts + "the same to the point", style="green", markup=False, soft_wrap=True)
            continue
        wrong = f"{each.in_transit:,} in transit, {each.wrong:,} accounts are not what was posted"
        wrong += f" ({', '.join(each.first_wrong)})" if each.first_wrong else ""
        out().print(
            f"{parts}NOT the same; {wrong}; see `tally verify`", style="red", markup=False, soft_wrap=True
        )


def _show_lines(asset: str, lines: Sequence[Line]) -> None:
    names = [name for name in NAMES if any(name in line.movements for line in lines)]
    keys = [name for name in ("month", "store") if any(getattr(line.key, name) is not None for line in lines)]
    table = Table(*(keys or [asset]), "opening", *names, "closing", "of it debt", box=None, pad_edge=False)
    for column in table.columns[len(keys) or 1 :]:
        column.justify = "right"
    for line in lines:
        month = "" if line.key.month is None else f"{line.key.month:%Y-%m}"
        of_key = {"month": month, "store": line.key.store or "-"}
        table.add_row(
            *([of_key[name] for name in keys] or ["all"]), f"{line.opening:,}",
            *(f"{line.movements.get(name, 0):,}" for name in names), f"{line.closing:,}", f"{-line.debt:,}",
        )  # fmt: skip
    out().print(asset, style="bold", markup=False)
    out().print(table)


def _show_breakage(asset: str, found: Breakage) -> None:
    """The cohorts with what is to be expected of them."""
    out().print(
        f"{asset}: breakage by month of earning (chain ladder; business time)", style="bold", markup=False
    )
    columns = ("earned", "age", "amount", "redeemed", "expired", "left", "breakage", "never used")
    table = Table(*columns, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for each in found.expected:
        cohort = each.cohort
        numbers = (cohort.age, cohort.amount, cohort.redeemed[-1], cohort.expired, cohort.left)
        share = "-" if each.breakage is None else f"{decimal(each.breakage * 100, 1)} %"
        table.add_row(
            f"{cohort.month:%Y-%m}", *(f"{number:,}" for number in numbers), share, f"{each.unused:,}"
        )
    out().print(table)
    out().print(
        "factors from age to age: " + (" ".join(decimal(factor, 3) for factor in found.factors) or "none yet"),
        markup=False, soft_wrap=True,
    )  # fmt: skip
    rate = "unknown" if found.rate is None else f"{decimal(found.rate * 100, 1)} %"
    out().print(f"expected breakage {rate}; of what is left, {found.unused:,} will never be used")


def _write_csv(file: Path, reports: Sequence[books.Liability]) -> None:
    try:
        with file.open("w", newline="") as opened:
            rows = csv.writer(opened)
            rows.writerow(("program", "asset", "store", "month", "opening", *NAMES, "closing", "debt"))
            for report in reports:
                for line in report.lines:
                    month = "" if line.key.month is None else f"{line.key.month:%Y-%m}"
                    moved = (line.movements.get(name, 0) for name in NAMES)
                    rows.writerow(
                        (report.program, line.key.asset, line.key.store or "", month, line.opening, *moved,
                         line.closing, line.debt)
                    )  # fmt: skip
    except OSError as fault:
        raise BookUnreadable(f"{file} can't be written: {fault.strerror}") from fault


def _month(told: str, option: str) -> date | None:
    """The first day of the month told."""
    if not told:
        return None
    if not MONTH.fullmatch(told):
        raise typer.BadParameter(f"{told!r} is no month; write it as 2026-01", param_hint=option)
    return date.fromisoformat(f"{told}-01")


def _dimensions(told: str) -> list[str]:
    names = [name.strip() for name in told.split(",")]
    unknown = [name for name in names if name not in DIMENSIONS]
    if unknown:
        raise typer.BadParameter(
            f"{unknown[0]!r} is none of {', '.join(DIMENSIONS)}; a program is a report of its own",
            param_hint="--by",
        )
    return names
