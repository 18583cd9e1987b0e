"""Leaving the machine to services that are at work: a replay has time, and they have not.

A low priority (services/ops/replay/command.py) helps against the replay's own processes only. What PostgreSQL does for
them takes as much of a processor as what it does for the services, so the replay rests beside them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from services.ops.replay.sources import Streams
from services.ops.verify.snapshot import Connection

RESTS = 3
"""A rest is so many times as long as the work before it."""
LOOK_SECONDS = 0.25
"""Of work between two looks at what the service does."""
AT_WORK_ROWS = 500
"""Journal rows a second that a service takes without feeling a replay beside it."""
WRITTEN = "SELECT coalesce(sum(position), 0)::bigint FROM public.chain_heads"


def beside(connection: Connection) -> Courtesy:
    """Courtesy to the service in whose database `connection` is: one that is not bound to the moment that is read."""
    return Courtesy(lambda: connection.fetchval(WRITTEN))


class Courtesy:
    """Rests between stretches of work, for as long as the service's journal grows fast."""

    def __init__(
        self,
        written: Callable[[], Awaitable[int]],
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`written` counts the journal's rows at present; `now` and `sleep` are in seconds."""
        self._written, self._now, self._sleep = written, now, sleep
        self._begun = now()
        self._looked: tuple[float, int] | None = None

    async def rest(self) -> None:
        """Rest from the work since the last time, if there was enough of it and the service is at work."""
        if self._looked is None:
            self._looked = await self._look()
        at, rows = self._looked
        worked = self._now() - self._begun
        if worked < LOOK_SECONDS:
            return
        now, rows_now = await self._look()
        if rows_now - rows > AT_WORK_ROWS * (now - at):
            await self._sleep(worked * RESTS)
        self._looked = now, rows_now
        self._begun = self._now()

    async def _look(self) -> tuple[float, int]:
        return self._now(), await self._written()


class Unhurried:
    """Streams that are read with rests between the batches."""

    def __init__(self, streams: Streams, courtesy: Courtesy) -> None:
        self._streams = streams
        self._courtesy = courtesy

    async def rows(
        self,
        topic: str,
        chain: int,
        after: int,
        up_to: int,
        types: Collection[str] | None = None,
        without: Sequence[str] = (),
    ) -> AsyncIterator[list[Mapping[str, Any]]]:
        """See Streams."""
        async for rows in self._streams.rows(topic, chain, after, up_to, types, without):
            yield rows
            await self._courtesy.rest()
