"""Tiering on real PostgreSQL: what it keeps does not depend on batches, and can be rebuilt."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.common.codec import StreamRow
from services.common.db import Writer, ensure_installation
from services.common.errors import InvariantBroken
from services.tiering import project
from services.tiering.project import LEDGER_TOPIC
from services.tiering.replay import ALSO_WRITTEN, JOURNAL_COMPARED, PROJECTIONS, rebuild
from tallybook.tiering.v1 import events_pb2 as tiering_pb
from tests.databases import service_role
from tests.integration.tiering_rows import LedgerChain, day, document

CHAINS = 4
NOW = day("2031-01-01")
pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def writer(database: str) -> AsyncIterator[Writer]:
    async with service_role("tiering", database) as url:
        writer = await Writer.connect(url)
        await ensure_installation(writer, CHAINS)
        yield writer
        await writer.close()


async def apply(writer: Writer, rows: Sequence[StreamRow]) -> tuple[int, int]:
    async with writer.transaction() as tx:
        return await project.apply_rows(tx, rows[0].chain, LEDGER_TOPIC, rows, NOW)


async def content(writer: Writer, schema: str = "public") -> dict[str, list[tuple[Any, ...]]]:
    """Everything that a rebuild must give again."""
    async with writer.session() as session:
        found = {
            table: [
                tuple(row)
                for row in await session.fetch(f"SELECT * FROM {schema}.{table} ORDER BY {', '.join(key)}")  # noqa: S608
            ]
            for table, key in PROJECTIONS.items()
        }
        columns = ", ".join(JOURNAL_COMPARED)
        found["journal"] = [
            tuple(row)
            for row in await session.fetch(f"SELECT {columns} FROM {schema}.journal ORDER BY chain, position")  # noqa: S608
        ]
    return found


async def history(writer: Writer) -> list[tuple[str, str, str, str]]:
    """(member, tier, reason, day of since), as they were said."""
    async with writer.session() as session:
        rows = await session.fetch("SELECT * FROM tier_history ORDER BY chain, position")
    return [(r["member"], r["to_tier"], r["reason"], r["since"].date().isoformat()) for r in rows]


def a_random_stream(seed: int, count: int, members: int) -> list[StreamRow]:
    """Several years of a chain: late purchases, returns, quiet years, new versions of the rules, and wrong ones."""
    rng = random.Random(seed)
    ledger = LedgerChain(chain=1)
    now = day("2020-01-30")
    rows = [ledger.activated(now)]
    bought: list[tuple[str, datetime, int]] = []
    for _ in range(count):
        now += timedelta(hours=rng.choice([1, 5, 30, 200]), microseconds=rng.randrange(1000))
        member = f"m{rng.randrange(members)}"
        kind = rng.random()
        if kind < 0.62:
            late = timedelta(days=rng.choice([0, 0, 0, 1, 40, 400]))
            amount = rng.choice([0, 1, 30_00, 99_99, 180_00])
            rows.append(ledger.bought(now - late, member, amount, rng.choice(["food", "food", "FUEL"])))
            bought.append((member, now - late, amount))
        elif kind < 0.72 and bought:
            who, at, amount = rng.choice(bought)
            rows.append(ledger.returned(now, who, min(amount, 30_00), at))
        elif kind < 0.80:
            rows.append(ledger.enrolled(now, member))
        elif kind < 0.95:
            rows.append(ledger.other(now, member))
        elif kind < 0.98:
            now += timedelta(days=rng.choice([3, 100, 500]))
            rows.append(ledger.clock(now))
        else:
            tiers = [
                {"name": "member", "from": 0},
                {"name": rng.choice(["silver", "bronze"]), "from": rng.choice([50_00, 100_00])},
                {"name": "gold", "from": 250_00},
            ]
            changed = document(tiers=tiers, window={"months": rng.choice([1, 12, 24])}, review={"months": 6})
            wrong = document(metric="luck")
            rows.append(ledger.activated(now, rng.choice([changed, changed, wrong]), f"v{ledger.position}"))
    return rows


def cut(rows: Sequence[StreamRow], rng: random.Random, most: int) -> Iterator[list[StreamRow]]:
    """The rows in batches of random size; some batches repeat rows of the one before, as a relay may."""
    at = 0
    while at < len(rows):
        size = rng.randint(1, most)
        yield list(rows[max(0, at - rng.choice([0, 0, 3])) : at + size])
        at += size


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_batches_make_no_difference_and_a_rebuild_gives_the_same(
    writer: Writer, database: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = a_random_stream(seed, count=700, members=25)
    for batch in cut(rows, random.Random(seed), most=60):
        await apply(writer, batch)
    live = await content(writer)
    assert len(live["tier_history"]) > 100
    assert {row[4] for row in live["journal"]} == {"TierChanged", "ProgramRefused"}

    # Once more in a schema of its own, in one batch, with so few reviews at a time that they have to be paged.
    monkeypatch.setattr(project, "REVIEWS_MAX", 3)
    owner = await asyncpg.connect(database, server_settings={"search_path": "replay_1"})
    try:
        await owner.execute("CREATE SCHEMA replay_1")
        for table in (*PROJECTIONS, *ALSO_WRITTEN):
            await owner.execute(f"CREATE TABLE replay_1.{table} (LIKE public.{table} INCLUDING ALL)")

        async def whole() -> AsyncIterator[Sequence[StreamRow]]:
            yield rows

        async with owner.transaction():
            assert await rebuild(owner, 1, whole(), day("2040-01-01")) == len(rows)
        await owner.execute("GRANT USAGE ON SCHEMA replay_1 TO PUBLIC")
        await owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA replay_1 TO PUBLIC")
        rebuilt = await content(writer, "replay_1")
    finally:
        await owner.close()
    for table, expected in live.items():
        assert [(g, w) for g, w in zip(rebuilt[table], expected, strict=True) if g != w] == [], table


@pytest.mark.parametrize("seed", [4, 5])
async def test_every_change_states_what_the_window_held(writer: Writer, seed: int) -> None:
    """The metric of each TierChanged, summed up anew from the entries that were known by then."""
    rows = [row for row in a_random_stream(seed, count=500, members=6) if row.type != "ProgramActivated"]
    ledger = LedgerChain(chain=1)
    stream = [ledger.activated(day("2020-01-30"))]
    for row in rows:
        ledger.position += 1
        row.position = ledger.position
        stream.append(row)
    for batch in cut(stream, random.Random(seed), most=40):
        await apply(writer, batch)
    async with writer.session() as session:
        wrong = await session.fetch(
            """
            SELECT h.*, w.total FROM tier_history h CROSS JOIN LATERAL (
                SELECT coalesce(sum(amount), 0)::bigint AS total FROM entries s
                WHERE s.chain = h.chain AND s.program = h.program AND s.member = h.member
                AND s.occurred_at > h.since - interval '12 months' AND s.occurred_at <= h.since
                AND s.position <= h.ledger_position - CASE WHEN h.reason = 'upgrade' THEN 0 ELSE 1 END
            ) w WHERE w.total <> h.metric
            """
        )
        assert wrong == []
        assert await session.fetchval("SELECT count(*) FROM tier_history") > 30


async def test_a_row_sent_twice_counts_once_and_a_missing_row_stops_everything(writer: Writer) -> None:
    ledger = LedgerChain(chain=2)
    rows = [ledger.activated(day("2026-01-01")), ledger.bought(day("2026-01-05"), "ann", 100_00)]
    assert await apply(writer, rows) == (2, 1)
    assert await apply(writer, rows) == (0, 0)
    ledger.other(day("2026-01-06"), "ann")
    with pytest.raises(InvariantBroken, match="position 4 came after 2"):
        await apply(writer, [ledger.other(day("2026-01-06"), "ann")])
    with pytest.raises(InvariantBroken, match="another chain"):
        await apply(writer, [*rows, LedgerChain(chain=3).other(day("2026-01-06"), "ann")])
    assert await history(writer) == [("ann", "silver", "upgrade", "2026-01-05")]


async def test_the_journal_row_names_its_cause_and_its_version(writer: Writer) -> None:
    ledger = LedgerChain(chain=2)
    await apply(
        writer, [ledger.activated(day("2026-01-01")), ledger.bought(day("2026-01-05"), "ann", 100_00)]
    )
    async with writer.session() as session:
        row = await session.fetchrow("SELECT * FROM journal")
    assert (row["type"], row["member"], row["program_version"]) == ("TierChanged", "ann", "v1")
    assert (row["cause_source"], row["cause_id"]) == ("tallybook/ledger", "2-2")
    assert (row["occurred_at"], row["recorded_at"]) == (day("2026-01-05"), NOW)
    event = tiering_pb.TierChanged.FromString(row["payload"])
    assert (event.from_tier, event.to_tier, event.ledger_position) == ("member", "silver", 2)
    assert event.since.ToDatetime(UTC) == day("2026-01-05")
    assert event.until.ToDatetime(UTC) == day("2027-01-05")


async def test_a_version_that_cannot_be_used_is_refused_and_the_one_before_stays(writer: Writer) -> None:
    ledger = LedgerChain(chain=2)
    await apply(
        writer,
        [
            ledger.activated(day("2026-01-01")),
            ledger.activated(day("2026-01-02"), document(metric="luck"), "v2"),
            ledger.activated(day("2026-01-03"), b"no json", "v3"),
            ledger.bought(day("2026-01-05"), "ann", 100_00),
        ],
    )
    async with writer.session() as session:
        refused = await session.fetch(
            "SELECT payload FROM journal WHERE type = 'ProgramRefused' ORDER BY position"
        )
    reasons = [tiering_pb.ProgramRefused.FromString(row["payload"]) for row in refused]
    assert reasons[0].reason == "tiering.metric: is 'luck'; one of spend, points, visits, days, top_ups"
    assert [refusal.version for refusal in reasons] == ["v2", "v3"]
    assert await history(writer) == [("ann", "silver", "upgrade", "2026-01-05")]


async def test_members_of_a_tier_that_left_the_program_are_reviewed_when_it_leaves(writer: Writer) -> None:
    ledger = LedgerChain(chain=2)
    shorter = document(tiers=[{"name": "member", "from": 0}, {"name": "gold", "from": 250_00}])
    await apply(
        writer,
        [
            ledger.activated(day("2026-01-01")),
            ledger.bought(day("2026-01-05"), "ann", 100_00),
            ledger.bought(day("2026-01-06"), "bob", 300_00),
            ledger.activated(day("2026-02-01"), shorter, "v2"),
        ],
    )
    assert (await history(writer))[2:] == [("ann", "member", "downgrade", "2026-01-06")]


async def test_two_transactions_on_one_chain_wait_for_each_other(writer: Writer) -> None:
    ledger = LedgerChain(chain=0)
    rows = [
        ledger.activated(day("2026-01-01")),
        *(ledger.bought(day("2026-01-05"), f"m{n}", 1) for n in range(200)),
    ]
    done = await asyncio.gather(*(apply(writer, rows) for _ in range(4)))
    assert sorted(count for count, _ in done) == [0, 0, 0, len(rows)]


async def test_the_service_cannot_change_its_journal(writer: Writer, database: str) -> None:
    ledger = LedgerChain(chain=2)
    await apply(
        writer, [ledger.activated(day("2026-01-01")), ledger.bought(day("2026-01-05"), "ann", 100_00)]
    )
    for statement in ("DELETE FROM journal", "UPDATE journal SET member = 'bob'", "TRUNCATE journal"):
        async with writer.session() as session:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await session.execute(statement)
        owner = await asyncpg.connect(database)
        try:
            with pytest.raises(asyncpg.RestrictViolationError):
                await owner.execute(statement)
        finally:
            await owner.close()
