"""Loads holds: open ones, those that are named, and those of orders that are refunded, with their lots."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from services.common.db import Transaction
from services.ledger import heirs
from services.ledger.domain.book import Book, HeldMoney, Hold, Member
from services.ledger.domain.commands import Command, MergeMembers, RefundSpend
from services.ledger.domain.merge_effects import MOVED

FIND_HOLDS = """
SELECT h.* FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
CROSS JOIN LATERAL (
    SELECT * FROM holds
    WHERE chain = k.chain AND program = k.program AND member = k.member AND state = 'open'
    ORDER BY hold OFFSET 0
) AS h
UNION ALL
SELECT h.* FROM unnest($4::smallint[], $5::text[], $6::text[], $7::text[]) AS k (chain, program, member, hold)
JOIN holds AS h USING (chain, program, member, hold) WHERE h.state <> 'open'
"""
FIND_HOLDS_OF_ORDERS = """
SELECT h.* FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (chain, program, member, order_id)
CROSS JOIN LATERAL (
    SELECT * FROM holds
    WHERE chain = k.chain AND program = k.program AND member = k.member AND order_id = k.order_id
    ORDER BY hold OFFSET 0
) AS h
"""
FIND_SPENDING_HOLDS = """
-- Open holds are loaded for everybody who spends.
SELECT h.* FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
JOIN holds AS h USING (chain, program, member) WHERE h.captured + h.money_captured > 0 AND h.state <> 'moved'
"""
FIND_SPENT_LOTS = """
-- Lots that are empty are loaded for nobody else.
SELECT l.* FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[]) AS k (chain, program, member, lot)
JOIN lots AS l USING (chain, program, member, lot)
"""


async def load_holds(
    tx: Transaction,
    book: Book,
    commands: Sequence[Command],
    members: tuple[list[int], list[str], list[str]],
    chains: int,
) -> None:
    """Open holds of `members` (chains, programs, ids), and holds in any state that commands name."""
    named = heirs.holds_named(book, commands, chains)
    survivors = heirs.survivors(book)
    named_columns = [[key[i] for key in named] for i in range(4)]
    for row in await tx.fetch(FIND_HOLDS, *members, *named_columns):
        if row["state"] != MOVED:
            key = (row["program"], row["member"])
            _add_hold(book, book.members.get(key) or survivors[key], row)


async def load_spent(tx: Transaction, book: Book, commands: Sequence[Command]) -> list[asyncpg.Record]:
    """The holds of the orders that are refunded, or of who is merged into another, and the rows of all lots that
    these holds have spent of."""
    orders = dict.fromkeys(
        (c.chain, c.program, c.member, c.order) for c in commands if isinstance(c, RefundSpend)
    )
    holds = await tx.fetch(FIND_HOLDS_OF_ORDERS, *([key[i] for key in orders] for i in range(4)))
    merged = [(c.absorbed_chain, c.program, c.absorbed) for c in commands if isinstance(c, MergeMembers)]
    if merged:
        holds += await tx.fetch(FIND_SPENDING_HOLDS, *([key[i] for key in merged] for i in range(3)))
    for row in holds:
        _add_hold(book, book.members[row["program"], row["member"]], row)
    lots = dict.fromkeys(
        (row["chain"], row["program"], row["member"], lot)
        for row in holds
        for lot in (*row["spent_lots"], *row["money_spent_lots"])
    )
    rows: list[asyncpg.Record] = await tx.fetch(
        FIND_SPENT_LOTS, *([key[i] for key in lots] for i in range(4))
    )
    return rows


def hold_of(row: asyncpg.Record) -> Hold:
    """The hold in a row of `holds`."""
    money = HeldMoney(
        row["money_currency"], row["money_amount"], row["money_captured"],
        list(zip(row["money_allocation_lots"], row["money_allocation_amounts"], strict=True)),
        list(zip(row["money_spent_lots"], row["money_spent_amounts"], strict=True)), row["money_refunded"],
    )  # fmt: skip
    return Hold(
        row["hold"], row["order_id"], row["amount"], row["captured"], row["expires_at"], row["state"],
        list(zip(row["allocation_lots"], row["allocation_points"], strict=True)),
        list(zip(row["spent_lots"], row["spent_points"], strict=True)), row["refunded"], money,
    )  # fmt: skip


def _add_hold(book: Book, member: Member, row: asyncpg.Record) -> None:
    if row["hold"] in member.holds:
        return
    hold = member.holds[row["hold"]] = hold_of(row)
    if hold.state == "open":
        book.expect_hold(member, hold)
