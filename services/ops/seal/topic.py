"""Seals on Kafka: topic `seals.v1`, all on partition 0, in order."""

from __future__ import annotations

from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from google.protobuf.message import DecodeError

from tallybook.seals.v1 import seals_pb2 as pb

TOPIC = "seals.v1"
FETCH_MS = 10_000


class SealsUnpublished(RuntimeError):
    """Kafka did not do what it was asked; the message says what to do."""


class SealTopic:
    """Reads the last seal and publishes more; use as an async context manager."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.name = prefix + TOPIC
        self._bootstrap = bootstrap
        self._place = TopicPartition(self.name, 0)
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)

    async def __aenter__(self) -> Self:
        try:
            await self._begin()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _begin(self) -> None:
        try:
            await self._consumer.start()
            await self._producer.start()
            there = await self._consumer.topics()
        except KafkaError as error:
            raise SealsUnpublished(
                f"no Kafka answers at {self._bootstrap}; --no-broker keeps seals in the folder alone"
            ) from error
        if self.name not in there:
            raise SealsUnpublished(
                f"Kafka at {self._bootstrap} has no topic {self.name}: `tally install --only topics` makes it"
            )

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()
        await self._consumer.stop()

    async def last(self) -> pb.Seal | None:
        """The seal that was published last; None when there is none."""
        end = (await self._consumer.end_offsets([self._place]))[self._place]
        if end == (await self._consumer.beginning_offsets([self._place]))[self._place]:
            return None
        self._consumer.assign([self._place])
        self._consumer.seek(self._place, end - 1)
        found = await self._consumer.getmany(self._place, timeout_ms=FETCH_MS)
        for record in found.get(self._place, ()):
            try:
                return pb.Seal.FromString(record.value)
            except DecodeError as error:
                raise SealsUnpublished(f"the last record of {self.name} is no seal") from error
        raise SealsUnpublished(f"Kafka at {self._bootstrap} does not give the last record of {self.name}")

    async def publish(self, seal: pb.Seal) -> None:
        """Send it, and wait until Kafka has it."""
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_type", pb.Seal.DESCRIPTOR.full_name.encode()),
            ("ce_source", b"tallybook/seal"),
            ("ce_id", b"%d" % seal.number),
            ("ce_time", seal.sealed_at.ToJsonString().encode()),
            ("content-type", b"application/protobuf"),
        ]
        value = seal.SerializeToString(deterministic=True)
        try:
            await self._producer.send_and_wait(
                self.name, value, key=b"%d" % seal.number, partition=0, headers=headers
            )
        except KafkaError as error:
            raise SealsUnpublished(
                f"seal {seal.number} is in its file and was not published ({error}): the next run publishes it too"
            ) from error
