"""What the verifier reads of points spent and given back: by which captures, of which lots, into which lots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.ops.verify.ledger_state import HoldRead, LedgerState, MemberKey, MemberRead

Posting = tuple[str, str, str, str, int, int | None]
"""(program, debit, credit, asset, amount, lot)"""


def captured(
    state: LedgerState, key: MemberKey, hold: HoldRead, row: Any, message: Any, wrong: Callable[[str], None]
) -> None:
    """A HoldCaptured: what it does to its hold."""
    spent = [(part.lot, part.amount) for part in message.allocations]
    freed = [(part.lot, part.amount) for part in message.released]
    taken = sum(amount for _, amount in spent)
    if message.amount < 1 or taken != message.amount:
        wrong(f"spends {message.amount} points and takes {taken} from lots")
    rest = less(hold.parts, spent + freed)
    if sum(amount for _, amount in rest) != message.left or any(amount < 0 for _, amount in rest):
        wrong(f"spends and frees other points than hold {message.hold} had")
    if message.captured_before != hold.captured:
        wrong(f"says that {message.captured_before} points were captured before, it were {hold.captured}")
    if hold.expires_at <= row["occurred_at"]:
        wrong(f"hold {message.hold} had timed out at {hold.expires_at}")
    hold.state, hold.parts = ("open", rest) if message.left else ("captured", [])
    hold.captured += message.amount
    for lot, amount in spent:
        hold.spent[lot] = hold.spent.get(lot, 0) + amount
    order = (*key, hold.order)
    state.orders[order] = state.orders.get(order, 0) + message.amount


def released(hold: HoldRead, message: Any, wrong: Callable[[str], None]) -> None:
    """A HoldReleased: what it does to its hold."""
    there = sum(amount for _, amount in hold.parts)
    freed = [(part.lot, part.amount) for part in message.allocations]
    if less(hold.parts, freed) or (message.amount, message.captured) != (there, hold.captured):
        wrong(f"frees other points than hold {message.hold} had")
    hold.state, hold.parts = message.reason, []


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


def let_go(state: LedgerState, key: MemberKey, told: Any, wrong: Callable[[str], None]) -> None:
    """A return, by its `id` and the purchase `of` that it waited for, waits no longer."""
    if state.parked.pop((*key, told.of, told.id), None) is None:
        wrong(f"return {told.id} does not wait for purchase {told.of}")


def less(parts: list[tuple[int, int]], taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """(lot, points) that are left of `parts`; below zero where more was taken than there was."""
    total: dict[int, int] = {}
    for lot, amount in parts:
        total[lot] = total.get(lot, 0) + amount
    for lot, amount in taken:
        total[lot] = total.get(lot, 0) - amount
    return [(lot, amount) for lot, amount in total.items() if amount]
