"""An id sent again with other content: which of its parts is another one. Each has a code of its own.

The order in which they are compared is a table in docs/refusals.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.ledger.domain.book import Book
from services.ledger.domain.commands import CaptureHold, Command, PlaceHold, RefundSpend, ReleaseHold
from services.ledger.domain.events import Decided, HoldCaptured, HoldPlaced, HoldReleased, SpendRefunded

COMPARED = (PlaceHold, CaptureHold, ReleaseHold, RefundSpend)
"""Commands whose repetition is compared part by part; of the others all that is told is that something differs."""
DIFFERENT = "exists_with_different_"


def difference(book: Book, first: Decided, command: Command) -> tuple[str, str] | None:
    """(code, detail) of the first part in which `command` differs from what led to `first`; None: in none that counts.

    So a hold placed without a time to live, and again with the program's default, is the same hold.
    """
    for part, was, now in _parts(book, first, command):
        if was != now:
            detail = (
                f"the id was used before with {part} {was}, not {now}: give another request an id of its own"
            )
            return DIFFERENT + part, detail
    return None


def _parts(book: Book, first: Decided, command: Command) -> Iterator[tuple[str, Any, Any]]:
    """(part, as it was, as it is now)"""
    member = book.members.get((command.program, command.member))
    if first.member not in (command.member, *(member.absorbed if member else ())):
        # Whose it is, is nobody else's to know.
        yield "member", "another member", "this one"
    match first.event, command:
        case HoldPlaced() as placed, PlaceHold():
            program = book.program(command.chain, command.program)
            default = None if program is None else program.hold_ttl_seconds
            ttl = default if command.ttl_seconds is None else command.ttl_seconds
            yield "order", placed.order, command.order
            yield "amount", placed.amount, command.amount
            yield "ttl", int((placed.expires_at - first.occurred_at).total_seconds()), ttl
        case HoldCaptured() as captured, CaptureHold():
            freed = sum(points for _, points in captured.released)
            everything = captured.amount + freed + captured.left
            yield "hold", captured.hold, command.hold
            yield "amount", captured.amount, everything if command.amount is None else command.amount
            if freed or captured.left:
                yield "final", captured.left == 0, command.final
        case HoldReleased() as released, ReleaseHold():
            yield "hold", released.hold, command.hold
        case SpendRefunded() as refunded, RefundSpend():
            everything = refunded.amount + refunded.left
            yield "order", refunded.order, command.order
            yield "amount", refunded.amount, everything if command.amount is None else command.amount
