"""What the ledger has refused, as its own stream tells it: activities that came by Kafka get no other answer."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.common.codec import decode_row
from services.ops.api import Endpoints
from tallybook.ledger.v1.events_pb2 import ActivityRejected

FETCH_MS = 1_000
FETCH_WAIT_MS = 20
"""A broker answers a connection's requests one after another, so a fetch must not wait: a question comes next."""
TYPES = {"ActivityRejected": ActivityRejected}


@dataclass(frozen=True, slots=True)
class Refused:
    """An activity that the ledger refused. `code` is stable."""

    code: str
    detail: str


class Refusals:
    """Reads the ledger's stream from where it ends when the reading begins; an async context manager."""

    def __init__(self, endpoints: Endpoints) -> None:
        topic = f"{endpoints.topic_prefix}ledger.v1"
        self._places = [TopicPartition(topic, partition) for partition in range(endpoints.chains)]
        self._kafka = AIOKafkaConsumer(bootstrap_servers=endpoints.bootstrap, fetch_max_wait_ms=FETCH_WAIT_MS)
        self._next: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        await self._kafka.start()
        self._kafka.assign(self._places)
        self._next = await self._kafka.end_offsets(self._places)
        for place, offset in self._next.items():
            self._kafka.seek(place, offset)
        self._kafka.pause(*self._places)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._kafka.stop()

    async def new(self, program: str) -> list[Refused]:
        """What was refused in `program` since the last call and is in the stream by now."""
        ends: dict[TopicPartition, int] = await self._kafka.end_offsets(self._places)
        found = []
        self._kafka.resume(*self._places)
        while any(self._next[place] < end for place, end in ends.items()):
            for place, records in (await self._kafka.getmany(timeout_ms=FETCH_MS)).items():
                self._next[place] = records[-1].offset + 1
                for record in records:
                    row = decode_row(record.headers, record.value, TYPES)
                    if row.program == program and isinstance(row.message, ActivityRejected):
                        found.append(Refused(row.message.code, row.message.detail))
        self._kafka.pause(*self._places)
        return found
