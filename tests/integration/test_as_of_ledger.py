"""What a member had at any instant is what a replay of the journal up to there gives."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.common.as_of import DISORDER, By, last_rows
from services.common.db import Reader
from services.common.errors import InvariantBroken, Refusal
from services.ledger import as_of, payloads
from services.ledger.domain.book import Book
from services.ledger.domain.events import Decided
from services.ledger.domain.evolve import evolve
from services.ops.local.postgres import LocalPostgres
from services.ops.replay.fold import TABLES
from services.ops.replay.ledger import STREAM, rebuild
from services.ops.replay.schema import replay_schema
from services.ops.replay.sources import Journals, Stretch
from services.ops.verify.snapshot import connect
from tests.databases import fresh_url, service_database
from tests.integration.ledger_rows import CHAINS, NOON, member_on
from tests.integration.verify_book import filled_ledger

pytestmark = pytest.mark.integration

INSTANTS = 12
LAST = """
SELECT chain, coalesce(max(position) FILTER (WHERE recorded_at <= $1), 0) AS position FROM journal GROUP BY chain
"""
A_ROW = """
INSERT INTO journal SELECT 0, $1, 'p', 'm', 't', $2, $2, 's', 'i', NULL, 'v', '', sha256('')
"""
MEMBERS = """
SELECT m.program, m.member, m.chain, m.status, nullif(m.merged_into, '') AS merged_into, m.absorbed, m.enrolled_at,
       a.posted, a.held, a.debt, a.pending, a.lapses_at
FROM members AS m JOIN accounts AS a USING (chain, program, member) WHERE a.asset = 'points'
ORDER BY m.program, m.member
"""
LOTS = "SELECT lot, asset, amount, remaining, held, purchase, earned_at, matures_at, expires_at FROM lots"
HOLDS = "SELECT hold, order_id, amount, captured, expires_at, allocation_points, money_allocation_amounts FROM holds"
MONEY = "SELECT asset, posted, held FROM accounts"
OF_MEMBER = "WHERE chain = $1 AND program = $2 AND member = $3"
OF_JOURNAL = f"SELECT * FROM journal {OF_MEMBER} ORDER BY position"  # noqa: S608 - constants
ACCOUNTS = """
SELECT account, asset, sum(amount)::bigint AS balance FROM (
    SELECT p.*, CASE WHEN starts_with(who, 'member/') THEN 'members' ELSE who END AS account
    FROM (SELECT chain, position, asset, debit AS who, -amount AS amount FROM postings WHERE program = $1
          UNION ALL SELECT chain, position, asset, credit, amount FROM postings WHERE program = $1) AS p
) AS sides JOIN journal AS j USING (chain, position)
WHERE CASE WHEN $3 THEN j.occurred_at ELSE j.recorded_at END <= $2
GROUP BY account, asset ORDER BY asset, account
"""


@pytest_asyncio.fixture(scope="module")
async def url(postgres: LocalPostgres) -> AsyncIterator[str]:
    """The owner's URL of a ledger with something of everything in it."""
    found = fresh_url(postgres.url)
    async with filled_ledger(found):
        yield found


@pytest_asyncio.fixture
async def reader(url: str) -> AsyncIterator[Reader]:
    reader = Reader.connect(url)
    yield reader
    await reader.close()


@asynccontextmanager
async def replayed(url: str, at: datetime) -> AsyncIterator[asyncpg.Connection]:
    """A connection to projections that the replay rebuilt from a journal which ends at `at`."""
    async with AsyncExitStack() as stack:
        schema = await stack.enter_async_context(replay_schema(url, TABLES["ledger"]))
        live, build = await connect(url), await connect(url, search_path=schema)
        stack.push_async_callback(live.close)
        stack.push_async_callback(build.close)
        last = {row["chain"]: row["position"] for row in await live.fetch(LAST, at)}
        async with live.transaction(), build.transaction():
            journals = Journals("ledger", live, {}, stack)
            for chain in range(CHAINS):
                up_to = {STREAM: last[chain]}
                await rebuild(Stretch(live, build, journals, chain, CHAINS, {STREAM: 0}, up_to, spread=True))
        yield build


