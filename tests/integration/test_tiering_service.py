"""Tiering as a process of its own: from ledger.v1 to tiers.v1 and HTTP, stopped and killed on the way."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.common.auth import new_key
from services.common.chain import chain_of
from services.common.codec import StreamRow, decode_row, journal_headers
from services.common.topics import create_topics
from services.tiering.domain.decide import take
from services.tiering.domain.state import ProgramState
from services.tiering.store import rules_of
from services.tiering.wire import fact_of
from tallybook.tiering.v1 import events_pb2 as tiering_pb
from tests.databases import service_role
from tests.integration.own_process import OwnProcess
from tests.integration.test_tiering_api import ADD_KEY
from tests.integration.tiering_rows import LedgerChain, day
from tests.poll import eventually

CHAINS = 4
MEMBERS = 40
PURCHASES = 4_000
READ_MS = 20_000
pytestmark = pytest.mark.integration


@dataclass
class Tiering:
    """The process, and a key to it."""

    own: OwnProcess
    token: str

    async def get(self, path: str) -> httpx.Response:
        """GET with the key."""
        return await self.own.get(path, self.token)


@pytest_asyncio.fixture
async def tiering(database: str, bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Tiering]:
    await create_topics(bootstrap, topic_prefix, CHAINS)
    async with service_role("tiering", database) as url:
        owner = await asyncpg.connect(database)
        key_id, token, digest = new_key()
        await owner.execute(ADD_KEY, key_id, digest, ["pos"], [])
        await owner.close()
        own = OwnProcess.of("tiering", url, bootstrap, topic_prefix, CHAINS, tmp_path)
        try:
            yield Tiering(own, token)
        finally:
            if own.process is not None:
                await own.stop(signal.SIGKILL)


def ledger_rows() -> list[StreamRow]:
    """A year and a half of purchases on every chain."""
    chains = [LedgerChain(chain) for chain in range(CHAINS)]
    rows = [chain.activated(day("2025-01-01")) for chain in chains]
    for number in range(PURCHASES):
        member = f"m{number % MEMBERS}"
        at = day("2025-01-01") + timedelta(hours=3.3 * number)
        amount = 30_00 if number % 7 == 0 and number < PURCHASES // 2 else 1
        rows.append(chains[chain_of(member, CHAINS)].bought(at, member, amount))
    return rows


async def publish(bootstrap: str, topic: str, rows: list[StreamRow]) -> None:
    """Put rows on the stream as the ledger's relay does."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        sent = []
        for row in rows:
            headers = journal_headers(
                "ledger",
                row.chain,
                row.position,
                row.program,
                row.member,
                row.type,
                row.occurred_at,
                row.recorded_at,
            )
            assert row.message is not None
            sent.append(
                await producer.send(
                    topic,
                    row.message.SerializeToString(),
                    (row.member or "").encode(),
                    row.chain,
                    headers=headers,
                )
            )
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def published(bootstrap: str, topic: str, count: int) -> list[StreamRow]:
    """The first `count` rows of tiers.v1, by chain and position; each sent at least once, in order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[tuple[int, int], StreamRow] = {}
    try:
        consumer.assign([TopicPartition(topic, chain) for chain in range(CHAINS)])
        while len(found) < count:
            got = await consumer.getmany(timeout_ms=READ_MS)
            assert got, f"{len(found)} of {count} rows came"
            for records in got.values():
                for record in records:
                    row = decode_row(record.headers, record.value, {"TierChanged": tiering_pb.TierChanged})
                    found.setdefault((row.chain, row.position), row)
    finally:
        await consumer.stop()
    return [found[place] for place in sorted(found)]


async def history(database: str) -> list[tuple[Any, ...]]:
    owner = await asyncpg.connect(database)
    try:
        return [
            tuple(row) for row in await owner.fetch("SELECT * FROM tier_history ORDER BY chain, position")
        ]
    finally:
        await owner.close()


async def level(database: str, rows: list[StreamRow]) -> bool:
    """Is everything applied?"""
    owner = await asyncpg.connect(database)
    try:
        applied = await owner.fetchval("SELECT coalesce(sum(position), 0)::bigint FROM stream_positions")
    finally:
        await owner.close()
    return int(applied) == len(rows)


async def test_from_the_ledgers_stream_to_tiers_through_a_kill_and_a_clean_stop(
    tiering: Tiering, database: str, bootstrap: str, topic_prefix: str
) -> None:
    rows = ledger_rows()
    half = len(rows) // 2
    await tiering.own.start()
    await publish(bootstrap, f"{topic_prefix}ledger.v1", rows[:half])
    assert await tiering.own.stop(signal.SIGKILL) == -signal.SIGKILL

    await publish(bootstrap, f"{topic_prefix}ledger.v1", rows[half:])
    await tiering.own.start()

    async def done() -> bool:
        return await level(database, rows)

    await eventually(done, "every row is applied", 90)
    changes = await history(database)
    assert len(changes) > MEMBERS

    async def relayed() -> bool:
        facts = (await tiering.get("/health/ready")).json()
        return facts["relay"]["behind"] == 0 and sum(
            partition["recorded"] + partition["duplicates"] for partition in facts["consumers"].values()
        ) == len(rows)

    await eventually(relayed, "everything is taken and published")
    stream = await published(bootstrap, f"{topic_prefix}tiers.v1", len(changes))
    assert [(row.chain, row.position, row.member) for row in stream] == [(c[0], c[3], c[2]) for c in changes]
    assert all(row.chain == chain_of(row.member or "", CHAINS) for row in stream)

    last = {change[2]: change for change in changes}
    member, change = next(iter(last.items()))
    answer = await tiering.get(f"/v1/programs/grocer/members/{member}/tier")
    assert (answer.status_code, answer.json()["tier"]) == (200, change[6])
    assert (await tiering.get("/docs")).status_code == 200
    metrics = (await tiering.get("/metrics")).text
    assert f'tallybook_relayed_rows{{service="tiering"}} {len(changes)}.0' in metrics
    assert await tiering.own.stop(signal.SIGTERM) == 0

    # An undisturbed run over the same stream says the same.
    expected = undisturbed(rows)
    assert [(c[2], c[5], c[6], c[7], c[9]) for c in changes] == expected


def undisturbed(rows: list[StreamRow]) -> list[tuple[Any, ...]]:
    """(member, from, to, since, reason) in order of chain and position, by the pure core alone."""
    said: list[tuple[Any, ...]] = []
    for chain in range(CHAINS):
        first, *rest = (row for row in rows if row.chain == chain)
        rules = rules_of(first.message.document, "v1")  # type: ignore[union-attr]
        assert rules is not None
        state = {"grocer": ProgramState(rules, None, {})}
        for row in rest:
            fact = fact_of(row)
            assert fact is not None
            said += [(e.member, e.from_tier, e.to_tier, e.since, e.reason) for e in take(state, fact)]
    return said
