"""What the rewards journal says of draws. The same words as `proto/tallybook/rewards/v1/events.proto`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # A prize gives tickets, and tickets are an event of this file.
    from services.rewards.domain.draw_terms import DrawTerms


@dataclass(slots=True, frozen=True)
class TicketsGiven:
    """The member has tickets for a draw. `source`: grant | draw | redemption; `source_id` is what there led to it."""

    draw: str
    tickets: int
    source: str
    source_id: str


@dataclass(slots=True, frozen=True)
class TicketsTaken:
    """Tickets that a redemption gave are given back with it."""

    draw: str
    tickets: int
    source: str
    source_id: str


@dataclass(slots=True, frozen=True)
class TurnBegun:
    """Written before the ledger is asked for the points. The seed is fixed now, so nobody can wish for another."""

    turn: str
    terms: DrawTerms
    seed: bytes
    day: str
    points: int


@dataclass(slots=True, frozen=True)
class TurnRefused:
    """The ledger did not take the points; `code` and `detail` are its own."""

    turn: str
    draw: str
    day: str
    code: str
    detail: str


@dataclass(slots=True, frozen=True)
class Chance:
    """A prize as it stood when a number was drawn. `out`: it could not be had; `loss`: it gives nothing."""

    prize: str
    weight: int
    out: bool
    loss: bool


@dataclass(slots=True, frozen=True)
class Count:
    """What a draw adds to a count that all members share; 0 where it was only looked at."""

    counter: str
    added: int


@dataclass(slots=True, frozen=True)
class DrawMade:
    """A number was drawn, and this is what came of it; what it gives stands behind this row."""

    turn: str
    draw: str
    day: str
    pay: str
    points: int
    tickets: int
    seed: bytes
    number: int
    chances: tuple[Chance, ...]
    pity: str
    fell_on: str
    prize: str
    won: bool
    counts: tuple[Count, ...]
    rewards: tuple[str, ...]


TurnEvent = TurnBegun | TurnRefused | DrawMade
TicketEvent = TicketsGiven | TicketsTaken
DrawEvent = TicketEvent | TurnEvent
