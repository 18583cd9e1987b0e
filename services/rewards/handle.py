"""Redeems: record the request, ask the ledger, record its answer. No transaction is open while the ledger is asked.

Each of the three parts may be the last before a crash. What was recorded says what to ask next, asking twice counts
once, and answers that tell nothing new change nothing; so `drive` may be called at any time, by anybody.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog

from services.common import telemetry
from services.common.chain import chain_of
from services.common.clock import utc_now
from services.common.db import PASSING_FAULTS, Transaction, Writer
from services.common.errors import InvariantBroken, Refusal
from services.rewards.domain import ticket_sales, value_sales
from services.rewards.domain.consequences import pack_of
from services.rewards.domain.decide import (
    Asked,
    LedgerAnswer,
    LedgerRefused,
    Step,
    outcome,
    same_request,
    settle,
    take_step,
    without_ledger,
)
from services.rewards.domain.events import RedemptionEvent
from services.rewards.domain.program import Program
from services.rewards.domain.quote import Customer
from services.rewards.domain.redemption import WAITING, Redemption, State
from services.rewards.domain.refunds import AskRefund, outcome_of_refund, request_refund
from services.rewards.domain.reservation import Reserve, reserve
from services.rewards.ledger_client import LedgerClient, LedgerUnavailable
from services.rewards.moving import at_home, must_be_home, on_its_way
from services.rewards.shelf import look
from services.rewards.standings import find_standings, must_know
from services.rewards.store import LEASE_SECONDS, Book, Cause, find_program, remember, seen
from services.rewards.store_redemptions import Key

log = structlog.get_logger("redeem")

TRIES_MAX = 5
TRY_AGAIN_SECONDS = 0.05

T = TypeVar("T")

WAITS_FOR = {"reserve": State.RESERVING, "capture": State.CAPTURING, "cancel": State.CANCELLING}
Decide = Callable[[Transaction, Book, Key], Awaitable[Sequence[RedemptionEvent]]]
"""What a step of the redemption of a key comes to, on the loaded book. Raises Refusal."""


@dataclass(slots=True, frozen=True)
class Answer:
    """What a request came to. `duplicate`: the same request had been taken before."""

    redemption: Redemption
    duplicate: bool


@dataclass(slots=True, frozen=True)
class _Asked:
    """Whether the redemption waits for what was asked, and what to tell whoever asked."""

    waits: Callable[[Redemption], bool]
    outcome: Callable[[Redemption], Redemption]

    @classmethod
    def step(cls, asked: Asked) -> _Asked:
        return cls(lambda r: r.state is WAITS_FOR[asked], lambda r: outcome(asked, r))

    @classmethod
    def refund(cls, refund: str) -> _Asked:
        return cls(
            lambda r: r.state is State.REFUNDING and r.refunding.id == refund,
            lambda r: outcome_of_refund(r, refund),
        )


class Redeemer:
    """Takes requests about redemptions, one transaction a part."""

    def __init__(
        self,
        writer: Writer,
        ledger: LedgerClient,
        wake_relay: Callable[[], None],
        chains: int,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._writer = writer
        self._ledger = ledger
        self._wake_relay = wake_relay
        self._chains = chains
        self._lease_seconds = lease_seconds
        self._broken: Exception | None = None
        self._is_broken = asyncio.Event()

    async def watch(self, stop: asyncio.Event) -> None:
        """A side task: raises when a request found an invariant broken, so that the process stops."""
        waits = [asyncio.create_task(event.wait()) for event in (stop, self._is_broken)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self._broken is not None:
            raise self._broken

    async def reserve(self, program: str, command: Reserve) -> Answer:
        """Begin a redemption and have the ledger hold what it costs. Raises Refusal."""
        key = (program, command.member, command.redemption)
        lines = [list(astuple(line)) for line in command.lines]
        paying = (
            command.store, command.money, command.voucher, command.outside, lines, command.points, command.expected
        )  # fmt: skip
        digest = digest_of("reserve", *key, command.reward, command.order, command.ttl_seconds, *paying)
        cause = (f"{program}/redemption", command.redemption, digest)
        begin = partial(self._begin_redemption, command=command, cause=cause)
        return await self._take(key, begin, _Asked.step("reserve"))

    async def step(
        self, program: str, member: str, redemption_id: str, step: Step, request_key: str
    ) -> Answer:
        """Capture or cancel a reserved redemption. Raises Refusal."""
        key = (program, member, redemption_id)
        cause = (f"{program}/redemption_step", request_key, digest_of(step, *key))

        async def decide(tx: Transaction, book: Book, home: Key) -> Sequence[RedemptionEvent]:
            return take_step(book.redemptions.get(home), redemption_id, step)

        return await self._take(key, partial(self._begin_step, cause=cause, decide=decide), _Asked.step(step))

    async def refund(self, program: str, member: str, asked: AskRefund) -> Answer:
        """Give back some or all of what a captured redemption was paid with. Raises Refusal."""
        key = (program, member, asked.redemption)
        content = (asked.points, asked.money, [list(line) for line in asked.lines], asked.restock)
        cause = (f"{program}/redemption_refund", asked.refund, digest_of("refund", *key, *content))

        async def decide(tx: Transaction, book: Book, home: Key) -> Sequence[RedemptionEvent]:
            redemption = book.redemptions.get(home)
            pack = [] if redemption is None else [(*home[:2], id_) for id_ in pack_of(redemption)]
            await book.vouchers.load(tx, book.chain, pack)
            credit = None
            if redemption is not None and redemption.kind == value_sales.KIND:
                award = (*home[:2], value_sales.award_of(redemption))
                await book.draws.state.load(tx, book.chain, awards=[award])
                credit = book.draws.state.awards.get(award)
            vouchers = [book.vouchers.found[voucher] for voucher in pack]
            events = request_refund(redemption, asked, vouchers, credit)
            if redemption is not None and redemption.tickets:
                player = book.draws.state.players[*home[:2], redemption.draw]
                ticket_sales.must_be_there(redemption, events, player.tickets)
            return events

        begin = partial(self._begin_step, cause=cause, decide=decide)
        return await self._take(key, begin, _Asked.refund(asked.refund))

    async def drive(self, redemption: Redemption) -> Redemption:
        """Ask the ledger for what the redemption waits for, and record what follows.

        Raises:
            LedgerUnavailable: there was no answer; the redemption still waits.
        """
        answer = await self._ledger.ask(redemption)
        return await self._settle(redemption, answer)

    async def ask_again(self, key: Key) -> bool:
        """Ask how the hold of a reserved redemption stands, and record what follows. True: it has ended.

        Raises:
            LedgerUnavailable: there was no answer.
        """
        async with self._writer.transaction() as tx:
            redemption = (await Book.load(tx, self._chain(key), [key])).redemptions.get(key)
            if redemption is None or redemption.state is not State.RESERVED:
                return False
            here = without_ledger(redemption, await self._at(tx, redemption, utc_now()))
        answer = here if here is not None else await self._ledger.look(redemption)
        return (await self._settle(redemption, answer)).state is not State.RESERVED

    async def waiting(self, key: Key) -> Redemption | None:
        """The redemption of `key`, when it waits for the ledger."""
        async with self._writer.transaction() as tx:
            book = await Book.load(tx, self._chain(key), [key])
        redemption = book.redemptions.get(key)
        return redemption if redemption is not None and redemption.state in WAITING else None

    async def _take(
        self, key: Key, begin: Callable[[Key], Awaitable[tuple[Redemption, bool]]], asked: _Asked
    ) -> Answer:
        """All three parts of a request, counted by what it came to."""
        try:
            redemption, duplicate = await self.patiently(lambda: at_home(key, begin))
            answer = await self._finish(asked, redemption, duplicate)
        except Refusal as refusal:
            telemetry.COMMANDS.labels(refusal.code).inc()
            raise
        telemetry.COMMANDS.labels("duplicate" if duplicate else "recorded").inc()
        return answer

    async def _begin_redemption(self, key: Key, command: Reserve, cause: Cause) -> tuple[Redemption, bool]:
        """First part: the request is on record, stock and voucher are taken, before the ledger is asked."""
        program_id, member, _ = key
        now, chain = utc_now(), self._chain(key)
        async with self._writer.transaction() as tx:
            book = await Book.load(tx, chain, [key])
            await must_be_home(tx, chain, program_id, member)
            if await was_taken(tx, cause, self._chains):
                return _there(book.redemptions.get(key)), True
            found = await find_program(tx, chain, program_id)
            program = found[0] if found else None
            at = present_of(*found, now) if found else now
            voucher = (program_id, member, command.voucher)
            await book.vouchers.load(tx, chain, [voucher] if command.voucher else [])
            # What is already there or can't be is refused before the stock is looked at.
            reward = (
                program.catalogue.get(command.reward) if program and key not in book.redemptions else None
            )
            looked = await look(tx, chain, self._chains, program, member, reward, command.store, at)
            customer = None
            if program is not None and command.expected is not None:
                customer = await self._customer(tx, book, program, member, at)
            events = reserve(
                program,
                book.redemptions.get(key),
                command,
                looked,
                book.vouchers.found.get(voucher),
                customer,
            )
            for event in events:
                version = program.version if program else ""
                position = book.record(program_id, member, version, event, at, now, cause)
                await remember(tx, cause, self._chains, member, chain, position)
            if not book.redemptions[key].held_by_ledger:
                await must_know(tx, chain, program_id, member)
            _settle_without_ledger(book, key, at, now, cause)
            await book.write(tx, now, self._chains, self._lease_seconds)
        self._wake_relay()
        return book.redemptions[key], False

    async def _customer(
        self, tx: Transaction, book: Book, program: Program, member: str, at: datetime
    ) -> Customer:
        """Who the member is to prices, as a quote sees it; points and money are the ledger's to count."""
        key = (program.id, member)
        standing = (await find_standings(tx, book.chain, [key]))[key]
        vouchers = await book.vouchers.load_usable(tx, book.chain, program.id, member, at)
        return Customer(standing, vouchers=vouchers)

    async def _begin_step(self, key: Key, cause: Cause, decide: Decide) -> tuple[Redemption, bool]:
        program_id, member, _ = key
        now, chain = utc_now(), self._chain(key)
        async with self._writer.transaction() as tx:
            book = await Book.load(tx, chain, [key])
            await must_be_home(tx, chain, program_id, member)
            if await was_taken(tx, cause, self._chains):
                return _there(book.redemptions.get(key)), True
            events = await decide(tx, book, key)
            at = await self._at(tx, book.redemptions[key], now)
            for number, event in enumerate(events):
                # The request is answered by its first row: that one has the digest.
                why = cause if number == 0 else (*cause[:2], None)
                version = book.redemptions[key].version
                position = book.record(program_id, member, version, event, at, now, why)
                if number == 0:
                    await remember(tx, cause, self._chains, member, chain, position)
            _settle_without_ledger(book, key, at, now, cause)
            await book.write(tx, now, self._chains, self._lease_seconds)
        self._wake_relay()
        return book.redemptions[key], False

    async def _finish(self, asked: _Asked, redemption: Redemption, duplicate: bool) -> Answer:
        """Second and third part, unless they were done before."""
        if asked.waits(redemption):
            try:
                said = await self._ledger.ask(redemption)
            except LedgerUnavailable as error:
                log.warning("ledger unavailable", state=str(redemption.state), why=str(error))
            else:
                waiting = redemption
                redemption = await self.patiently(lambda: self._settle(waiting, said))
        return Answer(asked.outcome(redemption), duplicate)

    async def _settle(self, asked: Redemption, answer: LedgerAnswer) -> Redemption:
        """Third part: what the ledger said is on record. The stream may have told it before."""
        key = (asked.program, asked.member, asked.id)
        now = utc_now()
        async with self._writer.transaction() as tx:
            book = await Book.load(tx, self._chain(key), [key])
            redemption = book.redemptions.get(key)
            if redemption is None:
                return asked  # It went over to another member, and so did its step.
            same = (redemption.state, len(redemption.refunds)) == (asked.state, len(asked.refunds))
            if isinstance(answer, LedgerRefused) and not same:
                return redemption  # The refusal was of a step that is over.
            events = settle(redemption, answer)
            cause = ("tallybook/ledger", f"{asked.state}/{asked.id}", None)
            for event in events:
                at = await self._at(tx, redemption, now)
                book.record(asked.program, asked.member, redemption.version, event, at, now, cause)
            await book.write(tx, now, self._chains, self._lease_seconds)
        if events:
            self._wake_relay()
        return book.redemptions[key]

    async def patiently(self, transaction: Callable[[], Awaitable[T]]) -> T:
        """Run a transaction for somebody who waits: a passing fault is tried again, a few times.

        One such fault is two requests with the same id at the same moment, for members on different chains: the
        second sees the first on its next try.

        Raises:
            Refusal: "temporarily_unavailable" when the database can't be had.
        """
        tries = 0
        while True:
            tries += 1
            try:
                return await transaction()
            except PASSING_FAULTS as error:
                log.warning("passing fault", attempt=tries, error=repr(error))
                if tries == TRIES_MAX:
                    detail = "the database did not answer: send the same request again"
                    raise Refusal("temporarily_unavailable", detail) from error
                await asyncio.sleep(TRY_AGAIN_SECONDS)
            except InvariantBroken as error:
                self._broken = error
                self._is_broken.set()
                raise

    async def _at(self, tx: Transaction, redemption: Redemption, now: datetime) -> datetime:
        """The program's present, never before the redemption's last change."""
        found = await find_program(
            tx, self._chain((redemption.program, redemption.member, "")), redemption.program
        )
        present = present_of(*found, now) if found else now
        return max(present, redemption.changed_at)

    def _chain(self, key: Key) -> int:
        return chain_of(key[1], self._chains)


def _settle_without_ledger(book: Book, key: Key, at: datetime, now: datetime, cause: Cause) -> None:
    """What the ledger has no part in is over in the transaction that asks for it."""
    redemption = book.redemptions[key]
    answer = without_ledger(redemption, at) if redemption.state in WAITING else None
    if answer is not None:
        for event in settle(redemption, answer):
            book.record(*key[:2], redemption.version, event, at, now, (*cause[:2], None))


def _there(redemption: Redemption | None) -> Redemption:
    """The redemption of a request that was taken before."""
    if redemption is None:
        raise on_its_way()
    return redemption


async def was_taken(tx: Transaction, cause: Cause, chains: int) -> bool:
    """Idempotency is the first check. Raises Refusal("id_reused")."""
    _, id_, digest = cause
    before = await seen(tx, cause, chains)
    if before is not None:
        same_request(before, digest or b"", id_)
    return before is not None


def present_of(program: Program, clock: datetime | None, now: datetime) -> datetime:
    """A program that runs on events lives at its own clock."""
    return clock if program.runs_on_events and clock is not None else now


def digest_of(*content: object) -> bytes:
    """What a request asks for, so that a reused key with other content is told apart."""
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).digest()
