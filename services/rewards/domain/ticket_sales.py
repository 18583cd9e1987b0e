"""Tickets for draws that a redemption gives: they come with its capture, and go back with the refund of all of it."""

from __future__ import annotations

from collections.abc import Sequence

from services.common.errors import Refusal
from services.rewards.domain.draw_events import TicketEvent, TicketsGiven, TicketsTaken
from services.rewards.domain.events import RedemptionCaptured, RedemptionEvent
from services.rewards.domain.redemption import Redemption
from services.rewards.domain.refund_events import RefundRequested


def follow(redemption: Redemption, event: RedemptionEvent) -> list[TicketEvent]:
    """What comes behind `event`; `redemption` is as the event left it."""
    if not redemption.tickets:
        return []
    tickets = (redemption.draw, redemption.tickets, "redemption", redemption.id)
    if isinstance(event, RedemptionCaptured):
        return [TicketsGiven(*tickets)]
    # Now, so that nobody uses them while the ledger is asked.
    gives_all_back = isinstance(event, RefundRequested) and redemption.left == (0, 0, 0)
    return [TicketsTaken(*tickets)] if gives_all_back else []


def must_be_there(redemption: Redemption, events: Sequence[RedemptionEvent], tickets: int) -> None:
    """A refund of all that is left needs all the tickets; the member has `tickets`. Raises Refusal."""
    for event in events:
        whole = isinstance(event, RefundRequested) and (
            (event.points, event.money, event.outside) == redemption.left
        )
        if whole and tickets < redemption.tickets:
            raise Refusal("draw_tickets_used", "tickets that it gave were used: refund a part of it")
