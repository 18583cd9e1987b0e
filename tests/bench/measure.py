"""Watching services from the outside: how far they are, how much memory they take."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import psutil

from services.ops.local.stack import Stack
from services.ops.verify.broker import STREAMS
from tests.poll import eventually

POLL_SECONDS = 0.05
TAKEN = "SELECT coalesce(sum(next_offset), 0)::bigint FROM consumer_offsets WHERE topic LIKE '%' || $1"
APPLIED = "SELECT coalesce(sum(position), 0) FROM stream_positions WHERE topic LIKE '%' || $1"
UNRELAYED = "SELECT sum(h.position - r.position) > 0 FROM chain_heads h JOIN relay_positions r USING (chain)"
RELAY_SECONDS = 600.0
LEVEL_SECONDS = 600.0
HEADS = "SELECT chain, position FROM chain_heads"


async def taken(connection: asyncpg.Connection, topic: str) -> int:
    """Records of a topic that the service has taken, over all partitions."""
    return int(await connection.fetchval(TAKEN, topic))


async def heads(url: str) -> dict[int, int]:
    """The last position of every chain of the database at `url`."""
    connection = await asyncpg.connect(url)
    try:
        return {row["chain"]: row["position"] for row in await connection.fetch(HEADS)}
    finally:
        await connection.close()


async def until_taken(url: str, topic: str, total: int, limit_seconds: float = 900) -> tuple[int, float]:
    """(records, seconds) until `total` are taken, from when a tenth of them is: a process that has just started has
    connections to open and statements to plan, and that is not its speed.

    Raises:
        TimeoutError: not within `limit_seconds`.
    """
    connection = await asyncpg.connect(url)
    try:
        first = now = await taken(connection, topic)
        warm = first + (total - first) // 10
        started: float | None = None
        deadline = time.monotonic() + limit_seconds
        while now < total:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{now} of {total} records of {topic} after {limit_seconds} s")
            await asyncio.sleep(POLL_SECONDS)
            now = await taken(connection, topic)
            if started is None and now > warm:
                started, first = time.monotonic(), now
        return now - first, time.monotonic() - (started or time.monotonic())
    finally:
        await connection.close()


async def until_relayed(url: str) -> None:
    """Return when the journal at `url` is published whole."""
    connection = await asyncpg.connect(url)
    try:

        async def relayed() -> bool:
            return not await connection.fetchval(UNRELAYED)

        await eventually(relayed, "the journal is published", RELAY_SECONDS)
    finally:
        await connection.close()


def memory_mb(stack: Stack) -> dict[str, int]:
    """Resident memory of every service, in MB: its process, and what its children do not share with it."""
    found = {}
    for name, service in stack.state.services.items():
        if service.process is not None and service.process.alive():
            process, *children = family(service.process.pid)
            own = sum(child.memory_full_info().uss for child in children)
            found[name] = (process.memory_info().rss + own) // 1_000_000
    return found


def cpu_seconds(stack: Stack, name: str) -> float:
    """CPU seconds that a service, its children counted in, has used so far."""
    process = stack.state.services[name].process
    if process is None:
        return 0.0
    return float(sum(t.user + t.system for t in (member.cpu_times() for member in family(process.pid))))


def family(pid: int) -> list[psutil.Process]:
    """A service's process and its children."""
    process = psutil.Process(pid)
    return [process, *process.children()]


async def until_level(stack: Stack) -> None:
    """Return when tiering and rewards have applied the ledger's journal, and the ledger tiering's."""
    await until_relayed(stack.owner_url("ledger"))
    for reader in ("tiering", "rewards"):
        await _until_applied(stack, reader, "ledger")
    await until_relayed(stack.owner_url("tiering"))
    await _until_applied(stack, "ledger", "tiering")


async def _until_applied(stack: Stack, reader: str, writer: str) -> None:
    topic = STREAMS[writer]
    goal = sum((await heads(stack.owner_url(writer))).values())
    connection = await asyncpg.connect(stack.owner_url(reader))
    try:

        async def applied() -> bool:
            return goal <= int(await connection.fetchval(APPLIED, topic))

        await eventually(applied, f"{reader} has applied {topic}", LEVEL_SECONDS)
    finally:
        await connection.close()


async def taken_by(url: str, topic: str) -> int:
    """Records of a topic that the service whose database is at `url` has taken."""
    connection = await asyncpg.connect(url)
    try:
        return await taken(connection, topic)
    finally:
        await connection.close()
