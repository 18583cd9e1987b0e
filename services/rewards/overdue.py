"""Ends redemptions that are still reserved long after their time, as the ledger says their hold has ended.

The ledger's stream says when a hold has timed out, and nearly always that is how a redemption hears of it. Where the
stream tells it under another name (a hold that went on with another member), nobody would, and stock and voucher would
be held for ever: so whoever is overdue is asked for. What takes nothing of the ledger's times out here.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from services.common.clock import utc_now
from services.common.db import Writer
from services.common.service import look_until_stopped
from services.rewards.handle import Redeemer
from services.rewards.ledger_client import LedgerUnavailable

log = structlog.get_logger("overdue")

PAUSE_SECONDS = 15.0
GRACE = timedelta(minutes=1)
"""Of the program's time, for the stream to say so itself."""
ASKED_MAX = 16
"""Redemptions of one program and chain that are asked for in one round."""

FIND_OVERDUE = """
-- By each program's own clock. Programs and clocks are few; of redemptions one look each.
SELECT r.program, r.member, r.redemption FROM programs AS p
LEFT JOIN program_clocks AS c ON c.chain = p.chain AND c.program = p.program
CROSS JOIN LATERAL (
    SELECT program, member, redemption FROM redemptions
    WHERE chain = p.chain AND program = p.program AND state = 'reserved'
    AND expires_at <= CASE WHEN p.runs_on_events THEN c.clock ELSE $1 END - $2::interval
    ORDER BY expires_at LIMIT $3
) AS r
"""


class Overdue:
    """Looks for what is overdue. Any number of processes may: what is told twice changes nothing."""

    def __init__(self, writer: Writer, redeemer: Redeemer) -> None:
        self._writer = writer
        self._redeemer = redeemer

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set; faults that last are raised."""
        await look_until_stopped(lambda: self.round(utc_now()), stop, PAUSE_SECONDS)

    async def round(self, now: datetime) -> int:
        """Ask for what is overdue at `now`. Returns how many redemptions have ended by it."""
        async with self._writer.session() as session:
            rows = await session.fetch(FIND_OVERDUE, now, GRACE, ASKED_MAX)
        ended = 0
        for row in rows:
            try:
                ended += await self._redeemer.ask_again((row["program"], row["member"], row["redemption"]))
            except LedgerUnavailable as error:
                log.warning("the ledger can't be asked", why=str(error))
                break
        if ended:
            log.warning("redemptions ended without the stream's word", ended=ended)
        return ended
