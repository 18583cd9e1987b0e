"""Which store a lot comes from: that of the purchase, top-up or interaction that earned it, as the journal has it.

A lot is opened in the same command as its fact is recorded, or, later (a tier learnt late, a merge), names the
purchase or top-up whose fact the inbox leads to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ledger.domain.book import POINTS
from services.ledger.inbox import inbox_chain
from services.ledger.store import purchase_source
from tallybook.ledger.v1 import events_pb2 as pb

STORE_OF: Mapping[str, Callable[[bytes], str]] = {
    "PurchaseRecorded": lambda payload: _message(pb.PurchaseRecorded, payload).activity.store,
    "TopUpRecorded": lambda payload: _message(pb.TopUpRecorded, payload).activity.store,
    "InteractionRecorded": lambda payload: _message(pb.InteractionRecorded, payload).store,
}
"""Facts that name a store, by type."""
BATCH_ROWS = 2_000
GROUP_ROWS_MAX = 10
"""A fact is among the first rows of its command; an enrolment or a step of the clock may stand before it."""

OPENED = text("""
SELECT o.position AS lot, f.type, f.payload
FROM journal AS o
JOIN journal AS f ON f.chain = o.chain AND f.cause_source = o.cause_source AND f.cause_id = o.cause_id
WHERE o.chain = :chain AND f.chain = :chain AND o.program = :program AND f.program = :program
  AND o.type IN ('PointsAccrued', 'PointsAwarded', 'MoneyCredited') AND f.type = ANY(:facts)
""")
OPENED_LATER = text("""
SELECT l.lot, l.purchase, l.asset
FROM lots AS l JOIN journal AS o ON o.chain = l.chain AND o.position = l.lot
WHERE l.chain = :chain AND o.chain = :chain AND l.program = :program AND l.purchase <> ''
  AND (o.type = 'LotMoved' OR o.type = 'PointsAccrued' AND o.cause_source <> ALL(:sources))
""")
NAMED = text("""
-- By key. A parked activity's fact stands where it was taken, under its own cause.
SELECT k.source, k.id, f.type, f.payload
FROM unnest(CAST(:chains AS smallint[]), CAST(:sources AS text[]), CAST(:ids AS text[])) AS k (chain, source, id)
JOIN inbox AS i ON i.chain = k.chain AND i.source = k.source AND i.event_id = k.id
LEFT JOIN parked AS w ON w.chain = i.journal_chain AND w.position = i.position
CROSS JOIN LATERAL (
    SELECT j.type, j.payload FROM journal AS j
    WHERE j.chain = coalesce(w.applied_chain, i.journal_chain)
      AND j.position BETWEEN coalesce(w.applied_position, i.position)
                         AND coalesce(w.applied_position, i.position) + :rows
      AND j.cause_source = k.source AND j.cause_id = k.id AND j.type = ANY(:facts)
    ORDER BY j.position LIMIT 1
) AS f
""")


async def of_chain(
    connection: AsyncConnection, chain: int, chains: int, program: str
) -> tuple[list[int], list[str]]:
    """(lots, their stores) of a chain, for the lots that have one."""
    lots: list[int] = []
    stores: list[str] = []
    here = {"chain": chain, "program": program, "facts": list(STORE_OF)}
    async with connection.stream(OPENED, here) as rows:
        async for some in rows.partitions(BATCH_ROWS):
            for lot, type_, payload in some:
                if store := STORE_OF[type_](payload):
                    lots.append(lot)
                    stores.append(store)
    later = await _later(connection, chain, chains, program)
    return lots + list(later), stores + list(later.values())


async def _later(connection: AsyncConnection, chain: int, chains: int, program: str) -> dict[int, str]:
    """The stores of lots that another command opened than the one that recorded their fact."""
    sources = (purchase_source(program), f"{program}/top_up")
    arguments = {"chain": chain, "program": program, "sources": list(sources)}
    named: dict[int, list[tuple[str, str]]] = {}
    for lot, id_, asset in await connection.execute(OPENED_LATER, arguments):
        # Points are a purchase's, or were given on top of a top-up.
        named[lot] = [(source, id_) for source in (sources if asset == POINTS else sources[1:])]
    keys = sorted({key for several in named.values() for key in several})
    found: dict[tuple[str, str], str] = {}
    for start in range(0, len(keys), BATCH_ROWS):
        some = keys[start : start + BATCH_ROWS]
        arguments = {
            "chains": [inbox_chain(source, id_, chains) for source, id_ in some],
            "sources": [source for source, _ in some],
            "ids": [id_ for _, id_ in some],
            "rows": GROUP_ROWS_MAX,
            "facts": list(STORE_OF),
        }
        for source, id_, type_, payload in await connection.execute(NAMED, arguments):
            found[source, id_] = STORE_OF[type_](payload)
    stores = {lot: next((found[key] for key in keys if key in found), "") for lot, keys in named.items()}
    return {lot: store for lot, store in stores.items() if store}


def _message(cls: Any, payload: bytes) -> Any:
    return cls.FromString(payload)
