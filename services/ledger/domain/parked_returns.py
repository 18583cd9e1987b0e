"""Returns that came before their purchase wait for it, where the program says so."""

from __future__ import annotations

from collections.abc import Iterator

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain.book import Book, Member, ParkedReturn
from services.ledger.domain.commands import RecordPurchase
from services.ledger.domain.events import Decided, ParkedReturnRefused, ReturnParked
from services.ledger.domain.purchases import record_purchase
from services.ledger.domain.returns import give_back, units_coming


def record_purchase_and_parked(book: Book, command: RecordPurchase) -> Iterator[Decided]:
    """A purchase, and in the order in which they came the returns of it that waited.

    One that does not fit the purchase (a line that it has not, more units than it has) is refused now: whoever sent it
    was told long ago that it is recorded, so the refusal is an event of its own.
    """
    member = book.members.get((command.program, command.member))
    if member is not None and not member.parked:
        return record_purchase(book, command)
    return _with_parked(book, command)


def _with_parked(book: Book, command: RecordPurchase) -> Iterator[Decided]:
    yield from record_purchase(book, command)
    member = book.members.get((command.program, command.member))
    if member is None:
        # The purchase itself waits, for its member.
        return
    yield from take_parked(book, member, command.purchase.id)


def take_parked(book: Book, member: Member, purchase_id: str) -> Iterator[Decided]:
    """The returns that waited for a purchase which is there now."""
    for parked in list(member.parked.get(purchase_id, ())):
        activity, purchase = parked.activity, member.purchases[purchase_id]
        try:
            coming = units_coming(member, purchase, activity)
        except Refusal as refused:
            event = ParkedReturnRefused(activity.id, activity.of, refused.code, refused.detail)
            yield Decided(event, member.id, activity.occurred_at)
        else:
            yield from give_back(book, member, purchase, activity, coming, parked=True)


# --- what the events do to the book


def park(member: Member, event: ReturnParked, position: int) -> None:
    """It waits."""
    member.parked.setdefault(event.activity.of, []).append(ParkedReturn(position, event.activity))


def unpark(member: Member, purchase: str, return_id: str) -> None:
    """It waits no longer. Raises InvariantBroken when it did not."""
    waiting = member.parked.get(purchase, [])
    left = [parked for parked in waiting if parked.activity.id != return_id]
    if len(left) == len(waiting):
        raise InvariantBroken(f"return {return_id} of {member.id} does not wait for purchase {purchase}")
    if left:
        member.parked[purchase] = left
    else:
        del member.parked[purchase]
