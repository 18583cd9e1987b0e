"""The inline projection of what became of purchases, and how it is read; replay uses the same rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.common.db import Transaction
from services.ledger.domain.book import Book, Settlement
from services.ledger.domain.counters import Counter

FIND_SETTLEMENTS = """
SELECT s.* FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
JOIN settlements AS s USING (chain, program, member)
"""
DELETE_SETTLEMENTS = """
DELETE FROM settlements AS s
USING unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (chain, program, member, purchase)
WHERE s.chain = k.chain AND s.program = k.program AND s.member = k.member AND s.purchase = k.purchase
"""
SETTLEMENT_COLUMNS = (
    "chain", "program", "member", "purchase", "returned_lines", "returned_units", "adjusted",
    "counter_names", "counters_before", "counters_after",
)  # fmt: skip


async def write_settlements(tx: Transaction, book: Book, keys: Iterable[tuple[str, str, str]]) -> None:
    """Replace the rows of (program, member, purchase)."""
    rows = settlement_rows(book, keys)
    await tx.execute(DELETE_SETTLEMENTS, *([row[i] for row in rows] for i in range(4)))
    await tx.copy_records_to_table("settlements", records=rows, columns=SETTLEMENT_COLUMNS)


def settlement_rows(book: Book, keys: Iterable[tuple[str, str, str]]) -> list[tuple[Any, ...]]:
    """Rows of `settlements` as they are now."""
    rows = []
    for program, member_id, purchase in keys:
        member = book.members[program, member_id]
        settlement = member.settlements[purchase]
        lines = sorted(settlement.returned)
        units = [settlement.returned[line] for line in lines]
        counted = ([counter[i] for counter in settlement.counters] for i in range(3))
        key = (member.chain, program, member_id, purchase)
        rows.append((*key, lines, units, settlement.adjusted, *counted))
    return rows


async def load_settlements(
    tx: Transaction, book: Book, columns: tuple[list[int], list[str], list[str]]
) -> None:
    """Put what became of the purchases of members, given as (chains, programs, members), into `book`."""
    for row in await tx.fetch(FIND_SETTLEMENTS, *columns):
        counted = zip(row["counter_names"], row["counters_before"], row["counters_after"], strict=True)
        returned = dict(zip(row["returned_lines"], row["returned_units"], strict=True))
        book.members[row["program"], row["member"]].settlements[row["purchase"]] = Settlement(
            returned, row["adjusted"], [Counter(*counter) for counter in counted]
        )
