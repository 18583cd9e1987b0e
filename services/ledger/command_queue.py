"""HTTP commands of one chain that arrive while a transaction runs share the next one.

The locks, queries and commits of a transaction cost the same for one command and for fifty; and since one
process has one transaction a chain under way, its commands don't queue up at the database.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable

import structlog

from services.common import telemetry
from services.common.clock import utc_now
from services.common.db import PASSING_FAULTS, Writer
from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain.commands import Command
from services.ledger.handle import Outcome, handle
from services.ledger.store import Programs

log = structlog.get_logger("commands")

BATCH_MAX = 64
WAITING_MAX = 2_000
"""Commands of one process that may wait; more are told to come again."""
TRIES_MAX = 8
TRY_AGAIN_SECONDS = 0.05
TRANSACTIONS_MAX = 6

Waiting = tuple[Command, asyncio.Future[Outcome]]


class CommandQueue:
    """Takes one command at a time from many callers, and commits them by chain."""

    def __init__(self, writer: Writer, programs: Programs, chains: int, wake: Callable[[], None]) -> None:
        self._writer = writer
        self._programs = programs
        self._chains = chains
        self._wake = wake
        self._waiting: dict[int, deque[Waiting]] = defaultdict(deque)
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(TRANSACTIONS_MAX)
        self._count = 0
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets the exception when an invariant is found broken: the process must stop."""

    async def submit(self, command: Command) -> Outcome:
        """The command's outcome, after it is committed.

        Raises:
            Refusal: "temporarily_unavailable" when too many wait or the database can't be had.
        """
        if self._count >= WAITING_MAX:
            raise Refusal(
                "temporarily_unavailable", "too many commands are waiting: send it again in a second"
            )
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[command.chain].append((command, future))
        self._count += 1
        if command.chain not in self._busy:
            self._busy[command.chain] = asyncio.create_task(self._drain(command.chain))
        try:
            return await future
        finally:
            self._count -= 1

    async def _drain(self, chain: int) -> None:
        queue = self._waiting[chain]
        try:
            while queue:
                async with self._slots:
                    batch = [queue.popleft() for _ in range(min(len(queue), BATCH_MAX))]
                    await self._commit(batch)
        finally:
            del self._busy[chain]

    async def _commit(self, batch: list[Waiting]) -> None:
        try:
            outcomes = await self._transaction([command for command, _ in batch])
        except PASSING_FAULTS as error:
            log.warning("commands not committed", commands=len(batch), error=repr(error))
            refusal = Refusal(
                "temporarily_unavailable", "the database can't be reached: send the same request again"
            )
            self._answer_all(batch, refusal)
        except InvariantBroken as error:
            self._answer_all(batch, error)
            if not self.broken.done():
                self.broken.set_exception(error)
        except Exception as error:  # noqa: BLE001 (not swallowed: the caller of the bad command gets it)
            if len(batch) == 1:
                self._answer_all(batch, error)
                return
            # One of them is bad: each by itself, so that the others don't suffer.
            for one in batch:
                await self._commit([one])
        else:
            self._wake()
            telemetry.COMMAND_BATCH.observe(len(batch))
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                refused = outcome.refusal[0] if outcome.refusal else "recorded"
                telemetry.COMMANDS.labels("duplicate" if outcome.duplicate else refused).inc()
                if not future.done():
                    future.set_result(outcome)

    async def _transaction(self, commands: list[Command]) -> list[Outcome]:
        for attempt in range(1, TRIES_MAX + 1):
            try:
                async with self._writer.transaction() as tx:
                    return await handle(tx, commands, self._programs, self._chains, utc_now())
            except PASSING_FAULTS:
                if attempt == TRIES_MAX:
                    raise
                await asyncio.sleep(TRY_AGAIN_SECONDS * attempt)
        raise AssertionError("not reached")

    def _answer_all(self, batch: list[Waiting], error: Exception) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(error)
