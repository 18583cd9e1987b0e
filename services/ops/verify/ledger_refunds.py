"""What the verifier reads of what is held, spent and given back: by which captures, of which lots, into which lots."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from services.ops.verify import ledger_held_money
from services.ops.verify.journal_chain import EPOCH
from services.ops.verify.ledger_state import HoldRead, LedgerState, MemberKey, MemberRead, Posting


def captured(
    state: LedgerState,
    key: MemberKey,
    member: MemberRead,
    hold: HoldRead,
    row: Any,
    message: Any,
    wrong: Callable[[str], None],
) -> list[Posting]:
    """A HoldCaptured: what it does to its hold, and the postings of its money."""
    spent = [(part.lot, part.amount) for part in message.allocations]
    freed = [(part.lot, part.amount) for part in message.released]
    taken = sum(amount for _, amount in spent)
    if message.amount + message.money_amount < 1 or min(message.amount, message.money_amount) < 0:
        wrong("spends nothing")
    if taken != message.amount:
        wrong(f"spends {message.amount} points and takes {taken} from lots")
    rest = less(hold.parts, spent + freed)
    if sum(amount for _, amount in rest) != message.left or any(amount < 0 for _, amount in rest):
        wrong(f"spends and frees other points than hold {message.hold} had")
    if message.captured_before != hold.captured:
        wrong(f"says that {message.captured_before} points were captured before, it were {hold.captured}")
    if hold.expires_at <= row["occurred_at"]:
        wrong(f"hold {message.hold} had timed out at {hold.expires_at}")
    is_open = message.left + message.money_left > 0
    hold.state, hold.parts = ("open", rest) if is_open else ("captured", [])
    hold.captured += message.amount
    for lot, amount in spent:
        hold.spent[lot] = hold.spent.get(lot, 0) + amount
    order = (*key, hold.order)
    state.orders[order] = state.orders.get(order, 0) + message.amount
    return ledger_held_money.captured(state, key, member, hold, message, wrong)


def released(
    state: LedgerState, member: MemberRead, hold: HoldRead, message: Any, wrong: Callable[[str], None]
) -> None:
    """A HoldReleased: what it does to its hold."""
    there = sum(amount for _, amount in hold.parts)
    freed = [(part.lot, part.amount) for part in message.allocations]
    if less(hold.parts, freed) or (message.amount, message.captured) != (there, hold.captured):
        wrong(f"frees other points than hold {message.hold} had")
    hold.state, hold.parts = message.reason, []
    ledger_held_money.released(state, member, hold, message, wrong)


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
    if message.amount + message.money_amount < 1 or not message.amount == undone == filled:
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
    points: list[Posting] = [
        (key[0], "redeemed", account, "points", amount, lot) for amount, lot in parts if amount
    ]
    return points + ledger_held_money.refunded(state, key, member, row, message, wrong)


def reinstated(
    state: LedgerState, key: MemberKey, row: Any, message: Any, wrong: Callable[[str], None]
) -> None:
    """A LotsReinstated: lots past their day have another."""
    for lot_id in message.lots:
        lot = state.lots.get(lot_id)
        if lot is None or lot.owner != key:
            wrong(f"{key[1]} has no lot {lot_id}")
            continue
        if lot.expires_at is None or lot.expires_at > row["occurred_at"]:
            wrong(f"a lot that expires at {lot.expires_at} is reinstated")
        until = message.until
        lot.expires_at = EPOCH + timedelta(seconds=until.seconds, microseconds=until.nanos // 1_000)


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
