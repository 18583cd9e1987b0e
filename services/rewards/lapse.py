"""Lets vouchers lapse whose time has come while nothing else happens on their chain; what happens there does it too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from services.common.clock import utc_now
from services.common.db import Writer
from services.common.journal import Journal
from services.common.service import look_until_stopped
from services.rewards.store_vouchers import Vouchers
from services.rewards.wire import payload_of

log = structlog.get_logger("lapse")

PAUSE_SECONDS = 1.0
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
        """Look until `stop` is set; faults that last are raised."""
        await look_until_stopped(lambda: self.round(utc_now()), stop, PAUSE_SECONDS)

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
