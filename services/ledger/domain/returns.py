"""Units come back, or another tier turns out to be right: a purchase is settled again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from services.common.errors import Refusal
from services.ledger.domain import earning, inactivity, lots
from services.ledger.domain.book import Book, Member, PurchaseFact, Settlement
from services.ledger.domain.checks import LINES_MAX, QUANTITY_MAX, active_program, check_time, enrolled_member
from services.ledger.domain.commands import RecordReturn
from services.ledger.domain.counters import recorded
from services.ledger.domain.events import Decided, PointsClawedBack, ReturnedLine, ReturnRecorded
from services.ledger.domain.parking import park
from services.ledger.domain.purchases import accrual


def record_return(book: Book, command: RecordReturn) -> Iterator[Decided]:
    """Units of a purchase come back, line by line; what they earned is taken back."""
    program = active_program(book, command)
    activity = command.activity
    check_time(book, command, activity.occurred_at)
    if not 1 <= len(activity.lines) <= LINES_MAX:
        raise Refusal("lines_out_of_range", f"{len(activity.lines)} lines; a return has 1 to {LINES_MAX}")
    if (kept := park(book, program, command)) is not None:
        yield kept
        return
    member = enrolled_member(book, command)
    purchase = member.purchases.get(activity.of)
    if purchase is None:
        raise Refusal("purchase_unknown", f"the member has no purchase {activity.of!r}")
    settlement = member.settlements.get(purchase.id) or Settlement()
    by_id = {line.id: line for line in purchase.lines}
    coming: dict[int, int] = {}
    for line_id, quantity in activity.lines:
        if line_id not in by_id:
            raise Refusal("line_unknown", f"purchase {purchase.id!r} has no line {line_id}")
        if not 1 <= quantity <= QUANTITY_MAX:
            raise Refusal(
                "quantity_out_of_range",
                f"line {line_id}: quantity {quantity} is not from 1 to {QUANTITY_MAX}",
            )
        coming[line_id] = coming.get(line_id, 0) + quantity
    for line_id, quantity in coming.items():
        left = by_id[line_id].quantity - settlement.returned.get(line_id, 0)
        if quantity > left:
            raise Refusal(
                "quantity_exceeds_purchase",
                f"line {line_id}: {quantity} brought back, {left} left of what was bought",
            )

    returned = []
    for line_id, quantity in coming.items():
        line, before = by_id[line_id], settlement.returned.get(line_id, 0)
        upto = line.amount * (before + quantity) // line.quantity
        amount = upto - line.amount * before // line.quantity
        returned.append(ReturnedLine(line_id, line.sku, line.category, quantity, amount))
    yield Decided(ReturnRecorded(activity, returned, purchase.occurred_at), member.id, activity.occurred_at)
    yield from settle(book, member, purchase, "return", activity.occurred_at)
    yield from inactivity.put_off(program, member, "return", activity.occurred_at)


def settle(
    book: Book, member: Member, purchase: PurchaseFact, reason: str, occurred_at: datetime
) -> Iterator[Decided]:
    """Give or take back the difference between what a purchase should have given by now and what it has given."""
    program = book.versions[purchase.version]
    settlement = member.settlements.get(purchase.id)
    tier = member.tier_of(purchase)
    earned = earning.earn(program, purchase, tier, recorded(purchase.counters))
    owed = earning.owed_for(program, purchase, settlement, tier, earned)
    given = purchase.accrued + (settlement.adjusted if settlement else 0)
    if owed > given:
        yield accrual(
            program,
            member,
            purchase.id,
            purchase.occurred_at,
            reason,
            owed - given,
            earned._replace(counters=purchase.counters),
            tier,
            occurred_at,
            book.programs[member.chain, member.program].clock,
        )
        in_force = book.program(member.chain, member.program)
        yield from inactivity.begin(in_force, member, purchase.occurred_at)
    elif owed < given:
        allocations, debt = lots.take_back(member, purchase.id, given - owed)
        yield Decided(
            PointsClawedBack(
                purchase.id,
                reason,
                given - owed,
                tier,
                allocations,
                debt,
                lots.pending_among(member, allocations),
            ),
            member.id,
            occurred_at,
        )
