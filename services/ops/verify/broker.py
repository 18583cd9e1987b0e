"""L6 with Kafka: what the services say they read and wrote, against what the topics hold.

The services may be at work while this looks, so each comparison is between an earlier look and a later one, of which
the rule says which must not be ahead: topics are looked at before the databases' snapshots and again after them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from services.ops.verify.findings import Findings
from services.ops.verify.snapshot import Connection

STREAMS = {"ledger": "ledger.v1", "tiering": "tiers.v1", "rewards": "rewards.v1"}
"""Where each service's journal is published."""
FETCH_SECONDS = 10.0
FETCH_WAIT_MS = 20
"""A broker answers a connection's requests one after another: a fetch that waits for records (aiokafka's default is
half a second) keeps every later question waiting, and all records that are read here are there already."""
LOOK_BACK_RECORDS = 1_000
"""A relay that lost its place may still send a round of rows (500) that another has sent: so far back is looked."""

HEADS = "SELECT chain, position FROM chain_heads ORDER BY chain"
RELAY = "SELECT chain, position FROM relay_positions ORDER BY chain"
OFFSETS = "SELECT chain, topic, first_offset, next_offset FROM consumer_offsets ORDER BY topic, chain"
APPLIED = "SELECT chain, topic, position FROM stream_positions ORDER BY topic, chain"


class BrokerUnreadable(RuntimeError):
    """Kafka can't be asked; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Topics:
    """One look at Kafka: the last journal position published, by topic (without prefix) and chain; 0 for none."""

    published: dict[tuple[str, int], int]


class Broker:
    """Reads ends of topics; use as an async context manager."""

    def __init__(self, bootstrap: str, prefix: str, chains: int) -> None:
        self._kafka = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=FETCH_WAIT_MS
        )
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._chains = chains

    async def __aenter__(self) -> Broker:
        try:
            await self._kafka.start()
        except KafkaError as error:
            await self._kafka.stop()
            raise BrokerUnreadable(
                f"no Kafka answers at {self._bootstrap}; --no-broker verifies the databases alone"
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._kafka.stop()

    async def look(self) -> Topics:
        """The last record of every chain of every stream."""
        await self._must_have(self._prefix + topic for topic in STREAMS.values())
        places = {
            TopicPartition(self._prefix + topic, chain): (topic, chain)
            for topic in STREAMS.values()
            for chain in range(self._chains)
        }
        ends = await self._kafka.end_offsets(list(places))
        firsts = await self._kafka.beginning_offsets(list(places))
        published = dict.fromkeys(places.values(), 0)
        last = {tp: ends[tp] - 1 for tp in places if ends[tp] > firsts[tp]}
        for tp, positions in (await self._read(last, ends)).items():
            published[places[tp]] = max(positions)
        return Topics(published)

    async def highest(self, topic: str, chain: int) -> int:
        """The highest position among the last LOOK_BACK_RECORDS records of a stream's partition; 0 for none."""
        tp = TopicPartition(self._prefix + topic, chain)
        ends = await self._kafka.end_offsets([tp])
        firsts = await self._kafka.beginning_offsets([tp])
        start = max(firsts[tp], ends[tp] - LOOK_BACK_RECORDS)
        found = await self._read({tp: start}, ends) if ends[tp] > start else {}
        return max(found.get(tp, [0]))

    async def _read(
        self, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, list[int]]:
        """The positions in the records of each partition from its start to its end."""
        self._kafka.assign(list(starts))
        for tp, offset in starts.items():
            self._kafka.seek(tp, offset)
        found: dict[TopicPartition, list[int]] = {tp: [] for tp in starts}
        waiting = set(starts)
        while waiting:
            fetched = await self._kafka.getmany(*waiting, timeout_ms=int(FETCH_SECONDS * 1000))
            if not fetched:
                names = ", ".join(sorted(f"{tp.topic}/{tp.partition}" for tp in waiting))
                raise BrokerUnreadable(
                    f"Kafka at {self._bootstrap} does not give the last records of {names}"
                )
            for tp, records in fetched.items():
                found[tp] += [_position(tp, record) for record in records]
                if records[-1].offset >= ends[tp] - 1:
                    waiting.discard(tp)
        self._kafka.pause(*starts)
        return found

    async def _must_have(self, topics: Iterable[str]) -> None:
        there = await self._kafka.topics()
        missing = sorted(set(topics) - there)
        if missing:
            raise BrokerUnreadable(
                f"Kafka at {self._bootstrap} has no topic {', '.join(missing)}: is the topic prefix right?"
            )

    async def ends(self, topics: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """End offsets of (full topic name, partition); those that Kafka does not have are left out."""
        there = await self._kafka.topics()
        places = [
            TopicPartition(topic, partition)
            for topic, partition in topics
            if topic in there and 0 <= partition < self._chains
        ]
        found = await self._kafka.end_offsets(places) if places else {}
        return {(tp.topic, tp.partition): end for tp, end in found.items()}


def _position(tp: TopicPartition, record: ConsumerRecord) -> int:
    try:
        return int(dict(record.headers)["ce_position"])
    except (KeyError, ValueError) as error:
        place = f"{tp.topic}/{tp.partition} at offset {record.offset}"
        raise BrokerUnreadable(f"{place} is no record of a journal: it has no position") from error


async def check_published(
    connection: Connection, service: str, before: Topics, after: Topics, broker: Broker, found: Findings
) -> None:
    """The service's stream: `before` and `after` are looks from before and after the connection's snapshot."""
    stream = STREAMS[service]
    relayed = {row["chain"]: row["position"] for row in await connection.fetch(RELAY)}
    for row in await connection.fetch(HEADS):
        chain = row["chain"]
        found.looked("L6")
        where = f"topic {stream} partition {chain}"
        if before.published.get((stream, chain), 0) > row["position"]:
            last = before.published[stream, chain]
            found.add("L6", where, f"ends with position {last}, the journal with {row['position']}")
        noted = relayed.get(chain, 0)
        if after.published.get((stream, chain), 0) < noted:
            last = await broker.highest(stream, chain)
            if last < noted:
                found.add("L6", where, f"ends with position {last}, noted as published is {noted}")


async def check_offsets(connection: Connection, broker: Broker, found: Findings) -> None:
    """Offsets of the snapshot against the topics' ends now."""
    rows = await connection.fetch(OFFSETS)
    places = {(row["topic"], row["chain"]): row for row in rows}
    ends = await broker.ends(places)
    for place, row in places.items():
        found.looked("L6")
        where = f"consumer_offsets {row['chain']} {row['topic']}"
        first, next_ = row["first_offset"], row["next_offset"]
        if place not in ends:
            found.add("L6", where, "Kafka has no such topic and partition")
        elif not 0 <= first <= next_ <= ends[place]:
            found.add("L6", where, f"read from {first} up to {next_}, the topic ends at {ends[place]}")


async def check_applied(connection: Connection, heads: dict[tuple[str, int], int], found: Findings) -> None:
    """Positions applied of other services' streams against those services' heads, which were read later."""
    for row in await connection.fetch(APPLIED):
        found.looked("L6")
        head = heads.get((row["topic"], row["chain"]), 0)
        if not 0 <= row["position"] <= head:
            where = f"stream_positions {row['chain']} {row['topic']}"
            found.add("L6", where, f"position is {row['position']}, that journal ends at {head}")
