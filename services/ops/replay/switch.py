"""Puts a rebuilt chain in the place of the live one while the service works on (docs/decisions/replay.md).

What was rebuilt to a moment is brought close to the present without a lock. Then the chain's head is locked, as the
service itself does before it reads anything of a chain: what came since is folded in, the two are compared, and the
tables that differ get the rebuilt rows. Whoever waits for the head reads the new rows, and nobody is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import asyncpg

from services.ops.replay.digest import Compared
from services.ops.replay.fold import compare_own, fold
from services.ops.replay.sources import Journals
from services.ops.verify.snapshot import Connection, connect

CATCH_UPS_MAX = 20
"""Rounds without the lock."""
CLOSE_ROWS = 200
"""With no more rows to fold in than these, the lock is worth taking."""
PAUSE_SECONDS_MAX = 15.0
"""A chain's lock is given back after so long: the services wait for it for 20 seconds (common/db.py)."""

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '20s'"
LOCK_HEAD = """
-- The lock of services/common/journal.py: no other transaction reads or writes this chain before this one ends.
SELECT position FROM chain_heads WHERE chain = $1 FOR UPDATE
"""


@dataclass(frozen=True, slots=True)
class Switched:
    """What came of one chain. The pause is the time for which its head was locked."""

    chain: int
    pause_ms: float
    rows_since: int
    """Journal rows folded in under the lock."""
    compared: list[Compared]
    """Live and rebuilt under the lock, before the rows were replaced."""
    replaced: tuple[str, ...]
    """The tables that got the rebuilt rows; the others had the same already."""
    refused: str | None = None
    """Why the chain was left as it is."""


async def switch(
    service: str, urls: Mapping[str, str], build: Connection, schema: str, chain: int, chains: int
) -> Switched:
    """Bring the chain in `schema` up to the present, and put it in the live one's place, in one transaction.

    `build` finds the schema, where the chain is rebuilt up to some moment.
    """
    async with AsyncExitStack() as stack:
        live = await connect(urls[service])
        stack.push_async_callback(live.close)
        streams = Journals(service, live, urls, stack)
        for _ in range(CATCH_UPS_MAX):
            async with live.transaction(isolation="repeatable_read", readonly=True), build.transaction():
                came = await fold(service, live, build, streams, chain, chains, spread=False)
            if came <= CLOSE_ROWS:
                break
        began = time.monotonic()
        try:
            async with live.transaction():
                await live.execute(LOCK_TIMEOUT)
                await live.execute(LOCK_HEAD, chain)
                began = time.monotonic()
                async with asyncio.timeout(PAUSE_SECONDS_MAX):
                    async with build.transaction():
                        came = await fold(service, live, build, streams, chain, chains, spread=False)
                    # Committed, so that `live` can read it.
                    async with build.transaction(readonly=True):
                        compared = await compare_own(service, live, build, schema, chain)
                    refused = _refusal(compared)
                    replaced = () if refused else await _replace(live, schema, compared)
        except asyncpg.LockNotAvailableError:
            return Switched(chain, 0.0, 0, [], (), "its lock could not be had: somebody holds it for long")
        except TimeoutError:
            why = f"it could not be switched within {PAUSE_SECONDS_MAX:g} s: try again with less traffic"
            return Switched(chain, _since(began), 0, [], (), why)
        return Switched(chain, _since(began), came, compared, replaced, refused)


def _refusal(compared: Sequence[Compared]) -> str | None:
    """Rows that name positions of a journal that is not the one that stands would be worse than what is wrong now."""
    for part in compared:
        if part.table == "journal" and not part.same:
            return f"its journal would be decided otherwise today, so its rows can't be switched: {part.difference}"
    return None


async def _replace(live: Connection, schema: str, compared: Sequence[Compared]) -> tuple[str, ...]:
    """Give the tables that differ the rebuilt rows of the chain. Where nothing differs, the rows are the same bytes."""
    wrong = [part for part in compared if not part.same]
    for part in wrong:
        await live.execute(f"DELETE FROM public.{part.table} WHERE chain = $1", part.chain)  # noqa: S608 - our own name
        await live.execute(
            f"INSERT INTO public.{part.table} SELECT * FROM {schema}.{part.table} WHERE chain = $1",  # noqa: S608
            part.chain,
        )
    return tuple(part.table for part in wrong)


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1_000, 1)
