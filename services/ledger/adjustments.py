"""Points by hand in the database: loaded for a batch, written after it, looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.db import Transaction
from services.common.errors import Refusal
from services.ledger.domain.book import Adjustment, Book
from services.ledger.domain.commands import ApproveAdjustment, Command, DeclineAdjustment, MergeMembers
from services.ledger.tables import adjustments

FIND = """
SELECT a.* FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (chain, program, member, adjustment)
JOIN adjustments AS a USING (chain, program, member, adjustment)
"""
FIND_OF = """
SELECT a.* FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
JOIN adjustments AS a USING (chain, program, member)
"""
UPSERT = """
INSERT INTO adjustments
SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::timestamptz[], $11::text[])
ON CONFLICT (chain, program, member, adjustment)
DO UPDATE SET state = EXCLUDED.state, decided_by = EXCLUDED.decided_by
"""


async def load(tx: Transaction, book: Book, commands: Sequence[Command]) -> None:
    """Put what is to be approved or declined into the book, and all of who is merged into another."""
    asked = [
        (c.chain, c.program, c.member, c.adjustment)
        for c in commands
        if isinstance(c, (ApproveAdjustment, DeclineAdjustment))
    ]
    merged = [(c.absorbed_chain, c.program, c.absorbed) for c in commands if isinstance(c, MergeMembers)]
    found: list[Any] = []
    if asked:
        found += await tx.fetch(FIND, *([key[i] for key in asked] for i in range(4)))
    if merged:
        found += await tx.fetch(FIND_OF, *([key[i] for key in merged] for i in range(3)))
    for row in found:
        put(book, row)


def put(book: Book, row: Any) -> None:
    """The adjustment in a row of `adjustments`, to its member in the book."""
    book.members[row["program"], row["member"]].adjustments[row["adjustment"]] = Adjustment(
        row["adjustment"], row["points"], row["reason"], row["note"], row["state"], row["requested_by"],
        row["requested_at"], row["decided_by"],
    )  # fmt: skip


def rows(book: Book, keys: Iterable[tuple[str, str, str]]) -> list[tuple[Any, ...]]:
    """Rows of `adjustments` as they are now."""
    found = []
    for program, member_id, adjustment in keys:
        member = book.members[program, member_id]
        a = member.adjustments[adjustment]
        found.append(
            (member.chain, program, member_id, a.id, a.points, a.reason, a.note, a.state, a.requested_by,
             a.requested_at, a.decided_by)
        )  # fmt: skip
    return found


async def find(
    connection: AsyncConnection, chain: int, program: str, member_id: str, id_: str
) -> dict[str, Any]:
    """Points given or taken by hand, or asked for. Raises Refusal("adjustment_unknown")."""
    query = select(adjustments).where(
        adjustments.c.chain == chain,
        adjustments.c.program == program,
        adjustments.c.member == member_id,
        adjustments.c.adjustment == id_,
    )
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise Refusal("adjustment_unknown", f"member {member_id!r} has no adjustment {id_!r}")
    return _shown(row)


async def waiting(connection: AsyncConnection, program: str, chains: int, limit: int) -> list[dict[str, Any]]:
    """What waits for a second person, the oldest first."""
    query = (
        select(adjustments)
        .where(
            adjustments.c.chain.in_(range(chains)),
            adjustments.c.program == program,
            adjustments.c.state == "requested",
        )
        .order_by(adjustments.c.requested_at)
        .limit(limit)
    )
    return [_shown(row) for row in (await connection.execute(query)).mappings()]


def _shown(row: Any) -> dict[str, Any]:
    names = ("adjustment", "member", "points", "reason", "note", "state", "requested_by", "decided_by")
    return {**{name: row[name] for name in names}, "requested_at": row["requested_at"].isoformat()}
