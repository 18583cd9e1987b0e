"""`tally program correct`: after a wrong version was in force, members get what the right one would have given."""

from __future__ import annotations

import asyncio
import csv
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from services.common.errors import InvariantBroken
from services.ledger.domain.program import Program
from services.ops.api import Api, Endpoints, endpoints_of
from services.ops.book_options import BookUnreadable, Place, place_of
from services.ops.chain_pool import progress_bar
from services.ops.correcting.book import accounts_of, asked_before, program_in_force
from services.ops.correcting.plan import POSTED, Correction, Pair, corrections
from services.ops.correcting.post import Posted, approve, post
from services.ops.local.stack import Stack
from services.ops.program_check import checked
from services.ops.screen import err, out
from services.ops.trying import parquet
from services.ops.trying.command import show, version_document
from services.ops.trying.run import Tried, TryRefused, try_document
from services.ops.trying.tables import Column, Table
from services.ops.trying.world import Document

SHOWN_MAX = 20
"""Members in the terminal; files have all."""
KEY = "TALLY_KEY"
DONE = "applied"


class CorrectionRefused(RuntimeError):
    """A correction can't be made as it was asked for; the message says why."""


def correct(
    name: Annotated[
        str, typer.Argument(help="The right document: a file, or the name of one in deploy/programs")
    ],
    instead_of: Annotated[
        str, typer.Option(help="The version that was in force by mistake: see `tally program history`.")
    ],
    reason: Annotated[
        str, typer.Option(help="The reason code, of `ledger.adjustments.reasons`.")
    ] = "correction",
    yes: Annotated[bool, typer.Option("--yes", help="Post it; without this nothing is written.")] = False,
    approving: Annotated[
        bool,
        typer.Option("--approve", help=f"Approve what waits, as a second person: whose API key is in {KEY}."),
    ] = False,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write every member into this file.")] = None,
    parquet_folder: Annotated[
        Path | None, typer.Option("--parquet", help="Write every member into this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    ledger: Annotated[
        str, typer.Option(help=f"The ledger's URL, with a key in {KEY}; by default this machine's stack.")
    ] = "",
    processes: Annotated[int, typer.Option(help="Processes at once; 0: what is worth it.", min=0)] = 0,
    database_url: Annotated[str, typer.Option(help="The owner's URL of the databases' server.")] = "",
    database_prefix: Annotated[str, typer.Option(help="What the databases' names begin with.")] = "",
) -> None:
    """Give and take by hand what a wrong version gave too little or too much: one adjustment a member.

    What was due is tried over all recorded facts, with the right document in force where the wrong version was. Run
    again it corrects what has changed since, and nothing twice. Exit status 1 when something is left to be corrected
    after --yes or --approve.
    """
    if yes and approving:
        raise typer.BadParameter("who asks can't approve: a second person runs it", param_hint="--approve")
    document = checked(name)
    program, right = str(document.data["program"]), version_document(document.data)
    pair = Pair(instead_of, right.version)
    if pair.wrong == pair.right:
        raise CorrectionRefused(
            f"{document.file} is version {pair.right} itself: name the document that should have been"
        )
    place = place_of(database_url, database_prefix, "", "")
    endpoints = _endpoints(ledger, approving) if yes or approving else None
    try:
        tried, planned, approvals = _plan(place, program, pair, right, reason, processes)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        raise BookUnreadable(f"the databases can't be read: {fault}") from fault
    except InvariantBroken as broken:
        raise BookUnreadable(f"what is recorded can't be tried: {broken}; see `tally re-decide`") from broken
    table = table_of(planned)
    _write(table, csv_file, parquet_folder)
    posted: list[Posted] = []
    if endpoints is not None:
        posted = asyncio.run(_post(endpoints, program, pair, planned, reason, approvals, approving))
    moved = sum(each.correction.points for each in posted if each.state == DONE)
    settled = {each.correction.member for each in posted if each.state == DONE and not each.correction.left}
    open_ = [each for each in planned if each.member not in settled]
    if as_json:
        out().print_json(json.dumps(as_object(pair, tried, planned, posted)))
    else:
        _show(pair, tried, table, planned, posted)
        for written in filter(None, (csv_file, parquet_folder)):
            out().print(f"written: {written}", markup=False)
        if yes or approving:
            out().print(
                f"{len(settled):,} members corrected, {moved:+,} points; {len(open_):,} left", style="bold"
            )
        else:
            out().print("nothing was posted: --yes does", style="bold")
    if open_ and (yes or approving):
        raise typer.Exit(1)


def _plan(
    place: Place, program: str, pair: Pair, right: Document, reason: str, processes: int
) -> tuple[Tried, list[Correction], Counter[str]]:
    url = place.urls["ledger"]
    in_force = asyncio.run(program_in_force(url, program))
    if in_force is not None:
        _check(in_force, pair, reason)
    asked, approvals = asyncio.run(asked_before(url, program, pair.ids))
    with progress_bar(err()) as progress:
        task = progress.add_task(f"trying {program}", total=None)
        tried = try_document(
            place.urls,
            program,
            right,
            processes=processes,
            on_rows=lambda done, rows: progress.update(task, completed=done, total=rows),
            instead_of=pair.wrong,
            without=pair.ids,
        )
    members = tried.part.members
    other = [each.member for each in members if each.after.earned != each.before.earned]
    accounts = asyncio.run(accounts_of(url, program, other))
    limit = 0 if in_force is None else in_force.adjustment_limit
    return tried, corrections(pair, members, asked, accounts, limit), approvals


def _check(in_force: Program, pair: Pair, reason: str) -> None:
    if in_force.version == pair.wrong:
        raise CorrectionRefused(
            f"version {pair.wrong} is in force still: `tally program activate` the right one first"
        )
    if reason not in in_force.adjustment_reasons:
        known = ", ".join(sorted(in_force.adjustment_reasons)) or "none"
        raise CorrectionRefused(
            f"the program has no reason {reason!r} for points by hand; it has: {known}. Name one by --reason, or "
            "activate a version that has it in `ledger.adjustments.reasons`"
        )


def _endpoints(ledger: str, approving: bool) -> Endpoints:
    """Where the ledger is, and who asks it: the key in the environment, else the one of this machine's stack."""
    token = os.environ.get(KEY, "")
    if not token and (ledger or approving):
        whose = "the second person's" if approving else "an"
        raise CorrectionRefused(
            f"put {whose} API key with the scope `ops` into the environment variable {KEY}"
        )
    if ledger:
        return Endpoints(ledger.rstrip("/"), "", "", "", 0, "", token)
    endpoints = endpoints_of(Stack.at())
    return replace(endpoints, key=token) if token else endpoints


async def _post(
    endpoints: Endpoints,
    program: str,
    pair: Pair,
    planned: Sequence[Correction],
    reason: str,
    approvals: Counter[str],
    approving: bool,
) -> list[Posted]:
    chosen = [each for each in planned if (each.state == "waits" if approving else each.posted)]
    with progress_bar(err(), "members") as progress:
        task = progress.add_task("approving" if approving else "posting", total=len(chosen))
        async with Api(endpoints) as api:
            if approving:
                return await approve(api, program, chosen, approvals, lambda: progress.advance(task))
            return await post(
                api, program, chosen, reason, lambda each: note(pair, each), lambda: progress.advance(task)
            )


def note(pair: Pair, each: Correction) -> str:
    """What the adjustment says of itself, for whoever asks why."""
    left = f", {each.left:+} left" if each.left else ""
    return (
        f"version {pair.wrong} was in force in place of {pair.right}: "
        f"{each.given} points given in all, {each.due} due{left}"
    )


def table_of(planned: Sequence[Correction]) -> Table:
    """Everybody who has too much or too little, with what is posted for them and how."""
    columns = (
        Column("member", "member", "text"), Column("given", "given"), Column("due", "due"),
        Column("difference", "difference"), Column("points", "points"), Column("left", "left"),
        Column("state", "how", "text"), Column("adjustment", "adjustment", "text"),
    )  # fmt: skip
    rows = [
        (
            each.member,
            each.given,
            each.due,
            each.difference,
            each.points,
            each.left,
            each.state,
            each.adjustment,
        )
        for each in planned
    ]
    says = "Points issued less those taken back, by everything up to now; `left` is what a later run must see to."
    return Table("corrections", "To be corrected", says, columns, [*rows])


def as_object(
    pair: Pair, tried: Tried, planned: Sequence[Correction], posted: Sequence[Posted]
) -> dict[str, object]:
    """The result as JSON has it."""
    answers = {each.correction.member: each for each in posted}
    columns = [column.name for column in table_of(()).columns]
    members: list[dict[str, object]] = []
    for row in table_of(planned).rows:
        answer = answers.get(str(row[0]))
        said = dict[str, object](zip(columns, row, strict=True))
        said["posted"], said["detail"] = (answer.state, answer.detail) if answer else (None, "")
        members.append(said)
    return {
        "program": tried.program,
        "instead_of": pair.wrong,
        "version": pair.right,
        "notes": tried.notes,
        "members": members,
        "tiers": [
            {"member": each.member, "has": each.before.tier, "due": each.after.tier}
            for each in tried.part.members
            if each.before.tier != each.after.tier
        ],
    }


def _write(table: Table, csv_file: Path | None, parquet_folder: Path | None) -> None:
    try:
        if csv_file is not None:
            with csv_file.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow([column.name for column in table.columns])
                writer.writerows(table.rows)
        if parquet_folder is not None:
            parquet.write([table], parquet_folder, None)
    except OSError as fault:
        raise TryRefused(f"{fault.filename} can't be written: {fault.strerror}") from fault


def _show(
    pair: Pair, tried: Tried, table: Table, planned: Sequence[Correction], posted: Sequence[Posted]
) -> None:
    if not planned:
        out().print(f"nobody has other points than version {pair.right} would have given", style="green")
    else:
        # The ids are for files and scripts: they are long, and each follows from the versions and the member.
        shown = Table(
            table.name,
            table.title,
            table.says,
            table.columns[:-1],
            [row[:-1] for row in table.rows[:SHOWN_MAX]],
        )
        show(shown, None)
        if len(planned) > SHOWN_MAX:
            out().print(f"... and {len(planned) - SHOWN_MAX:,} more: --csv has all", style="dim")
        by_state = Counter(each.state for each in planned)
        parts = [f"{state} {count:,}" for state, count in by_state.most_common()]
        to_post = [each.points for each in planned if each.state in POSTED]
        given, taken = sum(p for p in to_post if p > 0), -sum(p for p in to_post if p < 0)
        out().print(f"{', '.join(parts)}: {given:,} points to give, {taken:,} to take")
    moves = [each for each in tried.part.members if each.before.tier != each.after.tier]
    for move in moves[:SHOWN_MAX]:
        has, due = move.before.tier or "in none", move.after.tier or "in none"
        out().print(
            f"tier: {move.member} is {has} and would be {due}; it stays until its review", markup=False
        )
    for each in planned:
        if each.state == "outdated":
            out().print(
                f"{each.member}: {each.adjustment} waits for other points than these: decline it and run again",
                markup=False,
                style="yellow",
            )
    for text in tried.notes:
        out().print(f"note: {text}", markup=False)
    if posted:
        out().print(
            f"returns of purchases under {pair.wrong} take back what it gave: run this again while they can come",
            style="dim",
        )
    for answer in sorted(posted, key=lambda each: each.correction.member):
        if answer.state != DONE:
            said = answer.detail or "a second person must approve it"
            out().print(f"{answer.correction.member}: {answer.state}: {said}", markup=False, style="yellow")
