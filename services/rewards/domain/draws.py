"""Draws: what a seed says, what comes of it where prizes have run out, and who may have a turn.

Everything is decided from data: the seed comes from outside, and the event holds all that decided, so that the same
event says the same prize again (`drawn_again`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from services.common.errors import InvariantBroken, Refusal
from services.rewards.domain.draw_events import (
    Chance,
    Count,
    DrawEvent,
    DrawMade,
    TicketsGiven,
    TicketsTaken,
    TurnBegun,
    TurnEvent,
    TurnRefused,
)
from services.rewards.domain.draw_terms import Draw, DrawTerms, Prize
from services.rewards.domain.gifts import rewards_of

SEED_BYTES = 32
HASH_END = 1 << 256
HASHES_MAX = 100
"""A hash is passed over once in more than 2^200: nobody sees the second."""

BUDGET_EVER = "budget"
STOCK = "prize/"


class TurnState(StrEnum):
    """Where a turn stands. `paying` waits for the ledger."""

    PAYING = "paying"
    MADE = "made"
    REFUSED = "refused"


@dataclass(slots=True, frozen=True)
class Player:
    """What a member has and has done in one draw. `today` and `free_today` are of `day`."""

    tickets: int = 0
    losses: int = 0
    """Running."""
    turns: int = 0
    day: str = ""
    today: int = 0
    free_today: int = 0

    def on(self, day: str) -> Player:
        """The player on a day that may be another than the last."""
        return self if self.day == day else replace(self, day=day, today=0, free_today=0)


@dataclass(slots=True, frozen=True)
class Turn:
    """One turn of one member, as its events made it."""

    id: str
    program: str
    member: str
    draw: str
    state: TurnState
    pay: str
    points: int
    day: str
    begun_at: datetime
    changed_at: datetime
    position: int
    """Of the journal row that began it, on the member's chain."""
    seed: bytes
    terms: DrawTerms | None = None
    """While it waits for the ledger."""
    number: int | None = None
    prize: str = ""
    won: bool = False
    rewards: tuple[str, ...] = ()
    code: str | None = None
    detail: str | None = None


def number_of(seed: bytes, total: int) -> int:
    """The number from 0 to below `total` that a seed says, each of them equally likely.

    It is SHA-256 of the seed and a counter, modulo `total`; a hash in the uneven rest at the end is passed over.
    """
    even = HASH_END - HASH_END % total
    for attempt in range(HASHES_MAX):
        value = int.from_bytes(hashlib.sha256(seed + attempt.to_bytes(4, "big")).digest(), "big")
        if value < even:
            return value % total
    raise InvariantBroken("a hundred hashes ended in the uneven rest")


def landed(number: int, weights: Sequence[int]) -> int:
    """The place that a number falls on: the first has the first of the numbers, as many as it weighs."""
    for place, weight in enumerate(weights):
        if number < weight:
            return place
        number -= weight
    raise InvariantBroken("the number is not below the sum of the weights")


def prize_of(number: int, chances: Sequence[Chance], pity: str) -> tuple[str, str]:
    """(what it fell on, what can be had): from there the next in the program's order that is not out, else nothing."""
    place = landed(number, [chance.weight for chance in chances])
    if pity:
        place = [chance.prize for chance in chances].index(pity)
    return chances[place].prize, next((c.prize for c in chances[place:] if not c.out), "")


def drawn_again(event: DrawMade) -> bool:
    """Whether the event's own seed and chances say its number and its prize once more."""
    number = number_of(event.seed, sum(chance.weight for chance in event.chances))
    return (number, (event.fell_on, event.prize)) == (
        event.number,
        prize_of(number, event.chances, event.pity),
    )


def counters_of(terms: DrawTerms, day: str) -> list[str]:
    """The counts that all members share and that decide: of prizes with a stock, and of the budgets."""
    names = [f"{STOCK}{prize.id}" for prize in terms.prizes if prize.stock is not None]
    if terms.budget_ever is not None:
        names.append(BUDGET_EVER)
    if terms.budget_day is not None:
        names.append(f"{BUDGET_EVER}/{day}")
    return names


def draw(
    terms: DrawTerms, turn: str, day: str, pay: tuple[str, int, int], seed: bytes, losses: int, used: Mapping[str, int]
) -> DrawMade:  # fmt: skip
    """Draw: the same arguments say the same. `pay` is (way, points, tickets), `used` the counts of `counters_of`."""
    chances = tuple(
        Chance(prize.id, prize.weight, _is_out(prize, terms, used, day), not prize.give)
        for prize in terms.prizes
    )
    number = number_of(seed, sum(chance.weight for chance in chances))
    pity = terms.pity_prize if terms.pity_after and losses >= terms.pity_after else ""
    fell_on, name = prize_of(number, chances, pity)
    prize = next((prize for prize in terms.prizes if prize.id == name), Prize("", "", 0))
    way, points, tickets = pay
    return DrawMade(
        turn, terms.id, day, way, points, tickets, seed, number, chances, pity, fell_on, name,
        won=bool(prize.give),
        counts=tuple(Count(name, _added(name, prize)) for name in counters_of(terms, day)),
        rewards=rewards_of(prize.give),
    )  # fmt: skip


