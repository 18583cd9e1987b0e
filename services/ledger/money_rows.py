"""Stored value in the tables: what a batch needs of it, and what its events do there.

Lots of money stand in `lots` beside those of points; their accounts are the sums of their lots.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from services.common.db import Transaction
from services.common.errors import InvariantBroken
from services.ledger.domain import events as e
from services.ledger.domain.book import POINTS, Book, TopUpFact
from services.ledger.domain.commands import Command, MergeMembers, RecordTopUp, ReverseTopUp
from services.ledger.domain.money import BONUS, PRINCIPAL, MoneyEvent, asset

if TYPE_CHECKING:
    from services.ledger.project import Changes

# A member's first top-up is one that follows none but reversed ones: one row says so, of however many; one more for
# each that the same batch reverses.
FIND_TOP_UPS = """
SELECT t.* FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (chain, program, member, top_up)
CROSS JOIN LATERAL (
    SELECT * FROM top_ups
    WHERE chain = k.chain AND program = k.program AND member = k.member AND top_up = k.top_up OFFSET 0
) AS t
UNION
SELECT t.* FROM unnest($5::smallint[], $6::text[], $7::text[]) AS k (chain, program, member)
CROSS JOIN LATERAL (
    SELECT * FROM top_ups
    WHERE chain = k.chain AND program = k.program AND member = k.member AND NOT reversed LIMIT 1 + $8
) AS t
"""
FIND_TOP_UPS_OF = """
SELECT t.* FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
JOIN top_ups AS t USING (chain, program, member)
"""
UPSERT_TOP_UPS = """
INSERT INTO top_ups
SELECT * FROM unnest(
    $1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::boolean[]
)
ON CONFLICT (chain, program, member, top_up)
DO UPDATE SET bonus_expired = EXCLUDED.bonus_expired, reversed = EXCLUDED.reversed
"""
TOP_UP_COLUMNS = (
    "chain", "program", "member", "top_up", "currency", "amount", "points", "bonus", "principal_lot", "bonus_lot",
    "bonus_expired", "reversed",
)  # fmt: skip


def owners(lots: Iterable[Any]) -> dict[tuple[int, str, str], None]:
    """(chain, program, member) of those rows of `lots` that are money."""
    return {(row["chain"], row["program"], row["member"]): None for row in lots if row["asset"] != POINTS}


async def load_top_ups(
    tx: Transaction, book: Book, commands: Sequence[Command], members: Iterable[Any]
) -> None:
    """The top-ups that the commands can change or ask for. The lots of `members` (keys) are in the book."""
    named = {
        (c.chain, c.program, c.member, c.activity.of): None for c in commands if isinstance(c, ReverseTopUp)
    }
    for chain, program, member_id in members:
        member = book.members.get((program, member_id))
        if member is not None and member.money:
            # A bonus that can run out is remembered with the top-up that gave it.
            lots = member.money.values()
            named.update(
                {
                    (chain, program, member_id, lot.purchase): None
                    for lot in lots
                    if lot.expires_at is not None
                }
            )
    asking = {(c.chain, c.program, c.member): None for c in commands if isinstance(c, RecordTopUp)}
    merged = [(c.absorbed_chain, c.program, c.absorbed) for c in commands if isinstance(c, MergeMembers)]
    rows: list[Any] = []
    if named or asking:
        columns = [[key[i] for key in named] for i in range(4)]
        columns += [[key[i] for key in asking] for i in range(3)]
        reversals = sum(isinstance(command, ReverseTopUp) for command in commands)
        rows += await tx.fetch(FIND_TOP_UPS, *columns, reversals)
    if merged:
        rows += await tx.fetch(FIND_TOP_UPS_OF, *([key[i] for key in merged] for i in range(3)))
    for row in rows:
        put_top_up(book, row)


def put_top_up(book: Book, row: Any) -> None:
    """The top-up in a row of `top_ups`, to its member in the book."""
    book.members[row["program"], row["member"]].top_ups[row["top_up"]] = TopUpFact(
        *(row[column] for column in TOP_UP_COLUMNS[4:])
    )


def note(changes: Changes, program: str, member: str, event: MoneyEvent, position: int) -> None:
    """What an event of stored value touched."""

    def touch(currency: str, bucket: str, allocations: e.Allocations) -> None:
        if allocations:
            changes.money[program, member, asset(currency, bucket)] = None
            changes.touch(program, member, allocations)

    match event:
        case e.TopUpRecorded():
            changes.top_ups[program, member, event.activity.id] = None
        case e.MoneyCredited() | e.GiftReceived():
            changes.money[program, member, event.asset] = None
            changes.new_lots[program, member, position] = None
        case e.MoneyTakenBack():
            changes.money[program, member, event.asset] = None
            changes.touch(program, member, event.allocations)
        case e.TopUpReversed():
            changes.top_ups[program, member, event.activity.of] = None
            touch(event.currency, PRINCIPAL, [*event.paid_out, *event.kept])
            touch(event.currency, BONUS, event.bonus)
        case e.GiftSent():
            touch(event.currency, PRINCIPAL, event.principal)
            touch(event.currency, BONUS, event.bonus)
        case e.MoneyExpired():
            changes.money[program, member, event.asset] = None
            changes.touch(program, member, [(event.lot, event.amount)])
            changes.ran_out.append((program, member, event.lot))


async def write_top_ups(tx: Transaction, book: Book, changes: Changes) -> None:
    """Top-ups that are new, were reversed, or whose bonus ran out."""
    for program, member, lot in changes.ran_out:
        source = book.members[program, member].money[lot].purchase
        if source in book.members[program, member].top_ups:
            changes.top_ups[program, member, source] = None
    if changes.top_ups:
        rows = top_up_rows(book, changes.top_ups)
        await tx.execute(UPSERT_TOP_UPS, *([row[i] for row in rows] for i in range(len(TOP_UP_COLUMNS))))


def account_rows(book: Book, keys: Iterable[tuple[str, str, str]]) -> list[tuple[Any, ...]]:
    """Rows of `accounts` for money, by (program, member, asset): sums of the lots, which must all be at hand."""
    rows = []
    for program, member_id, asset_ in keys:
        member = book.members[program, member_id]
        if not member.complete:
            raise InvariantBroken(f"the lots of {member_id} were not loaded, so {asset_} can't be summed")
        lots = [lot for lot in member.money.values() if lot.asset == asset_]
        posted, held = sum(lot.remaining for lot in lots), sum(lot.held for lot in lots)
        rows.append((member.chain, program, member_id, asset_, posted, held, 0, 0, None))
    return rows


def top_up_rows(book: Book, keys: Iterable[tuple[str, str, str]]) -> list[tuple[Any, ...]]:
    """Rows of `top_ups` as they are now, by (program, member, top-up)."""
    rows = []
    for program, member_id, top_up in keys:
        member = book.members[program, member_id]
        fact = member.top_ups[top_up]
        values = (getattr(fact, column) for column in TOP_UP_COLUMNS[4:])
        rows.append((member.chain, program, member_id, top_up, *values))
    return rows
