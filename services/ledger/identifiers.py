"""Identifiers, read: who is known by one, and what somebody is known by."""

from __future__ import annotations

from collections.abc import Iterable

from services.common.chain import spread
from services.common.db import Transaction
from services.ledger.domain.book import Book

FIND_IDENTIFIERS = """
SELECT i.program, i.hash, i.member FROM unnest($1::smallint[], $2::text[], $3::bytea[]) AS k (chain, program, hash)
JOIN identifiers AS i USING (chain, program, hash)
"""
FIND_IDENTIFIERS_OF = """
SELECT i.program, i.hash, i.kind, i.member FROM unnest($1::text[], $2::text[]) AS k (program, member)
CROSS JOIN LATERAL (
    SELECT * FROM identifiers WHERE program = k.program AND member = k.member OFFSET 0
) AS i
"""


async def find_identifiers(
    tx: Transaction, wanted: Iterable[tuple[str, bytes]], chains: int
) -> dict[tuple[str, bytes], str]:
    """Member ids by (program, hash)."""
    keys = sorted(set(wanted))
    if not keys:
        return {}
    places = [spread(digest, chains) for _, digest in keys]
    rows = await tx.fetch(FIND_IDENTIFIERS, places, [k[0] for k in keys], [k[1] for k in keys])
    return {(row["program"], row["hash"]): row["member"] for row in rows}


async def load_identifiers(tx: Transaction, book: Book, members: Iterable[tuple[str, str]]) -> None:
    """Put all identifiers of (program, member) pairs into the book."""
    keys = sorted(set(members))
    if keys:
        for row in await tx.fetch(FIND_IDENTIFIERS_OF, [k[0] for k in keys], [k[1] for k in keys]):
            book.identifiers[row["program"], row["hash"]] = row["member"]
            book.kinds[row["program"], row["hash"]] = row["kind"]