def _added(counter: str, prize: Prize) -> int:
    if counter.startswith(STOCK):
        return int(counter == f"{STOCK}{prize.id}")
    return prize.cost


def _is_out(prize: Prize, terms: DrawTerms, used: Mapping[str, int], day: str) -> bool:
    """What costs nothing is not kept back by a budget."""
    if prize.stock is not None and used.get(f"{STOCK}{prize.id}", 0) >= prize.stock:
        return True
    budgets = ((terms.budget_ever, BUDGET_EVER), (terms.budget_day, f"{BUDGET_EVER}/{day}"))
    return prize.cost > 0 and any(
        budget is not None and used.get(name, 0) + prize.cost > budget for budget, name in budgets
    )


def may_turn(draw: Draw | None, name: str, pay: str, player: Player, day: date) -> Draw:
    """Who may have a turn.

    Refusals, in this order: unknown_draw, draw_not_open, pay_not_offered, draw_limit_reached, then by the way to pay
    free_turn_taken or no_ticket. Whether the member has the points is the ledger's to say.
    """
    if draw is None:
        raise Refusal("unknown_draw", f"the program has no draw {name!r}")
    if not draw.is_open(day):
        raise Refusal("draw_not_open", f"its days are {draw.first_day or '...'} to {draw.last_day or '...'}")
    if pay not in draw.ways:
        raise Refusal("pay_not_offered", f"a turn can be paid by: {', '.join(draw.ways)}")
    player = player.on(day.isoformat())
    if draw.limit_ever is not None and player.turns >= draw.limit_ever:
        raise Refusal("draw_limit_reached", f"the member has had {player.turns} turns, which is all")
    if draw.limit_day is not None and player.today >= draw.limit_day:
        raise Refusal("draw_limit_reached", f"the member has had {player.today} turns today: come tomorrow")
    if pay == "free" and player.free_today >= draw.free_per_day:
        raise Refusal("free_turn_taken", "the free turns of today are taken: come tomorrow, or pay")
    if pay == "ticket" and player.tickets < draw.tickets:
        raise Refusal("no_ticket", f"a turn takes {draw.tickets} tickets, the member has {player.tickets}")
    return draw


def play(player: Player, event: DrawEvent) -> Player:
    """The player after an event. A turn that waits for the ledger counts at once, and no more once it is refused.

    Raises:
        InvariantBroken: more tickets were taken than there were.
    """
    match event:
        case TicketsGiven(tickets=tickets):
            return replace(player, tickets=player.tickets + tickets)
        case TicketsTaken(tickets=tickets):
            if tickets > player.tickets:
                raise InvariantBroken(f"{event.source} {event.source_id} takes back tickets that were used")
            return replace(player, tickets=player.tickets - tickets)
        case TurnBegun(day=day):
            player = player.on(day)
            return replace(player, turns=player.turns + 1, today=player.today + 1)
        case TurnRefused(day=day):
            today = player.today - 1 if player.day == day else player.today
            return replace(player, turns=player.turns - 1, today=today)
        case DrawMade(day=day, pay=pay, tickets=tickets, won=won):
            player = replace(player, losses=0 if won else player.losses + 1)
            if pay == "points":
                return player
            if tickets > player.tickets:
                raise InvariantBroken(f"turn {event.turn} takes tickets that the member has not")
            player = player.on(day)
            return replace(
                player,
                turns=player.turns + 1,
                today=player.today + 1,
                free_today=player.free_today + (pay == "free"),
                tickets=player.tickets - tickets,
            )


def turn_after(
    turn: Turn | None, program: str, member: str, event: TurnEvent, at: datetime, position: int
) -> Turn:
    """A turn after one of its events. Raises InvariantBroken: the event can't come where the turn stands."""
    if isinstance(event, TurnBegun):
        if turn is not None:
            raise InvariantBroken(f"turn {event.turn} begins twice")
        return Turn(
            event.turn, program, member, event.terms.id, TurnState.PAYING, "points", event.points, event.day, at, at,
            position, event.seed, event.terms,
        )  # fmt: skip
    if turn is None and isinstance(event, DrawMade) and event.pay != "points":
        turn = Turn(
            event.turn, program, member, event.draw, TurnState.PAYING, event.pay, 0, event.day, at, at, position,
            event.seed,
        )  # fmt: skip
    if turn is None or turn.state is not TurnState.PAYING:
        raise InvariantBroken(f"{type(event).__name__} can't come where a turn is {turn and turn.state}")
    if isinstance(event, TurnRefused):
        return replace(
            turn, state=TurnState.REFUSED, changed_at=at, terms=None, code=event.code, detail=event.detail
        )
    return replace(
        turn, state=TurnState.MADE, changed_at=at, terms=None, number=event.number, prize=event.prize, won=event.won,
        rewards=event.rewards,
    )  # fmt: skip


def draw_of(event: DrawEvent) -> str:
    """The draw that an event is about."""
    return event.terms.id if isinstance(event, TurnBegun) else event.draw
