"""The recovery loop: redemptions whose step nobody finished are driven on, until the ledger has answered."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from services.common.clock import utc_now
from services.common.db import Writer
from services.common.service import look_until_stopped
from services.rewards.handle import Redeemer
from services.rewards.ledger_client import LedgerUnavailable
from services.rewards.store import LEASE_SECONDS
from services.rewards.store_redemptions import Key

log = structlog.get_logger("recover")

STEPS_MAX = 64
"""Steps taken over in one round."""
AT_ONCE = 8
DOUBLINGS_MAX = 3
"""The lease, and so the pause between tries, grows up to 2^3 leases: two minutes while the ledger is away."""

TAKE_OVER = """
-- Several processes look for the same work: SKIP LOCKED gives each step to one of them, the new due_at is its lease.
UPDATE redemption_steps AS s
SET due_at = $1::timestamptz + $2::interval * (2 ^ least(s.attempts, $4::integer)), attempts = s.attempts + 1
FROM (
    SELECT chain, program, member, redemption FROM redemption_steps WHERE due_at <= $1
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
) AS due
WHERE (s.chain, s.program, s.member, s.redemption) = (due.chain, due.program, due.member, due.redemption)
RETURNING s.program, s.member, s.redemption, s.attempts
"""


class Recovery:
    """Drives on what is due. `lease_seconds` is how long whoever began a step has it for himself."""

    def __init__(self, writer: Writer, redeemer: Redeemer, lease_seconds: float = LEASE_SECONDS) -> None:
        self._writer = writer
        self._redeemer = redeemer
        self._lease = timedelta(seconds=lease_seconds)
        self._pause_seconds = min(1.0, lease_seconds / 2)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set; faults that last are raised."""
        await look_until_stopped(lambda: self.round(utc_now()), stop, self._pause_seconds)

    async def round(self, now: datetime) -> int:
        """Take over what is due at `now` and drive it on. Returns how many redemptions no longer wait."""
        async with self._writer.transaction() as tx:
            rows = await tx.fetch(TAKE_OVER, now, self._lease, STEPS_MAX, DOUBLINGS_MAX)
        drives = (
            self._drive((row["program"], row["member"], row["redemption"]), row["attempts"]) for row in rows
        )
        results = await asyncio.gather(*drives, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum(result is True for result in results)

    async def _drive(self, key: Key, attempt: int) -> bool:
        async with self._slots:
            redemption = await self._redeemer.waiting(key)
            if redemption is None:
                return False
            try:
                redemption = await self._redeemer.drive(redemption)
            except LedgerUnavailable as error:
                log.warning("still waiting for the ledger", attempt=attempt, why=str(error))
                return False
            log.info("driven on", state=str(redemption.state), attempt=attempt)
            return True
