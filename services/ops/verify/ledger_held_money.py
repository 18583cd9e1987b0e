"""What the verifier reads of the money of holds: set aside, spent, freed and given back, lot by lot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.ops.verify.ledger_state import (
    HeldMoneyRead,
    HoldRead,
    LedgerState,
    LotRead,
    MemberKey,
    MemberRead,
    MoneyRead,
    Posting,
)

Wrong = Callable[[str], None]
Parts = list[tuple[int, int]]


def placed(
    state: LedgerState,
    key: MemberKey,
    member: MemberRead,
    hold: HoldRead,
    row: Any,
    message: Any,
    wrong: Wrong,
) -> None:
    """The money of a HoldPlaced."""
    parts = [*_parts(message.principal), *_parts(message.bonus)]
    if sum(amount for _, amount in parts) != message.money_amount:
        wrong(f"holds {message.money_amount} minor units and takes other amounts from lots")
    hold.money = HeldMoneyRead(message.money_currency, message.money_amount, 0, parts)
    for lot, amount in _lots(state, key, message, wrong):
        if not 1 <= amount <= lot.remaining - lot.held:
            wrong(f"takes {amount} of a lot which has {lot.remaining - lot.held}")
        if lot.expires_at is not None and lot.expires_at <= row["occurred_at"]:
            wrong(f"takes from a lot of money which expired at {lot.expires_at}")
        lot.held += amount
        _account(member, lot).held += amount


def captured(
    state: LedgerState, key: MemberKey, member: MemberRead, hold: HoldRead, message: Any, wrong: Wrong
) -> list[Posting]:
    """The money of a HoldCaptured."""
    held = hold.money
    spent = [*_parts(message.principal), *_parts(message.bonus)]
    freed = [*_parts(message.principal_released), *_parts(message.bonus_released)]
    told = (message.money_amount, message.money_captured_before, message.money_currency)
    if told != (sum(amount for _, amount in spent), held.captured, held.currency):
        wrong(f"says {told} of the money of hold {message.hold}, its lots and the rows before say otherwise")
    _take(held, spent + freed, message.hold, wrong)
    if sum(amount for _, amount in held.parts) != message.money_left:
        wrong(f"spends and frees other money than hold {message.hold} had")
    held.captured += message.money_amount
    for lot_id, amount in spent:
        held.spent[lot_id] = held.spent.get(lot_id, 0) + amount
    order = (*key, hold.order, held.currency)
    state.money_of_orders[order] = state.money_of_orders.get(order, 0) + message.money_amount
    for lot, amount in _lots(state, key, message, wrong):
        lot.remaining -= amount
        lot.held -= amount
        account = _account(member, lot)
        account.posted -= amount
        account.held -= amount
    _free(state, member, freed)
    return _postings(key, message, to_member=False)


def released(state: LedgerState, member: MemberRead, hold: HoldRead, message: Any, wrong: Wrong) -> None:
    """The money of a HoldReleased."""
    held, freed = hold.money, [*_parts(message.principal), *_parts(message.bonus)]
    told = (message.money_amount, message.money_captured, message.money_currency)
    if told != (sum(amount for _, amount in held.parts), held.captured, held.currency):
        wrong(f"says {told} of the money of hold {message.hold}, the rows before say otherwise")
    _take(held, freed, message.hold, wrong)
    if held.parts:
        wrong(f"frees less money than hold {message.hold} had")
    held.parts = []
    _free(state, member, freed)


def refunded(
    state: LedgerState, key: MemberKey, member: MemberRead, row: Any, message: Any, wrong: Wrong
) -> list[Posting]:
    """The money of a SpendRefunded."""
    undone: dict[int, int] = {}
    for part in message.money_parts:
        hold = state.holds.get((*key, part.hold))
        held = None if hold is None or hold.order != message.order else hold.money
        there = 0 if held is None else held.spent.get(part.lot, 0)
        if held is None or not 1 <= part.amount <= there or held.currency != message.money_currency:
            wrong(f"gives back {part.amount} of lot {part.lot}, hold {part.hold} has spent {there}")
            continue
        held.refunded += part.amount
        held.spent[part.lot] -= part.amount
        if held.spent[part.lot] == 0:
            del held.spent[part.lot]
        undone[part.lot] = undone.get(part.lot, 0) + part.amount
    filled = dict([*_parts(message.principal), *_parts(message.bonus)])
    if undone != filled or sum(filled.values()) != message.money_amount:
        wrong(
            f"gives back {message.money_amount} minor units, undoes captures of {undone} and books {filled}"
        )
    order = (*key, message.order, message.money_currency)
    left = state.money_of_orders.get(order, 0) - message.money_amount
    if message.money_currency:
        state.money_of_orders[order] = left
        if left != message.money_left:
            wrong(f"says that {message.money_left} minor units of the order stay spent, it are {left}")
    expired = 0
    for lot, amount in _lots(state, key, message, wrong):
        if not 1 <= amount <= lot.amount - lot.remaining:
            wrong(f"{amount} minor units don't fit into a lot of {key[1]}")
        lot.remaining += amount
        _account(member, lot).posted += amount
        if lot.expires_at is not None and lot.expires_at <= row["occurred_at"]:
            expired += amount
    if expired != message.money_expired:
        wrong(f"says that {message.money_expired} minor units go to lots past their day, it are {expired}")
    return _postings(key, message, to_member=True)


def moved(
    state: LedgerState, key: MemberKey, member: MemberRead, hold: HoldRead, message: Any, wrong: Wrong
) -> None:
    """The money of a HoldMoved: held of lots that came over before it."""
    parts, spent = _parts(message.money_allocations), dict(_parts(message.money_spent))
    hold.money = HeldMoneyRead(
        message.money_currency,
        message.money_amount,
        message.money_captured,
        parts,
        spent,
        message.money_refunded,
    )
    stays = message.money_captured - message.money_refunded
    if (parts and message.state != "open") or sum(spent.values()) != stays:
        wrong(f"hold {message.hold} is {message.state}, and has other money than it says")
    for lot_id, amount in parts:
        lot = state.lots.get(lot_id)
        if lot is None or lot.owner != key or lot.asset.partition(".")[0] != message.money_currency:
            wrong(f"{key[1]} has no lot {lot_id} of {message.money_currency}")
            continue
        if not 1 <= amount <= lot.remaining - lot.held:
            wrong(f"takes {amount} of lot {lot_id}, free are {lot.remaining - lot.held}")
        lot.held += amount
        _account(member, lot).held += amount
    if message.money_captured:
        order = (*key, message.order, message.money_currency)
        state.money_of_orders[order] = state.money_of_orders.get(order, 0) + stays


def each_hold(state: LedgerState, row: Any, wrong: Wrong) -> None:
    """A row of `holds`: its money adds up, and the accounts hold what it holds."""
    held, left = sum(row["money_allocation_amounts"]), row["money_amount"] - row["money_captured"]
    if row["state"] == "open" and held != left:
        wrong(f"holds {left} minor units, and {held} of lots")
    spent, stays = sum(row["money_spent_amounts"]), row["money_captured"] - row["money_refunded"]
    if spent != stays:
        wrong(f"has spent {stays} minor units, and {spent} of lots")
    member = state.members.get((row["program"], row["member"]))
    if member is None or row["state"] != "open":
        return
    for lot_id, amount in zip(row["money_allocation_lots"], row["money_allocation_amounts"], strict=False):
        if lot_id in state.lots:
            _account(member, state.lots[lot_id]).holds_open += amount


def columns(money: HeldMoneyRead) -> tuple[Any, ...]:
    """The columns of `holds` that are money's."""
    return (
        money.currency, money.amount, money.captured,
        [lot for lot, _ in money.parts], [amount for _, amount in money.parts],
        list(money.spent), list(money.spent.values()), money.refunded,
    )  # fmt: skip


