"""The raw write limit: the very rows that the ledger wrote, COPYed into the same tables over one connection, no logic.

Committed in pieces of as many purchases as the ledger takes in a transaction. Rows are in memory before the clock
starts, so that only encoding, sending and PostgreSQL's own work are counted.
"""

from __future__ import annotations

import time

import asyncpg

TABLES = ("journal", "inbox", "postings", "lots", "members", "accounts")
CHAINS_SQL = "SELECT chain FROM chain_heads ORDER BY chain"


async def rows_of(url: str, since: dict[int, int]) -> dict[str, list[tuple[object, ...]]]:
    """All rows that the ledger wrote after the positions `since` (by chain), by table, in chain order."""
    connection = await asyncpg.connect(url)
    try:
        after = "JOIN unnest($1::smallint[], $2::bigint[]) AS s (chain, after)"
        chains, positions = list(since), list(since.values())
        found = {}
        for table, place, column in (
            ("journal", "chain", "position"),
            ("postings", "chain", "position"),
            ("inbox", "journal_chain", "position"),
            ("lots", "chain", "lot"),
        ):
            query = (
                f"SELECT t.* FROM {table} AS t {after} "  # noqa: S608 (names from the tuple above)
                f"ON s.chain = t.{place} AND t.{column} > s.after ORDER BY t.{place}, t.{column}"
            )
            found[table] = [tuple(row) for row in await connection.fetch(query, chains, positions)]
        for table in ("members", "accounts"):
            query = f"SELECT * FROM {table} ORDER BY chain"  # noqa: S608
            found[table] = [tuple(row) for row in await connection.fetch(query)]
        return found
    finally:
        await connection.close()


async def copy_all(url: str, rows: dict[str, list[tuple[object, ...]]], pieces: int) -> float:
    """Seconds to COPY all rows in `pieces` transactions into the empty tables of the database at `url`."""
    connection = await asyncpg.connect(url)
    try:
        cut = {table: [len(found) * i // pieces for i in range(pieces + 1)] for table, found in rows.items()}
        await connection.execute("CHECKPOINT")
        started = time.monotonic()
        for piece in range(pieces):
            async with connection.transaction():
                for table in TABLES:
                    part = rows[table][cut[table][piece] : cut[table][piece + 1]]
                    if part:
                        await connection.copy_records_to_table(table, records=part)
        return time.monotonic() - started
    finally:
        await connection.close()
