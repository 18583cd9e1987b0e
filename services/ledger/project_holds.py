"""The inline projections of holds and of returns that wait for their purchase; replay uses the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from services.common.db import Transaction
from services.ledger.domain import events as e
from services.ledger.domain.book import Book
from services.ledger.domain.money import BONUS, PRINCIPAL, asset

if TYPE_CHECKING:
    from services.ledger.project import Changes

HoldEvent = e.HoldPlaced | e.HoldCaptured | e.HoldReleased | e.SpendRefunded

UPDATE_HOLDS = """
-- The lists come as text ('{1,2}'), for unnest would make one list of all of them.
UPDATE holds AS h SET captured = k.captured, state = k.state, refunded = k.refunded,
    allocation_lots = k.allocation_lots::bigint[], allocation_points = k.allocation_points::bigint[],
    spent_lots = k.spent_lots::bigint[], spent_points = k.spent_points::bigint[],
    money_captured = k.money_captured, money_refunded = k.money_refunded,
    money_allocation_lots = k.money_allocation_lots::bigint[],
    money_allocation_amounts = k.money_allocation_amounts::bigint[],
    money_spent_lots = k.money_spent_lots::bigint[], money_spent_amounts = k.money_spent_amounts::bigint[]
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::text[], $14::text[], $15::text[], $16::text[],
            $17::bigint[])
    AS k (chain, program, member, hold, captured, state, allocation_lots, allocation_points, spent_lots, spent_points,
          refunded, money_captured, money_allocation_lots, money_allocation_amounts, money_spent_lots,
          money_spent_amounts, money_refunded)
WHERE h.chain = k.chain AND h.program = k.program AND h.member = k.member AND h.hold = k.hold
"""
HOLD_COLUMNS = (
    "chain", "program", "member", "hold", "order_id", "amount", "captured", "expires_at", "state",
    "allocation_lots", "allocation_points", "spent_lots", "spent_points", "refunded",
    "money_currency", "money_amount", "money_captured", "money_allocation_lots", "money_allocation_amounts",
    "money_spent_lots", "money_spent_amounts", "money_refunded",
)  # fmt: skip
NEVER_CHANGED = ("order_id", "amount", "expires_at", "money_currency", "money_amount")
DELETE_PARKED = """
DELETE FROM parked_returns AS p
USING unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[])
    AS k (chain, program, member, purchase, return_id)
WHERE p.chain = k.chain AND p.program = k.program AND p.member = k.member AND p.purchase = k.purchase
    AND p.return_id = k.return_id
"""
PARKED_COLUMNS = ("chain", "program", "member", "purchase", "return_id", "position")


def note(changes: Changes, program: str, member: str, event: HoldEvent) -> None:
    """What an event of a hold touched."""
    changes.accounts[program, member] = None
    changes.touch(program, member, event.allocations)
    principal, bonus = event.principal, event.bonus
    match event:
        case e.HoldPlaced():
            changes.holds[program, member, event.hold] = False
        case e.SpendRefunded():
            for hold, _, _ in (*event.parts, *event.money_parts):
                changes.holds.setdefault((program, member, hold), True)
        case e.HoldCaptured():
            changes.holds.setdefault((program, member, event.hold), True)
            changes.touch(program, member, event.released)
            principal, bonus = (
                [*principal, *event.principal_released],
                [*bonus, *event.bonus_released],
            )
        case e.HoldReleased():
            changes.holds.setdefault((program, member, event.hold), True)
    for bucket, allocations in ((PRINCIPAL, principal), (BONUS, bonus)):
        if allocations:
            changes.money[program, member, asset(event.money_currency, bucket)] = None
            changes.touch(program, member, allocations)


async def write_holds(tx: Transaction, book: Book, holds: Mapping[tuple[str, str, str], bool]) -> None:
    """Write holds (program, member, hold); True: the hold is in the table already."""
    changed = hold_rows(book, [key for key, is_there in holds.items() if is_there])
    if changed:
        columns = [
            [_as_text(row[i]) if isinstance(row[i], list) else row[i] for row in changed]
            for i, column in enumerate(HOLD_COLUMNS)
            if column not in NEVER_CHANGED
        ]
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
        money = hold.money
        rows.append(
            (member.chain, program, member_id, hold.id, hold.order, hold.amount, hold.captured, hold.expires_at,
             hold.state, *_lists(hold.allocations), *_lists(hold.spent), hold.refunded,
             money.currency, money.amount, money.captured, *_lists(money.allocations), *_lists(money.spent),
             money.refunded)
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


def _lists(allocations: e.Allocations) -> tuple[list[int], list[int]]:
    """Lots, and what is of each."""
    return [lot for lot, _ in allocations], [part for _, part in allocations]


def _as_text(numbers: list[int]) -> str:
    """A list as PostgreSQL writes it."""
    return f"{{{','.join(map(str, numbers))}}}"
