"""What a service has published before it starts: a database that lacks some of it is not the one that published.

A database that was restored from an older backup, or made anew, would publish other rows under positions that its
readers have seen already, and drop. All would look well, and the books would part.
"""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from services.common.db import Transaction
from services.common.errors import InvariantBroken

FETCH_SECONDS = 10
FETCH_WAIT_MS = 20
"""The records are there: a fetch that waits for more keeps every later question waiting."""
HEADS = "SELECT chain, position FROM chain_heads"


async def must_have_all_published(
    session: Transaction, bootstrap_servers: str, topic: str, chains: int
) -> None:
    """The journal has every row that stands last on a partition of its topic.

    Raises:
        InvariantBroken: it has not.
        KafkaError: the brokers can't say.
    """
    # A row is in the journal before it is on the topic, so the topic is asked first.
    published = await _last_positions(bootstrap_servers, topic, chains)
    heads = {row["chain"]: row["position"] for row in await session.fetch(HEADS)}
    for chain, position in sorted(published.items()):
        if position > heads.get(chain, 0):
            raise InvariantBroken(
                f"{topic} partition {chain} ends with position {position}, the journal with {heads.get(chain, 0)}: "
                "this database is older than what was published from it; see docs/runbook.md, night 4"
            )


async def _last_positions(bootstrap_servers: str, topic: str, chains: int) -> dict[int, int]:
    """The position in the last record of each partition; without partitions that are empty, or a topic that is not."""
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, enable_auto_commit=False, fetch_max_wait_ms=FETCH_WAIT_MS
    ) as kafka:
        if topic not in await kafka.topics():
            return {}
        places = [TopicPartition(topic, chain) for chain in range(chains)]
        firsts, ends = await kafka.beginning_offsets(places), await kafka.end_offsets(places)
        waiting = {place for place in places if ends[place] > firsts[place]}
        kafka.assign(waiting)
        for place in waiting:
            kafka.seek(place, ends[place] - 1)
        found: dict[int, int] = {}
        while waiting:
            fetched = await kafka.getmany(*waiting, timeout_ms=FETCH_SECONDS * 1_000)
            if not fetched:
                raise KafkaTimeoutError(f"the last records of {topic} can't be had")
            for place, records in fetched.items():
                # Somebody else's record has no position: whoever reads the topic says so.
                position = dict(records[0].headers).get("ce_position")
                found[place.partition] = int(position) if position and position.isdigit() else 0
                waiting.discard(place)
        return found
