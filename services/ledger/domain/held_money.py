"""The money of holds: set aside, spent, freed and given back beside their points.

What a capture takes and what a refund leaves spent follow the program's `spend_order`, as the hold itself did. Where
the program has none any more, bonus pays first: money that is held can be spent all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain import lots, money
from services.ledger.domain.book import Book, HeldMoney, Hold, Lot, Member
from services.ledger.domain.commands import Money
from services.ledger.domain.events import (
    Allocations,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    SpendRefunded,
)
from services.ledger.domain.program import Program
from services.ledger.domain.stored_value import check_currency, insufficient, rules_of

Buckets = tuple[Allocations, Allocations]
"""(principal, bonus)"""
Part = tuple[str, int, int]
"""(hold, lot, points or minor units)"""


def asked_for(points: int | None, money: Money | None, there: tuple[int, int]) -> tuple[int, int]:
    """(points, minor units) of a request: all that is `there` if it names neither, else what it names and no more."""
    if points is None and money is None:
        return there
    return points or 0, 0 if money is None else money.amount


def check_amounts(points: int, amount: int, points_max: int, amount_max: int) -> None:
    """Points, money or both. Raises Refusal("amount_out_of_range")."""
    if not 0 <= points <= points_max:
        raise Refusal("amount_out_of_range", f"amount {points} is not from 0 to {points_max} points")
    if not 0 <= amount <= amount_max:
        raise Refusal(
            "amount_out_of_range", f"money of {amount} minor units is not from 0 to {amount_max} of them"
        )
    if not points and not amount:
        raise Refusal("amount_out_of_range", "at least 1 point or 1 minor unit of money is needed")


def check_kept(program: Program, wanted: Money | None) -> None:
    """Who names money needs a program that keeps it. Raises Refusal."""
    if wanted is not None:
        rules_of(program)
        check_currency(wanted.currency, program.currency)


def allocate(member: Member, program: Program, amount: int, now: datetime) -> Buckets:
    """Which lots pay for `amount`. Raises Refusal("insufficient_value")."""
    if not amount:
        return [], []
    there = money.spendable(member, program.currency, now)
    if amount > there:
        raise insufficient(amount, program.currency, there)
    return money.allocate(member, program.currency, amount, now, spend_order(program))


def spend_order(program: Program) -> str:
    """Which bucket pays."""
    return "bonus_first" if program.stored_value is None else program.stored_value.spend_order


def divide(member: Member, allocations: Allocations, amount: int, order: str) -> tuple[Buckets, Buckets]:
    """The part of a hold's money that pays `amount`, and the rest."""
    principal, bonus = by_bucket(member, allocations)
    from_bonus = money.part_of_bonus(amount, total(principal), total(bonus), order)
    paid, kept = lots.split(principal, amount - from_bonus)
    bonus_paid, bonus_kept = lots.split(bonus, from_bonus)
    return (paid, bonus_paid), (kept, bonus_kept)


def by_bucket(member: Member, allocations: Allocations) -> Buckets:
    """Allocations of principal and of bonus."""
    bonus = [part for part in allocations if _is_bonus(member.money[part[0]])]
    return [part for part in allocations if not _is_bonus(member.money[part[0]])], bonus


def total(allocations: Allocations) -> int:
    """Points or minor units."""
    return sum(amount for _, amount in allocations)


def to_give_back(member: Member, spent: list[Part], amount: int, order: str) -> list[Part]:
    """Which of an order's spent money, in the order of spending, comes back: it is as if less had been spent."""
    bonus = [part for part in spent if _is_bonus(member.money[part[1]])]
    principal = [part for part in spent if not _is_bonus(member.money[part[1]])]
    in_principal, in_bonus = (sum(part for _, _, part in parts) for parts in (principal, bonus))
    stays = in_principal + in_bonus - amount
    of_bonus = money.part_of_bonus(stays, in_principal, in_bonus, order)
    return [*last(principal, in_principal - (stays - of_bonus)), *last(bonus, in_bonus - of_bonus)]


