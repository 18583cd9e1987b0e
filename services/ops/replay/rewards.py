"""Rebuilds the projections of rewards from three streams: the ledger's, tiering's and its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.common.codec import StreamRow
from services.ops.replay.digest import Shape
from services.ops.replay.sources import Stretch
from services.rewards import replay
from services.rewards.consume import LEDGER_TOPIC, TIERS_TOPIC, TYPES
from tallybook.rewards.v1 import events_pb2 as pb

OWN_TOPIC = "rewards.v1"
SHAPES = tuple(Shape(table, key) for table, key in replay.PROJECTIONS.items())
TABLES = tuple(replay.PROJECTIONS)
SPREAD = replay.SPREAD
OWN_TYPES = tuple(pb.DESCRIPTOR.message_types_by_name)


async def rebuild(stretch: Stretch) -> None:
    """Fold a stretch of one chain into the projections in the schema that is filled."""
    build, chain = stretch.build, stretch.chain
    for topic in (LEDGER_TOPIC, TIERS_TOPIC):
        await replay.rebuild_stream(build, chain, _stream(stretch, topic), stretch.after[topic])
    own = stretch.facts(OWN_TOPIC, OWN_TYPES)
    await replay.rebuild_own(build, chain, stretch.chains, own, spread=stretch.spread)


async def _stream(stretch: Stretch, topic: str) -> AsyncIterator[list[StreamRow]]:
    async for rows in stretch.rows(topic, TYPES[topic]):
        yield [replay.stream_row(topic, row) for row in rows]
