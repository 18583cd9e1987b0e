"""Whatever is changed in the ledger's tables behind its back, `verify` finds it and names the place."""

# ruff: noqa: S608 - the names of tables and columns are our own

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.ledger.tables import metadata
from services.ops.local.postgres import LocalPostgres
from services.ops.verify.findings import CHECKS
from tallybook.ledger.v1 import events_pb2 as pb
from tests.databases import fresh_url
from tests.integration.tampering import (
    MECHANISM,
    by_key,
    columns_of,
    delete_last,
    forge,
    in_catalogue,
    is_found,
    named,
    superuser,
    swap,
    unfound,
)
from tests.integration.verify_book import filled_ledger, look

pytestmark = pytest.mark.integration

NOT_FOR_THE_BOOK_TO_SAY = {
    **MECHANISM,
    ("member_keys", "key"): "a secret that only the service can open",
}
PLACES = columns_of(metadata)
# The others have one row a chain, or nothing that can change places. Which key is whose only the service can say.
SWAPPED = (
    "journal", "postings", "inbox", "members", "accounts", "lots", "holds", "settlements", "adjustments", "top_ups",
    "counters", "identifiers", "parked", "parked_returns", "programs", "program_versions", "award_counts", "referrals",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def book(postgres: LocalPostgres) -> AsyncIterator[str]:
    """The owner's URL of a filled ledger's database."""
    url = fresh_url(postgres.url)
    async with filled_ledger(url):
        yield url


async def test_an_untouched_book_is_in_order_and_all_of_it_was_looked_at(book: str) -> None:
    async with superuser(book) as connection:
        report = await look(connection)
        rows = await connection.fetchval("SELECT count(*) FROM journal")
        types = {row["type"] for row in await connection.fetch("SELECT DISTINCT type FROM journal")}
    assert report.findings == []
    assert report.looked["chain"] == rows > 100
    # Of the other services' journals, and of seals, of which there are none.
    assert {check for check in CHECKS if not report.looked[check]} == {"draws", "segments", "tiers", "seals"}
    assert types == set(pb.DESCRIPTOR.message_types_by_name) - {
        "HashedIdentifier", "ReturnedLine", "ReturnedUnits", "Allocation", "MovedMoney", "ParkedKey", "AwardCount",
        "Contribution", "Counter", "SpentPart",
    }  # fmt: skip


@pytest.mark.parametrize("table", PLACES)
async def test_a_changed_column_is_found(book: str, table: str) -> None:
    async with superuser(book) as connection:
        left = await unfound(connection, table, PLACES[table], partial(look, connection))
    assert left == {column for of, column in NOT_FOR_THE_BOOK_TO_SAY if of == table}


async def test_no_column_is_forgotten(book: str) -> None:
    async with superuser(book) as connection:
        there = await in_catalogue(connection)
    assert there == {table: sorted(columns) for table, columns in PLACES.items()}


@pytest.mark.parametrize("table", SWAPPED)
async def test_two_rows_that_changed_their_content_are_found(book: str, table: str) -> None:
    async with superuser(book) as connection:
        chains = await swap(connection, table)
        assert chains
        assert await is_found(table, chains, partial(look, connection))


NULLABLE = [
    (table.name, column.name)
    for table in metadata.sorted_tables
    for column in table.columns
    if column.nullable and table.name != "api_keys"
]


@pytest.mark.parametrize(("table", "column"), NULLABLE, ids=map(".".join, NULLABLE))
async def test_a_value_that_was_wiped_out_is_found(book: str, table: str, column: str) -> None:
    async with superuser(book) as connection:
        await connection.execute(
            f"UPDATE {table} SET {column} = NULL "
            f"WHERE ctid = (SELECT ctid FROM {table} WHERE {column} IS NOT NULL "
            f"{await by_key(connection, table)} LIMIT 1)"
        )
        report = await look(connection)
    assert named(report, table)


DELETABLE = [
    table.name
    for table in metadata.sorted_tables
    # Offsets and stream positions that are gone are made anew: nothing then says that they were there.
    if table.name not in ("api_keys", "installation", "consumer_offsets", "stream_positions")
]


@pytest.mark.parametrize("table", DELETABLE)
async def test_a_deleted_row_is_found(book: str, table: str) -> None:
    async with superuser(book) as connection:
        await delete_last(connection, table)
        report = await look(connection)
    assert named(report, table)


async def test_one_changed_row_is_one_finding_in_its_hash_chain(book: str) -> None:
    async with superuser(book) as connection:
        await connection.execute("UPDATE journal SET recorded_at = now() WHERE chain = 2 AND position = 9")
        report = await look(connection)
    assert [str(finding) for finding in report.findings] == [
        "chain ledger chain 2: journal 2-9: its hash is not that of its content and the row before"
    ]


async def test_two_rows_that_changed_places_are_found(book: str) -> None:
    async with superuser(book) as connection:
        away = "UPDATE journal SET position = 1011 - position WHERE chain = 1 AND position IN (5, 6)"
        back = "UPDATE journal SET position = position - 1000 WHERE chain = 1 AND position > 1000"
        await connection.execute(away)
        await connection.execute(back)
        report = await look(connection)
    assert {finding.where for finding in report.findings if finding.check == "chain"} >= {
        "journal 1-5",
        "journal 1-6",
    }


async def test_a_cut_end_of_a_chain_is_found_even_with_its_head_moved_back(book: str) -> None:
    async with superuser(book) as connection:
        await connection.execute(
            "DELETE FROM journal WHERE chain = 0 AND position = (SELECT max(position) FROM journal WHERE chain = 0)"
        )
        await connection.execute(
            "UPDATE chain_heads SET (position, hash) = (SELECT position, hash FROM journal WHERE chain = 0 "
            "ORDER BY position DESC LIMIT 1) WHERE chain = 0"
        )
        report = await look(connection)
    assert not report.clean
    assert named(report, "relay_positions")


async def row_of(connection: asyncpg.Connection, type_: str) -> Any:
    return await connection.fetchrow(
        "SELECT * FROM journal WHERE type = $1 ORDER BY chain, position LIMIT 1", type_
    )


async def test_points_written_into_the_journal_with_every_hash_made_right_are_found(book: str) -> None:
    async with superuser(book) as connection:
        row = await row_of(connection, "PointsAccrued")
        message = pb.PointsAccrued.FromString(row["payload"])
        message.points += 1_000
        await forge(connection, row["chain"], row["position"], message.SerializeToString())
        report = await look(connection)
    assert not report.counts["chain"]
    assert {"L1", "tables"} <= set(report.counts)


async def test_points_by_a_tier_that_the_member_never_had_are_found(book: str) -> None:
    async with superuser(book) as connection:
        row = await row_of(connection, "PointsAccrued")
        message = pb.PointsAccrued.FromString(row["payload"])
        message.tier = "emerald"
        await forge(connection, row["chain"], row["position"], message.SerializeToString())
        report = await look(connection)
    assert [finding.what for finding in report.findings] == ["earns by the tier 'emerald', the member had ''"]


async def test_a_forged_rejection_is_found_by_the_inbox(book: str) -> None:
    async with superuser(book) as connection:
        row = await row_of(connection, "ActivityRejected")
        message = pb.ActivityRejected(kind="purchase", code="something_else", detail="")
        await forge(connection, row["chain"], row["position"], message.SerializeToString())
        report = await look(connection)
    assert set(report.counts) == {"L4"}


async def test_points_given_in_all_tables_alike_are_found(book: str) -> None:
    """Postings, lots and accounts changed to agree with each other: the journal does not."""
    async with superuser(book) as connection:
        posting = await connection.fetchrow(
            "SELECT * FROM postings WHERE debit = 'issued' AND lot IS NOT NULL ORDER BY chain, position LIMIT 1"
        )
        member = posting["credit"].removeprefix("member/")
        chain, position = posting["chain"], posting["position"]
        at = "chain = $1 AND position = $2 AND lot IS NOT NULL"
        await connection.execute(f"UPDATE postings SET amount = amount + 5 WHERE {at}", chain, position)
        lot = "UPDATE lots SET amount = amount + 5, remaining = remaining + 5 WHERE chain = $1 AND lot = $2"
        await connection.execute(lot, chain, position)
        account = """
            UPDATE accounts SET posted = posted + 5
            WHERE chain = $1 AND member = $2 AND program = $3 AND asset = 'points'
        """
        await connection.execute(account, chain, member, posting["program"])
        report = await look(connection)
    assert set(report.counts) == {"L1", "tables"}
    assert named(report, f"postings {chain}-{position}")


async def test_a_payload_that_is_no_message_is_found_and_does_not_stop_the_rest(book: str) -> None:
    async with superuser(book) as connection:
        row = await row_of(connection, "HoldPlaced")
        await connection.execute(
            "UPDATE journal SET payload = '\\xffffff' WHERE chain = $1 AND position = $2",
            row["chain"],
            row["position"],
        )
        report = await look(connection)
    assert any("its payload is no HoldPlaced" in finding.what for finding in report.findings)
