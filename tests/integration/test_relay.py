"""The relay: every journal row on the topic, in order, at least once; and the ledger reading streams and activities."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from services.common.codec import activity_headers, decode_row, journal_headers, unseen
from services.common.consumer import Consumer
from services.common.dead_letter import DeadLetters
from services.common.errors import InvariantBroken
from services.common.published import must_have_all_published
from services.common.relay import Relay
from services.common.topics import create_topics
from services.ledger.consume import Activities, Tiers
from tallybook.activities.v1 import activities_pb2 as activities
from tallybook.ledger.v1 import events_pb2 as pb
from tallybook.tiering.v1 import events_pb2 as tiering
from tests.databases import service_role
from tests.integration.consuming import make_topics, running
from tests.integration.ledger_rows import (
    CHAINS,
    IDENTIFIERS,
    NOON,
    Ledger,
    member_on,
    purchase_message,
)
from tests.poll import TIMEOUT_SECONDS, eventually

TYPES = {name: getattr(pb, name) for name in ("PurchaseRecorded", "PointsAccrued", "ProgramActivated")}
STOP_SECONDS = 20
BROKER_BYTES_MAX = 1_048_588
"""Of a batch of records, where a topic says nothing else."""
pytestmark = pytest.mark.integration


@dataclass
class Wire:
    """A ledger's database beside a broker."""

    ledger: Ledger
    owner_url: str
    bootstrap: str
    prefix: str
    producer: AIOKafkaProducer

    def relay(self) -> Relay:
        return Relay(
            "ledger", f"{self.prefix}ledger.v1", self.ledger.writer, self.producer, CHAINS, asyncio.Event()
        )

    async def published(self, topic: str) -> dict[int, list[ConsumerRecord]]:
        """Everything that stands on a topic now, by partition."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            places = [TopicPartition(self.prefix + topic, n) for n in range(CHAINS)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            found: dict[int, list[ConsumerRecord]] = {n: [] for n in range(CHAINS)}
            while any(len(found[p.partition]) < ends[p] for p in places):
                got = await consumer.getmany(timeout_ms=10_000)
                assert got, "no more records came"
                for at, records in got.items():
                    found[at.partition] += records
            return found
        finally:
            await consumer.stop()

    async def level(self) -> None:
        """Wait until the relay has noted every row."""

        async def there() -> bool:
            return not await self.ledger.value(
                "SELECT sum(h.position - r.position) FROM chain_heads AS h JOIN relay_positions AS r USING (chain)"
            )

        await eventually(there, "every row is relayed")


@pytest_asyncio.fixture
async def here(bootstrap: str, database: str, topic_prefix: str) -> AsyncIterator[Wire]:
    names = ("ledger.v1", "tiers.v1", "purchases.v1", "dead_letters.v1")
    await make_topics(bootstrap, {topic_prefix + name: CHAINS for name in names})
    async with (
        service_role("ledger", database) as url,
        Ledger.open(url) as ledger,
        AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            enable_idempotence=True,
            max_batch_size=256 * 1024,
            max_request_size=2 * 1024 * 1024,
        ) as producer,
    ):
        yield Wire(ledger, database, bootstrap, topic_prefix, producer)


@asynccontextmanager
async def relaying(*relays: Relay) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = {asyncio.create_task(relay.run(stop)) for relay in relays}
    try:
        yield
    finally:
        stop.set()
        done, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
        assert not late
        for task in done:
            task.result()


async def fill(ledger: Ledger, start: int, count: int) -> None:
    await ledger.take(
        *(ledger.purchase(f"p{n}", member=member_on(n % CHAINS, n % 3)) for n in range(start, start + count))
    )


async def test_every_row_is_published_once_in_order_on_the_partition_of_its_chain(here: Wire) -> None:
    await here.ledger.activate()
    await fill(here.ledger, 0, 300)
    async with relaying(here.relay(), here.relay()):
        await fill(here.ledger, 300, 300)
        await here.level()
    journal = await here.ledger.rows("SELECT * FROM journal ORDER BY chain, position")
    published = await here.published("ledger.v1")
    assert sum(map(len, published.values())) == len(journal)
    for row in journal:
        record = published[row["chain"]][row["position"] - 1]
        assert record.value == row["payload"]
        assert record.key == (row["member"] or "").encode()
        read = decode_row(record.headers, record.value, TYPES)
        assert (read.chain, read.position, read.program, read.member, read.type) == (
            row["chain"], row["position"], row["program"], row["member"], row["type"],
        )  # fmt: skip
        assert (read.occurred_at, read.recorded_at) == (row["occurred_at"], row["recorded_at"])


async def test_rows_sent_again_after_a_crash_are_known_by_their_position(here: Wire) -> None:
    await here.ledger.activate()
    await fill(here.ledger, 0, 100)
    async with relaying(here.relay()):
        await here.level()
    await here.ledger.rows("UPDATE relay_positions SET position = greatest(0, position - 5)")
    async with relaying(here.relay()):
        await here.level()
    for chain, records in (await here.published("ledger.v1")).items():
        rows = [decode_row(record.headers, record.value, TYPES) for record in records]
        fresh = unseen(rows, {})
        assert [row.position for row in fresh] == list(range(1, len(fresh) + 1))
        assert len(rows) == len(fresh) + 5
        assert len(fresh) == await here.ledger.value(
            "SELECT position FROM chain_heads WHERE chain = $1", chain
        )


async def test_the_longest_purchase_that_is_taken_can_be_published(here: Wire) -> None:
    """A row that the topic refuses would stop the relay for good."""
    await here.ledger.activate()
    message = purchase_message("long", member=member_on(1))
    for n in range(2, 2_000):
        message.lines.add(id=n, sku="s" * 200, category="c" * 200, quantity=1, amount=1)
    await here.ledger.take(here.ledger.activity(message))
    back = activities.Return(id="back", program="grocer", member=member_on(1), of="long", store="s" * 200)
    back.occurred_at.FromDatetime(NOON)
    for n in range(2, 2_000):
        back.lines.add(line=n, quantity=1)
    (outcome,) = await here.ledger.take(here.ledger.activity(back))
    assert outcome.refusal is None
    async with relaying(here.relay()):
        await here.level()


async def test_a_database_that_lacks_what_was_published_is_not_relayed(here: Wire) -> None:
    """Restored from an older backup, or made anew in the place of a lost one."""
    topic = f"{here.prefix}ledger.v1"

    async def look() -> None:
        async with here.ledger.writer.session() as session:
            await must_have_all_published(session, here.bootstrap, topic, CHAINS)

    await here.ledger.activate()
    await fill(here.ledger, 0, 30)
    async with relaying(here.relay()):
        await here.level()
    await fill(here.ledger, 30, 30)
    # A record of somebody else is for readers to complain about.
    await here.producer.send_and_wait(topic, b"hello", partition=1)
    await look()
    head = await here.ledger.value("SELECT position FROM chain_heads WHERE chain = 2")
    headers = journal_headers("ledger", 2, head + 1, "grocer", None, "ClockAdvanced", NOON, NOON)
    await here.producer.send_and_wait(topic, b"", partition=2, headers=headers)
    with pytest.raises(
        InvariantBroken, match=f"partition 2 ends with position {head + 1}, the journal with {head}:"
    ):
        await look()


async def test_what_was_never_published_can_be_relayed(here: Wire) -> None:
    await here.ledger.activate()
    async with here.ledger.writer.session() as session:
        for topic in ("ledger.v1", "no such topic"):
            await must_have_all_published(session, here.bootstrap, here.prefix + topic, CHAINS)


async def test_the_refund_of_an_order_paid_from_thousands_of_lots_can_be_published(here: Wire) -> None:
    here = replace(here, prefix=f"{here.prefix}long.")
    await create_topics(here.bootstrap, here.prefix, CHAINS)
    await here.ledger.activate()
    member, hold, lots = member_on(1), "h" * 128, 7_200
    # Not all at once: PostgreSQL ends a transaction that a busy machine leaves idle for a minute.
    for start in range(0, lots, lots // 8):
        bought = range(start, start + lots // 8)
        await here.ledger.take(*(here.ledger.purchase(f"p{n}", 100, member=member) for n in bought))
    await here.ledger.take(here.ledger.hold(lots, hold, member))
    await here.ledger.take(here.ledger.capture(hold, member=member))
    (outcome,) = await here.ledger.take(here.ledger.refund(order=f"order-{hold}", member=member))
    assert outcome.refusal is None
    async with relaying(here.relay()):
        await here.level()
    published = (await here.published("ledger.v1"))[1]
    assert max(len(record.value) for record in published) > BROKER_BYTES_MAX


async def test_a_tier_comes_by_its_own_stream_and_a_gap_in_it_stops_the_ledger(here: Wire) -> None:
    ledger, member, chain = here.ledger, member_on(1), 1
    await ledger.activate()
    await ledger.take(ledger.purchase(member=member, at=NOON))
    topic = f"{here.prefix}tiers.v1"

    async def send(position: int, tier: str, at: Any = NOON) -> None:
        change = tiering.TierChanged(from_tier="member", to_tier=tier)
        change.since.FromDatetime(at)
        headers = journal_headers("tiering", chain, position, "grocer", member, "TierChanged", NOON, NOON)
        await here.producer.send_and_wait(topic, change.SerializeToString(), partition=chain, headers=headers)

    for position, tier in ((1, "silver"), (1, "silver"), (2, "gold")):
        await send(position, tier)
    handlers: dict[str, Any] = {topic: Tiers(ledger.programs, CHAINS, lambda: None)}
    async with running(consumer(here, handlers)) as task:

        async def assigned() -> bool:
            return await ledger.value("SELECT tier_names FROM members WHERE member = $1", member) == [
                "silver",
                "gold",
            ]

        await eventually(assigned, "both tiers are known, each once")
        await send(4, "silver")
        with pytest.raises(InvariantBroken, match="position 4 came after 2"):
            await asyncio.wait_for(task, TIMEOUT_SECONDS)
    assert await ledger.value("SELECT position FROM stream_positions WHERE chain = $1", chain) == 2


async def test_the_same_purchase_by_kafka_twice_and_by_http_counts_once(here: Wire) -> None:
    ledger = here.ledger
    await ledger.activate()
    await ledger.take(ledger.enrol("ann", "6001"))
    topic = f"{here.prefix}purchases.v1"
    headers = activity_headers("tallybook.activities.v1.Purchase", "till", "1")
    by_card, by_name = purchase_message("p1", member="card:6001"), purchase_message("p1")
    # By card it arrives on another partition than its member's chain: allowed, and the same purchase.
    for partition, message in enumerate((by_card, by_name, purchase_message("p2"), b"garbage")):
        value = message if isinstance(message, bytes) else message.SerializeToString()
        await here.producer.send_and_wait(topic, value, partition=partition, headers=headers)
    await ledger.take(ledger.purchase("p2"))
    handlers: dict[str, Any] = {topic: Activities(IDENTIFIERS, ledger.programs, CHAINS, lambda: None)}
    async with running(consumer(here, handlers)):

        async def all_taken() -> bool:
            return await ledger.value("SELECT sum(next_offset) FROM consumer_offsets") == 4

        await eventually(all_taken, "four records are taken")
    sums = await ledger.rows(
        "SELECT sum(recorded), sum(duplicates), sum(rejected), sum(dead_lettered) FROM consumer_offsets"
    )
    assert tuple(sums[0]) == (1, 2, 0, 1)
    assert await ledger.balance() == (200, 0, 0)


def consumer(here: Wire, handlers: dict[str, Any]) -> Consumer:
    return Consumer(
        "ledger", here.bootstrap, handlers, here.ledger.writer,
        DeadLetters(here.producer, f"{here.prefix}dead_letters.v1"),
        group_id=f"{here.prefix}ledger", batch_records=500, batches_in_flight=2,
    )  # fmt: skip


async def test_the_book_of_an_owner_who_reads_is_left_alone(here: Wire) -> None:
    """The relay's advisory locks are its own: an operator's session does not keep it from its chains."""
    await here.ledger.activate()
    owner = await asyncpg.connect(here.owner_url)
    async with owner.transaction(isolation="repeatable_read"), relaying(here.relay()):
        await owner.fetch("SELECT * FROM journal")
        await here.level()
    await owner.close()
