"""Whatever is changed in the tables of segments behind tiering's back, `verify` finds it and names the place."""

# ruff: noqa: S608 - the names of tables and columns are our own

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.common.db import Writer, ensure_installation
from services.ops.local.postgres import LocalPostgres
from services.ops.verify.chain import verify_chain
from services.ops.verify.findings import Report
from services.tiering.handle import Grants
from services.tiering.segments import Segments
from services.tiering.tables import metadata
from tests.databases import service_database, service_role
from tests.integration.tampering import change, named, superuser
from tests.integration.test_segment_runs import Shop, tell
from tests.integration.test_tiering_merges import Book
from tests.integration.test_tiering_store import CHAINS
from tests.integration.tiering_rows import day, document

pytestmark = pytest.mark.integration
PLACES = [
    (table, column.name)
    for table in ("segments", "tags", "segment_runs")
    for column in metadata.tables[table].columns
]


def a_shop(rng: random.Random) -> Shop:
    """Members of every kind: late, gone, back, in promotions, with returns."""
    shop = Shop({"tags": ["vip", "press"], "lifecycle": {"dormant_days": 90}, "window": {"months": 12}})
    for number in range(40):
        member = f"m{number}"
        if number % 7 == 0:
            shop.joins(member, 500)
            continue
        for _ in range(rng.choice([1, 2, 5, 9])):
            days, amount = (
                rng.choice([1, 20, 40, 100, 200, 300, 500, 600]) + rng.random(),
                rng.choice([1_00, 9_00, 80_00]),
            )
            purchase = shop.buys(member, days, amount, promoted=rng.choice([0, 0, 50]))
            if rng.random() < 0.2:
                shop.returns(member, days - 0.5, purchase, amount, line=rng.choice([1, 2]))
    return shop


@pytest_asyncio.fixture(scope="module")
async def book(postgres: LocalPostgres) -> AsyncIterator[str]:
    """The owner's URL of a tiering database in which everybody was sorted twice."""
    async with service_database(postgres.url, "tiering") as (url, service_url):
        writer = await Writer.connect(service_url)
        await ensure_installation(writer, CHAINS)
        await tell(writer, a_shop(random.Random(4)).rows())
        grants = Grants(writer, CHAINS)
        for number in range(9):
            assert not await grants.tag("grocer", f"m{number}", f"t{number}", "vip", True, "a test")
        assert not await grants.tag("grocer", "m3", "t10", "vip", False, "a test")
        for run in ("r1", "r2"):
            assert not await Segments(writer).run("grocer", run)
        await writer.close()
        yield url


async def look(connection: asyncpg.Connection) -> Report:
    """All that `verify` says of tiering's chains, in the transaction that the connection is in."""
    report = Report()
    for chain in range(CHAINS):
        report.add(await verify_chain(connection, "tiering", chain, CHAINS))
    return report


async def test_untouched_segments_are_in_order(book: str) -> None:
    async with superuser(book) as connection:
        report = await look(connection)
        rows = await connection.fetchval(
            "SELECT (SELECT count(*) FROM segments) + (SELECT count(*) FROM tags) + (SELECT count(*) FROM segment_runs)"
        )
        kinds = await connection.fetchval(
            "SELECT count(DISTINCT class) + count(DISTINCT lifecycle) FROM segments"
        )
    assert report.findings == []
    assert report.looked["segments"] == rows > 50
    assert kinds >= 9


@pytest.mark.parametrize(("table", "column"), PLACES)
async def test_a_changed_column_is_found(book: str, table: str, column: str) -> None:
    async with superuser(book) as connection:
        changed, _ = await change(connection, table, column)
        assert named(await look(connection), table), changed


@pytest.mark.parametrize("table", ["segments", "tags", "segment_runs"])
async def test_a_missing_row_is_found(book: str, table: str) -> None:
    async with superuser(book) as connection:
        if table == "segments":
            where = "member = (SELECT max(member) FROM segments WHERE class <> 'low_low')"
        else:
            where = f"ctid = (SELECT min(ctid) FROM {table})"
        await connection.execute(f"DELETE FROM {table} WHERE {where}")
        assert named(await look(connection), table)


async def test_a_member_who_is_put_elsewhere_is_found_though_all_else_agrees(book: str) -> None:
    async with superuser(book) as connection:
        await connection.execute(
            """
            UPDATE segments SET monetary = monetary + 1 WHERE ctid = (
                SELECT min(ctid) FROM segments WHERE monetary BETWEEN 1 AND 1
            )
            """
        )
        report = await look(connection)
    assert any("the purchases say" in finding.what for finding in report.findings)


async def test_merged_members_are_in_order(book: str, database: str) -> None:
    async with service_role("tiering", database) as service_url:
        writer = await Writer.connect(service_url)
        await ensure_installation(writer, CHAINS)
        ledger = Book(document(segments={"tags": ["vip"]}))
        members: list[Any] = [f"m{number}" for number in range(6)]
        for number, member in enumerate(members):
            ledger.buys(member, day(f"2026-01-0{number + 1}"), 10_00)
        ledger.clock(day("2026-06-01"))
        await ledger.tell_all(writer)
        for member in members:
            assert not await Grants(writer, CHAINS).tag(
                "grocer", member, f"t-{member}", "vip", True, "a test"
            )
        assert not await Segments(writer).run("grocer", "before")
        for survivor, absorbed in (("m0", "m1"), ("m2", "m0"), ("m3", "m4")):
            ledger.merges(survivor, absorbed, day("2026-06-02"))
        await ledger.tell_all(writer)
        assert not await Segments(writer).run("grocer", "after")
        await writer.close()
        async with superuser(database) as connection:
            report = await look(connection)
    assert report.findings == []