def last(parts: list[Part], amount: int) -> list[Part]:
    """The last `amount` of `parts`, in their order."""
    found: list[Part] = []
    for hold, lot, there in reversed(parts):
        part = min(there, amount)
        amount -= part
        if part:
            found.append((hold, lot, part))
    return found[::-1]


def _is_bonus(lot: Lot) -> bool:
    return lot.asset.endswith("." + money.BONUS)


# --- what the events do to the book


def place(member: Member, hold: Hold, event: HoldPlaced) -> None:
    """Lots are set aside."""
    parts = [*event.principal, *event.bonus]
    if total(parts) != event.money_amount:
        raise InvariantBroken(f"hold {hold.id} of {event.money_amount} takes {total(parts)} from lots")
    hold.money = HeldMoney(event.money_currency, event.money_amount, 0, parts)
    for lot, amount in _lots(member, parts):
        if not 1 <= amount <= lot.free:
            raise InvariantBroken(f"hold {hold.id} takes {amount} of lot {lot.id}, which has {lot.free}")
        lot.held += amount


def capture(book: Book, member: Member, hold: Hold, event: HoldCaptured) -> None:
    """Some of what is set aside is spent, some is free."""
    held, spent = hold.money, [*event.principal, *event.bonus]
    freed = [*event.principal_released, *event.bonus_released]
    held.allocations = less(held.allocations, [*spent, *freed])
    if held.left != event.money_left or total(spent) != event.money_amount:
        raise InvariantBroken(
            f"hold {hold.id} has {held.left} minor units, not {event.money_left} after this"
        )
    held.captured += event.money_amount
    held.spent = more(held.spent, spent)
    for lot, amount in _lots(member, spent):
        lot.held -= amount
        lot.remaining -= amount
    _free(book, member, freed)


def release(book: Book, member: Member, hold: Hold, event: HoldReleased) -> None:
    """All that was set aside is free."""
    freed = [*event.principal, *event.bonus]
    if less(hold.money.allocations, freed):
        raise InvariantBroken(f"hold {hold.id} does not free all its money")
    hold.money.allocations = []
    _free(book, member, freed)


def refund(book: Book, member: Member, event: SpendRefunded) -> None:
    """Captures are undone, lots are filled again."""
    for hold_id, lot_id, amount in event.money_parts:
        if hold_id not in member.holds:
            raise InvariantBroken(f"{member.id} has no hold {hold_id}")
        held = member.holds[hold_id].money
        held.spent = less(held.spent, [(lot_id, amount)])
        held.refunded += amount
    for lot, amount in _lots(member, [*event.principal, *event.bonus]):
        if lot.remaining + amount > lot.amount:
            raise InvariantBroken(f"{amount} minor units don't fit into lot {lot.id} of {member.id}")
        lot.remaining += amount
        book.expect_lot(member, lot)


def _free(book: Book, member: Member, allocations: Allocations) -> None:
    for lot, amount in _lots(member, allocations):
        lot.held -= amount
        book.expect_lot(member, lot)


def _lots(member: Member, allocations: Allocations) -> Iterable[tuple[Lot, int]]:
    for lot_id, amount in allocations:
        if lot_id not in member.money:
            raise InvariantBroken(f"{member.id} has no lot {lot_id} of money")
        yield member.money[lot_id], amount


def more(some: Allocations, others: Allocations) -> Allocations:
    """What is in both, a lot once, in order."""
    if not some:
        return list(others)
    found = dict(some)
    for lot, amount in others:
        found[lot] = found.get(lot, 0) + amount
    return list(found.items())


def less(some: Allocations, others: Allocations) -> Allocations:
    """What is left of `some`. Raises InvariantBroken where there is not as much."""
    found = dict(some)
    for lot, amount in others:
        found[lot] = found.get(lot, 0) - amount
        if found[lot] < 0:
            raise InvariantBroken(f"{amount} of lot {lot}, which the hold has not")
    return [part for part in found.items() if part[1]]
