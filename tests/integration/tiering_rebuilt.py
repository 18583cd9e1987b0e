"""Tiering's tables rebuilt beside the live ones, each chain alone, and what must hold of them by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import asyncpg

from services.common.codec import StreamRow
from services.common.db import Writer
from services.tiering.replay import ALSO_WRITTEN, PROJECTIONS, OwnRow, own_row, rebuild
from services.tiering.wire import OWN_TYPES
from tests.integration.test_tiering_store import content
from tests.integration.tiering_rows import day

SCHEMA = "replay_1"
FACTS = "SELECT * FROM public.journal WHERE chain = $1 AND type = ANY($2::text[]) ORDER BY position"
WRONG_WINDOWS = """
SELECT m.member, w.key, w.value, e.total FROM members m CROSS JOIN LATERAL jsonb_each(m.windows) w
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount), 0)::bigint AS total FROM entries
    WHERE chain = m.chain AND program = m.program AND member = m.member AND metric = w.key
    AND (extract(epoch FROM occurred_at) * 1000000)::bigint > (w.value ->> 0)::bigint
) e WHERE e.total <> (w.value ->> 1)::bigint
"""
"""Windows that hold something else than the sum of their entries."""


async def assert_rebuilt_is_live(
    writer: Writer, database: str, told: Mapping[int, Sequence[StreamRow]], batch: int
) -> None:
    """Rebuild every chain from the rows that it was `told`, so many at once: each table must be the live one.

    `database` is the owner's URL.
    """
    live = await content(writer)
    owner = await asyncpg.connect(database, server_settings={"search_path": SCHEMA})
    try:
        await owner.execute(f"CREATE SCHEMA {SCHEMA}")
        for table in (*PROJECTIONS, *ALSO_WRITTEN):
            await owner.execute(f"CREATE TABLE {SCHEMA}.{table} (LIKE public.{table} INCLUDING ALL)")
        for chain, rows in told.items():
            facts = await owner.fetch(FACTS, chain, list(OWN_TYPES))
            async with owner.transaction():
                count = await rebuild(owner, chain, _batches(rows, batch), day("2040-01-01"), _own(facts))
            assert count == len(rows)
        await owner.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO PUBLIC")
        await owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO PUBLIC")
        rebuilt = await content(writer, SCHEMA)
    finally:
        await owner.close()
    for table, expected in live.items():
        assert [(g, w) for g, w in zip(rebuilt[table], expected, strict=True) if g != w] == [], table


async def _batches(rows: Sequence[StreamRow], size: int) -> AsyncIterator[Sequence[StreamRow]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


async def _own(facts: Sequence[Any]) -> AsyncIterator[OwnRow]:
    for fact in facts:
        yield own_row(fact)
