"""Profiles and parked activities, written. A key stands beside its profile, or is gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from services.common.db import Transaction
from services.ledger.domain.book import Book

if TYPE_CHECKING:
    from services.ledger.project import Changes

MemberKey = tuple[str, str]

DELETE_PROFILES = """
DELETE FROM profiles AS p USING unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
WHERE p.chain = k.chain AND p.program = k.program AND p.member = k.member
"""
DELETE_MEMBER_KEYS = """
DELETE FROM member_keys AS p USING unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
WHERE p.chain = k.chain AND p.program = k.program AND p.member = k.member
"""
APPLY = """
UPDATE parked AS p SET member = k.member, applied_chain = k.applied_chain, applied_position = k.applied_position,
    rejection = k.rejection
FROM unnest($1::smallint[], $2::bigint[], $3::text[], $4::smallint[], $5::bigint[], $6::text[])
    AS k (chain, position, member, applied_chain, applied_position, rejection)
WHERE p.chain = k.chain AND p.position = k.position
"""


async def write_people(tx: Transaction, book: Book, changes: Changes) -> None:
    """Profiles with their keys, and what is parked."""
    if changes.profiles:
        await write_profiles(tx, book, changes.profiles, changes.profile_keys)
    if changes.waiting:
        await tx.copy_records_to_table("parked", records=list(changes.waiting.values()))
    if changes.applied:
        await tx.execute(APPLY, *([row[n] for row in changes.applied] for n in range(6)))


async def write_profiles(
    tx: Transaction, book: Book, changed: Mapping[MemberKey, bytes | None], keys: Mapping[bytes, bytes]
) -> None:
    """Replace the profiles that changed, and their keys; `keys` are (encrypted) keys by sealed profile."""
    rows = profile_rows(book, changed)
    gone = [(book.members[key].chain, *key) for key in changed]
    columns = [[row[n] for row in gone] for n in range(3)]
    await tx.execute(DELETE_PROFILES, *columns)
    await tx.execute(DELETE_MEMBER_KEYS, *columns)
    await tx.copy_records_to_table("profiles", records=rows)
    await tx.copy_records_to_table("member_keys", records=[(*row[:3], keys[row[3]]) for row in rows])


def profile_rows(book: Book, keys: Iterable[MemberKey]) -> list[tuple[Any, ...]]:
    """Rows of `profiles` as they are now."""
    members = (book.members[key] for key in keys)
    return [(m.chain, m.program, m.id, m.profile) for m in members if m.profile]
