"""The children of a service live and die with it, whoever is killed first, and nothing is lost by it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from services.common.child_process import ROUND_SECONDS
from services.common.codec import activity_headers, decode_row, unseen
from services.common.relay import LOCK_SPACE, ROWS_MAX
from services.common.topics import create_topics
from tests.databases import service_role
from tests.integration.ledger_rows import CHAINS, Ledger, member_on, purchase_message
from tests.integration.own_process import OwnProcess
from tests.integration.test_relay import Wire, fill
from tests.poll import eventually

ROWS_ON_THE_WAY = 1_000
PURCHASES = 3_000
FEW_SECONDS = 0.8 * ROUND_SECONDS
"""Sooner than a child that gives up what is under way."""
CHILDREN = ("relay", "consumer-1", "consumer-2")
"""Of a ledger, in the order of their starting."""
pytestmark = pytest.mark.integration

LOCKED = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass
class Beside:
    """A ledger's process, and what its relay reads and writes."""

    wire: Wire
    service: OwnProcess

    async def send_purchases(self, count: int) -> None:
        """Purchases on their way to the ledger, on every chain."""
        headers = activity_headers("tallybook.activities.v1.Purchase", "till", "1")
        topic = f"{self.wire.prefix}purchases.v1"
        for n in range(count):
            value = purchase_message(f"p{n}", member=member_on(n % CHAINS)).SerializeToString()
            await self.wire.producer.send(topic, value, partition=n % CHAINS, headers=headers)
        await self.wire.producer.flush()

    async def relayed(self) -> int:
        return int(await self.wire.ledger.value("SELECT sum(position) FROM relay_positions"))

    async def on_its_way(self) -> list[psutil.Process]:
        """Start the service in front of a backlog; returns its children in the middle of it."""
        await self.send_purchases(PURCHASES)
        await self.service.start()

        async def some() -> bool:
            return await self.relayed() >= ROWS_ON_THE_WAY

        await eventually(some, "some rows are published")
        return self.service.children()

    async def settled(self, purchases: int) -> None:
        """Wait until all purchases are taken, and what follows from them is published."""

        async def taken() -> bool:
            return await self.wire.ledger.value("SELECT sum(next_offset) FROM consumer_offsets") == purchases

        await eventually(taken, "every purchase is taken")
        await self.wire.level()

    async def sent_again(self) -> int:
        """How many records are on the topic twice. Every row is there, and in order, or this fails."""
        again = 0
        for chain, records in (await self.wire.published("ledger.v1")).items():
            fresh = unseen((decode_row(record.headers, record.value, {}) for record in records), {})
            assert len(fresh) == await self.wire.ledger.value(
                "SELECT position FROM chain_heads WHERE chain = $1", chain
            )
            again += len(records) - len(fresh)
        return again


@pytest_asyncio.fixture
async def beside(database: str, bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Beside]:
    await create_topics(bootstrap, topic_prefix, CHAINS)
    async with (
        service_role("ledger", database) as url,
        Ledger.open(url) as ledger,
        AIOKafkaProducer(bootstrap_servers=bootstrap) as producer,
    ):
        await ledger.activate()
        service = OwnProcess.of("ledger", url, bootstrap, topic_prefix, CHAINS, tmp_path)
        try:
            yield Beside(Wire(ledger, database, bootstrap, topic_prefix, producer), service)
        finally:
            if service.process is not None:
                await service.stop(signal.SIGKILL)


def ended(process: psutil.Process) -> bool:
    """Has it ended? (Nobody may be there to bury an orphan.)"""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def group_of(process: psutil.Process) -> int:
    """Its process group; 0 when it is gone meanwhile."""
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return 0


async def test_the_child_publishes_what_its_service_and_others_write(beside: Beside) -> None:
    await fill(beside.wire.ledger, 0, 100)
    await beside.service.start()
    await beside.wire.level()
    await fill(beside.wire.ledger, 100, 100)
    await beside.send_purchases(300)
    await beside.settled(300)
    assert await beside.sent_again() == 0


@pytest.mark.parametrize(("signum", "group"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
async def test_a_clean_stop_on_the_way_ends_both_and_nothing_is_sent_twice(
    beside: Beside, signum: int, group: bool
) -> None:
    children = await beside.on_its_way()
    assert await beside.service.stop(signum, group=group) == 0
    assert not any(child.is_running() for child in children)
    await beside.service.start()
    await beside.settled(PURCHASES)
    assert await beside.service.stop(signal.SIGTERM) == 0
    assert await beside.sent_again() == 0


async def test_a_killed_service_takes_its_children_along_and_its_locks_are_free(beside: Beside) -> None:
    children = await beside.on_its_way()
    assert await beside.service.stop(signal.SIGKILL) == -signal.SIGKILL

    async def gone() -> bool:
        return all(map(ended, children))

    async def free() -> bool:
        return await beside.wire.ledger.value(LOCKED, LOCK_SPACE) == 0

    await eventually(gone, "the children have ended", FEW_SECONDS)
    await eventually(free, "no chain is locked", FEW_SECONDS)
    await beside.service.start()
    await beside.settled(PURCHASES)
    assert await beside.service.stop(signal.SIGTERM) == 0
    assert await beside.sent_again() <= ROWS_MAX * CHAINS


@pytest.mark.parametrize("name", ["relay", "consumer-1", "consumer-2"])
async def test_a_killed_child_takes_its_service_along_which_says_so(beside: Beside, name: str) -> None:
    children = await beside.on_its_way()
    child = children[CHILDREN.index(name)]
    child.send_signal(signal.SIGKILL)
    assert await beside.service.end() == 1
    lines = [line for line in map(json.loads, beside.service.log.open()) if line["event"] == "task ended"]
    assert [(line["task"], line["error"]) for line in lines] == [
        (name, f'ChildEnded("{name}\'s process {child.pid} ended with status -9")')
    ]
    assert not any(child.is_running() for child in children)
    await beside.service.start()
    await beside.settled(PURCHASES)


async def test_a_service_that_may_not_start_leaves_no_child_behind(beside: Beside) -> None:
    beside.service.environment["TALLY_CHAINS"] = str(CHAINS + 1)
    await beside.service.begin()
    group = beside.service.group
    assert await beside.service.end() == 1

    async def gone() -> bool:
        return all(ended(process) for process in psutil.process_iter() if group_of(process) == group)

    await eventually(gone, "all processes of its group have ended", FEW_SECONDS)
    assert "child started" not in beside.service.log.read_text()


async def test_a_service_that_only_serves_has_no_children(beside: Beside) -> None:
    beside.service.environment["TALLY_CONSUME"] = "false"
    await beside.service.start()
    assert beside.service.children() == []
    assert await beside.service.stop(signal.SIGTERM) == 0
