"""Publishes the journal to Kafka, in order, each row at least once.

The row is in PostgreSQL before it is on the topic, and the note of how far we are is written after Kafka has
the rows. A crash in between sends rows again; readers drop them by position. Two relays at once would do no
harm either, but one of them would work in vain, so a session lock a chain keeps it to one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.common.child_process import ChildProcess
from services.common.codec import journal_headers
from services.common.db import PASSING_FAULTS, Transaction, Writer
from services.common.published import must_have_all_published
from services.common.service import kafka_producer
from services.common.settings import Settings

log = structlog.get_logger("relay")

ROWS_MAX = 500
"""Rows of one chain in one round."""
POLL_SECONDS = 0.1
LOCK_AGAIN_SECONDS = 3.0
FAULTS_MAX = 120
FAULT_PAUSE_SECONDS = 1.0
LOCK_SPACE = 0x7A11

PENDING = """
SELECT j.chain, j.position, j.program, j.member, j.type, j.occurred_at, j.recorded_at, j.payload
FROM relay_positions AS r
CROSS JOIN LATERAL (
    SELECT * FROM journal WHERE journal.chain = r.chain AND journal.position > r.position
    ORDER BY journal.position LIMIT $2
) AS j
WHERE r.chain = ANY($1::smallint[])
"""
HELD = """
SELECT objid::bigint AS chain FROM pg_locks
WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid = $1
"""
NOTE = """
UPDATE relay_positions AS r SET position = new.position
FROM unnest($1::smallint[], $2::bigint[]) AS new (chain, position)
WHERE r.chain = new.chain AND r.position < new.position
"""


def relay_process(service: str, topic: str, settings: Settings) -> ChildProcess:
    """The relay of a service as a child process of it, not started yet."""

    async def publish(stop: asyncio.Event, news: asyncio.Event) -> None:
        writer = await Writer.connect(settings.database_url.get_secret_value())
        producer = kafka_producer(settings)
        try:
            await producer.start()
            async with writer.session() as session:
                await must_have_all_published(
                    session, settings.kafka_bootstrap_servers, topic, settings.chains
                )
            await Relay(service, topic, writer, producer, settings.chains, news).run(stop)
        finally:
            await producer.stop()
            await writer.close()

    return ChildProcess("relay", publish)


class Relay:
    """Moves rows from one service's journal to `<service>.v1`, partition = chain."""

    def __init__(
        self,
        service: str,
        topic: str,
        writer: Writer,
        producer: AIOKafkaProducer,
        chains: int,
        news: asyncio.Event,
    ) -> None:
        """`news` is set when there is something to publish, so that it is not left to the next poll."""
        self._service = service
        self._topic = topic
        self._writer = writer
        self._producer = producer
        self._chains = chains
        self._news = news

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop` is set. Passing faults are tried again up to a limit, then raised."""
        faults = 0
        while not stop.is_set():
            try:
                async with self._writer.session() as session:
                    while not stop.is_set():
                        mine = await self._lock(session)
                        until = asyncio.get_running_loop().time() + LOCK_AGAIN_SECONDS
                        while not stop.is_set() and asyncio.get_running_loop().time() < until:
                            if await self._publish(session, mine):
                                faults = 0
                            else:
                                await self._pause(stop)
            except (*PASSING_FAULTS, KafkaError) as error:
                faults += 1
                log.warning("passing fault", attempt=faults, error=repr(error))
                if faults >= FAULTS_MAX:
                    raise
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), FAULT_PAUSE_SECONDS)

    async def _pause(self, stop: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), POLL_SECONDS)
        self._news.clear()

    async def _lock(self, session: Transaction) -> list[int]:
        """The chains that this process relays: those it has and those that nobody has."""
        held = await session.fetch(
            HELD,
            LOCK_SPACE,
        )
        mine = {int(row["chain"]) for row in held}
        for chain in range(self._chains):
            if chain not in mine and await session.fetchval(
                "SELECT pg_try_advisory_lock($1::int, $2::int)", LOCK_SPACE, chain
            ):
                mine.add(chain)
        return sorted(mine)

    async def _publish(self, session: Transaction, chains: list[int]) -> int:
        """One round: read, send, wait for Kafka, note. Returns the number of rows."""
        rows = await session.fetch(PENDING, chains, ROWS_MAX)
        if not rows:
            return 0
        by_chain: dict[int, list[Any]] = defaultdict(list)
        for row in rows:
            by_chain[row["chain"]].append(row)
        await asyncio.gather(*(self._send(chain, pending) for chain, pending in by_chain.items()))
        await session.execute(
            NOTE, list(by_chain), [pending[-1]["position"] for pending in by_chain.values()]
        )
        return len(rows)

    async def _send(self, chain: int, rows: list[Any]) -> None:
        """Send the rows of one chain in order and wait until the brokers have all of them."""
        waiting = []
        batch = self._producer.create_batch()
        for row in rows:
            key = (row["member"] or "").encode()
            headers = journal_headers(
                self._service, chain, row["position"], row["program"], row["member"], row["type"],
                row["occurred_at"], row["recorded_at"],
            )  # fmt: skip
            if batch.append(key=key, value=row["payload"], timestamp=None, headers=headers) is None:
                waiting.append(await self._producer.send_batch(batch, self._topic, partition=chain))
                batch = self._producer.create_batch()
                batch.append(key=key, value=row["payload"], timestamp=None, headers=headers)
        waiting.append(await self._producer.send_batch(batch, self._topic, partition=chain))
        await asyncio.gather(*waiting)
