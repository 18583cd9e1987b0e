"""Points and money that were spent on an order are given back to the lots that they came from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain import held_money, inactivity, lots
from services.ledger.domain.book import POINTS, Book, Lot, Member
from services.ledger.domain.checks import active_program, enrolled_member, present
from services.ledger.domain.commands import RefundSpend
from services.ledger.domain.events import (
    Allocations,
    Decided,
    LotsReinstated,
    MoneyExpired,
    PointsExpired,
    SpendRefunded,
)
from services.ledger.domain.held_money import Part, last, less
from services.ledger.domain.program import Program
from services.ledger.domain.stored_value import check_currency


def refund_spend(book: Book, command: RefundSpend) -> Iterator[Decided]:
    """What was spent on an order comes back: what lives longest first, so that it is as if less had been spent.

    Debt is repaid first, as by an accrual, and by the points that expire soonest: a member who brought back both the
    purchase that earned the points and the order that they were spent on has neither lost nor won.
    """
    program = active_program(book, command)
    member = enrolled_member(book, command)
    now = present(book, command, program)
    holds = [hold for hold in member.holds.values() if hold.order == command.order]
    if not any(hold.captured or hold.money.captured for hold in holds):
        raise Refusal("order_unknown", f"the member has spent nothing on order {command.order!r}")
    spent = _spent(member.lots, {hold.id: hold.spent for hold in holds}, program.spend_first)
    paying = [hold for hold in holds if hold.money.spent]
    currency = paying[0].money.currency if paying else ""
    paid = _spent(
        member.money, {hold.id: hold.money.spent for hold in paying if hold.money.currency == currency}
    )
    there, money_there = (sum(part for _, _, part in parts) for parts in (spent, paid))
    if there == money_there == 0:
        raise Refusal("order_already_refunded", f"all of order {command.order!r} was given back")
    if command.money is not None:
        check_currency(command.money.currency, currency or program.currency)
    amount, coins = held_money.asked_for(command.amount, command.money, (there, money_there))
    if min(amount, coins) < 0 or not amount + coins:
        raise Refusal("amount_out_of_range", f"amount {amount} is not at least 1")
    if amount > there:
        raise Refusal("amount_exceeds_spend", f"{amount} points to give back, {there} of the order are spent")
    if coins > money_there:
        raise Refusal(
            "value_exceeds_spend", f"{coins} minor units to give back, {money_there} of the order are spent"
        )

    parts = last(spent, amount)
    repaid = min(amount, member.debt)
    _, back = lots.split(_by_lot(parts), repaid)
    over = [(lot, points) for lot, points in back if _is_over(member.lots[lot], now)]
    money_parts = held_money.to_give_back(member, paid, coins, held_money.spend_order(program))
    money_back = _by_lot(money_parts)
    money_over = [(lot, part) for lot, part in money_back if _is_over(member.money[lot], now)]
    event = SpendRefunded(
        command.refund, command.order, amount, parts, back, repaid, there - amount, held_money.total(over),
        currency, coins, money_parts, *held_money.by_bucket(member, money_back), money_there - coins,
        held_money.total(money_over),
    )  # fmt: skip
    yield Decided(event, member.id, now)
    yield from _after_their_day(program, member, [*over, *money_over], now)
    clock = book.programs[command.chain, command.program].clock
    if back and member.lapses_at is not None and member.lapses_at <= clock:
        # The member's day has passed, and only what holds protect was left.
        yield inactivity.lapse(member)
    if back:
        # Who has had no points since the last ones lapsed has no day either.
        yield from inactivity.begin(program, member, now)


def _after_their_day(program: Program, member: Member, over: Allocations, now: datetime) -> Iterator[Decided]:
    """What becomes of what comes back to a lot that has expired meanwhile: breakage, or so many days more."""
    days = program.returns.reinstate_days
    for lot_id, part in over:
        lot = member.lot(lot_id)
        if lot is None or lot.expires_at is None:
            raise InvariantBroken(f"lot {lot_id} of {member.id} is past no day")
        # What was never spent may still be in the lot, where the clock has not come by yet: its time is over.
        lost = lot.free if days is None else lot.free - part
        if lost > 0:
            points = lot.asset == POINTS
            expired = PointsExpired(lot.id, lost) if points else MoneyExpired(lot.id, lot.asset, lost)
            yield Decided(expired, member.id, lot.expires_at)
    if over and days is not None:
        yield Decided(LotsReinstated([lot for lot, _ in over], now + timedelta(days=days)), member.id, now)


def _is_over(lot: Lot, now: datetime) -> bool:
    return lot.expires_at is not None and lot.expires_at <= now


def _spent(lots_: dict[int, Lot], holds: dict[str, Allocations], first: str = "") -> list[Part]:
    """What stays spent on an order, in the order of spending, whichever of its holds it was."""
    parts = [(hold, lot, part) for hold, spent in holds.items() for lot, part in spent]
    return sorted(parts, key=lambda part: (*lots.spend_order(lots_[part[1]], first), part[0]))


def _by_lot(parts: list[Part]) -> Allocations:
    """What is of each lot, lots in the order in which `parts` names them first."""
    total: dict[int, int] = {}
    for _, lot, points in parts:
        total[lot] = total.get(lot, 0) + points
    return list(total.items())


# --- what the events do to the book


def refunded(book: Book, member: Member, event: SpendRefunded) -> None:
    """Undo captures, fill the lots again. Raises InvariantBroken for what was not spent."""
    for hold_id, lot_id, points in event.parts:
        hold = member.holds.get(hold_id)
        there = 0 if hold is None else dict(hold.spent).get(lot_id, 0)
        if hold is None or not 0 < points <= there:
            raise InvariantBroken(f"{points} points of lot {lot_id} given back, hold {hold_id} spent {there}")
        hold.refunded += points
        hold.spent = less(hold.spent, [(lot_id, points)])
    for lot_id, points in event.allocations:
        lot = member.lots.get(lot_id)
        if lot is None or lot.remaining + points > lot.amount:
            raise InvariantBroken(f"{points} points don't fit into lot {lot_id} of {member.id}")
        lot.remaining += points
        book.expect_lot(member, lot)
    held_money.refund(book, member, event)
    book.expect_lapse(member)
    member.posted += event.amount
    member.debt -= event.debt_repaid


def reinstated(book: Book, member: Member, event: LotsReinstated) -> None:
    """Lots get another day."""
    for lot_id in event.lots:
        lot = member.lot(lot_id)
        if lot is None:
            raise InvariantBroken(f"{member.id} has no lot {lot_id}")
        lot.expires_at = event.until
        book.expect_lot(member, lot)
