"""What the verifier reads of points given back: by which captures they were spent, and into which lots they go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.ops.verify.ledger_state import LedgerState, MemberKey, MemberRead

Posting = tuple[str, str, str, str, int, int | None]
"""(program, debit, credit, asset, amount, lot)"""


def refunded(
    state: LedgerState,
    key: MemberKey,
    member: MemberRead,
    row: Any,
    message: Any,
    wrong: Callable[[str], None],
) -> list[Posting]:
    """A SpendRefunded: the captures that it undoes, the lots that it fills, the postings that it needs."""
    for part in message.parts:
        hold = state.holds.get((*key, part.hold))
        there = 0 if hold is None or hold.order != message.order else hold.spent.get(part.lot, 0)
        if hold is None or not 1 <= part.amount <= there:
            wrong(f"gives back {part.amount} points of lot {part.lot}, hold {part.hold} has spent {there}")
            continue
        hold.refunded += part.amount
        hold.spent[part.lot] -= part.amount
        if hold.spent[part.lot] == 0:
            del hold.spent[part.lot]
    undone = sum(part.amount for part in message.parts)
    filled = sum(part.amount for part in message.allocations) + message.debt_repaid
    if message.amount < 1 or not message.amount == undone == filled:
        wrong(f"gives back {message.amount} points, undoes captures of {undone} and books {filled}")
    if not 0 <= message.debt_repaid <= member.debt:
        wrong(f"repays {message.debt_repaid} of a debt of {member.debt}")
    order = (*key, message.order)
    left = state.orders[order] = state.orders.get(order, 0) - undone
    if left != message.left:
        wrong(f"says that {message.left} points of order {message.order} stay spent, it are {left}")
    expired = 0
    for part in message.allocations:
        lot = state.lots.get(part.lot)
        if lot is None or lot.owner != key or not 1 <= part.amount <= lot.amount - lot.remaining:
            wrong(f"{part.amount} points don't fit into lot {part.lot} of {key[1]}")
            continue
        lot.remaining += part.amount
        if lot.expires_at is not None and lot.expires_at <= row["occurred_at"]:
            expired += part.amount
    if expired != message.expired:
        wrong(f"says that {message.expired} points go to lots past their day, it are {expired}")
    member.posted += message.amount
    member.debt -= message.debt_repaid
    account = f"member/{key[1]}"
    parts = [*((part.amount, part.lot) for part in message.allocations), (message.debt_repaid, None)]
    return [(key[0], "redeemed", account, "points", amount, lot) for amount, lot in parts if amount]


def less(parts: list[tuple[int, int]], taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """(lot, points) that are left of `parts`; below zero where more was taken than there was."""
    total: dict[int, int] = {}
    for lot, amount in parts:
        total[lot] = total.get(lot, 0) + amount
    for lot, amount in taken:
        total[lot] = total.get(lot, 0) - amount
    return [(lot, amount) for lot, amount in total.items() if amount]
