"""Every service's migrated database: the schema that the code declares, and a book that nobody can change."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from services.common.db import Writer, ensure_installation
from services.common.migrate import upgrade
from services.common.schema_v1 import MECHANISM_APPEND_ONLY
from services.ops.local.postgres import LocalPostgres
from tests.databases import service_database, service_role
from tests.integration.ledger_rows import Ledger

SERVICES = ("ledger", "tiering", "rewards")
CHANGES = ("UPDATE {} SET {column} = {column}", "DELETE FROM {}", "TRUNCATE {}")
pytestmark = pytest.mark.integration


def metadata_of(service: str) -> MetaData:
    found: MetaData = importlib.import_module(f"services.{service}.tables").metadata
    return found


@pytest_asyncio.fixture(params=SERVICES, scope="module", loop_scope="session")
async def migrated(
    request: pytest.FixtureRequest, postgres: LocalPostgres
) -> AsyncIterator[tuple[str, str, str]]:
    """(service, the owner's URL, the service's URL)"""
    async with service_database(postgres.url, request.param) as (owner_url, url):
        yield request.param, owner_url, url


async def test_the_migrated_schema_is_the_declared_one(migrated: tuple[str, str, str]) -> None:
    service, owner_url, _ = migrated

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, metadata_of(service)))

    engine = create_async_engine(owner_url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()
    assert [d for d in found if "alembic_version" not in repr(d)] == []


async def test_the_declared_checks_are_in_the_database(migrated: tuple[str, str, str]) -> None:
    """Alembic does not compare check constraints."""
    service, owner_url, _ = migrated
    declared = {
        constraint.name
        for table in metadata_of(service).tables.values()
        for constraint in table.constraints
        if constraint.__visit_name__ == "check_constraint"
    }
    owner = await asyncpg.connect(owner_url)
    there = {r["conname"] for r in await owner.fetch("SELECT conname FROM pg_constraint WHERE contype = 'c'")}
    await owner.close()
    assert declared <= there


async def test_migrating_again_changes_nothing(migrated: tuple[str, str, str]) -> None:
    service, owner_url, url = migrated
    role = url.split("://")[1].split(":")[0]
    await asyncio.to_thread(upgrade, service, owner_url, role)


async def append_only(connection: asyncpg.Connection) -> dict[str, str]:
    """Tables whose changes a trigger refuses, each with the name of one column."""
    rows = await connection.fetch(
        "SELECT c.relname, (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum = 1) AS attname "
        "FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid WHERE t.tgname LIKE '%is_append_only'"
    )
    return {row["relname"]: row["attname"] for row in rows}


async def test_the_book_refuses_every_change_even_to_its_owner(migrated: tuple[str, str, str]) -> None:
    service, owner_url, url = migrated
    writer = await Writer.connect(url)
    await ensure_installation(writer, 2)
    await writer.close()
    owner = await asyncpg.connect(owner_url)
    tables = await append_only(owner)
    assert set(MECHANISM_APPEND_ONLY) | ({"postings"} if service == "ledger" else set()) <= set(tables)
    for table, column in tables.items():
        for change in CHANGES:
            with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
                await owner.execute(change.format(table, column=column))
    await owner.close()


async def test_the_service_may_not_even_ask(migrated: tuple[str, str, str]) -> None:
    _, owner_url, url = migrated
    owner, service = await asyncpg.connect(owner_url), await asyncpg.connect(url)
    tables = await append_only(owner)
    for table, column in tables.items():
        for change in CHANGES:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await service.execute(change.format(table, column=column))
    for forbidden in (
        "INSERT INTO api_keys SELECT * FROM api_keys", "UPDATE api_keys SET scopes = '{ops}'", "DROP TABLE journal",
        "ALTER TABLE journal DISABLE TRIGGER ALL", "SET session_replication_role = replica",
        "CREATE TABLE mine (a int)", "CREATE SCHEMA mine",
    ):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(forbidden)
    await service.close()
    await owner.close()


async def test_every_table_is_one_that_the_service_can_read(migrated: tuple[str, str, str]) -> None:
    service_name, _, url = migrated
    service = await asyncpg.connect(url)
    for table in metadata_of(service_name).tables:
        await service.fetch(f"SELECT * FROM {table} LIMIT 1")  # noqa: S608
    await service.close()


async def test_an_installation_keeps_its_number_of_chains(database: str) -> None:
    async with service_role("ledger", database) as url:
        async with Ledger.open(url, chains=4):
            pass
        with pytest.raises(RuntimeError, match="TALLY_CHAINS=4"):
            async with Ledger.open(url, chains=8):
                pass


WRONG = (
    "INSERT INTO journal VALUES (0, 0, 'g', NULL, 't', now(), now(), 's', 'i', NULL, 'v', '', sha256(''))",
    "INSERT INTO journal VALUES (0, 1, 'g', NULL, 't', now(), now(), 's', 'i', NULL, 'v', '', 'short')",
    "INSERT INTO postings VALUES (0, 1, 0, 'g', 'a', 'b', 'points', 0, NULL)",
    "INSERT INTO postings VALUES (0, 1, 0, 'g', 'a', 'a', 'points', 1, NULL)",
    "INSERT INTO accounts VALUES (0, 'g', 'm', 'points', 10, 11, 0, 0)",
    "INSERT INTO accounts VALUES (0, 'g', 'm', 'points', 10, -1, 0, 0)",
    "INSERT INTO accounts VALUES (0, 'g', 'm', 'points', 10, 0, -1, 0)",
    "INSERT INTO accounts VALUES (0, 'g', 'm', 'points', 10, 0, 0, -1)",
    "INSERT INTO accounts VALUES (0, 'g', 'm', 'points', 10, 5, 0, 6)",
    "INSERT INTO lots VALUES (0, 'g', 'm', 1, 10, 11, 0, now(), NULL, 'p', NULL, 'points')",
    "INSERT INTO lots VALUES (0, 'g', 'm', 1, 10, 5, 6, now(), NULL, 'p', NULL, 'points')",
    "INSERT INTO lots VALUES (0, 'g', 'm', 1, 10, 5, -1, now(), NULL, 'p', NULL, 'points')",
    "INSERT INTO lots VALUES (0, 'g', 'm', 1, 10, 5, 1, now(), NULL, 'p', now(), 'points')",
    "INSERT INTO holds VALUES (0, 'g', 'm', 'h', 'o', 0, 0, now(), 'open', '{}', '{}', '{}', '{}', 0, "
    "'', 0, 0, '{}', '{}', '{}', '{}', 0)",
    "INSERT INTO holds VALUES (0, 'g', 'm', 'h', 'o', 5, 6, now(), 'captured', '{}', '{}', '{}', '{}', 0, "
    "'', 0, 0, '{}', '{}', '{}', '{}', 0)",
    "INSERT INTO holds VALUES (0, 'g', 'm', 'h', 'o', 5, 5, now(), 'captured', '{}', '{}', '{}', '{}', 6, "
    "'', 0, 0, '{}', '{}', '{}', '{}', 0)",
    "INSERT INTO holds VALUES (0, 'g', 'm', 'h', 'o', 5, 5, now(), 'captured', '{}', '{}', '{}', '{}', 0, "
    "'USD', 5, 6, '{}', '{}', '{}', '{}', 0)",
    "INSERT INTO holds VALUES (0, 'g', 'm', 'h', 'o', 5, 5, now(), 'captured', '{}', '{}', '{}', '{}', 0, "
    "'USD', 5, 4, '{}', '{}', '{}', '{}', 5)",
)


async def test_the_database_says_the_invariants_too(database: str) -> None:
    async with service_role("ledger", database) as url:
        service = await asyncpg.connect(url)
        for wrong in WRONG:
            with pytest.raises(asyncpg.CheckViolationError):
                await service.execute(wrong)
        await service.close()
