"""The inline projections of holds and of returns that wait for their purchase; replay uses the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.common.db import Transaction
from services.ledger.domain.book import Book

UPDATE_HOLDS = """
-- The lists come as text ('{1,2}'), for unnest would make one list of all of them.
UPDATE holds AS h SET state = k.state, captured = k.captured, refunded = k.refunded,
    allocation_lots = k.allocation_lots::bigint[], allocation_points = k.allocation_points::bigint[],
    spent_lots = k.spent_lots::bigint[], spent_points = k.spent_points::bigint[]
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::bigint[])
    AS k (chain, program, member, hold, captured, state, allocation_lots, allocation_points, spent_lots, spent_points,
          refunded)
WHERE h.chain = k.chain AND h.program = k.program AND h.member = k.member AND h.hold = k.hold
"""
HOLD_COLUMNS = (
    "chain", "program", "member", "hold", "order_id", "amount", "captured", "expires_at", "state",
    "allocation_lots", "allocation_points", "spent_lots", "spent_points", "refunded",
)  # fmt: skip
DELETE_PARKED = """
DELETE FROM parked_returns AS p
USING unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[])
    AS k (chain, program, member, purchase, return_id)
WHERE p.chain = k.chain AND p.program = k.program AND p.member = k.member AND p.purchase = k.purchase
    AND p.return_id = k.return_id
"""
PARKED_COLUMNS = ("chain", "program", "member", "purchase", "return_id", "position")


async def write_holds(tx: Transaction, book: Book, holds: Mapping[tuple[str, str, str], bool]) -> None:
    """Write holds (program, member, hold); True: the hold is in the table already."""
    changed = hold_rows(book, [key for key, is_there in holds.items() if is_there])
    if changed:
        columns = [[row[i] for row in changed] for i in (0, 1, 2, 3, 6, 8, 9, 10, 11, 12, 13)]
        columns[6:10] = [[_as_text(part) for part in column] for column in columns[6:10]]
        await tx.execute(UPDATE_HOLDS, *columns)
    placed = hold_rows(book, [key for key, is_there in holds.items() if not is_there])
    if placed:
        await tx.copy_records_to_table("holds", records=placed, columns=HOLD_COLUMNS)


async def write_parked(
    tx: Transaction,
    book: Book,
    parked: Iterable[tuple[str, str, str, str]],
    unparked: Iterable[tuple[str, str, str, str]],
) -> None:
    """Write which returns (program, member, purchase, return) begin to wait, and which wait no longer."""
    gone = [(book.members[key[:2]].chain, *key) for key in unparked]
    if gone:
        await tx.execute(DELETE_PARKED, *([row[i] for row in gone] for i in range(5)))
    rows = parked_rows(book, parked)
    if rows:
        await tx.copy_records_to_table("parked_returns", records=rows, columns=PARKED_COLUMNS)


def hold_rows(book: Book, keys: Iterable[tuple[str, str, str]]) -> list[tuple[Any, ...]]:
    """Rows of `holds` as they are now."""
    rows = []
    for program, member_id, hold_id in keys:
        member = book.members[program, member_id]
        hold = member.holds[hold_id]
        rows.append(
            (member.chain, program, member_id, hold.id, hold.order, hold.amount, hold.captured, hold.expires_at,
             hold.state, [lot for lot, _ in hold.allocations], [points for _, points in hold.allocations],
             [lot for lot, _ in hold.spent], [points for _, points in hold.spent], hold.refunded)
        )  # fmt: skip
    return rows


def parked_rows(book: Book, keys: Iterable[tuple[str, str, str, str]]) -> list[tuple[Any, ...]]:
    """Rows of `parked_returns` as they are now."""
    rows = []
    for program, member_id, purchase, return_id in keys:
        member = book.members[program, member_id]
        (position,) = [p.position for p in member.parked[purchase] if p.activity.id == return_id]
        rows.append((member.chain, program, member_id, purchase, return_id, position))
    return rows


def _as_text(numbers: list[int]) -> str:
    """A list as PostgreSQL writes it."""
    return f"{{{','.join(map(str, numbers))}}}"
