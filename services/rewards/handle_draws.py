"""Takes turns at draws. A free turn or a ticket's is one transaction; points are asked of the ledger in between.

The seed is made at the edge and recorded before anything depends on it. Each part may be the last before a crash:
what was recorded says what to ask the ledger, asking twice counts once, so `drive` may be called by anybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from services.common import telemetry
from services.common.chain import chain_of
from services.common.clock import utc_now
from services.common.db import Transaction, Writer
from services.common.errors import Refusal
from services.rewards.domain.awards import LedgerDenied, LedgerGave
from services.rewards.domain.draw_events import TurnBegun, TurnRefused
from services.rewards.domain.draw_terms import DrawTerms
from services.rewards.domain.draws import Turn, TurnState, counters_of, draw, may_turn
from services.rewards.domain.gifts import TicketsGift
from services.rewards.handle import digest_of, present_of, was_taken
from services.rewards.handle_vouchers import Patiently
from services.rewards.ledger_client import LedgerClient, LedgerUnavailable
from services.rewards.moving import at_home, must_be_home
from services.rewards.standings import must_know
from services.rewards.store import LEASE_SECONDS, Book, Cause, find_program, remember
from services.rewards.store_draws import TurnKey, lock_counters, spend_counters

log = structlog.get_logger("draws")

HOLD_ID_DIGITS = 24


@dataclass(slots=True, frozen=True)
class TurnAnswer:
    """What a request came to. `duplicate`: the same request had been taken before."""

    turn: Turn
    duplicate: bool


@dataclass(slots=True, frozen=True)
class _Paid:
    """A turn that is paid, and whatever else decides it."""

    key: TurnKey
    version: str
    terms: DrawTerms
    day: str
    pay: tuple[str, int, int]
    seed: bytes
    present: datetime


class DrawDesk:
    """Takes turns. Each request raises Refusal."""

    def __init__(
        self,
        writer: Writer,
        ledger: LedgerClient,
        wake_relay: Callable[[], None],
        chains: int,
        patiently: Patiently,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._writer = writer
        self._ledger = ledger
        self._wake_relay = wake_relay
        self._chains = chains
        self._patiently = patiently
        self._lease_seconds = lease_seconds

    async def turn(self, key: TurnKey, draw_id: str, pay: str, seed: bytes) -> TurnAnswer:
        """One turn; `key` is (program, member, the request's Idempotency-Key). The same request again draws nothing.

        Refusals: id_reused, unknown_program, unknown_member, those of `may_turn`, then the ledger's.
        """
        cause = (f"{key[0]}/draw", key[2], digest_of("turn", *key, draw_id, pay))
        try:
            begin = partial(self._begin, named=key, draw_id=draw_id, pay=pay, seed=seed, cause=cause)
            turn, duplicate = await self._patiently(lambda: at_home(key, begin))
            if turn.state is TurnState.PAYING:
                turn = await self._finish(turn)
            answer = TurnAnswer(_outcome(turn), duplicate)
        except Refusal as refusal:
            telemetry.COMMANDS.labels(refusal.code).inc()
            raise
        telemetry.COMMANDS.labels("duplicate" if duplicate else "recorded").inc()
        return answer

    async def waiting(self, key: TurnKey) -> Turn | None:
        """The turn of `key`, when it waits for the ledger."""
        async with self._writer.transaction() as tx:
            book = await Book.load(tx, chain_of(key[1], self._chains))
            await book.draws.state.load(tx, book.chain, turns=[key])
        turn = book.draws.state.turns.get(key)
        return turn if turn is not None and turn.state is TurnState.PAYING else None

    async def drive(self, turn: Turn) -> Turn:
        """Ask the ledger for the points, and draw.

        Raises:
            LedgerUnavailable: there was no answer; the turn still waits.
        """
        return await self._settle(turn, await self._ledger.pay(turn, _hold(turn)))

    async def _finish(self, turn: Turn) -> Turn:
        """`drive` for somebody who waits."""
        try:
            said = await self._ledger.pay(turn, _hold(turn))
        except LedgerUnavailable as error:
            log.warning("ledger unavailable", why=str(error))
            return turn
        return await self._patiently(lambda: self._settle(turn, said))

    async def _begin(
        self, key: TurnKey, named: TurnKey, draw_id: str, pay: str, seed: bytes, cause: Cause
    ) -> tuple[Turn, bool]:
        """`named`: as the request named it, for a turn stays where it was had."""
        program_id, member, turn_id = key
        now, chain = utc_now(), chain_of(member, self._chains)
        async with self._writer.transaction() as tx:
            book = await Book.load(tx, chain)
            state = book.draws.state
            await state.load(tx, chain, turns=[key], players=[(program_id, member, draw_id)])
            await must_be_home(tx, chain, program_id, member)
            if await was_taken(tx, cause, self._chains):
                await state.load(tx, chain_of(named[1], self._chains), turns=[named])
                return state.turns[key] if key in state.turns else state.turns[named], True
            found = await find_program(tx, chain, program_id)
            if found is None:
                raise Refusal(
                    "unknown_program", "no such program is active; programs are activated at the ledger"
                )
            await must_know(tx, chain, program_id, member)
            program, present = found[0], present_of(*found, now)
            day = present.astimezone(program.zone).date()
            player = state.players[program_id, member, draw_id]
            offered = may_turn(program.draws.get(draw_id), draw_id, pay, player, day)
            version, terms = program.version, offered.terms
            if pay == "points":
                begun = TurnBegun(turn_id, terms, seed, day.isoformat(), offered.points)
                position = book.draws.record(program_id, member, version, begun, present, now, cause)
            else:
                price = (pay, 0, offered.tickets if pay == "ticket" else 0)
                paid = _Paid(key, version, terms, day.isoformat(), price, seed, present)
                position = await self._draw(tx, book, paid, now, cause)
            await remember(tx, cause, self._chains, member, chain, position)
            await book.write(tx, now, self._chains, self._lease_seconds)
        self._wake_relay()
        return state.turns[key], False

    async def _settle(self, asked: Turn, said: LedgerGave | LedgerDenied) -> Turn:
        """What the ledger said is on record, and so is what was drawn. Somebody else may have been faster."""
        key = (asked.program, asked.member, asked.id)
        now, chain = utc_now(), chain_of(asked.member, self._chains)
        async with self._writer.transaction() as tx:
            book = await Book.load(tx, chain)
            state = book.draws.state
            await state.load(tx, chain, turns=[key], players=[(asked.program, asked.member, asked.draw)])
            turn = state.turns[key]
            if turn.state is not TurnState.PAYING or turn.terms is None:
                return turn
            found = await find_program(tx, chain, asked.program)
            present = max(present_of(*found, now) if found else now, turn.changed_at)
            version = found[0].version if found else ""
            cause = ("tallybook/ledger", f"paying/{turn.id}", None)
            if isinstance(said, LedgerDenied):
                refused = TurnRefused(turn.id, turn.draw, turn.day, said.code, said.detail)
                book.draws.record(asked.program, asked.member, version, refused, present, now, cause)
            else:
                price = ("points", turn.points, 0)
                paid = _Paid(key, version, turn.terms, turn.day, price, turn.seed, present)
                await self._draw(tx, book, paid, now, cause)
            await book.write(tx, now, self._chains, self._lease_seconds)
        self._wake_relay()
        return state.turns[key]

    async def _draw(self, tx: Transaction, book: Book, paid: _Paid, now: datetime, cause: Cause) -> int:
        """Draw and give, with the counts that all members share locked: after the chain's head, in one order."""
        program, member, turn_id = paid.key
        terms, state = paid.terms, book.draws.state
        players = [(program, member, draw_id) for draw_id in _gives_tickets_for(terms)]
        await state.load(tx, book.chain, players=players)
        names = counters_of(terms, paid.day)
        used = await lock_counters(tx, program, terms.id, names, self._chains)
        losses = state.players[program, member, terms.id].losses
        made = draw(terms, turn_id, paid.day, paid.pay, paid.seed, losses, used)
        position = book.draws.record(program, member, paid.version, made, paid.present, now, cause)
        won = next((prize for prize in terms.prizes if prize.id == made.prize), None)
        if won is not None:
            why = ("draw", turn_id)
            book.deliver(won.give, program, member, paid.version, why, paid.present, now, cause)
        spent = {(program, terms.id, count.counter): count.added for count in made.counts if count.added}
        await spend_counters(tx, spent, self._chains)
        return position


def _outcome(turn: Turn) -> Turn:
    """What to tell whoever asked, once and again."""
    if turn.state is TurnState.REFUSED:
        raise Refusal(turn.code or "turn_refused", turn.detail or "the turn could not be paid")
    if turn.state is TurnState.PAYING:
        raise Refusal(
            "temporarily_unavailable",
            "the ledger has not answered; the turn will be driven on: "
            "send the same request again, with the same Idempotency-Key",
        )
    return turn


def _hold(turn: Turn) -> str:
    """The hold, and the order, by which the ledger takes a turn's points: nobody else's turn has it."""
    name = "/".join((turn.program, turn.member, turn.id))
    return f"draw-{hashlib.sha256(name.encode()).hexdigest()[:HOLD_ID_DIGITS]}"


def _gives_tickets_for(terms: DrawTerms) -> Iterable[str]:
    gifts = (gift for prize in terms.prizes for gift in prize.give)
    return {gift.draw for gift in gifts if isinstance(gift, TicketsGift)}
