"""An activity of somebody who is no member yet is kept, until they enrol (`enrolment: park`)."""

from __future__ import annotations

from services.ledger.domain.book import Book
from services.ledger.domain.commands import RecordPurchase, RecordReturn
from services.ledger.domain.events import ActivityParked, Decided
from services.ledger.domain.program import Program


def park(book: Book, program: Program, command: RecordPurchase | RecordReturn) -> Decided | None:
    """The row that keeps the activity; None when its member is known, or the program keeps nothing."""
    if not program.parks or (command.program, command.member) in book.members:
        return None
    kind, told = (
        ("purchase", command.purchase)
        if isinstance(command, RecordPurchase)
        else ("return", command.activity)
    )
    return Decided(ActivityParked(kind, command.member, told.content), None, told.occurred_at)
