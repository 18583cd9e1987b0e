"""An id sent again with other content: which of its parts is another one. Each has a code of its own.

The order in which they are compared is a table in docs/refusals.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.ledger.domain.book import Book
from services.ledger.domain.commands import (
    CaptureHold,
    Command,
    Money,
    PlaceHold,
    RefundSpend,
    ReleaseHold,
)
from services.ledger.domain.events import Decided, HoldCaptured, HoldPlaced, HoldReleased, SpendRefunded
from services.ledger.domain.held_money import asked_for, total

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
            coins = 0 if command.money is None else command.money.amount
            yield "money", *_moneys(placed, command.money, coins)
            yield "ttl", int((placed.expires_at - first.occurred_at).total_seconds()), ttl
        case HoldCaptured() as captured, CaptureHold():
            freed = total(captured.released)
            freed_money = total([*captured.principal_released, *captured.bonus_released])
            everything = captured.amount + freed + captured.left
            all_money = captured.money_amount + freed_money + captured.money_left
            points, coins = asked_for(command.amount, command.money, (everything, all_money))
            yield "hold", captured.hold, command.hold
            yield "amount", captured.amount, points
            yield "money", *_moneys(captured, command.money, coins)
            if freed or captured.left or freed_money or captured.money_left:
                yield "final", captured.left + captured.money_left == 0, command.final
        case HoldReleased() as released, ReleaseHold():
            yield "hold", released.hold, command.hold
        case SpendRefunded() as refunded, RefundSpend():
            everything = refunded.amount + refunded.left
            all_money = refunded.money_amount + refunded.money_left
            points, coins = asked_for(command.amount, command.money, (everything, all_money))
            yield "order", refunded.order, command.order
            yield "amount", refunded.amount, points
            yield "money", *_moneys(refunded, command.money, coins)


def _moneys(
    event: HoldPlaced | HoldCaptured | SpendRefunded, named: Money | None, coins: int
) -> tuple[str, str]:
    """(as it was, as it is now); nothing of one currency is nothing of another."""
    currency = event.money_currency if named is None else named.currency
    was = f"{event.money_amount} {event.money_currency}" if event.money_amount else "none"
    return was, f"{coins} {currency}" if coins else "none"
