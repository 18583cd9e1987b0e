"""What a replay costs those whom it must not disturb: ingest with one running beside it, against ingest alone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from tests.bench import measure
from tests.poll import eventually

if TYPE_CHECKING:
    from tests.bench.__main__ import Bench

SCHEMAS = "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^replay_[0-9]+$'"
BEGIN_SECONDS = 60.0


async def ingest_beside_replay(bench: Bench, count: int) -> tuple[float, int]:
    """Purchases a second that the ledger takes while `tally replay ledger` runs again and again; and how many runs
    there were."""
    url = bench.stack.owner_url("ledger")
    bench.stack.stop_services()
    total = await bench.publish(count)
    async with _replays(bench, url) as ended:
        bench.stack.start_service("ledger")
        records, seconds = await measure.until_taken(url, "purchases.v1", total)
    await measure.until_relayed(url)
    return records / seconds, len(ended) + 1


@asynccontextmanager
async def _replays(bench: Bench, url: str) -> AsyncIterator[list[int]]:
    """One replay after another, from when the first has begun; yields the exit statuses of those that have ended."""
    ended: list[int] = []
    running = asyncio.create_task(_replay_again(bench, ended))
    connection = await asyncpg.connect(url)
    try:
        await eventually(lambda: connection.fetchval(SCHEMAS), "a replay has begun", BEGIN_SECONDS)
        yield ended
        assert not any(ended), f"replays ended with {ended}"
    finally:
        await connection.close()
        running.cancel()
        await asyncio.wait([running])


async def _replay_again(bench: Bench, ended: list[int]) -> None:
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.ops.cli", "replay", "ledger", stdout=DEVNULL, stderr=DEVNULL,
            env={**os.environ, "TALLY_HOME": str(bench.stack.home)},
        )  # fmt: skip
        try:
            ended.append(await process.wait())
        except asyncio.CancelledError:
            process.send_signal(signal.SIGINT)
            await process.wait()
            raise
