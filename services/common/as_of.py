"""Which rows of a journal count at an instant that is past.

By recorded time it is those that the book had then: a chain up to its last row with `recorded_at` at or before the
instant. By business time it is those that had happened by then, by all that the book knows today: the rows with
`occurred_at` at or before the instant, wherever in the chain they stand.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Query
from sqlalchemy import Table, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.errors import Refusal
from services.common.told_time import Time

ROWS_MAX = 100_000
"""Rows of one member that are gone through for one request."""
BATCH_ROWS = 100
"""After so many rows others get their turn."""
DISORDER = timedelta(minutes=5)
"""How much earlier a row's `recorded_at` may be than that of a row before it: a transaction looks at its clock before
it waits for the chain, and machines' clocks differ."""

LAST_ROWS = text("""
-- Times rise along a chain but for DISORDER, so the primary key alone finds the place: by halving, at a time that is
-- later by as much (all rows behind it are later than :at), and from there back to the first row that is not.
WITH RECURSIVE halved AS (
    SELECT chain, 0::bigint AS low, position AS high FROM chain_heads WHERE chain = ANY(:chains)
    UNION ALL
    SELECT h.chain,
           CASE WHEN j.recorded_at <= :later THEN j.position ELSE h.low END,
           CASE WHEN j.recorded_at <= :later THEN h.high ELSE j.position - 1 END
    FROM halved AS h JOIN journal AS j ON j.chain = h.chain AND j.position = (h.low + h.high + 1) / 2
    WHERE h.low < h.high
)
SELECT h.chain, coalesce(last.position, 0) AS position
FROM halved AS h
LEFT JOIN LATERAL (
    SELECT position FROM journal WHERE chain = h.chain AND position <= h.low AND recorded_at <= :at
    ORDER BY position DESC LIMIT 1
) AS last ON true
WHERE h.low = h.high
""")


class By(StrEnum):
    """By which of a row's two times it counts."""

    RECORDED = "recorded"
    BUSINESS = "business"


At = Annotated[
    Time | None, Query(description="RFC 3339 with a zone, the + of a zone written %2B; without it, now.")
]
"""`at` in a query."""
ByTime = Annotated[
    By, Query(description="`recorded`: what was known then. `business`: what is known of that time today.")
]
"""`by` in a query."""


def instant(at: datetime | None, by: By, now: datetime) -> datetime:
    """The instant asked for; now, when none is named.

    Raises Refusal("instant_in_future") for what the book can't know yet. Business time may be ahead: of a till.
    """
    at = at or now
    if by is By.RECORDED and at > now:
        raise Refusal(
            "instant_in_future",
            f"{at.isoformat()} has not come yet: ask for an instant that is past, now is {now.isoformat()}",
        )
    return at


async def last_rows(connection: AsyncConnection, chains: Iterable[int], at: datetime) -> dict[int, int]:
    """By chain, the position of the last row that was recorded at or before `at`; 0 where there was none yet."""
    told = {"chains": list(chains), "at": at, "later": at + DISORDER}
    return {row.chain: row.position for row in await connection.execute(LAST_ROWS, told)}


async def member_rows(
    connection: AsyncConnection,
    journal: Table,
    place: tuple[int, str, str],
    last: int | None = None,
    rows_max: int | None = ROWS_MAX,
) -> AsyncIterator[Any]:
    """A member's rows (position, type, occurred_at, recorded_at, payload) in order, up to position `last`.

    `place` is (chain, program, member). Raises Refusal("history_too_long") behind `rows_max` rows.
    """
    c = journal.c
    chain, program, member = place
    query = (
        select(c.position, c.type, c.occurred_at, c.recorded_at, c.payload)
        .where(c.chain == chain, c.program == program, c.member == member)
        .order_by(c.position)
    )
    if last is not None:
        query = query.where(c.position <= last)
    found = await connection.stream(query, execution_options={"yield_per": BATCH_ROWS})
    seen = 0
    async for rows in found.partitions():
        seen += len(rows)
        if rows_max is not None and seen > rows_max:
            raise Refusal(
                "history_too_long",
                f"member {member!r} has more than {rows_max:,} rows: the command line `tally` has no such limit",
            )
        for row in rows:
            yield row
        await asyncio.sleep(0)
