"""The dead-letter topic: records that can't be read, as they came, with the place where they stood and why."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

TOPIC = "dead_letters.v1"
REASON_BYTES_MAX = 1_000


class DeadLetters:
    """Writes to the dead-letter topic. A failure to write is raised: the consumer then stops, it never skips."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def write(self, record: ConsumerRecord, reason: str) -> None:
        """Write one record and wait until the brokers have it.

        A crash between this and the commit of the offset writes it again: the key (topic, partition, offset)
        tells such pairs.
        """
        place = f"{record.topic}/{record.partition}/{record.offset}"
        headers = [
            *record.headers,
            ("dead_letter_topic", record.topic.encode()),
            ("dead_letter_partition", b"%d" % record.partition),
            ("dead_letter_offset", b"%d" % record.offset),
            ("dead_letter_reason", reason.encode()[:REASON_BYTES_MAX]),
        ]
        await self._producer.send_and_wait(
            self._topic, key=place.encode(), value=record.value, headers=headers
        )
