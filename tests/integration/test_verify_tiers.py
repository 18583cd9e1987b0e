"""Whatever is changed in tiering's tables behind its back, `verify` finds it and names the place."""

# ruff: noqa: S608 - the names of tables and columns are our own

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.ops.local.postgres import LocalPostgres
from services.tiering.tables import metadata
from tallybook.ledger.v1 import events_pb2 as ledger_pb
from tallybook.tiering.v1 import events_pb2 as pb
from tests.integration.tampering import (
    MECHANISM,
    columns_of,
    forge,
    in_catalogue,
    is_found,
    superuser,
    swap,
    unfound,
)
from tests.integration.tiering_book import CHAINS, Filled, filled_tiering, look

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


COUNTED_NO_LONGER = """
-- Entries that their member's window has left behind: of these only `replay` can tell.
DELETE FROM entries AS e USING members AS m
WHERE (m.chain, m.program, m.member) = (e.chain, e.program, e.member)
AND ((extract(epoch FROM e.occurred_at) * 1000000)::bigint > (m.windows -> e.metric ->> 0)::bigint) IS NOT TRUE
"""


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
        await tiering.execute(COUNTED_NO_LONGER)
        left = await unfound(tiering, table, PLACES[table], partial(look, tiering, ledger))
    assert left == {column for of, column in NOT_FOR_THE_BOOK_TO_SAY if of == table}


@pytest.mark.parametrize("table", SWAPPED)
async def test_two_rows_that_changed_their_content_are_found(book: Filled, table: str) -> None:
    async with both(book) as (tiering, ledger):
        chains = await swap(tiering, table)
        assert chains
        assert await is_found(table, chains, partial(look, tiering, ledger))


async def rankings(tiering: asyncpg.Connection) -> list[Any]:
    """The rows of the last ranking, one a chain."""
    return await tiering.fetch(
        "SELECT * FROM journal WHERE type = 'TiersRanked' AND (chain, position) IN "
        "(SELECT chain, max(position) FROM journal WHERE type = 'TiersRanked' GROUP BY chain)"
    )


async def test_one_place_more_than_the_percentage_gives_is_found(book: Filled) -> None:
    async with both(book) as (tiering, ledger):
        for row in await rankings(tiering):
            said = pb.TiersRanked.FromString(row["payload"])
            said.tops[0].places += 1
            said.tops[0].here[0] += 1
            await forge(tiering, row["chain"], row["position"], said.SerializeToString())
        report = await look(tiering, ledger)
    assert not report.counts["chain"]
    told = [finding.what for finding in report.findings if finding.where.startswith("journal")]
    assert len(told) == CHAINS
    assert all("they should be" in what for what in told)


async def test_a_ranking_of_fewer_members_than_the_ledger_had_is_found(book: Filled) -> None:
    async with both(book) as (tiering, ledger):
        for row in await rankings(tiering):
            said = pb.TiersRanked.FromString(row["payload"])
            said.members -= 1
            await forge(tiering, row["chain"], row["position"], said.SerializeToString())
            await tiering.execute(
                "UPDATE tier_rankings SET members = $1 WHERE run = $2 AND chain = $3",
                said.members, said.run, row["chain"],
            )  # fmt: skip
        report = await look(tiering, ledger)
    assert [finding.what for finding in report.findings] == [
        f"is of {said.members} members, the ledger had enrolled {said.members + 1} by then"
    ]


async def test_a_ranking_that_is_another_on_one_chain_is_found(book: Filled) -> None:
    async with both(book) as (tiering, ledger):
        row = (await rankings(tiering))[0]
        said = pb.TiersRanked.FromString(row["payload"])
        said.counted_to[0] += 1
        await forge(tiering, row["chain"], row["position"], said.SerializeToString())
        report = await look(tiering, ledger)
    assert [finding.what for finding in report.findings] == ["is not the same on all chains"]


async def test_a_tier_that_comes_from_nowhere_is_found(book: Filled) -> None:
    async with both(book) as (tiering, ledger):
        row = await tiering.fetchrow(
            "SELECT * FROM journal WHERE type = 'TierChanged' ORDER BY chain, position DESC"
        )
        said = pb.TierChanged.FromString(row["payload"])
        said.from_tier = "emerald"
        await forge(tiering, row["chain"], row["position"], said.SerializeToString())
        await tiering.execute(
            "UPDATE tier_history SET from_tier = 'emerald' WHERE chain = $1 AND position = $2",
            row["chain"], row["position"],
        )  # fmt: skip
        report = await look(tiering, ledger)
    assert any("goes from emerald, the member had" in finding.what for finding in report.findings)


async def test_what_the_ledger_was_told_of_tiers_is_what_tiering_says(book: Filled) -> None:
    async with both(book) as (tiering, ledger):
        row = await ledger.fetchrow(
            "SELECT * FROM journal WHERE type = 'TierAssigned' ORDER BY chain, position LIMIT 1"
        )
        assigned = ledger_pb.TierAssigned.FromString(row["payload"])
        assigned.tier = "emerald"
        await ledger.execute(
            "UPDATE journal SET payload = $1 WHERE chain = $2 AND position = $3",
            assigned.SerializeToString(), row["chain"], row["position"],
        )  # fmt: skip
        (found,) = (await look(tiering, ledger)).findings
        assert found.where == f"journal {row['chain']}-{row['position']} of the ledger"
        assert "'emerald'" in found.what
        await ledger.execute(
            "DELETE FROM journal WHERE chain = $1 AND position = $2", row["chain"], row["position"]
        )
        (found,) = (await look(tiering, ledger)).findings
        assert found.where == f"journal {row['cause_id']}"
        assert "the ledger was not told" in found.what


async def test_a_member_of_one_book_only_is_found(book: Filled) -> None:
    async with both(book) as (tiering, ledger):
        await tiering.execute("DELETE FROM members WHERE changed_position IS NULL AND member = 'gone'")
        assert any(
            found.what == "is missing, the ledger has enrolled it"
            for found in (await look(tiering, ledger)).findings
        )
        await ledger.execute("DELETE FROM journal WHERE type = 'MemberEnrolled' AND member <> 'gone'")
        told = [found.what for found in (await look(tiering, ledger)).findings]
    assert "the ledger has enrolled no such member" in told
