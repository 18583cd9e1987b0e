"""HTTP commands that arrive while a transaction runs share the next one, whatever their chains.

The queries and the commit of a transaction cost about the same for one command and for fifty. A transaction takes
the commands of the chains that are free; those of a chain that a batch from Kafka is writing to stay for the next,
so that nobody waits for a chain that is not his.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from services.common import telemetry
from services.common.clock import utc_now
from services.common.db import PASSING_FAULTS, Writer
from services.common.errors import BeginAgain, InvariantBroken, Refusal
from services.common.journal import Journal
from services.ledger import parking
from services.ledger.domain.commands import Command, MergeMembers
from services.ledger.handle import Outcome, handle
from services.ledger.heirs import follow
from services.ledger.store import Programs

log = structlog.get_logger("commands")

BATCH_MAX = 64
WAITING_MAX = 2_000
"""Commands of one process that may wait; more are told to come again."""
TRIES_MAX = 8
TRY_AGAIN_SECONDS = 0.05
TRANSACTIONS_MAX = 2
"""At once, in one process."""
TOGETHER_MAX = 1
"""Parts of batches that wait or run at once: tills that come back all together leave room for the checkouts."""

Waiting = tuple[Sequence[Command], asyncio.Future[list[Outcome]]]
"""Commands that go together (most go by themselves), and who waits for their outcomes."""


class CommandQueue:
    """Takes one command at a time from many callers, and commits them together."""

    def __init__(
        self,
        writer: Writer,
        programs: Programs,
        chains: int,
        wake: Callable[[], None],
        make_room: Callable[[], None] = lambda: None,
    ) -> None:
        """`wake` says that there are rows to relay, `make_room` that commands wait for chains that are busy."""
        self.writer = writer
        self._programs = programs
        self.chains = chains
        self._wake = wake
        self._make_room = make_room
        self._waiting: deque[Waiting] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._count = 0
        self._together = asyncio.Semaphore(TOGETHER_MAX)
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets the exception when an invariant is found broken: the process must stop."""

    async def submit(self, command: Command) -> Outcome:
        """The command's outcome, after it is committed. Raises Refusal as `submit_together` does."""
        (outcome,) = await self._submit([command])
        return outcome

    async def submit_together(self, commands: Sequence[Command]) -> list[Outcome]:
        """The outcomes of commands that are decided in their order, in one transaction, after it is committed.

        Raises:
            Refusal: "temporarily_unavailable" when too many wait or the database can't be had.
        """
        async with self._together:
            return await self._submit(commands)

    async def _submit(self, commands: Sequence[Command]) -> list[Outcome]:
        if self._count >= WAITING_MAX:
            raise Refusal(
                "temporarily_unavailable", "too many commands are waiting: send it again in a second"
            )
        for command in commands:
            follow(command, self._programs.heirs, self.chains)
            parking.widen(command, self._programs.parking, self.chains)
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append((commands, future))
        self._count += len(commands)
        if len(self._lanes) < TRANSACTIONS_MAX:
            lane = asyncio.create_task(self._drain())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        try:
            return await future
        finally:
            self._count -= len(commands)

    async def _drain(self) -> None:
        while self._waiting:
            await self._commit([self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))])

    async def _commit(self, batch: list[Waiting]) -> None:
        try:
            taken, outcomes = await self._transaction(batch)
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
            # What was left comes before what has arrived since.
            self._waiting.extendleft(reversed([one for one in batch if one not in taken]))
            telemetry.COMMAND_BATCH.observe(len(outcomes))
            for outcome in outcomes:
                refused = outcome.refusal[0] if outcome.refusal else "recorded"
                telemetry.COMMANDS.labels("duplicate" if outcome.duplicate else refused).inc()
            first = 0
            for commands, future in taken:
                last = first + len(commands)
                if not future.done():
                    future.set_result(outcomes[first:last])
                first = last

    async def _transaction(self, batch: list[Waiting]) -> tuple[list[Waiting], list[Outcome]]:
        """Commit the commands whose chains are free, at least those of the first one's chain, and say which.

        What is of several chains goes by itself: what is locked beyond those that are free would have to be
        waited for out of order. So does a merge: what comes behind it may name a member who is another by then.
        """
        alone = _goes_alone(batch[0])
        candidates = batch[:1] if alone else [one for one in batch if not _goes_alone(one)]
        for attempt in range(1, TRIES_MAX + 1):
            try:
                async with self.writer.transaction() as tx:
                    taken = candidates
                    if not alone:
                        wanted = {chain for one in candidates for chain in _chains(one)}
                        free = await Journal.lock_free(tx, wanted)
                        if free != wanted:
                            self._make_room()
                        if not free:
                            free = _chains(batch[0])
                        taken = [one for one in candidates if _chains(one) <= free]
                    commands = [command for together, _ in taken for command in together]
                    return taken, await handle(tx, commands, self._programs, self.chains, utc_now())
            except PASSING_FAULTS as error:
                if attempt == TRIES_MAX:
                    raise
                if not isinstance(error, BeginAgain):
                    await asyncio.sleep(TRY_AGAIN_SECONDS * attempt)
        raise AssertionError("not reached")

    def _answer_all(self, batch: list[Waiting], error: Exception) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(error)


def _goes_alone(one: Waiting) -> bool:
    return len(_chains(one)) > 1 or any(isinstance(command, MergeMembers) for command in one[0])


def _chains(one: Waiting) -> set[int]:
    return {chain for command in one[0] for chain, _ in command.places()}
