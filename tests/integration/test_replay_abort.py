"""A replay that ends in the middle, however it ends, has changed nothing, holds no chain, and leaves nothing behind."""

from __future__ import annotations

import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from services.ledger.tables import PROJECTIONS
from services.ops.local.postgres import LocalPostgres
from services.ops.verify.snapshot import connect
from tests.integration.ledger_rows import CHAINS, member_on
from tests.integration.replay_runs import Filled, filled
from tests.poll import eventually

pytestmark = pytest.mark.integration

LAST = CHAINS - 1
BEGIN_SECONDS = 90.0
"""A process has to start, and to rebuild the chains before the last one."""
OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tally' AND datname = current_database()"
)
NOTICED = OTHERS.replace("count(*)", "count(*) <= 2")
WAITING = f"{OTHERS} AND wait_event_type = 'Lock'"
EDIT = (
    "UPDATE accounts SET posted = posted + $2 WHERE member = $1 AND asset = 'points' AND program = 'grocer'"
)


@pytest_asyncio.fixture(scope="module")
async def book(postgres: LocalPostgres) -> AsyncIterator[Filled]:
    """A filled ledger."""
    async with filled(postgres.url) as book:
        yield book


async def live(book: Filled) -> dict[str, list[str]]:
    """Every row of every projection."""
    query = 'SELECT t::text AS row FROM {} AS t ORDER BY t::text COLLATE "C"'
    return {table: [r["row"] for r in await book.ledger.rows(query.format(table))] for table in PROJECTIONS}


@asynccontextmanager
async def at_the_last_chain(book: Filled, processes: int = 1) -> AsyncIterator[Process]:
    """A switch that waits for the last chain, whose head is held here. It must have ended when the block does."""
    holder, watcher = await connect(book.url), await connect(book.url)
    process = None
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM chain_heads WHERE chain = $1 FOR UPDATE", LAST)
            process = await book.begin("ledger", "--switch", "--processes", str(processes))
            await eventually(lambda: watcher.fetchval(WAITING), "the run waits for a chain", BEGIN_SECONDS)
            yield process
            assert await process.wait() != 0
        # Holder and watcher have that name too.
        await eventually(lambda: watcher.fetchval(NOTICED), "the server has noticed", BEGIN_SECONDS)
    finally:
        if process is not None and process.returncode is None:
            process.kill()
        await holder.close()
        await watcher.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_a_switch_that_is_ended_at_a_chain_leaves_it_as_it_was(
    book: Filled, how: signal.Signals
) -> None:
    before = await live(book)
    owner = await connect(book.url)
    try:
        await owner.execute(EDIT, member_on(LAST), 5)
    finally:
        await owner.close()
    edited = await live(book)
    assert edited != before
    async with at_the_last_chain(book) as process:
        process.send_signal(how)
    assert await live(book) == edited
    # Whoever is asked ends in good order; of who is killed the schema stays until the next run.
    assert (await book.schemas() != []) == (how is signal.SIGKILL)
    status, _, errors = await book.tally("ledger", "--switch")
    assert (status, await book.schemas()) == (0, []), errors
    assert await live(book) == before


async def test_what_a_killed_run_left_goes_with_a_look_at_the_list_too(book: Filled) -> None:
    async with at_the_last_chain(book, processes=2) as process:
        process.kill()
    assert await book.schemas() != []
    assert (await book.tally("ledger", "--list"))[0] == 0
    assert await book.schemas() == []