def instants(rows: list[Any], count: int, seed: int) -> list[datetime]:
    """Instants between the first row and the last, some of them exactly a row's own."""
    times = sorted({row["recorded_at"] for row in rows})
    draw = random.Random(seed)
    between = [times[0] + (times[-1] - times[0]) * draw.random() for _ in range(count // 2)]
    return [*between, *draw.sample(times, count - count // 2)]


async def shown(build: asyncpg.Connection, row: Any) -> dict[str, Any]:
    """A member of rebuilt projections, in the form of `as_of.shown`."""
    key = (row["chain"], row["program"], row["member"])
    lots = await build.fetch(f"{LOTS} {OF_MEMBER} AND remaining > 0 ORDER BY lot", *key)
    holds = await build.fetch(f"{HOLDS} {OF_MEMBER} AND state = 'open'", *key)
    money = await build.fetch(f"{MONEY} {OF_MEMBER} AND asset <> 'points' ORDER BY asset", *key)
    return {
        "status": row["status"],
        "merged_into": row["merged_into"],
        "absorbed": row["absorbed"],
        "enrolled_at": row["enrolled_at"].isoformat(),
        "points": [row[name] for name in ("posted", "held", "debt", "pending")],
        "lapses_at": row["lapses_at"] and row["lapses_at"].isoformat(),
        "money": [tuple(account) for account in money],
        "lots": [
            [v.isoformat() if isinstance(v, datetime) else v for v in lot.values()] for lot in lots
        ],
        "holds": sorted(
            [h["hold"], h["order_id"], h["amount"], h["captured"], h["expires_at"].isoformat(),
             sum(h["allocation_points"]), sum(h["money_allocation_amounts"])]
            for h in holds
        ),
    }  # fmt: skip


def same_form(told: dict[str, Any]) -> dict[str, Any]:
    """The service's answer in the form of `shown`."""
    money = [
        (f"{currency}.{bucket}", told["money"][currency][bucket])
        for currency in sorted(told["money"]) for bucket in ("bonus", "principal")
    ]  # fmt: skip
    held: dict[str, int] = {}
    for lot in told["lots"]:
        held[lot["asset"]] = held.get(lot["asset"], 0) + lot["held"]
    keys = ("lot", "asset", "amount", "remaining", "held", "from", "earned_at", "matures_at", "expires_at")
    return {
        **{key: told[key] for key in ("status", "merged_into", "absorbed", "enrolled_at", "lapses_at")},
        "points": [told["points"][name] for name in ("posted", "held", "debt", "pending")],
        "money": [(asset, left, held.get(asset, 0)) for asset, left in money],
        "lots": [[lot[key] for key in keys] for lot in told["lots"]],
        "holds": sorted(
            [h["hold"], h["order"], h["amount"], h["captured"], h["expires_at"], h["left"],
             h["money"]["left"] if h["money"] else 0]
            for h in told["holds"]
        ),
    }  # fmt: skip


async def test_by_recorded_time_every_member_is_as_a_replay_up_to_there_has_it(
    url: str, reader: Reader
) -> None:
    owner = await connect(url)
    rows = await owner.fetch("SELECT recorded_at FROM journal")
    everybody = {(row["program"], row["member"]): row["chain"] for row in await owner.fetch(MEMBERS)}
    looked_at = 0
    for at in instants(rows, INSTANTS, 7):
        async with replayed(url, at) as build, reader.snapshot() as connection:
            then = {(row["program"], row["member"]): row for row in await build.fetch(MEMBERS)}
            for (program, member), chain in everybody.items():
                place = (chain, program, member)
                if (program, member) not in then:
                    with pytest.raises(Refusal, match="was not enrolled"):
                        await as_of.member(connection, place, at, By.RECORDED)
                    continue
                told = await as_of.member(connection, place, at, By.RECORDED)
                expected = await shown(build, then[program, member])
                # An account of money that has come to nothing has a row in the table, and no lot.
                mine = same_form(told)
                expected["money"] = [account for account in expected["money"] if account[1]]
                mine["money"] = [account for account in mine["money"] if account[1]]
                assert mine == expected, (program, member, at)
                looked_at += 1
    assert looked_at > INSTANTS * len(everybody) // 4
    await owner.close()


async def test_the_last_row_by_then_is_found_by_halving(url: str, reader: Reader) -> None:
    owner = await connect(url)
    rows = await owner.fetch("SELECT recorded_at FROM journal")
    end = datetime(2100, 1, 1, tzinfo=UTC)
    for at in (*instants(rows, 40, 3), NOON - timedelta(days=9_000), end):
        expected = {row["chain"]: row["position"] for row in await owner.fetch(LAST, at)}
        async with reader.snapshot() as connection:
            assert await last_rows(connection, range(CHAINS), at) == expected
    await owner.close()


async def test_rows_whose_times_are_not_in_order_are_found_all_the_same(postgres: LocalPostgres) -> None:
    """A transaction looks at its clock before it waits for the chain, and machines' clocks differ."""
    draw, rows = random.Random(2), 500
    times = [NOON + timedelta(seconds=10 * n) + DISORDER * draw.random() for n in range(rows)]
    async with service_database(postgres.url, "ledger") as (found, _):
        owner, reader = await connect(found), Reader.connect(found)
        await owner.executemany(A_ROW, list(enumerate(times, 1)))
        await owner.execute("INSERT INTO chain_heads VALUES (0, $1, $2)", rows, bytes(32))
        for at in (*times[::25], *(time - timedelta(microseconds=1) for time in times[::25])):
            expected = max((n for n, time in enumerate(times, 1) if time <= at), default=0)
            async with reader.snapshot() as connection:
                assert await last_rows(connection, [0], at) == {0: expected}
        await reader.close()
        await owner.close()


async def test_a_journal_that_can_not_be_replayed_is_named_with_its_row(url: str, reader: Reader) -> None:
    owner = await connect(url)
    place = (0, "grocer", member_on(0))
    enrolled = await owner.fetchval(
        "SELECT min(position) FROM journal WHERE chain = 0 AND member = $1", place[2]
    )
    for change in (
        "type = 'MemberEnroled'",
        "type = 'PointsMatured'",
        "type = 'ProfileChanged', payload = '\\xffff'::bytea",
    ):
        # Only whoever owns the database can do this, and `verify` would find it.
        await owner.execute("SET session_replication_role = replica")
        row = await owner.fetchrow(
            "SELECT type, payload FROM journal WHERE chain = 0 AND position = $1", enrolled
        )
        await owner.execute(f"UPDATE journal SET {change} WHERE chain = 0 AND position = $1", enrolled)  # noqa: S608
        try:
            async with reader.snapshot() as connection:
                with pytest.raises(Refusal, match=f"book_broken: row 0:{enrolled} ") as refused:
                    await as_of.member(connection, place, datetime.now(UTC), By.RECORDED)
            assert "tally verify" in refused.value.detail
        finally:
            back = "UPDATE journal SET type = $2, payload = $3 WHERE chain = 0 AND position = $1"
            await owner.execute(back, enrolled, row["type"], row["payload"])
    await owner.close()


async def test_by_business_time_a_member_is_as_a_replay_of_the_rows_dated_by_then(
    url: str, reader: Reader
) -> None:
    """Wherever such a replay is possible: a row may build on one that is dated later."""
    owner = await connect(url)
    everybody = [(row["chain"], row["program"], row["member"]) for row in await owner.fetch(MEMBERS)]
    draw = random.Random(11)
    compared = impossible = 0
    for place in everybody:
        chain, program, member = place
        rows = await owner.fetch(OF_JOURNAL, *place)
        dates = sorted({row["occurred_at"] for row in rows})
        for at in {*draw.sample(dates, min(3, len(dates))), dates[0] - timedelta(days=1), dates[-1]}:
            book = Book(keeps_purchases=False)
            try:
                for row in rows:
                    if row["occurred_at"] <= at:
                        event = payloads.decode(row["type"], row["payload"])
                        decided = Decided(event, member, row["occurred_at"])
                        evolve(book, chain, program, decided, row["position"])
            except (InvariantBroken, KeyError):
                impossible += 1
                continue
            async with reader.snapshot() as connection:
                if not book.members:
                    with pytest.raises(Refusal, match="was not enrolled"):
                        await as_of.member(connection, place, at, By.BUSINESS)
                    continue
                told = await as_of.member(connection, place, at, By.BUSINESS)
            expected = as_of.shown(book.members[program, member])
            assert {key: told[key] for key in expected} == expected, (place, at)
            compared += 1
    assert compared > 100
    assert impossible > 0
    await owner.close()


async def test_accounts_are_sums_of_postings_and_add_up_to_nothing(url: str, reader: Reader) -> None:
    owner = await connect(url)
    rows = await owner.fetch("SELECT recorded_at FROM journal")
    dates = await owner.fetch("SELECT DISTINCT occurred_at AS recorded_at FROM journal")
    for by, times in ((By.RECORDED, instants(rows, 6, 5)), (By.BUSINESS, instants(dates, 6, 5))):
        for at in times:
            async with reader.snapshot() as connection:
                told = await as_of.accounts(connection, CHAINS, "grocer", at, by)
            expected = await owner.fetch(ACCOUNTS, "grocer", at, by is By.BUSINESS)
            assert [tuple(account.values()) for account in told] == [tuple(row) for row in expected]
            for asset in {account["asset"] for account in told}:
                assert sum(account["balance"] for account in told if account["asset"] == asset) == 0
    await owner.close()
