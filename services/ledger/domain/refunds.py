"""Points that were spent on an order are given back to the lots that they came from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain import inactivity, lots
from services.ledger.domain.book import Book, Hold, Member
from services.ledger.domain.checks import active_program, enrolled_member, present
from services.ledger.domain.commands import RefundSpend
from services.ledger.domain.events import (
    Allocations,
    Decided,
    LotsReinstated,
    PointsExpired,
    SpendRefunded,
)
from services.ledger.domain.program import Program

Part = tuple[str, int, int]
"""(hold, lot, points)"""


def refund_spend(book: Book, command: RefundSpend) -> Iterator[Decided]:
    """An order's points come back: what lives longest first, so that it is as if less had been spent.

    Debt is repaid first, as by an accrual, and by the points that expire soonest: a member who brought back both the
    purchase that earned the points and the order that they were spent on has neither lost nor won.
    """
    program = active_program(book, command)
    member = enrolled_member(book, command)
    now = present(book, command, program)
    captured = [hold for hold in member.holds.values() if hold.order == command.order and hold.captured]
    if not captured:
        raise Refusal("order_unknown", f"the member has spent no points on order {command.order!r}")
    spent = _spent(member, captured)
    there = sum(points for _, _, points in spent)
    if there == 0:
        raise Refusal("order_already_refunded", f"all points of order {command.order!r} were given back")
    amount = there if command.amount is None else command.amount
    if amount < 1:
        raise Refusal("amount_out_of_range", f"amount {amount} is not at least 1")
    if amount > there:
        raise Refusal("amount_exceeds_spend", f"{amount} points to give back, {there} of the order are spent")

    parts = _last(spent, amount)
    repaid = min(amount, member.debt)
    _, back = lots.split(_by_lot(parts), repaid)
    over = [(lot, points) for lot, points in back if _is_over(member, lot, now)]
    expired = sum(points for _, points in over)
    event = SpendRefunded(command.refund, command.order, amount, parts, back, repaid, there - amount, expired)
    yield Decided(event, member.id, now)
    yield from _after_their_day(program, member, over, now)
    clock = book.programs[command.chain, command.program].clock
    if back and member.lapses_at is not None and member.lapses_at <= clock:
        # The member's day has passed, and only what holds protect was left.
        yield inactivity.lapse(member)
    if back:
        # Who has had no points since the last ones lapsed has no day either.
        yield from inactivity.begin(program, member, now)


def _after_their_day(program: Program, member: Member, over: Allocations, now: datetime) -> Iterator[Decided]:
    """What becomes of points whose lot expired while they were spent: breakage, or so many days more."""
    days = program.returns.reinstate_days
    for lot_id, points in over:
        lot = member.lots[lot_id]
        # Points that were never spent may still be in the lot, where the clock has not come by yet: theirs is over.
        lost = lot.free if days is None else lot.free - points
        if lost > 0 and lot.expires_at is not None:
            yield Decided(PointsExpired(lot.id, lost), member.id, lot.expires_at)
    if over and days is not None:
        yield Decided(LotsReinstated([lot for lot, _ in over], now + timedelta(days=days)), member.id, now)


def _is_over(member: Member, lot_id: int, now: datetime) -> bool:
    expires_at = member.lots[lot_id].expires_at
    return expires_at is not None and expires_at <= now


def _spent(member: Member, holds: list[Hold]) -> list[Part]:
    """What stays spent on an order, in the order of spending, whichever of its holds it was."""
    parts = [(hold.id, lot, points) for hold in holds for lot, points in hold.spent]
    return sorted(parts, key=lambda part: (*lots.spend_order(member.lots[part[1]]), part[0]))


def _last(parts: list[Part], amount: int) -> list[Part]:
    """The last `amount` points of `parts`, in their order."""
    last: list[Part] = []
    for hold, lot, points in reversed(parts):
        part = min(points, amount)
        amount -= part
        if part:
            last.append((hold, lot, part))
    return last[::-1]


def _by_lot(parts: list[Part]) -> Allocations:
    """Points by lot, lots in the order in which `parts` names them first."""
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
        hold.spent = [
            (lot, left) for lot, was in hold.spent if (left := was - points if lot == lot_id else was)
        ]
    for lot_id, points in event.allocations:
        lot = member.lots.get(lot_id)
        if lot is None or lot.remaining + points > lot.amount:
            raise InvariantBroken(f"{points} points don't fit into lot {lot_id} of {member.id}")
        lot.remaining += points
        book.expect_lot(member, lot)
    book.expect_lapse(member)
    member.posted += event.amount
    member.debt -= event.debt_repaid


def reinstated(book: Book, member: Member, event: LotsReinstated) -> None:
    """Lots get another day."""
    for lot_id in event.lots:
        if lot_id not in member.lots:
            raise InvariantBroken(f"{member.id} has no lot {lot_id}")
        member.lots[lot_id].expires_at = event.until
        book.expect_lot(member, member.lots[lot_id])
