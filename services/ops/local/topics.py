"""Topics on a broker that outlives the stack: which are there, and taking away the stack's own."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError, for_code

from services.common.topics import TopicsRefused, topic_names


async def topics_there(bootstrap: str, prefix: str) -> set[str]:
    """Those of Tallybook's topics, with this prefix, that the broker has; full names."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return {prefix + name for name in topic_names()} & set(await admin.list_topics())
    finally:
        await admin.close()


async def delete_topics(bootstrap: str, names: Sequence[str]) -> None:
    """Delete topics with all their records. Those that are gone already don't matter; TopicsRefused for others."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        response = await admin.delete_topics(list(names))
        for topic, code in response.topic_error_codes:
            if code not in (0, UnknownTopicOrPartitionError.errno):
                raise TopicsRefused(f"topic {topic} was not deleted: {for_code(code).__name__}")
    finally:
        await admin.close()
