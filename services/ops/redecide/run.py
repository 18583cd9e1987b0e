"""Runs re-decide: one moment of the ledger's database, chains in parallel, those that share commands together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import uvloop

from services.ledger.store import Programs
from services.ops.chain_pool import gone_through
from services.ops.recorded.rows import Key, in_order, links
from services.ops.redecide.again import Again, CannotFollow
from services.ops.redecide.differences import Report
from services.ops.verify.snapshot import exported, imported

CHAINS = "SELECT chains FROM installation"
HEADS = "SELECT chain, position FROM chain_heads"


@dataclass(frozen=True, slots=True)
class Piece:
    """Chains that are read together, at the moment `snapshot`. `rows` is how many they have."""

    url: str
    snapshot: str
    group: tuple[int, ...]
    places: Mapping[Key, frozenset[int]]
    chains: int
    rows: int


@dataclass(slots=True)
class Redecided:
    """What came of it."""

    report: Report
    seconds: float


def redecide(
    url: str, processes: int = 1, on_rows: Callable[[int, int], None] = lambda done, total: None
) -> Redecided:
    """Decide every command of the ledger at `url` (the owner's) again. The ledger may be at work meanwhile.

    With 0 `processes` the rows decide how many. `on_rows` hears how many journal rows are done, of how many.

    Raises:
        OSError, asyncpg.PostgresError: the database can't be read.
    """
    began = time.monotonic()
    report = Report()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        try:
            pieces = runner.run(pieces_of(url, stack))
            for _, part in gone_through(redecide_piece, pieces, processes, on_rows):
                report.add(part)
        finally:
            runner.run(stack.aclose())
    report.differences.sort(key=lambda found: (found.chain, found.position))
    return Redecided(report, time.monotonic() - began)


def redecide_piece(piece: Piece) -> Report:
    """Chains that belong together, in whatever process."""
    return uvloop.run(redecide_group(piece, Programs()))


async def pieces_of(url: str, stack: AsyncExitStack) -> list[Piece]:
    """All chains at one moment, which `stack` keeps; the longest first."""
    connection, snapshot = await stack.enter_async_context(exported(url))
    chains = int(await connection.fetchval(CHAINS))
    heads = {row["chain"]: row["position"] for row in await connection.fetch(HEADS)}
    found = await links(connection, chains)
    pieces = [
        Piece(url, snapshot, group, found.places, chains, sum(heads.get(chain, 0) for chain in group))
        for group in found.groups
    ]
    return sorted(pieces, key=lambda piece: -piece.rows)


async def redecide_group(piece: Piece, programs: Programs) -> Report:
    """The same in a loop that runs. Versions that `programs` knows already are not read from the journal."""
    again = Again(programs, piece.chains)
    async with imported(piece.url, piece.snapshot) as connection:
        try:
            async for recorded in in_order(connection, piece.group, piece.places, ready=again.ready):
                again.take(recorded)
        except CannotFollow:
            again.report.left_out = piece.rows - again.report.rows
    return again.report
