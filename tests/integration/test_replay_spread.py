"""Rows that no chain has for itself are set right by what they were wrong by, whatever has moved them since."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.ops.local.postgres import LocalPostgres
from services.ops.replay.digest import Compared, Digest, Shape
from services.ops.replay.spread import mend_spread
from services.ops.verify.snapshot import connect, exported
from tests.databases import service_database

pytestmark = pytest.mark.integration

SHAPES = (Shape("counts", ("chain", "name")), Shape("codes", ("chain", "name")))
TABLES = """
CREATE SCHEMA rebuilt;
CREATE TABLE counts (chain smallint, name text, given bigint NOT NULL, PRIMARY KEY (chain, name));
CREATE TABLE codes (chain smallint, name text, member text NOT NULL, PRIMARY KEY (chain, name));
CREATE TABLE rebuilt.counts (LIKE counts INCLUDING ALL);
CREATE TABLE rebuilt.codes (LIKE codes INCLUDING ALL);
"""


@pytest_asyncio.fixture
async def url(postgres: LocalPostgres) -> AsyncIterator[str]:
    """A database with a table of each kind, beside the ledger's."""
    async with service_database(postgres.url, "ledger") as (url, _):
        owner = await connect(url)
        try:
            await owner.execute(TABLES)
        finally:
            await owner.close()
        yield url


async def mended(
    url: str, table: str, live: dict[str, Any], rebuilt: dict[str, Any], since: str = "SELECT"
) -> dict[str, Any]:
    """What is there after `live`, compared with `rebuilt`, moved `since` and was then set right."""
    build = await connect(url)
    try:
        for place, rows in ((f"public.{table}", live), (f"rebuilt.{table}", rebuilt)):
            for name, value in rows.items():
                await build.execute(f"INSERT INTO {place} VALUES (1, $1, $2)", name, value)  # noqa: S608
        async with exported(url) as (moment, _):
            await moment.fetch(f"SELECT FROM public.{table}")
            service = await asyncpg.connect(url)
            await service.execute(since)
            await service.close()
            wrong = [Compared(table, 1, Digest(0, ""), Digest(1, ""), "they differ")]
            await mend_spread(moment, build, "rebuilt", SHAPES, wrong)
        found = await build.fetch(f"SELECT * FROM public.{table}")  # noqa: S608
        return {row[1]: row[2] for row in found}
    finally:
        await build.close()


@pytest.mark.parametrize(
    ("live", "rebuilt", "since", "then"),
    [
        ({"a": 9, "b": 1}, {"a": 7, "b": 1}, "SELECT", {"a": 7, "b": 1}),
        ({"a": 9}, {"a": 7}, "UPDATE counts SET given = given + 5", {"a": 12}),
        ({}, {"a": 7}, "SELECT", {"a": 7}),
        ({}, {"a": 7}, "INSERT INTO counts VALUES (1, 'a', 5)", {"a": 12}),
        ({"a": 9}, {}, "SELECT", {}),
        ({"a": 9}, {}, "UPDATE counts SET given = given + 5", {"a": 5}),
    ],
)
async def test_a_count_is_moved_by_what_it_was_wrong_by(
    url: str, live: dict[str, Any], rebuilt: dict[str, Any], since: str, then: dict[str, Any]
) -> None:
    assert await mended(url, "counts", live, rebuilt, since) == then


@pytest.mark.parametrize(
    ("live", "rebuilt", "since", "then"),
    [
        ({"a": "ann", "b": "bob"}, {"a": "bob", "b": "bob"}, "SELECT", {"a": "bob", "b": "bob"}),
        ({}, {"a": "ann"}, "SELECT", {"a": "ann"}),
        ({"a": "ann"}, {}, "SELECT", {}),
        # The journal has moved it since, so what is there now is right.
        ({"a": "ann"}, {"a": "bob"}, "UPDATE codes SET member = 'carol'", {"a": "carol"}),
        ({"a": "ann"}, {"a": "bob"}, "DELETE FROM codes", {}),
        ({}, {"a": "ann"}, "INSERT INTO codes VALUES (1, 'a', 'carol')", {"a": "carol"}),
        ({"a": "ann"}, {}, "UPDATE codes SET member = 'carol'", {"a": "carol"}),
    ],
)
async def test_a_row_that_leads_somewhere_is_replaced_while_it_is_what_it_was(
    url: str, live: dict[str, Any], rebuilt: dict[str, Any], since: str, then: dict[str, Any]
) -> None:
    assert await mended(url, "codes", live, rebuilt, since) == then
