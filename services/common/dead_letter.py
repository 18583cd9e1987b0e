"""The dead-letter topic: records that can't be read, as they came, with the place where they stood and why."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

TOPIC = "dead_letters.v1"
REASON_BYTES_MAX = 1_000
VALUE_BYTES_MAX = 900_000
"""A compressed batch can carry a record that no broker takes uncompressed; a letter must always be writable. What is
cut off still stands at the record's own place, and the header `dead_letter_value_bytes` says how much it was."""
HEADERS_BYTES_MAX = 50_000
"""Headers of the record that are longer together are left out; the key likewise."""


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
        value = record.value
        headers = [
            *_bounded([*record.headers, *_key(record)]),
            ("dead_letter_topic", record.topic.encode()),
            ("dead_letter_partition", b"%d" % record.partition),
            ("dead_letter_offset", b"%d" % record.offset),
            ("dead_letter_reason", reason.encode(errors="replace")[:REASON_BYTES_MAX]),
        ]
        if value is not None and len(value) > VALUE_BYTES_MAX:
            headers.append(("dead_letter_value_bytes", b"%d" % len(value)))
            value = value[:VALUE_BYTES_MAX]
        await self._producer.send_and_wait(self._topic, key=place.encode(), value=value, headers=headers)


def _key(record: ConsumerRecord) -> list[tuple[str, bytes]]:
    return [] if record.key is None else [("dead_letter_key", record.key)]


def _bounded(headers: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The headers that fit, the first first. A header's value may be missing (None), which Kafka allows."""
    kept, size = [], 0
    for name, content in headers:
        size += len(name.encode()) + len(content or b"")
        if size > HEADERS_BYTES_MAX:
            break
        kept.append((name, content))
    return kept
