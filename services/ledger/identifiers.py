"""Which identifier leads to whom, in the database: rows are spread by the identifier's own hash."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

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
DELETE = """
DELETE FROM identifiers AS i USING unnest($1::smallint[], $2::text[], $3::bytea[]) AS k (chain, program, hash)
WHERE i.chain = k.chain AND i.program = k.program AND i.hash = k.hash
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


async def write(
    tx: Transaction,
    linked: Mapping[tuple[str, bytes], tuple[str, str]],
    unlinked: Collection[tuple[str, bytes]],
    chains: int,
) -> None:
    """First what leads nowhere any more, for it may lead to another member by now."""
    if unlinked:
        places = [spread(digest, chains) for _, digest in unlinked]
        programs, digests = [program for program, _ in unlinked], [digest for _, digest in unlinked]
        await tx.execute(DELETE, places, programs, digests)
    if linked:
        await tx.copy_records_to_table("identifiers", records=rows(linked, chains))


def rows(identifiers: Mapping[tuple[str, bytes], tuple[str, str]], chains: int) -> list[tuple[Any, ...]]:
    """Rows of `identifiers` from (kind, member) by (program, hash)."""
    return [
        (spread(digest, chains), program, digest, kind, member)
        for (program, digest), (kind, member) in identifiers.items()
    ]
