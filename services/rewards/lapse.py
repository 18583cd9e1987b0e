"""Lets vouchers lapse whose time has come while nothing else happens on their chain; what happens there does it too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

import structlog

from services.common.clock import utc_now
from services.common.db import PASSING_FAULTS, Writer
from services.common.journal import Journal
from services.rewards.store_vouchers import Vouchers
from services.rewards.wire import payload_of

log = structlog.get_logger("lapse")

PAUSE_SECONDS = 1.0
FAULTS_MAX = 120
PLACES_MAX = 64
"""Chains of programs looked after in one round."""

FIND_PLACES = """
-- Where something is due, by its program's present. Programs and clocks are few; of vouchers one look each.
SELECT p.chain, p.program FROM programs AS p
LEFT JOIN program_clocks AS c ON c.chain = p.chain AND c.program = p.program
CROSS JOIN LATERAL (
    SELECT FROM vouchers WHERE chain = p.chain AND program = p.program
    AND due_at <= CASE WHEN p.runs_on_events THEN c.clock ELSE $1 END LIMIT 1
) AS due
ORDER BY p.chain, p.program LIMIT $2
"""


class Lapsing:
    """Looks for what is due. Any number of processes may: the chain's head makes them take turns."""

    def __init__(self, writer: Writer, wake_relay: Callable[[], None]) -> None:
        self._writer = writer
        self._wake_relay = wake_relay

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set. Passing faults are tried again up to a limit, then raised."""
        faults = 0
        while not stop.is_set():
            try:
                await self.round(utc_now())
                faults = 0
            except PASSING_FAULTS as error:
                faults += 1
                log.warning("passing fault", attempt=faults, error=repr(error))
                if faults >= FAULTS_MAX:
                    raise
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)

    async def round(self, now: datetime) -> int:
        """Let lapse what is due, a transaction a place. Returns how many vouchers were due."""
        async with self._writer.session() as session:
            places = await session.fetch(FIND_PLACES, now, PLACES_MAX)
        count = 0
        for place in places:
            async with self._writer.transaction() as tx:
                journal = await Journal.lock(tx, [place["chain"]], payload_of)
                vouchers = Vouchers(journal)
                count += await vouchers.lapse(tx, place["chain"], [place["program"]], now)
                await journal.write(tx)
                await vouchers.write(tx)
        if count:
            self._wake_relay()
        return count
