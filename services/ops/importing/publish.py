"""Activities into Kafka, fast: batches built by hand for the partition of each member."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from services.common.chain import chain_of
from services.common.codec import activity_headers
from tallybook.activities.v1.activities_pb2 import (
    Enrolment,
    Interaction,
    Purchase,
    Referral,
    Return,
    TopUp,
    TopUpReversal,
)

Activity = Purchase | Return | Enrolment | Interaction | Referral | TopUp | TopUpReversal

PURCHASES_TOPIC = "purchases.v1"
TOPICS: dict[type[Activity], str] = {
    Enrolment: "members.v1",
    Interaction: "interactions.v1",
    Referral: "referrals.v1",
    TopUp: "top_ups.v1",
    TopUpReversal: "top_ups.v1",
}
"""Of what does not go to `PURCHASES_TOPIC`."""

BATCH_BYTES = 128 * 1024
BATCHES_IN_FLIGHT_MAX = 64
"""Batches that wait for the broker; times `BATCH_BYTES` it is all the memory that a slow broker costs us."""

ACTIVITIES_BETWEEN_BREATHS = 200
"""The source is plain Python; so often the producer's own task gets its turn."""

REQUEST_TIMEOUT_MS = 120_000
"""A batch outlives a restart of the broker; the idempotent producer then sends it once all the same."""


@dataclass(frozen=True, slots=True)
class Published:
    """What was acknowledged by the broker, and how long that took."""

    records: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Records a second."""
        return self.records / self.seconds if self.seconds else 0.0


def topic_of(activity: Activity) -> str:
    """The topic, without prefix, that takes this activity."""
    return TOPICS.get(type(activity), PURCHASES_TOPIC)


async def publish(
    activities: Iterable[Activity],
    *,
    bootstrap: str,
    chains: int,
    source: str,
    topic_prefix: str = "",
    on_progress: Callable[[int], None] | None = None,
) -> Published:
    """Send every activity, in order within a partition, and return once all are acknowledged.

    Sending the same activities again is safe: the ledger counts each id once. `on_progress` gets the number
    of activities handed over so far.

    Raises:
        KafkaError: the broker refused a batch, or was away for longer than `REQUEST_TIMEOUT_MS`.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    await producer.start()
    try:
        started = time.monotonic()
        sender = _Sender(producer, chains, source, topic_prefix)
        for activity in activities:
            await sender.add(activity)
            if sender.records % ACTIVITIES_BETWEEN_BREATHS == 0:
                await asyncio.sleep(0)
                if on_progress is not None:
                    on_progress(sender.records)
        await sender.finish()
        if on_progress is not None:
            on_progress(sender.records)
        return Published(sender.records, time.monotonic() - started)
    finally:
        await producer.stop()


class _Sender:
    """One open batch for each partition, and the batches that the broker has not acknowledged."""

    def __init__(self, producer: AIOKafkaProducer, chains: int, source: str, topic_prefix: str) -> None:
        self.records = 0
        self._producer = producer
        self._chains = chains
        self._source = source
        self._prefix = topic_prefix
        self._open: dict[tuple[str, int], BatchBuilder] = {}
        self._in_flight: deque[asyncio.Future[object]] = deque()

    async def add(self, activity: Activity) -> None:
        place = (self._prefix + topic_of(activity), chain_of(activity.member, self._chains))
        batch = self._open.get(place)
        if batch is None:
            batch = self._open[place] = self._producer.create_batch()
        if not self._append(batch, activity):
            await self._send(place, batch)
            batch = self._open[place] = self._producer.create_batch()
            if not self._append(batch, activity):
                raise ValueError(f"activity {activity.id} does not fit into a batch of {BATCH_BYTES} bytes")
        self.records += 1

    async def finish(self) -> None:
        for place, batch in self._open.items():
            await self._send(place, batch)
        self._open.clear()
        while self._in_flight:
            await self._in_flight.popleft()

    def _append(self, batch: BatchBuilder, activity: Activity) -> bool:
        metadata = batch.append(
            timestamp=None,
            key=activity.member.encode(),
            value=activity.SerializeToString(),
            headers=activity_headers(activity.DESCRIPTOR.full_name, self._source, activity.id),
        )
        return metadata is not None

    async def _send(self, place: tuple[str, int], batch: BatchBuilder) -> None:
        batch.close()
        topic, partition = place
        self._in_flight.append(await self._producer.send_batch(batch, topic, partition=partition))
        while len(self._in_flight) > BATCHES_IN_FLIGHT_MAX:
            await self._in_flight.popleft()
