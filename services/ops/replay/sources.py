"""What a rebuild reads: journals, in order, from the databases themselves.

The topics hold the same rows (a journal's payload is what its relay publishes, and `verify` holds the two against
each other), so a replay needs no broker, and no topic that has been kept for ever.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any

from services.ops.verify.snapshot import Connection, batches

JOURNAL = """
-- Of rows that the reader has no use for, only the position counts: their payload stays where it is.
SELECT chain, position, program, member, type, occurred_at, recorded_at, program_version,
       CASE WHEN type = ANY($3::text[]) THEN payload END AS payload
FROM journal WHERE chain = $1 AND position <= $2 ORDER BY position
"""
FACTS = """
-- Rows of a service's own journal that it did not decide by itself, with what led to them.
SELECT chain, position, program, member, type, occurred_at, cause_source, cause_id, cause_digest, program_version,
       payload
FROM journal WHERE chain = $1 AND type = ANY($2::text[]) ORDER BY position
"""
APPLIED = "SELECT position FROM stream_positions WHERE chain = $1 AND topic = $2"
HEAD = "SELECT position FROM chain_heads WHERE chain = $1"


def journal(
    connection: Connection, chain: int, up_to: int, types: Collection[str]
) -> AsyncIterator[list[Any]]:
    """A chain's rows from the first to `up_to`, in batches; the payload only of `types`."""
    return batches(connection, JOURNAL, chain, up_to, list(types))


def facts(connection: Connection, chain: int, types: Collection[str]) -> AsyncIterator[list[Any]]:
    """The rows of a service's own journal whose type is among `types`, in batches."""
    return batches(connection, FACTS, chain, list(types))


async def applied(connection: Connection, chain: int, topic: str) -> int:
    """How far the service behind `connection` has applied another's stream."""
    return int(await connection.fetchval(APPLIED, chain, topic) or 0)


async def head(connection: Connection, chain: int) -> int:
    """The last position of the service's own journal."""
    return int(await connection.fetchval(HEAD, chain) or 0)
