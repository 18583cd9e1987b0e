"""Rebuilds the projections of rewards from three journals: the ledger's, tiering's and its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.common.codec import StreamRow
from services.ops.replay import sources
from services.ops.replay.digest import Shape
from services.ops.verify.snapshot import Connection
from services.rewards import replay
from services.rewards.consume import LEDGER_TOPIC, TIERS_TOPIC, TYPES
from tallybook.rewards.v1 import events_pb2 as pb

SHAPES = tuple(Shape(table, key) for table, key in replay.PROJECTIONS.items())
TABLES = tuple(replay.PROJECTIONS)
SPREAD = replay.SPREAD
OWN_TYPES = tuple(pb.DESCRIPTOR.message_types_by_name)


async def rebuild(
    live: Connection, build: Connection, ledger: Connection, tiering: Connection, chain: int, chains: int
) -> None:
    """Fill one chain's projections in the schema that `build` finds."""
    for topic, source in ((LEDGER_TOPIC, ledger), (TIERS_TOPIC, tiering)):
        up_to = await sources.applied(live, chain, topic)
        await replay.rebuild_stream(build, chain, _stream(source, topic, chain, up_to))
    own = sources.journal(live, chain, await sources.head(live, chain), OWN_TYPES)
    await replay.rebuild_own(build, chain, chains, own)


async def _stream(source: Connection, topic: str, chain: int, up_to: int) -> AsyncIterator[list[StreamRow]]:
    async for rows in sources.journal(source, chain, up_to, TYPES[topic]):
        yield [replay.stream_row(topic, row) for row in rows]
