"""Which identifier leads to whom, in the database: rows are spread by the identifier's own hash."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from services.common.chain import spread
from services.common.db import Transaction

FIND_IDENTIFIERS = """
SELECT i.program, i.hash, i.member FROM unnest($1::smallint[], $2::text[], $3::bytea[]) AS k (chain, program, hash)
JOIN identifiers AS i USING (chain, program, hash)
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
