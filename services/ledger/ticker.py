"""Moves the clock of programs that run on the wall's: every hour, and as soon as something falls due.

It also rewards referrals, of every program: what is owed stands in the book until it is given.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from services.common.clock import utc_now
from services.common.db import PASSING_FAULTS, Writer
from services.common.errors import Refusal
from services.ledger.command_queue import CommandQueue
from services.ledger.domain.commands import AdvanceClock, Cause
from services.ledger.referral_rewards import owed
from services.ledger.store import Programs, load_versions

log = structlog.get_logger("ticker")

LOOK_EVERY_SECONDS = 2.0
PUT_OFF: tuple[type[Exception], ...] = (*PASSING_FAULTS, Refusal)

FIND_WORK = """
-- Chains and programs whose clock is an hour behind, or where a lot or a hold has fallen due since.
SELECT p.chain, p.program, p.version FROM programs AS p
WHERE p.clock_at < date_trunc('hour', $1::timestamptz)
   OR EXISTS (SELECT FROM lots AS l WHERE l.chain = p.chain AND l.program = p.program
              AND l.expires_at <= $1 AND l.remaining > l.held AND p.clock_at < $1)
   OR EXISTS (SELECT FROM holds AS h WHERE h.chain = p.chain AND h.program = p.program
              AND h.expires_at <= $1 AND h.state = 'open' AND p.clock_at < $1)
   OR EXISTS (SELECT FROM lots AS l WHERE l.chain = p.chain AND l.program = p.program
              AND l.matures_at <= $1 AND l.remaining > 0 AND p.clock_at < $1)
   OR EXISTS (SELECT FROM accounts AS a WHERE a.chain = p.chain AND a.program = p.program
              AND a.lapses_at <= $1 AND p.clock_at < $1
              -- While holds protect all that is left, there is nothing to do.
              AND (a.held = 0 OR a.posted + a.debt > a.held))
ORDER BY p.chain, p.program
"""


class Ticker:
    """Sends `AdvanceClock` and `RewardReferral`; two tickers do no harm, the second finds the work done."""

    def __init__(self, writer: Writer, queue: CommandQueue, programs: Programs) -> None:
        self._writer = writer
        self._queue = queue
        self._programs = programs

    async def run(self, stop: asyncio.Event) -> None:
        """Look every `LOOK_EVERY_SECONDS` until `stop` is set."""
        while not stop.is_set():
            try:
                await self.tick()
            except PUT_OFF as error:
                # The next look finds the same work: nothing is lost by waiting for it.
                log.warning("tick put off", error=repr(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY_SECONDS)

    async def tick(self) -> None:
        """One look."""
        now = utc_now()
        async with self._writer.session() as session:
            rows = await session.fetch(FIND_WORK, now)
            # A process that has just started has met no program: it must know which clocks are not the wall's.
            versions, chains = {row["version"] for row in rows}, {row["chain"] for row in rows}
            await load_versions(session, self._programs, versions, sorted(chains))
            rewards = await owed(session, self._queue.chains, now)
        for row in rows:
            if self._programs.versions[row["version"]].runs_on_events:
                continue
            cause = Cause("clock", now.isoformat())
            await self._queue.submit(AdvanceClock(row["program"], "", row["chain"], cause, now, now))
        for command in rewards:
            await self._queue.submit(command)
