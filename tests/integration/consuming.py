"""A consumer on a real broker and a real database, with a handler that keeps every record it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import ConsumerRecord

from services.common.consumer import Applied, Consumer
from services.common.db import Transaction, Writer
from services.common.dead_letter import DeadLetters
from services.common.errors import Undecodable

STOP_SECONDS = 20
READ_MS = 10_000
NAME = "test"
MAKE = "CREATE TABLE taken (seq bigserial, partition int NOT NULL, value text NOT NULL, owner text NOT NULL)"


class Bad(Exception):
    """What a handler raises on a record that it can't apply."""


@dataclass
class Recorder:
    """Keeps records in the table `taken`. `bad...` can't be decoded, `poison...` can't be applied."""

    owner: str = "one"
    own_stream: bool = False
    before: Callable[[Sequence[str]], None] | None = None
    """Called in the transaction before the batch is written; what it raises, `apply` raises."""
    gate: asyncio.Event | None = None
    """`apply` waits for it, after it has written."""
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    def decode(self, record: ConsumerRecord, now: datetime) -> str:
        value = (record.value or b"").decode()
        if value.startswith("bad"):
            raise Undecodable(f"{value} is bad")
        return value

    async def apply(self, tx: Transaction, partition: int, items: Sequence[str]) -> Applied:
        if self.before is not None:
            self.before(items)
        if any(item.startswith("poison") for item in items):
            raise Bad("one of them is poison")
        rows = [(partition, item, self.owner) for item in items]
        await tx.executemany("INSERT INTO taken (partition, value, owner) VALUES ($1, $2, $3)", rows)
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        return Applied(recorded=len(items))

    def committed(self) -> None:
        """Nothing is relayed here."""


@dataclass
class Place:
    """A topic with its dead letters, and the database that remembers how far it was read."""

    bootstrap: str
    topic: str
    dead_topic: str
    writer: Writer
    producer: AIOKafkaProducer

    async def send(self, *values: str | bytes, partition: int = 0) -> None:
        """Records in order; returns when the broker has them."""
        sent = [
            await self.producer.send(
                self.topic,
                v.encode() if isinstance(v, str) else v,
                partition=partition,
                headers=[("ce_id", b"7")],
            )
            for v in values
        ]
        await asyncio.gather(*sent)

    def consumer(self, handler: Recorder, group: str = "group", batch_records: int = 500) -> Consumer:
        return Consumer(
            NAME,
            self.bootstrap,
            {self.topic: handler},
            self.writer,
            DeadLetters(self.producer, self.dead_topic),
            group_id=f"{self.topic}-{group}",
            batch_records=batch_records,
            batches_in_flight=2,
        )

    async def taken(self) -> list[str]:
        """Every value that was committed, in order of partition and arrival."""
        async with self.writer.session() as session:
            rows = await session.fetch("SELECT value FROM taken ORDER BY partition, seq")
        return [row["value"] for row in rows]

    async def offsets(self, partition: int = 0) -> asyncpg.Record | None:
        """The row of `consumer_offsets`."""
        async with self.writer.session() as session:
            return await session.fetchrow(
                "SELECT * FROM consumer_offsets WHERE topic = $1 AND chain = $2", self.topic, partition
            )

    async def next_offset(self, partition: int = 0) -> int:
        row = await self.offsets(partition)
        return -1 if row is None else int(row["next_offset"])

    async def adds_up(self, partition: int = 0) -> bool:
        """L5: every record between the first and the next offset is in one of the counts."""
        row = await self.offsets(partition)
        assert row is not None
        ends = ("recorded", "rejected", "duplicates", "dead_lettered", "without_record")
        counted = sum(row[name] for name in ends)
        return bool(row["next_offset"] - row["first_offset"] == counted)

    async def dead(self, count: int) -> list[ConsumerRecord]:
        """The first `count` dead letters."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            place = TopicPartition(self.dead_topic, 0)
            consumer.assign([place])
            found: list[ConsumerRecord] = []
            while len(found) < count:
                got = await consumer.getmany(place, timeout_ms=READ_MS)
                assert got, f"{len(found)} of {count} dead letters came"
                found += got[place]
            return found
        finally:
            await consumer.stop()


@asynccontextmanager
async def place(
    bootstrap: str, owner_url: str, prefix: str, partitions: int = 1, *, dead_letters: bool = True
) -> AsyncIterator[Place]:
    """Topics, the table `taken` and a producer whose patience is short."""
    topic, dead_topic = f"{prefix}in", f"{prefix}dead"
    await make_topics(bootstrap, {topic: partitions} | ({dead_topic: 1} if dead_letters else {}))
    owner = await asyncpg.connect(owner_url)
    await owner.execute(MAKE)
    await owner.close()
    writer = await Writer.connect(owner_url)
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, request_timeout_ms=3_000,
        max_batch_size=256 * 1024, max_request_size=2 * 1024 * 1024,
    )  # fmt: skip
    await producer.start()
    try:
        yield Place(bootstrap, topic, dead_topic, writer, producer)
    finally:
        await producer.stop()
        await writer.close()


async def make_topics(bootstrap: str, topics: dict[str, int]) -> None:
    """Topics with so many partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1) for name, partitions in topics.items()])
    finally:
        await admin.close()


@asynccontextmanager
async def running(consumer: Consumer) -> AsyncIterator[asyncio.Task[None]]:
    """The consumer's task; stopped cleanly at the end. What it raised is the test's to await."""
    stop = asyncio.Event()
    task = asyncio.create_task(consumer.run(stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait({task}, timeout=STOP_SECONDS)
        assert task.done(), "the consumer did not stop in time"
