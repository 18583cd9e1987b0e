"""What each service's `migrations/env.py` runs: one transaction, with a limit on waiting for locks."""

from __future__ import annotations

import asyncio

from alembic import context, op
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def run_migrations(metadata: MetaData) -> None:
    """Run alembic online against `config.attributes["url"]`."""
    asyncio.run(_run(metadata))


async def _run(metadata: MetaData) -> None:
    engine = create_async_engine(context.config.attributes["url"], poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate, metadata)
            await connection.commit()
    finally:
        await engine.dispose()


def _migrate(connection: Connection, metadata: MetaData) -> None:
    connection.execute(text("SET lock_timeout = '5s'"))
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


def run_sql(statements: str) -> None:
    """Run several statements in the migration's transaction.

    asyncpg prepares one at a time; its simple protocol takes them all.
    """
    adapted = op.get_bind().connection.dbapi_connection
    adapted.run_async(lambda connection: connection.execute(statements))  # type: ignore[union-attr]
