"""PostgreSQL, seen in two ways that types keep apart: a writer (asyncpg, one transaction) and a reader (SQLAlchemy)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.common.chain import genesis
from services.common.errors import BeginAgain

WRITER_POOL = 12
READER_POOL = 8
STATEMENT_TIMEOUT_MS = 60_000
LOCK_TIMEOUT_MS = 20_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000

KEYED_LOOKUPS = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
"""The write path looks rows up by key and does nothing else. Left to itself the planner reads whole tables while they
are new and have no statistics, or takes a batch of one for a batch of hundreds."""

PASSING_FAULTS: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    BeginAgain,
    # Two transactions met at the same inbox key or lot: the one that comes second sees the first on its next try.
    asyncpg.UniqueViolationError,
)
"""Faults after which the same transaction may well succeed."""

Transaction: TypeAlias = Any
"""An asyncpg connection (from the pool, so behind its proxy; asyncpg ships no types that say so)."""


class Writer:
    """Transactions for the write path. One `transaction()` is one commit."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def connect(cls, url: str) -> Writer:
        """A pool of at most `WRITER_POOL` connections to `url` (postgresql://...)."""
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=WRITER_POOL,
            max_inactive_connection_lifetime=60,
            server_settings={
                "application_name": "tallybook",
                **KEYED_LOOKUPS,
                "jit": "off",
                "timezone": "UTC",
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "lock_timeout": str(LOCK_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
            },
        )
        return cls(pool)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A connection in a transaction: committed when the block ends, rolled back when it raises."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Transaction]:
        """A connection outside a transaction, for session locks."""
        async with self._pool.acquire() as connection:
            yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()


class Reader:
    """Read-only connections for views."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    def connect(cls, url: str) -> Reader:
        """A lazy pool; nothing is opened yet."""
        engine = create_async_engine(
            url.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=READER_POOL,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={
                "server_settings": {
                    "application_name": "tallybook-views",
                    "default_transaction_read_only": "on",
                    "jit": "off",
                    "timezone": "UTC",
                    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                }
            },
        )
        return cls(engine)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose reads all see one moment."""
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


async def ensure_installation(writer: Writer, chains: int) -> None:
    """Write down the number of chains at the first start; refuse to start with another one later.

    Raises:
        RuntimeError: the database was set up with another number of chains.
    """
    heads: list[tuple[int, int, bytes]] = [(chain, 0, genesis(chain)) for chain in range(chains)]
    async with writer.transaction() as tx:
        await tx.execute("INSERT INTO installation (chains) VALUES ($1) ON CONFLICT DO NOTHING", chains)
        found: Any = await tx.fetchval("SELECT chains FROM installation")
        if found != chains:
            raise RuntimeError(
                f"this database was set up with {found} chains and TALLY_CHAINS is {chains}: "
                f"the number is chosen once, set TALLY_CHAINS={found}"
            )
        await tx.executemany("INSERT INTO chain_heads VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", heads)
        await tx.executemany(
            "INSERT INTO relay_positions VALUES ($1, 0) ON CONFLICT DO NOTHING", [(h[0],) for h in heads]
        )
