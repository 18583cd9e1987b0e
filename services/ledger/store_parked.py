"""Loads returns that wait for a purchase which is there now."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import asyncpg

from services.common.db import Transaction
from services.common.errors import InvariantBroken
from services.ledger import payloads
from services.ledger.domain.book import Book, ParkedReturn
from services.ledger.domain.commands import Command, MergeMembers, RecordPurchase
from services.ledger.domain.events import ReturnParked

FIND_PARKED = """
SELECT p.chain, p.program, p.member, p.purchase, p.position, j.type, j.payload
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (chain, program, member, purchase)
CROSS JOIN LATERAL (
    SELECT * FROM parked_returns
    WHERE chain = k.chain AND program = k.program AND member = k.member AND purchase = k.purchase OFFSET 0
) AS p
CROSS JOIN LATERAL (
    SELECT type, payload FROM journal WHERE chain = p.chain AND position = p.position OFFSET 0
) AS j
"""


FIND_PARKED_OF = """
SELECT p.chain, p.program, p.member, p.purchase, p.position, j.type, j.payload
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
CROSS JOIN LATERAL (
    SELECT * FROM parked_returns WHERE chain = k.chain AND program = k.program AND member = k.member OFFSET 0
) AS p
CROSS JOIN LATERAL (
    SELECT type, payload FROM journal WHERE chain = p.chain AND position = p.position OFFSET 0
) AS j
"""


async def find_parked(
    tx: Transaction, commands: Sequence[Command], waiting: Collection[tuple[int, str]]
) -> list[asyncpg.Record]:
    """Rows of the returns that wait for these purchases, or that whoever is merged waits with; for purchases it is
    asked only where (chain, program) has any."""
    keys = dict.fromkeys(
        (c.chain, c.program, c.member, c.purchase.id)
        for c in (commands if waiting else ())
        if isinstance(c, RecordPurchase) and (c.chain, c.program) in waiting
    )
    merged = dict.fromkeys(
        (chain, c.program, member)
        for c in commands
        if isinstance(c, MergeMembers)
        for chain, member in c.places()
    )
    rows: list[asyncpg.Record] = []
    if keys:
        rows += await tx.fetch(FIND_PARKED, *([key[i] for key in keys] for i in range(4)))
    if merged:
        rows += await tx.fetch(FIND_PARKED_OF, *([key[i] for key in merged] for i in range(3)))
        # One that waits for a purchase of the same batch too is found twice.
        rows = list({(row["chain"], row["position"]): row for row in rows}.values())
    return sorted(rows, key=lambda row: (row["chain"], row["position"]))


def put_parked(book: Book, rows: Sequence[asyncpg.Record]) -> None:
    """The returns, to the members whose they are."""
    for row in rows:
        event = payloads.decode(row["type"], row["payload"])
        if not isinstance(event, ReturnParked):
            raise InvariantBroken(f"row {row['chain']}-{row['position']} parks no return")
        member = book.members[row["program"], row["member"]]
        member.parked.setdefault(row["purchase"], []).append(ParkedReturn(row["position"], event.activity))
