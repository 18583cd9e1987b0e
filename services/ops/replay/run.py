"""Runs a replay: a schema beside the live one, chain by chain rebuilt and compared at one moment of the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import uvloop

from services.ops.chain_pool import default_processes, each
from services.ops.replay import ledger, rewards, tiering
from services.ops.replay.digest import Compared, Shape, compare
from services.ops.replay.schema import replay_schema
from services.ops.verify.snapshot import Connection, connect, exported, imported

SHAPES: Mapping[str, tuple[Shape, ...]] = {
    "ledger": ledger.SHAPES,
    "tiering": tiering.SHAPES,
    "rewards": rewards.SHAPES,
}
"""What is compared, by service."""
TABLES: Mapping[str, tuple[str, ...]] = {
    "ledger": tuple(shape.table for shape in ledger.SHAPES),
    "tiering": tiering.TABLES,
    "rewards": rewards.TABLES,
}
"""What a rebuild writes."""
SPREAD: Mapping[str, tuple[str, ...]] = {"ledger": ledger.SPREAD, "tiering": (), "rewards": rewards.SPREAD}
"""What can be compared only when every chain is rebuilt."""
READ = {
    "ledger": "SELECT chain, position FROM chain_heads ORDER BY chain",
    # The rows of other services' journals that the rebuild reads.
    "tiering": "SELECT chain, position FROM stream_positions WHERE topic = 'ledger.v1' ORDER BY chain",
    "rewards": "SELECT chain, sum(position)::bigint AS position FROM stream_positions GROUP BY chain ORDER BY chain",
}
CHAINS = "SELECT chains FROM installation"


@dataclass(frozen=True, slots=True)
class Piece:
    """One chain of a service. `rows` are the journal rows to be read; `urls` the owner's, by service."""

    service: str
    urls: Mapping[str, str]
    snapshot: str
    schema: str
    chain: int
    chains: int
    rows: int


@dataclass(slots=True)
class Replayed:
    """What came of it. `rows` are journal rows gone through."""

    service: str
    compared: list[Compared] = field(default_factory=list)
    rows: int = 0
    seconds: float = 0.0

    @property
    def same(self) -> bool:
        return all(part.same for part in self.compared)


def replay(
    service: str,
    urls: Mapping[str, str],
    processes: int = 1,
    on_rows: Callable[[int, int], None] = lambda done, total: None,
) -> Replayed:
    """Rebuild a service's projections and compare them with the live ones. The services may be at work meanwhile.

    `urls` are the owner's of every service's database; with 0 `processes` the rows decide how many. `on_rows` hears
    how many journal rows are done, of how many.

    Raises:
        InvariantBroken: a journal can't be read as one.
        OSError, asyncpg.PostgresError: a database can't be used.
    """
    began = time.monotonic()
    replayed = Replayed(service)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        try:
            live, pieces = runner.run(_begin(service, urls, stack))
            pieces.sort(key=lambda piece: -piece.rows)
            total = sum(piece.rows for piece in pieces)
            on_rows(0, total)
            for piece, compared in each(replay_piece, pieces, processes or default_processes(total)):
                replayed.compared += compared
                replayed.rows += piece.rows
                on_rows(replayed.rows, total)
            replayed.compared += runner.run(_compare_spread(live, pieces))
        finally:
            runner.run(stack.aclose())
    replayed.seconds = time.monotonic() - began
    return replayed


def replay_piece(piece: Piece) -> list[Compared]:
    """Rebuild and compare one chain, in whatever process."""
    return uvloop.run(_replay_piece(piece))


async def _replay_piece(piece: Piece) -> list[Compared]:
    async with AsyncExitStack() as stack:
        live = await stack.enter_async_context(imported(piece.urls[piece.service], piece.snapshot))
        # Only the new schema is on the path: what it lacks is an error and never a live table.
        build = await connect(piece.urls[piece.service], search_path=piece.schema)
        stack.push_async_callback(build.close)
        async with build.transaction():
            await _rebuild(piece, live, build, stack)
            return [
                await compare(live, build, piece.schema, shape, piece.chain)
                for shape in SHAPES[piece.service]
                if shape.table not in SPREAD[piece.service]
            ]


async def _rebuild(piece: Piece, live: Connection, build: Connection, stack: AsyncExitStack) -> None:
    if piece.service == "ledger":
        await ledger.rebuild(live, build, piece.chain, piece.chains)
        return
    book = await _reading(piece.urls["ledger"], stack)
    if piece.service == "tiering":
        await tiering.rebuild(live, build, book, piece.chain)
        return
    tiers = await _reading(piece.urls["tiering"], stack)
    await rewards.rebuild(live, build, book, tiers, piece.chain, piece.chains)


async def _reading(url: str, stack: AsyncExitStack) -> Connection:
    """Another service's database: what is behind a position that was read never changes, so any moment will do."""
    connection, _ = await stack.enter_async_context(exported(url))
    return connection


async def _begin(
    service: str, urls: Mapping[str, str], stack: AsyncExitStack
) -> tuple[Connection, list[Piece]]:
    """The schema first, so that the moment that is then chosen has it."""
    schema = await stack.enter_async_context(replay_schema(urls[service], TABLES[service]))
    live, snapshot = await stack.enter_async_context(exported(urls[service]))
    chains = int(await live.fetchval(CHAINS))
    rows = {row["chain"]: row["position"] for row in await live.fetch(READ[service])}
    pieces = [
        Piece(service, urls, snapshot, schema, chain, chains, rows.get(chain, 0)) for chain in range(chains)
    ]
    return live, pieces


async def _compare_spread(live: Connection, pieces: list[Piece]) -> list[Compared]:
    """Tables that every chain has written to."""
    service = pieces[0].service
    build = await connect(pieces[0].urls[service])
    try:
        async with build.transaction():
            return [
                await compare(live, build, piece.schema, shape, piece.chain)
                for shape in SHAPES[service]
                if shape.table in SPREAD[service]
                for piece in pieces
            ]
    finally:
        await build.close()
