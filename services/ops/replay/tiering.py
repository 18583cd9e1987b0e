"""Rebuilds tiering's projections and its journal from the ledger's stream, as far as tiering had read it.

Of tiering's own journal only the facts are read (tiers given by hand): everything else is decided again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from services.common.codec import StreamRow
from services.ops.replay.digest import Shape
from services.ops.replay.sources import Stretch
from services.tiering import replay
from services.tiering.project import LEDGER_TOPIC
from services.tiering.wire import LEDGER_TYPES, OWN_TYPES

OWN_TOPIC = "tiers.v1"
# Decided again, so its rows must be the same but for when they were written.
JOURNAL = Shape("journal", ("chain", "position"), replay.JOURNAL_COMPARED)
SHAPES = (*(Shape(table, key) for table, key in replay.PROJECTIONS.items()), JOURNAL)
TABLES = (*replay.PROJECTIONS, *replay.ALSO_WRITTEN)
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""What the rebuilt journal says of when it was written: that is not compared."""


async def rebuild(stretch: Stretch) -> None:
    """Decide a stretch of one chain again, in the schema that is filled."""

    async def stream() -> AsyncIterator[list[StreamRow]]:
        async for rows in stretch.rows(LEDGER_TOPIC, LEDGER_TYPES):
            yield [replay.ledger_row(row) for row in rows]

    async def own() -> AsyncIterator[replay.OwnRow]:
        async for rows in stretch.facts(OWN_TOPIC, OWN_TYPES):
            for row in rows:
                yield replay.own_row(row)

    await replay.rebuild(stretch.build, stretch.chain, stream(), NO_TIME, own())
