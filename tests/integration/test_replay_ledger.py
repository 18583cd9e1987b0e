"""L7 of the ledger: projections rebuilt beside the live ones are the same; where they are not, that is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
import pytest_asyncio

from services.ledger.tables import PROJECTIONS
from services.ops.local.postgres import LocalPostgres
from services.ops.replay.run import Replayed, replay
from services.ops.replay.schema import LOCK_SPACE, TRY_LOCK, drop_leftovers, replay_schema
from services.ops.verify.run import Book, verify_book
from tests.databases import fresh_url
from tests.integration.ledger_rows import CHAINS, NOON, Ledger, member_on
from tests.integration.verify_book import filled_ledger

pytestmark = pytest.mark.integration

SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replay%'"
CHANGES = {
    "members": "enrolled_at = enrolled_at + interval '1 second'",
    "accounts": "posted = posted + 1",
    "lots": "purchase = purchase || 'x'",
    "holds": "order_id = order_id || 'x'",
    "settlements": "adjusted = adjusted + 1",
    "adjustments": "note = note || 'x'",
    "top_ups": "bonus = bonus + 1",
    "parked_returns": "position = position + 1",
    "counters": "value = value + 0.1",
    "identifiers": "kind = kind || 'x'",
    "profiles": "sealed = sealed || '\\x00'",
    "parked": "reference = reference || 'x'",
    "programs": "clock_at = clock_at + interval '1 microsecond'",
    "program_versions": "position = position + 1",
    "award_counts": "awards = awards + 1",
    "budgets": "given = given + 1",
    "referrals": "referral = referral || 'x'",
}


@pytest_asyncio.fixture(scope="module")
async def book(postgres: LocalPostgres) -> AsyncIterator[tuple[str, Ledger]]:
    """The owner's URL of a filled ledger's database, and the ledger."""
    url = fresh_url(postgres.url)
    async with filled_ledger(url) as ledger:
        yield url, ledger


@asynccontextmanager
async def owner_of(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def replayed(url: str, processes: int = 1) -> Replayed:
    return await asyncio.to_thread(replay, "ledger", {"ledger": url}, processes)


async def test_rebuilt_projections_are_the_live_ones(book: tuple[str, Ledger]) -> None:
    url, ledger = book
    result = await replayed(url)
    assert result.same
    assert {(part.table, part.chain) for part in result.compared} == {
        (table, chain) for table in PROJECTIONS for chain in range(CHAINS)
    }
    for table in PROJECTIONS:
        rows = await ledger.value(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own name
        assert sum(part.live.rows for part in result.compared if part.table == table) == rows > 0
    assert result.rows == await ledger.value("SELECT count(*) FROM journal")
    assert await ledger.rows(SCHEMAS) == []


async def test_two_processes_find_the_same_as_one(book: tuple[str, Ledger]) -> None:
    one, two = await replayed(book[0]), await replayed(book[0], 2)
    assert sorted(map(str, one.compared)) == sorted(map(str, two.compared))


@pytest.mark.parametrize("table", PROJECTIONS)
async def test_a_live_row_that_differs_is_named(book: tuple[str, Ledger], table: str) -> None:
    url, _ = book
    # A whole chain's rows of the table, put back as they were.
    keep = f"CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE chain = 1"  # noqa: S608 - our own name
    change = (
        f"UPDATE {table} SET {CHANGES[table]} WHERE ctid = (SELECT min(ctid) FROM {table} WHERE chain = 1)"  # noqa: S608
    )
    async with owner_of(url) as owner:
        await owner.execute(keep)
        await owner.execute(change)
        try:
            result = await replayed(url)
        finally:
            await owner.execute(f"DELETE FROM {table} WHERE chain = 1")  # noqa: S608
            await owner.execute(f"INSERT INTO {table} SELECT * FROM kept")  # noqa: S608
    (wrong,) = [part for part in result.compared if not part.same]
    assert (wrong.table, wrong.chain) == (table, 1)
    assert "live has" in (wrong.difference or "")
    assert (await replayed(url)).same


async def test_a_live_row_too_few_is_named(book: tuple[str, Ledger]) -> None:
    url, _ = book
    async with owner_of(url) as owner:
        lost = await owner.fetchrow(
            "DELETE FROM settlements WHERE ctid = (SELECT min(ctid) FROM settlements) RETURNING *"
        )
        try:
            result = await replayed(url)
        finally:
            await owner.copy_records_to_table("settlements", records=[tuple(lost)])
    (wrong,) = [part for part in result.compared if not part.same]
    assert (wrong.table, wrong.chain, wrong.rebuilt.rows - wrong.live.rows) == (
        "settlements",
        lost["chain"],
        1,
    )


async def test_replay_and_verify_look_at_one_moment_while_the_ledger_works_on(
    book: tuple[str, Ledger],
) -> None:
    url, ledger = book
    stop = asyncio.Event()

    async def work() -> int:
        number = 0
        while not stop.is_set():
            number += 1
            member = member_on(number % CHAINS, number % 3)
            await ledger.take(ledger.purchase(f"busy-{number}", 5_000, member=member, at=NOON))
        return number

    working = asyncio.create_task(work())
    try:
        result = await replayed(url)
        verified = await asyncio.to_thread(verify_book, Book({"ledger": url}))
    finally:
        stop.set()
        done = await working
    assert done > 1
    assert result.same
    # Nobody has published or consumed anything here, so nothing is known of tiering's journal.
    assert {finding.where for finding in verified.report.findings} <= {"stream_positions 1 tiers.v1"}


async def test_what_a_dead_run_left_is_dropped_and_a_living_one_is_let_be(book: tuple[str, Ledger]) -> None:
    url, ledger = book
    async with owner_of(url) as living, owner_of(url) as other:
        await living.fetchval(TRY_LOCK, LOCK_SPACE, 7)
        await living.execute(
            "CREATE SCHEMA replay_7; CREATE SCHEMA replay_8; CREATE TABLE replay_8.lots (chain int)"
        )
        await living.execute("CREATE SCHEMA replay_of_an_old_film")
        assert await drop_leftovers(other) == ["replay_8"]
        await living.execute("DROP SCHEMA replay_7; DROP SCHEMA replay_of_an_old_film")
    assert await ledger.rows(SCHEMAS) == []


async def test_the_schema_goes_when_the_run_is_aborted(book: tuple[str, Ledger]) -> None:
    url, ledger = book
    entered = asyncio.Event()

    async def run() -> None:
        async with replay_schema(url, PROJECTIONS):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await entered.wait()
    assert len(await ledger.rows(SCHEMAS)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ledger.rows(SCHEMAS) == []
