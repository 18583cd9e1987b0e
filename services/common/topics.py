"""The topics as `proto/topics.yaml` lists them, and their making."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

SERVICES = ("ledger", "tiering", "rewards")
ROW_BYTES_MAX = 16 * 1024 * 1024
"""Of our own streams, whose rows name all lots that they touch: an order may be paid from very many. A row that its
topic refuses would stop the relay for good."""
TOPICS_FILE = Path(__file__).parents[2] / "proto" / "topics.yaml"


class TopicsRefused(RuntimeError):
    """The topics can't be made as asked; the message says which and what to do."""


def topic_names() -> list[str]:
    """Every topic's name, without the installation's prefix."""
    return list(_topics())


def _topics() -> dict[str, dict[str, Any]]:
    topics: dict[str, dict[str, Any]] = yaml.safe_load(TOPICS_FILE.read_text())["topics"]
    return topics


def _config(topic: dict[str, Any]) -> dict[str, str]:
    """Kept for ever; what is not ours is bounded by the broker and by who reads it."""
    kept = {"retention.ms": "-1", "cleanup.policy": "delete"}
    return kept | ({"max.message.bytes": str(ROW_BYTES_MAX)} if topic["producer"] in SERVICES else {})


async def create_topics(bootstrap_servers: str, prefix: str, chains: int, replication: int = 1) -> None:
    """Create the topics that are missing, one partition a chain, kept for ever.

    Raises:
        TopicsRefused: a topic is there with another number of partitions, or the broker makes none.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        wanted = {prefix + name: _config(topic) for name, topic in _topics().items()}
        there = {t["topic"]: t for t in await admin.describe_topics() if t["error_code"] == 0}
        for name in wanted:
            if name in there and len(there[name]["partitions"]) != chains:
                raise TopicsRefused(
                    f"topic {name} has {len(there[name]['partitions'])} partitions and the installation has "
                    f"{chains} chains: make the topic anew, or set TALLY_CHAINS or TALLY_TOPIC_PREFIX"
                )
        new = [
            NewTopic(name, chains, replication, topic_configs=config)
            for name, config in wanted.items()
            if name not in there
        ]
        if new:
            response = await admin.create_topics(new)
            for topic, code, *message in response.topic_errors:
                if code and code != TopicAlreadyExistsError.errno:
                    raise TopicsRefused(f"topic {topic} was not made: {for_code(code).__name__} {message}")
    finally:
        await admin.close()
