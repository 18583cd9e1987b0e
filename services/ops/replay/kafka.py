"""The rows of streams as they lie in Kafka, from the first record that is there on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from services.common.codec import decode_row
from services.common.errors import InvariantBroken
from services.ops.replay.sources import StreamIncomplete

FETCH_RECORDS = 2_000
FETCH_MS = 500
STALL_SECONDS = 30.0
"""A row that is in the journal is published by its relay within a fraction of this."""


class Topics:
    """Streams read from their topics; use as an async context manager. Rows that were sent again are passed over."""

    def __init__(self, bootstrap: str, prefix: str, stall_seconds: float = STALL_SECONDS) -> None:
        self._kafka = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="none"
        )
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._stall_seconds = stall_seconds
        self._started = False

    async def __aenter__(self) -> Topics:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._started:
            await self._kafka.stop()

    async def _start(self) -> None:
        """When the first row is asked for: a client that is stopped right after its start fails (aiokafka)."""
        if self._started:
            return
        try:
            await self._kafka.start()
        except KafkaError as error:
            await self._kafka.stop()
            raise StreamIncomplete(
                f"no Kafka answers at {self._bootstrap}; without --from kafka the journals are read"
            ) from error
        self._started = True

    async def rows(
        self,
        topic: str,
        chain: int,
        after: int,
        up_to: int,
        types: Collection[str] | None = None,
        without: Sequence[str] = (),
    ) -> AsyncIterator[list[Mapping[str, Any]]]:
        """See Streams.

        Raises:
            StreamIncomplete: the topic lacks a row.
            InvariantBroken: a record is none that a relay has written.
        """
        if after >= up_to:
            return
        tp, first = await self._seek(topic, chain, after)
        last, heard = after, time.monotonic()
        while last < up_to:
            fetched = await self._kafka.getmany(tp, timeout_ms=FETCH_MS, max_records=FETCH_RECORDS)
            batch: list[Mapping[str, Any]] = []
            for record in fetched.get(tp, ()):
                row = _row(record, chain)
                if row["position"] <= last or last == up_to:
                    continue
                if row["position"] != last + 1 and first is not None and last == after:
                    # A topic that was made anew has it before that offset.
                    self._kafka.seek(tp, first)
                    first = None
                    break
                if row["position"] != last + 1:
                    raise StreamIncomplete(_lost(tp, chain, last + 1, row["position"]))
                last, heard = row["position"], time.monotonic()
                if types is not None and row["type"] not in types:
                    row["payload"] = None
                if row["type"] not in without:
                    batch.append(row)
            if batch:
                yield batch
                heard = time.monotonic()
            if time.monotonic() - heard > self._stall_seconds:
                raise StreamIncomplete(
                    f"{tp.topic}/{chain} has no row behind position {last} of chain {chain}, and the tables stand for "
                    f"{up_to}: is the relay of the service that writes it running, or has the topic's retention ended? "
                    "Leave out --from kafka: the journals are whole"
                )

    async def _seek(self, topic: str, chain: int, after: int) -> tuple[TopicPartition, int | None]:
        """Go to the first record that can be the one behind `after`. Returns the partition, and its first offset when
        that is before it.

        Positions have no gaps and rows are sent twice at times, so a position lies at its own offset or behind it.
        """
        await self._start()
        tp = TopicPartition(self._prefix + topic, chain)
        if chain not in (self._kafka.partitions_for_topic(tp.topic) or ()) and tp.topic not in (
            await self._kafka.topics()
        ):
            raise StreamIncomplete(
                f"Kafka at {self._bootstrap} has no topic {tp.topic}: --topic-prefix says what its name begins with"
            )
        self._kafka.assign([tp])
        first, end = (
            (await self._kafka.beginning_offsets([tp]))[tp],
            (await self._kafka.end_offsets([tp]))[tp],
        )
        start = max(first, min(after, end))
        self._kafka.seek(tp, start)
        return tp, first if first < start else None


def _row(record: ConsumerRecord, chain: int) -> dict[str, Any]:
    """The journal's columns by name."""
    row = decode_row(record.headers, record.value, {})
    if row.chain != chain:
        raise InvariantBroken(f"{record.topic}/{chain} offset {record.offset} is of chain {row.chain}")
    return {
        "chain": row.chain, "position": row.position, "program": row.program, "member": row.member, "type": row.type,
        "occurred_at": row.occurred_at, "recorded_at": row.recorded_at, "payload": record.value or b"",
    }  # fmt: skip


def _lost(tp: TopicPartition, chain: int, wanted: int, found: int) -> str:
    return (
        f"{tp.topic}/{chain} has no position {wanted} of chain {chain}: what is there goes on with {found} (its "
        f"retention may have ended). Begin with --after a checkpoint that stands for {found - 1} or more, or leave out "
        "--from kafka: the journals are whole"
    )
