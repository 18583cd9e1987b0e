"""What we write in PostgreSQL's own forms, arrays and COPY, is read by it as what was meant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common import arrays
from services.common.chain import genesis, micros, row_hash
from services.common.db import Writer
from services.common.journal import JOURNAL_COLUMNS, Head, Journal
from services.ops.local.postgres import LocalPostgres
from tests.databases import service_role

pytestmark = pytest.mark.integration
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
FIRST = datetime(2, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 1, 5, 12, 0, 0, 123_456, tzinfo=UTC)


@pytest_asyncio.fixture
async def session(postgres: LocalPostgres) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres.url)
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["", ""],
        ["NULL", "a,b", "{}", " blank ", "new\nline", "çé日本"],
        ['a"b', "a\\b", '\\"', '","', "\\"],
        ["one", 'quoted "twice"'],
    ],
)
async def test_texts_are_read_as_they_are(session: asyncpg.Connection, texts: list[str]) -> None:
    assert await session.fetchval("SELECT $1::text::text[]", arrays.texts(texts)) == texts


async def test_nothing_is_null(session: asyncpg.Connection) -> None:
    texts = ["a", None, 'b"', "", "NULL", "\\"]
    assert await session.fetchval("SELECT $1::text::text[]", arrays.texts_or_none(texts)) == texts
    assert await session.fetchval("SELECT $1::text::bigint[]", arrays.numbers([1, None, -2])) == [1, None, -2]
    assert await session.fetchval("SELECT $1::text::timestamptz[]", arrays.times([None, NOON])) == [
        None,
        NOON,
    ]


async def test_any_texts_are(session: asyncpg.Connection) -> None:
    told: list[list[str]] = []

    @given(st.lists(TEXTS))
    @settings(max_examples=300, database=None)
    def tell(texts: list[str]) -> None:
        told.append(texts)

    tell()
    for texts in told:
        assert await session.fetchval("SELECT $1::text::text[]", arrays.texts(texts)) == texts


async def test_numbers_and_times_are_read_as_they_are(session: asyncpg.Connection) -> None:
    numbers = [0, -1, 2**63 - 1, -(2**63)]
    assert await session.fetchval("SELECT $1::text::bigint[]", arrays.numbers(numbers)) == numbers
    assert await session.fetchval("SELECT $1::text::bigint[]", arrays.numbers([])) == []
    times = [FIRST, None, FIRST + timedelta(microseconds=1), datetime(9000, 1, 1, tzinfo=UTC)]
    assert await session.fetchval("SELECT $1::text::timestamptz[]", arrays.times(times)) == times


async def test_rows_of_the_journal_are_read_as_they_are(database: str) -> None:
    entries = [
        # (program, member, event, occurred_at, recorded_at, cause, version); the event is its own payload.
        ("grocer", "ann", b"", NOON, NOON, ("grocer/purchase", "p1", bytes(range(32))), "v1"),
        ("grocer", "ann", b"x" * 100_000, NOON, NOON, ("grocer/purchase", "p1", None), "v1"),
        ("bäcker", None, b"\0", FIRST, NOON + timedelta(microseconds=1), ("", "ü" * 2_000, b""), ""),
        ("grocer", "", b"y", datetime(9000, 1, 1, tzinfo=UTC), FIRST, ("a", "b", None), "v2"),
    ]
    journal = Journal({3: Head(3, 0, genesis(3))}, lambda payload: ("Type", payload))
    for program, member, payload, occurred_at, recorded_at, cause, version in entries:
        journal.append(3, program, member, payload, occurred_at, recorded_at, cause, version)
    async with service_role("ledger", database) as url:
        writer = await Writer.connect(url)
        async with writer.transaction() as tx:
            await journal.write(tx)
            rows = await tx.fetch("SELECT * FROM journal ORDER BY position")
        await writer.close()
    last, found = genesis(3), []
    for position, (program, member, payload, occurred, recorded, cause, version) in enumerate(entries, 1):
        times = micros(occurred), micros(recorded)
        last = row_hash(last, 3, position, program, member, "Type", *times, *cause, version, payload)
        found.append(
            (3, position, program, member, "Type", occurred, recorded, *cause, version, payload, last)
        )
    assert [tuple(row[column] for column in JOURNAL_COLUMNS) for row in rows] == found
