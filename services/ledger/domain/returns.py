"""Units of a purchase come back."""

from __future__ import annotations

from collections.abc import Iterator

from services.common.errors import Refusal
from services.ledger.domain import inactivity
from services.ledger.domain.book import Book, Member, PurchaseFact, Settlement
from services.ledger.domain.checks import (
    LINES_MAX,
    QUANTITY_MAX,
    active_program,
    check_can_enrol,
    check_time,
    enrolled_member,
)
from services.ledger.domain.commands import RecordReturn, Return
from services.ledger.domain.events import (
    Decided,
    MemberEnrolled,
    ReturnedLine,
    ReturnParked,
    ReturnRecorded,
)
from services.ledger.domain.parking import park
from services.ledger.domain.settling import settle


def record_return(book: Book, command: RecordReturn) -> Iterator[Decided]:
    """Units of a purchase come back, line by line; what they earned is taken back."""
    program = active_program(book, command)
    activity, rules = command.activity, program.returns
    check_time(book, command, activity.occurred_at)
    if not 1 <= len(activity.lines) <= LINES_MAX:
        raise Refusal("lines_out_of_range", f"{len(activity.lines)} lines; a return has 1 to {LINES_MAX}")
    if (waiting := park(book, program, command)) is not None:
        yield waiting
        return
    # A return that is kept without its purchase may be the first that is heard of a member, as a purchase may.
    kept = rules.parks_unknown if activity.of else rules.records_without_purchase
    known = (command.program, command.member) in book.members
    if kept and not known:
        check_can_enrol(program, command)
    member = enrolled_member(book, command) if known or not kept else None
    if not activity.of and not kept:
        raise Refusal("return_without_purchase", "the return names no purchase: say in `of` which it is of")
    purchase = None if member is None else member.purchases.get(activity.of)
    if purchase is None and not kept:
        raise Refusal("purchase_unknown", f"the member has no purchase {activity.of!r}")
    coming: dict[int, int] = {}
    if member is None or purchase is None:
        for line_id, quantity in activity.lines:
            _check_quantity(line_id, quantity)
    else:
        coming = units_coming(member, purchase, activity)

    at = activity.occurred_at
    if member is None:
        yield Decided(MemberEnrolled("first_activity"), command.member, at)
    if member is not None and purchase is not None:
        yield from give_back(book, member, purchase, activity, coming)
    elif activity.of:
        yield Decided(ReturnParked(activity), command.member, at)
    else:
        yield Decided(ReturnRecorded(activity, [], at), command.member, at)


def units_coming(member: Member, purchase: PurchaseFact, activity: Return) -> dict[int, int]:
    """The units of a return by line of its purchase. Raises Refusal for what was not bought, or came back before."""
    settlement = member.settlements.get(purchase.id) or Settlement()
    by_id = {line.id: line for line in purchase.told.lines}
    coming: dict[int, int] = {}
    for line_id, quantity in activity.lines:
        if line_id not in by_id:
            raise Refusal("line_unknown", f"purchase {purchase.id!r} has no line {line_id}")
        _check_quantity(line_id, quantity)
        coming[line_id] = coming.get(line_id, 0) + quantity
    for line_id, quantity in coming.items():
        left = by_id[line_id].quantity - settlement.returned.get(line_id, 0)
        if quantity > left:
            raise Refusal(
                "quantity_exceeds_purchase",
                f"line {line_id}: {quantity} brought back, {left} left of what was bought",
            )
    return coming


def _check_quantity(line_id: int, quantity: int) -> None:
    if not 1 <= quantity <= QUANTITY_MAX:
        raise Refusal(
            "quantity_out_of_range", f"line {line_id}: quantity {quantity} is not from 1 to {QUANTITY_MAX}"
        )


def give_back(
    book: Book,
    member: Member,
    purchase: PurchaseFact,
    activity: Return,
    coming: dict[int, int],
    *,
    parked: bool = False,
) -> Iterator[Decided]:
    """Record that units `coming` came back, and settle their purchase."""
    settlement = member.settlements.get(purchase.id) or Settlement()
    by_id = {line.id: line for line in purchase.told.lines}
    returned = []
    for line_id, quantity in coming.items():
        line, before = by_id[line_id], settlement.returned.get(line_id, 0)
        upto = line.amount * (before + quantity) // line.quantity
        amount = upto - line.amount * before // line.quantity
        returned.append(ReturnedLine(line_id, line.sku, line.category, quantity, amount))
    event = ReturnRecorded(activity, returned, purchase.occurred_at, parked)
    yield Decided(event, member.id, activity.occurred_at)
    yield from settle(book, member, purchase, "return", activity.occurred_at)
    program = book.versions[book.programs[member.chain, member.program].version]
    yield from inactivity.put_off(program, member, "return", activity.occurred_at)
