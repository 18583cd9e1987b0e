"""The schema that a replay fills beside the live tables: made, guarded by a lock, and dropped, whatever happens.

A run holds a session lock under its schema's number. When the run is gone, so is the lock, and the next run drops
what was left behind.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from services.ops.verify.snapshot import Connection, connect

LOCK_SPACE = 0x7A12
NAME = re.compile(r"replay_(\d+)")
NUMBERS = 2**31 - 1
SCHEMAS = r"SELECT nspname FROM pg_namespace WHERE nspname ~ '^replay_[0-9]+$'"
TRY_LOCK = "SELECT pg_try_advisory_lock($1::int, $2::int)"
UNLOCK = "SELECT pg_advisory_unlock($1::int, $2::int)"


@asynccontextmanager
async def replay_schema(url: str, tables: Iterable[str]) -> AsyncIterator[str]:
    """A new schema with empty, unlogged copies of `tables`; yields its name. Dropped at the end."""
    connection = await connect(url)
    try:
        await drop_leftovers(connection)
        number = secrets.randbelow(NUMBERS) + 1
        name = f"replay_{number}"
        await connection.fetchval(TRY_LOCK, LOCK_SPACE, number)
        await connection.execute(f"CREATE SCHEMA {name}")
        try:
            for table in tables:
                await connection.execute(
                    f"CREATE UNLOGGED TABLE {name}.{table} (LIKE public.{table} INCLUDING ALL)"
                )
            yield name
        finally:
            await connection.execute(f"DROP SCHEMA {name} CASCADE")
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
