"""Gives points and stored value that were promised, drives on turns, and moves what merged members have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from services.common.chain import chain_of
from services.common.clock import utc_now
from services.common.db import Writer
from services.common.service import look_until_stopped
from services.rewards.domain.awards import AwardState, LedgerDenied, LedgerGave, settle
from services.rewards.handle import present_of
from services.rewards.handle_draws import DrawDesk
from services.rewards.ledger_client import LedgerClient, LedgerUnavailable
from services.rewards.moving import STEP, hand_over
from services.rewards.store import LEASE_SECONDS, Book, find_program
from services.rewards.store_awards import AwardKey, find_awards

log = structlog.get_logger("ledger_work")

STEPS_MAX = 64
"""Steps taken over in one round."""
AT_ONCE = 8
DOUBLINGS_MAX = 3
"""The lease, and so the pause between tries, grows up to 2^3 leases: two minutes while the ledger is away."""
PAUSE_SECONDS = 0.25

TAKE_OVER = """
-- Several processes look for the same work: SKIP LOCKED gives each step to one of them, the new due_at is its lease.
UPDATE ledger_steps AS s
SET due_at = $1::timestamptz + $2::interval * (2 ^ least(s.attempts, $4::integer)), attempts = s.attempts + 1
FROM (
    SELECT chain, program, member, kind, id FROM ledger_steps WHERE due_at <= $1
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
) AS due
WHERE (s.chain, s.program, s.member, s.kind, s.id) = (due.chain, due.program, due.member, due.kind, due.id)
RETURNING s.program, s.member, s.kind, s.id, s.attempts
"""


class LedgerWork:
    """Looks for what is due. `lease_seconds` is how long whoever took a step has it for himself."""

    def __init__(
        self,
        writer: Writer,
        ledger: LedgerClient,
        desk: DrawDesk,
        wake_relay: Callable[[], None],
        chains: int,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._writer = writer
        self._ledger = ledger
        self._desk = desk
        self._wake_relay = wake_relay
        self._chains = chains
        self._lease = timedelta(seconds=lease_seconds)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set; faults that last are raised."""

        async def look() -> None:
            while not stop.is_set() and await self.round(utc_now()) == STEPS_MAX:
                pass  # There is more than one round takes.

        await look_until_stopped(look, stop, PAUSE_SECONDS)

    async def round(self, now: datetime) -> int:
        """Take over what is due at `now` and drive it on. Returns how many steps no longer wait."""
        async with self._writer.transaction() as tx:
            rows = await tx.fetch(TAKE_OVER, now, self._lease, STEPS_MAX, DOUBLINGS_MAX)
        drives = (
            self._drive(row["kind"], (row["program"], row["member"], row["id"]), row["attempts"])
            for row in rows
        )
        results = await asyncio.gather(*drives, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum(result is True for result in results)

    async def _drive(self, kind: str, key: AwardKey, attempt: int) -> bool:
        async with self._slots:
            try:
                if kind == "award":
                    return await self.give(key)
                if kind == STEP:
                    return await self._hand_over(key)
                turn = await self._desk.waiting(key)
                if turn is None:
                    return False
                await self._desk.drive(turn)
            except LedgerUnavailable as error:
                log.warning("still waiting for the ledger", attempt=attempt, why=str(error))
                return False
            return True

    async def _hand_over(self, key: AwardKey) -> bool:
        """What a member who was merged has goes over to the survivor."""
        async with self._writer.transaction() as tx:
            done = await hand_over(tx, key[0], key[1], self._chains, utc_now())
        self._wake_relay()
        return done

    async def give(self, key: AwardKey) -> bool:
        """Have the ledger give what was promised, and record its answer; False when it was settled before.

        Raises:
            LedgerUnavailable: there was no answer; it is still promised.
        """
        chain = chain_of(key[1], self._chains)
        async with self._writer.session() as session:
            award = (await find_awards(session, chain, [key])).get(key)
        if award is None or award.state is not AwardState.PROMISED:
            return False
        answer = await self._ledger.give(award)
        settled = await self._settle(chain, key, answer)
        if settled:
            self._wake_relay()
        return settled

    async def _settle(self, chain: int, key: AwardKey, answer: LedgerGave | LedgerDenied) -> bool:
        now = utc_now()
        async with self._writer.transaction() as tx:
            book = await Book.load(tx, chain)
            await book.draws.state.load(tx, chain, awards=[key])
            award = book.draws.state.awards.get(key)
            if award is None:
                return False  # It went over to another member, and so did its step.
            found = await find_program(tx, chain, key[0])
            at = max(present_of(*found, now) if found else now, award.changed_at)
            cause = ("tallybook/ledger", f"giving/{award.id}", None)
            events = settle(award, answer)
            for event in events:
                book.draws.record(key[0], key[1], "", event, at, now, cause)
            await book.write(tx, now, self._chains)
        if isinstance(answer, LedgerDenied):
            log.warning("the ledger gives nothing", award=award.id, code=answer.code)
        return bool(events)
