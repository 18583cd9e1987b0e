"""`tally program history`: which versions of a program were in force when, who activated them, what they gave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

import asyncpg
import typer
from rich.markup import escape
from rich.table import Table

from services.common.clock import utc_now
from services.ops.book_options import BookUnreadable, place_of
from services.ops.chain_pool import progress_bar
from services.ops.screen import err, out
from services.ops.trying.command import day_of
from services.ops.trying.run import TryRefused
from services.ops.verify.snapshot import exported
from tallybook.ledger.v1.events_pb2 import ProgramActivated

HEADS = "SELECT chain, position FROM chain_heads ORDER BY chain"
ACTIVATIONS = """
SELECT chain, recorded_at, payload FROM journal
WHERE chain = $1 AND program = $2 AND type = 'ProgramActivated' ORDER BY position
"""
GIVEN = """
-- By the hour of the wall's clock: that is when a version was in force, whatever the program's clock says.
SELECT date_trunc('hour', j.recorded_at) AS hour, j.program_version AS version,
       count(*) FILTER (WHERE j.type = 'PurchaseRecorded') AS purchases, coalesce(sum(p.amount), 0)::bigint AS points
FROM journal AS j
LEFT JOIN postings AS p ON p.chain = j.chain AND p.position = j.position AND p.debit = 'issued' AND p.asset = 'points'
WHERE j.chain = $1 AND j.program = $2 AND j.type IN ('PurchaseRecorded', 'PointsAccrued', 'PointsAwarded')
GROUP BY 1, 2
"""
KEYS = "SELECT key_id, name FROM api_keys"
HOURS_BACK = timedelta(hours=48)


class Row(NamedTuple):
    """A row that says that a version is in force on a chain."""

    chain: int
    recorded_at: datetime
    version: str
    by: str


@dataclass(slots=True)
class Given:
    """Purchases, and the points issued for them and for what else earns."""

    purchases: int = 0
    points: int = 0

    @property
    def each(self) -> str:
        """Points a purchase, as people read it."""
        if not self.purchases:
            return "-"
        tenths = (20 * self.points // self.purchases + 1) // 2
        return f"{tenths // 10:,}.{tenths % 10}"

    def add(self, purchases: int, points: int) -> None:
        self.purchases += purchases
        self.points += points


@dataclass(slots=True)
class Activation:
    """A version came into force, and was so until the next one did."""

    version: str
    by: str
    since: datetime
    until: datetime | None = None
    chains: set[int] = field(default_factory=set)


@dataclass(slots=True)
class History:
    """Activations in their order; what each version gave, in all and by the hour."""

    activations: list[Activation]
    by_version: dict[str, Given]
    by_hour: dict[tuple[datetime, str], Given]


def activations_of(rows: Iterable[Row]) -> list[Activation]:
    """One activation writes a row on every chain, within moments; here they are one again."""
    found: list[Activation] = []
    for row in sorted(rows, key=lambda row: row.recorded_at):
        last = found[-1] if found else None
        if last is None or last.version != row.version or row.chain in last.chains:
            last = Activation(row.version, row.by, row.recorded_at)
            if found:
                found[-1].until = row.recorded_at
            found.append(last)
        last.chains.add(row.chain)
    return found


def history(
    name: Annotated[str, typer.Argument(help="The program's id")],
    since: Annotated[
        str, typer.Option(help="Hours from this day or moment on; by default the last 48.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    database_url: Annotated[str, typer.Option(help="The owner's URL of the databases' server.")] = "",
    database_prefix: Annotated[str, typer.Option(help="What the databases' names begin with.")] = "",
) -> None:
    """Show which versions were in force when, who activated them, and what each gave: in all, and hour by hour."""
    begins = day_of({}, since) if since else utc_now() - HOURS_BACK
    place = place_of(database_url, database_prefix, "", "")
    try:
        with progress_bar(err()) as progress:
            task = progress.add_task(f"reading {name}", total=None)
            found, names = asyncio.run(
                read(
                    place.urls["ledger"],
                    name,
                    lambda done, rows: progress.update(task, completed=done, total=rows),
                )
            )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        raise BookUnreadable(f"the ledger's database can't be read: {fault}") from fault
    if not found.activations:
        raise TryRefused(f"the book knows no program {name!r}: no version of it was ever activated")
    if as_json:
        out().print_json(json.dumps(as_object(name, found, names, begins)))
    else:
        _show(found, names, begins)


async def read(url: str, program: str, on_rows: Callable[[int, int], None]) -> tuple[History, dict[str, str]]:
    """The history, at one moment, and the names of API keys by their id."""
    rows: list[Row] = []
    found = History([], {}, {})
    async with exported(url) as (connection, _):
        heads = await connection.fetch(HEADS)
        total, done = sum(head["position"] for head in heads), 0
        for head in heads:
            for chain, at, payload in await connection.fetch(ACTIVATIONS, head["chain"], program):
                said = ProgramActivated.FromString(payload)
                rows.append(Row(chain, at, said.version, said.by))
            for hour, version, purchases, points in await connection.fetch(GIVEN, head["chain"], program):
                found.by_version.setdefault(version, Given()).add(purchases, points)
                found.by_hour.setdefault((hour, version), Given()).add(purchases, points)
            done += head["position"]
            on_rows(done, total)
        names = {row["key_id"]: row["name"] for row in await connection.fetch(KEYS)}
    found.activations = activations_of(rows)
    return found, names


def as_object(program: str, found: History, names: dict[str, str], begins: datetime) -> dict[str, Any]:
    """The history as JSON has it; hours from `begins` on."""
    nothing = Given()
    return {
        "program": program,
        "activations": [
            {
                "version": each.version,
                "from": each.since.isoformat(),
                "until": each.until.isoformat() if each.until else None,
                "by": each.by,
                "key_name": names.get(each.by, ""),
            }
            for each in found.activations
        ],
        "versions": [
            {"version": version, "purchases": given.purchases, "points": given.points}
            for version in dict.fromkeys(each.version for each in found.activations)
            for given in (found.by_version.get(version, nothing),)
        ],
        "hours": [
            {
                "hour": hour.isoformat(),
                "version": version,
                "purchases": given.purchases,
                "points": given.points,
            }
            for (hour, version), given in _hours(found, begins)
        ],
    }


def _hours(found: History, begins: datetime) -> list[tuple[tuple[datetime, str], Given]]:
    order = {each.version: number for number, each in enumerate(found.activations)}
    first = begins.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    rows = [(key, given) for key, given in found.by_hour.items() if key[0] >= first]
    return sorted(rows, key=lambda row: (row[0][0], order.get(row[0][1], 0)))


def _show(found: History, names: dict[str, str], begins: datetime) -> None:
    table = Table("version", "from", "until", "activated by", box=None, pad_edge=False)
    for each in found.activations:
        called = f" ({names[each.by]})" if names.get(each.by) else ""
        until = _time(each.until) if each.until else "in force"
        table.add_row(each.version, _time(each.since), until, escape(f"{each.by or '-'}{called}"))
    out().print(table)
    out().print()
    table = Table("hour", "version", box=None, pad_edge=False)
    for title in ("purchases", "points issued", "a purchase"):
        table.add_column(title, justify="right")
    for version in dict.fromkeys(each.version for each in found.activations):
        given = found.by_version.get(version, Given())
        table.add_row("in all", version, f"{given.purchases:,}", f"{given.points:,}", given.each)
    for (hour, version), given in _hours(found, begins):
        table.add_row(f"{hour:%m-%d %H:00}", version, f"{given.purchases:,}", f"{given.points:,}", given.each)
    out().print(table)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
