"""Whatever is changed in tiering's tables behind its back, `verify` finds it and names the place."""

# ruff: noqa: S608 - the names of tables and columns are our own

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import asyncpg
import pytest
import pytest_asyncio

from services.ops.local.postgres import LocalPostgres
from services.tiering.tables import metadata
from tests.integration.tampering import (
    MECHANISM,
    columns_of,
    in_catalogue,
    is_found,
    superuser,
    swap,
    unfound,
)
from tests.integration.tiering_book import Filled, filled_tiering, look

pytestmark = pytest.mark.integration
AGAIN = "follows from the rules: `replay` decides it again and compares every byte"
NOT_FOR_THE_BOOK_TO_SAY = {
    **MECHANISM,
    ("absorbed_members", "facts"): AGAIN,
    ("entries", "occurred_at"): AGAIN,
    ("entries", "position"): AGAIN,
    **{("members", column): AGAIN for column in ("as_of", "due", "standing")},
    **{("program_clocks", column): AGAIN for column in ("chain", "program", "clock")},
    **{("purchases", column): AGAIN for column in ("amount_left", "promoted_left", "promoted_lines")},
    **{("visit_days", column): AGAIN for column in ("chain", "program", "member", "metric", "day", "visits")},
}
PLACES = columns_of(metadata)
# The others have one row a chain, or are left to `replay`.
SWAPPED = (
    "journal", "inbox", "members", "entries", "purchases", "tier_history", "tier_rankings", "absorbed_members",
    "merges", "segments", "tags", "segment_runs", "programs",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def book(postgres: LocalPostgres) -> AsyncIterator[Filled]:
    """Both databases of a tiering that has lived some years."""
    async with filled_tiering(postgres.url) as filled:
        yield filled


@asynccontextmanager
async def both(book: Filled) -> AsyncIterator[tuple[asyncpg.Connection, asyncpg.Connection]]:
    """Both databases, in transactions that never happened in the end."""
    async with superuser(book.tiering) as tiering, superuser(book.ledger) as ledger:
        yield tiering, ledger


async def test_an_untouched_book_is_in_order_and_has_something_of_everything(book: Filled) -> None:
    async with both(book) as (tiering, ledger):
        report = await look(tiering, ledger)
        there = await in_catalogue(tiering)
        rows = {table: await tiering.fetchval(f"SELECT count(*) FROM {table}") for table in PLACES}
        types = {row["type"] for row in await tiering.fetch("SELECT DISTINCT type FROM journal")}
    assert report.findings == []
    assert there == {table: sorted(columns) for table, columns in PLACES.items()}
    assert {table for table, count in rows.items() if not count} == set()
    assert types == {
        "FactsMoved", "MemberTagged", "ProgramRefused", "SegmentChanged", "SegmentsRun", "TierChanged", "TierGranted",
        "TiersRanked",
    }  # fmt: skip
    assert all(report.looked[check] for check in ("chain", "L4", "L5", "L6", "segments", "tiers"))


@pytest.mark.parametrize("table", PLACES)
async def test_a_changed_column_is_found(book: Filled, table: str) -> None:
    async with both(book) as (tiering, ledger):
        left = await unfound(tiering, table, PLACES[table], partial(look, tiering, ledger))
    assert left == {column for of, column in NOT_FOR_THE_BOOK_TO_SAY if of == table}


@pytest.mark.parametrize("table", SWAPPED)
async def test_two_rows_that_changed_their_content_are_found(book: Filled, table: str) -> None:
    async with both(book) as (tiering, ledger):
        chains = await swap(tiering, table)
        assert chains
        assert await is_found(table, chains, partial(look, tiering, ledger))
