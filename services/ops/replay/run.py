"""Runs a replay: a schema beside the live one, chain by chain rebuilt and compared at one moment of the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import uvloop

from services.ops.chain_pool import gone_through
from services.ops.replay import checkpoint
from services.ops.replay.courtesy import Unhurried, beside
from services.ops.replay.digest import Compared, compare
from services.ops.replay.fold import SHAPES, SPREAD, TABLES, compare_own, fold
from services.ops.replay.kafka import Topics
from services.ops.replay.schema import replay_schema
from services.ops.replay.sources import INPUTS, Journals, Streams, ends
from services.ops.replay.spread import mend_spread
from services.ops.replay.switch import Switched, switch
from services.ops.verify.snapshot import Connection, connect, exported, imported

CHAINS = "SELECT chains FROM installation"


@dataclass(frozen=True, slots=True)
class How:
    """What a replay reads, where it begins, and what becomes of what it rebuilt."""

    bootstrap: str = ""
    """Kafka, when the streams are to be read as they lie there; empty: from the journals."""
    topic_prefix: str = ""
    after: str = ""
    """The checkpoint to begin at; empty: the first row."""
    checkpoint: str = ""
    """Keep what was rebuilt under this name."""
    switch: bool = False
    """Put what was rebuilt in the place of what is live."""


FROM_THE_JOURNALS = How()


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
    how: How


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a piece. `switched` when that was asked for."""

    compared: list[Compared]
    switched: Switched | None = None


@dataclass(slots=True)
class Replayed:
    """What came of it. `rows` are journal rows gone through."""

    service: str
    compared: list[Compared] = field(default_factory=list)
    rows: int = 0
    seconds: float = 0.0
    switched: list[Switched] = field(default_factory=list)
    mended: dict[str, int] = field(default_factory=dict)
    """Rows set right in the tables that all chains share, when the rest was switched."""

    @property
    def same(self) -> bool:
        return all(part.same for part in self.compared)

    @property
    def ended_well(self) -> bool:
        """Live and rebuilt are the same, or have been made so."""
        if self.switched:
            return all(chain.refused is None for chain in self.switched)
        return self.same


def replay(
    service: str,
    urls: Mapping[str, str],
    processes: int = 1,
    on_rows: Callable[[int, int], None] = lambda done, total: None,
    how: How = FROM_THE_JOURNALS,
) -> Replayed:
    """Rebuild a service's projections and compare them with the live ones. The services may be at work meanwhile.

    `urls` are the owner's of every service's database; with 0 `processes` the rows decide how many. `on_rows` hears
    how many journal rows are done, of how many.

    Raises:
        InvariantBroken: a journal can't be read as one.
        StreamIncomplete: Kafka does not hold all rows, or none can be had of it.
        CheckpointRefused: the checkpoint to begin at can't be used, or the one to make is there already.
        OSError, asyncpg.PostgresError: a database can't be used.
    """
    began = time.monotonic()
    replayed = Replayed(service)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        try:
            live, pieces = runner.run(_begin(service, urls, stack, how))
            pieces.sort(key=lambda piece: -piece.rows)
            for piece, done in gone_through(replay_piece, pieces, processes, on_rows):
                replayed.compared += done.compared
                replayed.switched += [done.switched] if done.switched else []
                replayed.rows += piece.rows
            runner.run(_end(live, pieces, how, replayed))
        finally:
            runner.run(stack.aclose())
    replayed.seconds = time.monotonic() - began
    return replayed


def replay_piece(piece: Piece) -> Done:
    """Rebuild and compare one chain, in whatever process."""
    return uvloop.run(_replay_piece(piece))


async def _replay_piece(piece: Piece) -> Done:
    service, schema, chain = piece.service, piece.schema, piece.chain
    async with AsyncExitStack() as stack:
        # Only the new schema is on the path: what it lacks is an error and never a live table.
        build = await connect(piece.urls[service], search_path=schema)
        stack.push_async_callback(build.close)
        async with AsyncExitStack() as moment:
            live = await moment.enter_async_context(imported(piece.urls[service], piece.snapshot))
            async with build.transaction():
                if piece.how.after:
                    await checkpoint.begin_at(build, service, piece.how.after, chain)
                courtesy = beside(build)
                streams = Unhurried(await _streams(piece, live, moment), courtesy)
                await fold(service, live, build, streams, chain, piece.chains)
                await courtesy.rest()
                if not piece.how.switch:
                    compared = await compare_own(service, live, build, schema, chain)
                    await courtesy.rest()
                    return Done(compared)
        switched = await switch(service, piece.urls, build, schema, chain, piece.chains)
        return Done(switched.compared, switched)


async def _streams(piece: Piece, live: Connection, stack: AsyncExitStack) -> Streams:
    if piece.how.bootstrap:
        return await stack.enter_async_context(Topics(piece.how.bootstrap, piece.how.topic_prefix))
    return Journals(piece.service, live, piece.urls, stack)


async def _begin(
    service: str, urls: Mapping[str, str], stack: AsyncExitStack, how: How
) -> tuple[Connection, list[Piece]]:
    """The schema first, so that the moment that is then chosen has it."""
    if how.checkpoint:
        await checkpoint.must_be_free(urls[service], how.checkpoint)
    schema = await stack.enter_async_context(replay_schema(urls[service], TABLES[service]))
    begun: dict[tuple[int, str], int] = {}
    if how.after:
        begun = await checkpoint.begin_spread_at(urls[service], schema, service, how.after)
    live, snapshot = await stack.enter_async_context(exported(urls[service]))
    chains = int(await live.fetchval(CHAINS))
    piece = Piece(service, urls, snapshot, schema, 0, chains, 0, how)
    pieces = []
    # Of its own journal tiering reads the facts only.
    topics = INPUTS[service][:-1] if service == "tiering" else INPUTS[service]
    for chain in range(chains):
        to = await ends(service, live, chain)
        rows = sum(max(0, to[topic] - begun.get((chain, topic), 0)) for topic in topics)
        pieces.append(replace(piece, chain=chain, rows=rows))
    return live, pieces


async def _end(live: Connection, pieces: list[Piece], how: How, replayed: Replayed) -> None:
    """Compare the tables that every chain has written to; keep what was rebuilt, when that is asked for."""
    service, url, schema = pieces[0].service, pieces[0].urls[pieces[0].service], pieces[0].schema
    build = await connect(url)
    try:
        async with build.transaction():
            spread = [
                await compare(live, build, schema, shape, piece.chain)
                for shape in SHAPES[service]
                if shape.table in SPREAD[service]
                for piece in pieces
            ]
        replayed.compared += spread
        if how.switch:
            wrong = [part for part in spread if not part.same]
            replayed.mended = await mend_spread(live, build, schema, SHAPES[service], wrong)
        if how.checkpoint:
            await checkpoint.keep(build, service, schema, how.checkpoint, replayed.compared)
    finally:
        await build.close()
