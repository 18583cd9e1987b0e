"""What of each service is rebuilt, and the one way in which a chain of it is brought from where it stands to another
place: from the first row, from a checkpoint, or by what came since."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from services.ops.replay import ledger, rewards, tiering
from services.ops.replay.digest import Compared, Shape, compare
from services.ops.replay.schema import move_positions, positions
from services.ops.replay.sources import StreamIncomplete, Streams, Stretch, ends
from services.ops.verify.snapshot import Connection

SHAPES: Mapping[str, tuple[Shape, ...]] = {
    "ledger": ledger.SHAPES,
    "tiering": tiering.SHAPES,
    "rewards": rewards.SHAPES,
}
"""What is compared, by service."""
TABLES: Mapping[str, tuple[str, ...]] = {
    "ledger": ledger.TABLES,
    "tiering": tiering.TABLES,
    "rewards": rewards.TABLES,
}
"""What a rebuild writes."""
SPREAD: Mapping[str, tuple[str, ...]] = {"ledger": ledger.SPREAD, "tiering": (), "rewards": rewards.SPREAD}
"""Tables whose rows stand on other chains than the journal rows that made them: they can be compared only when every
chain is rebuilt."""
REBUILD: Mapping[str, Callable[[Stretch], Awaitable[None]]] = {
    "ledger": ledger.rebuild,
    "tiering": tiering.rebuild,
    "rewards": rewards.rebuild,
}


async def fold(
    service: str,
    live: Connection,
    build: Connection,
    streams: Streams,
    chain: int,
    chains: int,
    *,
    spread: bool = True,
) -> int:
    """Bring one chain in the schema that `build` finds up to what `live` sees. Returns the journal rows gone through.

    Without `spread` the tables of SPREAD are left as they are.

    Raises:
        InvariantBroken: a journal says what can't be.
        StreamIncomplete: not all rows can be had; or the schema stands for rows that are not there.
    """
    up_to = await ends(service, live, chain)
    after = dict.fromkeys(up_to, 0) | await positions(build, chain)
    for topic in up_to:
        if after[topic] > up_to[topic]:
            raise StreamIncomplete(
                f"chain {chain}: the rebuild began at position {after[topic]} of {topic}, and the tables stand for "
                f"{up_to[topic]}: take a checkpoint of this book, or begin with the first row"
            )
    stretch = Stretch(live, build, streams, chain, chains, after, up_to, spread)
    await REBUILD[service](stretch)
    await move_positions(build, chain, up_to)
    return stretch.count


async def compare_own(
    service: str, live: Connection, build: Connection, schema: str, chain: int
) -> list[Compared]:
    """Compare what one chain has for itself, as it is live and in `schema`; both connections are in a transaction."""
    return [
        await compare(live, build, schema, shape, chain)
        for shape in SHAPES[service]
        if shape.table not in SPREAD[service]
    ]