COLUMNS = (
    "money_currency", "money_amount", "money_captured", "money_allocation_lots", "money_allocation_amounts",
    "money_spent_lots", "money_spent_amounts", "money_refunded",
)  # fmt: skip


def _lots(state: LedgerState, key: MemberKey, message: Any, wrong: Wrong) -> list[tuple[LotRead, int]]:
    """The member's lots that a row names, each of the bucket that the row says."""
    found = []
    for bucket, allocations in (("principal", message.principal), ("bonus", message.bonus)):
        for lot_id, amount in _parts(allocations):
            lot = state.lots.get(lot_id)
            if lot is None or lot.owner != key or lot.asset != f"{message.money_currency}.{bucket}":
                wrong(f"{key[1]} has no lot {lot_id} of {message.money_currency}.{bucket}")
            else:
                found.append((lot, amount))
    return found


def _take(held: HeldMoneyRead, taken: Parts, hold: str, wrong: Wrong) -> None:
    """What the hold still has of each lot."""
    left = dict(held.parts)
    for lot, amount in taken:
        left[lot] = left.get(lot, 0) - amount
    if any(amount < 0 for amount in left.values()):
        wrong(f"spends and frees other money than hold {hold} had")
    held.parts = [(lot, amount) for lot, amount in left.items() if amount]


def _free(state: LedgerState, member: MemberRead, parts: Parts) -> None:
    for lot_id, amount in parts:
        if lot_id in state.lots:
            state.lots[lot_id].held -= amount
            _account(member, state.lots[lot_id]).held -= amount


def _account(member: MemberRead, lot: LotRead) -> MoneyRead:
    return member.money.setdefault(lot.asset, MoneyRead())


def _postings(key: MemberKey, message: Any, *, to_member: bool) -> list[Posting]:
    ends = ("redeemed", f"member/{key[1]}") if to_member else (f"member/{key[1]}", "redeemed")
    return [
        (key[0], *ends, f"{message.money_currency}.{bucket}", amount, lot)
        for bucket, allocations in (("principal", message.principal), ("bonus", message.bonus))
        for lot, amount in _parts(allocations)
    ]


def _parts(allocations: Any) -> Parts:
    return [(part.lot, part.amount) for part in allocations]
