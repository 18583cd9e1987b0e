"""The topics of the services' own streams belong to one book: a restored one can't go on in those of another.

Its relays would publish other rows under positions that are there already, and its readers would take rows that it has
not. What others write to (purchases.v1 and so on) belongs to nobody's book and stays.
"""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from services.ops.local.topics import delete_topics
from services.ops.verify.broker import STREAMS


async def streams_with_rows(bootstrap: str, prefix: str) -> list[str]:
    """Those of the services' streams in which something stands; full names. Raises KafkaError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        there = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    finally:
        await admin.close()
    places = [
        TopicPartition(topic, partition)
        for topic in sorted(prefix + stream for stream in STREAMS.values())
        for partition in range(there.get(topic, 0))
    ]
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as kafka:
        firsts, ends = await kafka.beginning_offsets(places), await kafka.end_offsets(places)
    return list(dict.fromkeys(place.topic for place in places if firsts[place] != ends[place]))


async def delete_streams(bootstrap: str, prefix: str) -> None:
    """Delete the services' streams with all rows. Raises KafkaError, TopicsRefused."""
    await delete_topics(bootstrap, [prefix + stream for stream in STREAMS.values()])
