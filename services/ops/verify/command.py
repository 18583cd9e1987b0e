"""`tally verify`: prove from the outside that the book adds up and that nobody has touched it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
from rich.markup import escape
from rich.table import Table

from services.ops.book_options import BookUnreadable, place_of
from services.ops.chain_pool import progress_bar
from services.ops.screen import err, out
from services.ops.seal.document import read_seals
from services.ops.seal.keys import public_key as read_public_key
from services.ops.verify.findings import CHECKS
from services.ops.verify.run import Book, Verified, verify_book

SHOWN_MAX = 50


def register(app: typer.Typer) -> None:
    """Add the command `verify`."""
    app.command("verify")(verify)


def verify(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    no_broker: Annotated[bool, typer.Option("--no-broker", help="Leave Kafka's topics out.")] = False,
    processes: Annotated[int, typer.Option(help="Processes at once; 0: what is worth it.", min=0)] = 0,
    seal: Annotated[Path | None, typer.Option(help="A seal, or a folder with all of them.")] = None,
    public_key: Annotated[Path | None, typer.Option(help="The key that must have signed (.pub).")] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Where a run that is interrupted notes how far it is, to go on from there."),
    ] = None,
    database_url: Annotated[str, typer.Option(help="The owner's URL of the databases' server.")] = "",
    database_prefix: Annotated[str, typer.Option(help="What the databases' names begin with.")] = "",
    bootstrap: Annotated[str, typer.Option(help="host:port of Kafka.")] = "",
    topic_prefix: Annotated[str, typer.Option(help="What the topics' names begin with.")] = "",
) -> None:
    """Check the hash chains, L1 to L6 and the ledger's projections by a reading of the tables of its own.

    Each database is read as it is at one moment, and nothing is written. Exit status 1 when anything is wrong: then
    each finding names the rule, the place, and what is there instead.
    """
    if public_key is not None and seal is None:
        raise typer.BadParameter("say by --seal what it has signed", param_hint="--public-key")
    seals = () if seal is None else read_seals(seal)
    signer = None if public_key is None else read_public_key(public_key)
    place = place_of(database_url, database_prefix, bootstrap, topic_prefix)
    book = Book(place.urls, "" if no_broker else place.bootstrap, place.topic_prefix, seals, signer)
    try:
        with progress_bar(err()) as progress:
            task = progress.add_task("verifying", total=None)
            verified = verify_book(
                book,
                processes,
                lambda done, total: progress.update(task, completed=done, total=total),
                state,
            )
    except KeyboardInterrupt:
        if state is not None:
            err().print(f"interrupted: `tally verify --state {state}` goes on", markup=False, style="yellow")
        raise
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        raise BookUnreadable(f"the databases can't be read: {fault}") from fault
    if as_json:
        out().print_json(json.dumps(as_object(verified)))
    else:
        show(verified)
        if signer is None:
            _show_keys(verified.signed_by)
    if not verified.report.clean:
        raise typer.Exit(1)


def _show_keys(signed_by: Mapping[str, int]) -> None:
    """Anybody can make a key: whose these are is for the reader to say."""
    for name, count in signed_by.items():
        out().print(
            f"{count} seals are signed by the key {name}: is it yours? (--public-key)", soft_wrap=True
        )


def as_object(verified: Verified) -> dict[str, object]:
    """The result as JSON has it. `findings` has at most a hundred a chain; `count` of each check has all."""
    report = verified.report
    return {
        "ok": report.clean,
        "journal_rows": verified.rows,
        "read_before": verified.read_before,
        "seconds": round(verified.seconds, 3),
        "signed_by": dict(verified.signed_by),
        "checks": [
            {"check": check, "what": what, "looked_at": report.looked[check], "count": report.counts[check]}
            for check, what in CHECKS.items()
        ],
        "findings": [
            {"check": f.check, "service": f.service, "chain": f.chain, "where": f.where, "what": f.what}
            for f in report.findings
        ],
    }


def show(verified: Verified) -> None:
    """A line a check, then the findings."""
    report = verified.report
    table = Table("check", "what must hold", "looked at", "wrong", box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for check, what in CHECKS.items():
        wrong = report.counts[check]
        style = "red" if wrong else None
        table.add_row(check, what, f"{report.looked[check]:,}", f"{wrong:,}", style=style)
    out().print(table)
    for finding in report.findings[:SHOWN_MAX]:
        out().print(escape(str(finding)), style="red", soft_wrap=True)
    total = sum(report.counts.values())
    if total > SHOWN_MAX:
        out().print(f"... and {total - SHOWN_MAX:,} more; --json prints more of them", style="red")
    read = verified.rows - verified.read_before
    rate = read / verified.seconds if verified.seconds else 0
    if verified.read_before:
        out().print(f"{verified.read_before:,} rows had been read by the run that was interrupted")
    words = "the book is in order" if report.clean else f"{total:,} findings: the book is NOT in order"
    out().print(
        f"{read:,} journal rows in {verified.seconds:.1f} s ({rate:,.0f} a second): {words}",
        style="bold green" if report.clean else "bold red",
    )
