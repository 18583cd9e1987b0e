"""One moment of a database, read by several connections, row after row through server-side cursors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

BATCH_ROWS = 2_000
"""Rows in memory at once, a query."""
SETTINGS = {
    "application_name": "tally",
    "timezone": "UTC",
    "jit": "off",
    "work_mem": "64MB",
    # A moment is held for as long as the reading takes.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}

Connection: TypeAlias = asyncpg.Connection


async def connect(url: str, **settings: str) -> Connection:
    """A connection of the command line's own; times come in UTC."""
    return await asyncpg.connect(url, server_settings={**SETTINGS, **settings})


@asynccontextmanager
async def exported(url: str) -> AsyncIterator[tuple[Connection, str]]:
    """A read-only connection that stays at this moment, and the moment's name for `imported`."""
    connection = await connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection, str(await connection.fetchval("SELECT pg_export_snapshot()"))
    finally:
        await connection.close()


@asynccontextmanager
async def imported(url: str, snapshot: str) -> AsyncIterator[Connection]:
    """A read-only connection at the moment that another connection exported and still holds."""
    connection = await connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # The name comes from pg_export_snapshot; a parameter can't stand here.
            await connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            yield connection
    finally:
        await connection.close()


async def batches(connection: Connection, query: str, *arguments: object) -> AsyncIterator[list[Any]]:
    """The rows of a query, at most BATCH_ROWS at a time; needs a transaction."""
    cursor = await connection.cursor(query, *arguments)
    while rows := await cursor.fetch(BATCH_ROWS):
        yield rows


class Beside:
    """Rows that have a position, read along with the journal: each batch of it gets the rows up to its end."""

    def __init__(self, rows: AsyncIterator[list[Any]]) -> None:
        """`rows` come in order of their column `position`."""
        self._rows = rows
        self._waiting: list[Any] = []
        self._ended = False

    async def up_to(self, position: int | None) -> dict[int, list[Any]]:
        """The rows not given yet, by position, up to `position`; all of them for None."""
        found: dict[int, list[Any]] = {}
        while True:
            for index, row in enumerate(self._waiting):
                if position is not None and row["position"] > position:
                    del self._waiting[:index]
                    return found
                found.setdefault(row["position"], []).append(row)
            self._waiting = []
            if self._ended:
                return found
            try:
                self._waiting = await anext(self._rows)
            except StopAsyncIteration:
                self._ended = True
