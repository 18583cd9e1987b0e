"""Rebuilds tiering's projections and its journal from the ledger's journal, as far as tiering had read it.

Of tiering's own journal only the facts are read (tiers given by hand): everything else is decided again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from services.common.codec import StreamRow
from services.ops.replay import sources
from services.ops.replay.digest import Shape
from services.ops.verify.snapshot import Connection
from services.tiering import replay
from services.tiering.project import LEDGER_TOPIC
from services.tiering.wire import LEDGER_TYPES, OWN_TYPES

SHAPES = (
    *(Shape(table, key) for table, key in replay.PROJECTIONS.items()),
    # Decided again, so its rows must be the same but for when they were written.
    Shape("journal", ("chain", "position"), replay.JOURNAL_COMPARED),
)
TABLES = (*replay.PROJECTIONS, *replay.ALSO_WRITTEN)
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""What the rebuilt journal says of when it was written: that is not compared."""


async def rebuild(live: Connection, build: Connection, ledger: Connection, chain: int) -> None:
    """Decide one chain again, in the schema that `build` finds."""
    up_to = await sources.applied(live, chain, LEDGER_TOPIC)

    async def stream() -> AsyncIterator[list[StreamRow]]:
        async for rows in sources.journal(ledger, chain, up_to, LEDGER_TYPES):
            yield [replay.ledger_row(row) for row in rows]

    async def own() -> AsyncIterator[replay.OwnRow]:
        async for rows in sources.facts(live, chain, OWN_TYPES):
            for row in rows:
                yield replay.own_row(row)

    await replay.rebuild(build, chain, stream(), NO_TIME, own())
