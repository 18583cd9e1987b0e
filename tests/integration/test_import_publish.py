"""Activities into a real broker: in order, each on its member's partition, readable by the ledger's codec."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.common.chain import chain_of
from services.common.codec import decode_activity
from services.common.topics import create_topics
from services.ops.importing.publish import publish
from tallybook.activities.v1.activities_pb2 import Purchase

CHAINS = 4
COUNT = 5_000
TYPES = {"tallybook.activities.v1.Purchase": Purchase}
READ_MS = 20_000

pytestmark = pytest.mark.integration


def purchases() -> Iterator[Purchase]:
    for number in range(COUNT):
        yield Purchase(id=str(number), program="grocer", member=f"h{number % 37}")


async def read_partition(bootstrap: str, topic: str, partition: int) -> list[Purchase]:
    """Everything that stands in one partition now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        place = TopicPartition(topic, partition)
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        read: list[Purchase] = []
        while len(read) < end:
            got = await consumer.getmany(place, timeout_ms=READ_MS)
            assert got, f"{len(read)} of {end} records came"
            for record in got[place]:
                assert record.key is not None
                message = decode_activity(record.headers, record.value, TYPES)
                assert isinstance(message, Purchase)
                assert record.key.decode() == message.member
                read.append(message)
        return read
    finally:
        await consumer.stop()


async def test_every_activity_is_sent_in_order_to_the_partition_of_its_member(
    bootstrap: str, topic_prefix: str
) -> None:
    await create_topics(bootstrap, topic_prefix, CHAINS)
    progress: list[int] = []
    published = await publish(
        purchases(),
        bootstrap=bootstrap,
        chains=CHAINS,
        source="tallybook/import/test",
        topic_prefix=topic_prefix,
        on_progress=progress.append,
    )
    assert published.records == progress[-1] == COUNT
    seen = 0
    for partition in range(CHAINS):
        read = await read_partition(bootstrap, f"{topic_prefix}purchases.v1", partition)
        ids = [int(purchase.id) for purchase in read]
        assert ids == sorted(ids)
        assert {chain_of(purchase.member, CHAINS) for purchase in read} == {partition}
        seen += len(ids)
    assert seen == COUNT
