"""The schema that a replay fills beside the live tables: made, guarded by a lock, and dropped, whatever happens.

A run holds a session lock under its schema's number. When the run is gone, so is the lock, and the next run drops
what was left behind.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from services.ops.verify.snapshot import Connection, connect

LOCK_SPACE = 0x7A12
NAME = re.compile(r"replay_(\d+)")
NUMBERS = 2**31 - 1
SCHEMAS = r"SELECT nspname FROM pg_namespace WHERE nspname ~ '^replay_[0-9]+$'"
TRY_LOCK = "SELECT pg_try_advisory_lock($1::int, $2::int)"
UNLOCK = "SELECT pg_advisory_unlock($1::int, $2::int)"
POSITIONS = """
-- How far each stream of a chain is folded into the tables beside it.
CREATE UNLOGGED TABLE {schema}.replay_positions (
    chain smallint, topic text, position bigint NOT NULL, PRIMARY KEY (chain, topic)
)
"""
FIND_POSITIONS = "SELECT topic, position FROM replay_positions WHERE chain = $1"
MOVE_POSITION = """
INSERT INTO replay_positions VALUES ($1, $2, $3)
ON CONFLICT (chain, topic) DO UPDATE SET position = EXCLUDED.position
"""


@asynccontextmanager
async def replay_schema(url: str, tables: Iterable[str]) -> AsyncIterator[str]:
    """A new schema with empty, unlogged copies of `tables`; yields its name. Dropped at the end, if it still has it."""
    connection = await connect(url)
    try:
        await drop_leftovers(connection)
        number = secrets.randbelow(NUMBERS) + 1
        name = f"replay_{number}"
        await connection.fetchval(TRY_LOCK, LOCK_SPACE, number)
        await connection.execute(f"CREATE SCHEMA {name}")
        try:
            for table in tables:
                # Without the checks: what several chains count together (a stock that was taken on one chain and given
                # back on another, after a merge) may be below zero until all of them are folded in.
                await connection.execute(
                    f"CREATE UNLOGGED TABLE {name}.{table} "
                    f"(LIKE public.{table} INCLUDING ALL EXCLUDING CONSTRAINTS)"
                )
            await connection.execute(POSITIONS.format(schema=name))
            yield name
        finally:
            await connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
    finally:
        await connection.close()


async def drop_leftovers(connection: Connection) -> list[str]:
    """Drop the schemas of runs that are gone; returns their names."""
    dropped = []
    for row in await connection.fetch(SCHEMAS):
        name = row["nspname"]
        match = NAME.fullmatch(name)
        number = int(match[1]) if match else 0
        if not 0 < number <= NUMBERS or not await connection.fetchval(TRY_LOCK, LOCK_SPACE, number):
            continue
        await connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        await connection.fetchval(UNLOCK, LOCK_SPACE, number)
        dropped.append(name)
    return dropped


async def positions(build: Connection, chain: int) -> dict[str, int]:
    """How far each stream of the chain is folded into the schema that `build` finds, by topic."""
    return {row["topic"]: row["position"] for row in await build.fetch(FIND_POSITIONS, chain)}


async def move_positions(build: Connection, chain: int, to: Mapping[str, int]) -> None:
    """Note how far it is folded now."""
    await build.executemany(MOVE_POSITION, [(chain, topic, position) for topic, position in to.items()])
