"""L8 of the ledger: a book with something of everything is decided again; what was decided otherwise is found."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from services.ops.install import on_server
from services.ops.local.postgres import LocalPostgres
from services.ops.redecide.run import redecide
from tests.integration.ledger_rows import Ledger
from tests.integration.verify_book import filled_ledger

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module")
async def book(postgres: LocalPostgres) -> AsyncIterator[tuple[str, Ledger]]:
    """The owner's URL of a filled ledger's database, and the ledger."""
    name = f"redecide_{secrets.token_hex(4)}"
    owner = await asyncpg.connect(postgres.url)
    try:
        await owner.execute(f'CREATE DATABASE "{name}"')
        url = on_server(postgres.url, name)
        async with filled_ledger(url) as ledger:
            yield url, ledger
        await owner.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await owner.close()


async def test_everything_is_decided_as_it_was(book: tuple[str, Ledger]) -> None:
    url, ledger = book
    found = await asyncio.to_thread(redecide, url)
    assert [str(each) for each in found.report.differences] == []
    assert found.report.same
    assert found.report.left_out == 0
    assert found.report.rows == await ledger.value("SELECT count(*) FROM journal")
    print(found.report.decided, found.report.untold)
