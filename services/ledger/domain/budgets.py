"""What a campaign has left to give: its budget in the document, less what the book has given for it."""

from __future__ import annotations

from services.common.errors import InvariantBroken
from services.ledger.domain.book import Book
from services.ledger.domain.program import Program


def left(book: Book, program: Program, campaign: str) -> int:
    """Points that the campaign has left; never below zero, also where a later document made its budget smaller."""
    given = book.budgets.get((program.id, campaign))
    if given is None:
        raise InvariantBroken(f"the budget of campaign {campaign} of {program.id} was not loaded")
    return max(0, program.social.budgets[campaign] - given)


def spend(book: Book, program: str, campaign: str, points: int) -> None:
    """Points were given for a campaign."""
    key = (program, campaign)
    book.budgets[key] = book.budgets.get(key, 0) + points


def open_for(book: Book, program: Program) -> None:
    """A version is in force: its campaigns have a place in the book from now on."""
    for campaign in program.social.budgets:
        book.budgets.setdefault((program.id, campaign), 0)
