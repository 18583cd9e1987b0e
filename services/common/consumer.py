"""The one consumer loop: micro-batches of a partition, one transaction each, the offset in that transaction.

What holds at every moment (DESIGN, L5 and L6):
- a partition is processed by one worker, in order; several partitions are in flight at once;
- the offset row is moved by the transaction that writes the batch, and only by the owner of its epoch;
- a record that can't be read is dead-lettered before its offset is committed; nothing is skipped;
- a passing fault is retried up to a limit, then the process stops; a bad record is found by halving.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from services.common.clock import utc_now
from services.common.db import PASSING_FAULTS, Transaction, Writer
from services.common.dead_letter import DeadLetters
from services.common.errors import BeginAgain, Fenced, InvariantBroken, Undecodable

log = structlog.get_logger("consumer")

FETCH_TIMEOUT_MS = 200
PARTITION_FETCH_BYTES = 256 * 1024
QUEUED_BATCHES = 2
"""A partition with so many batches in its queue is not asked for more. (Pausing it would make the client throw away
what it has fetched already, and fetch it again.)"""
ROOM_SECONDS = 1.0
ROOM_RECORDS = 100
ROOM_BATCHES = 2
"""A consumer that is told that others want its chains takes so few records at a time for so long, of so few
partitions: each of the batches that it decides in turn has its chain for as long as all of them take."""
SLICE = 100
"""So many records are decoded before others get their turn: requests, and transactions whose answers are there."""
RETRIES_MAX = 60
RETRY_FIRST_SECONDS = 0.1
RETRY_LONGEST_SECONDS = 2.0
HAND_OVER_SECONDS = 30.0
SESSION_TIMEOUT_MS = 6_000
"""After a kill the group waits this long for the dead before its partitions go to others."""
HEARTBEAT_MS = 2_000
COURTESY_COMMIT_SECONDS = 5.0

NOT_POISON: tuple[type[Exception], ...] = (Fenced, InvariantBroken, *PASSING_FAULTS)
"""Failures of a batch that no single record of it is to blame for."""

CLAIM = """
-- Taking a partition over waits for the running transaction of the owner before, and fences all its later ones.
INSERT INTO consumer_offsets (chain, consumer, topic, first_offset, next_offset, epoch, owner)
VALUES ($1, $2, $3, $4, $4, 1, $5)
ON CONFLICT (chain, consumer, topic) DO UPDATE SET epoch = consumer_offsets.epoch + 1, owner = EXCLUDED.owner
RETURNING next_offset, epoch
"""
ADVANCE = """
UPDATE consumer_offsets SET next_offset = $4, recorded = recorded + $7, rejected = rejected + $8,
    duplicates = duplicates + $9, dead_lettered = dead_lettered + $10, without_record = without_record + $11
WHERE chain = $1 AND consumer = $2 AND topic = $3 AND next_offset = $5 AND epoch = $6
"""
LOOK = "SELECT next_offset, epoch FROM consumer_offsets WHERE chain = $1 AND consumer = $2 AND topic = $3"


Fetched = dict[TopicPartition, tuple[list[ConsumerRecord], int]]
"""Records by partition, and the offset up to which the client has looked."""


@dataclass(slots=True)
class Applied:
    """What became of a batch's records; the sum is the number of records."""

    recorded: int = 0
    rejected: int = 0
    duplicates: int = 0
    dead_lettered: int = 0


class Handler(Protocol):
    """What a service does with records. `decode` is pure; `apply` writes in the transaction that it is given."""

    own_stream: bool
    """True for streams that our own services write: a bad record there is a broken invariant, not a dead letter."""

    def decode(self, record: ConsumerRecord, now: datetime) -> Any:
        """The item in a record that is taken at `now`. Raises Undecodable."""

    async def apply(self, tx: Transaction, partition: int, items: Sequence[Any]) -> Applied:
        """Take the items in order, all or nothing."""

    def committed(self) -> None:
        """The transaction of the last `apply` is committed."""


@dataclass(slots=True)
class _Worker:
    """One partition that this process owns."""

    partition: TopicPartition
    handler: Handler
    next_offset: int
    epoch: int
    fetched_to: int = 0
    """Where the client's fetches have got to: behind the last record of the queue, and what follows it that is none."""
    queue: deque[ConsumerRecord] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    closing: bool = False
    task: asyncio.Task[None] | None = None

    def gave_up(self) -> bool:
        """The partition is somebody else's, or about to be."""
        return self.closing


class Consumer:
    """Consumes topics for one service. `run` returns after a clean stop and raises when it can't go on."""

    def __init__(
        self,
        name: str,
        bootstrap_servers: str,
        handlers: dict[str, Handler],
        writer: Writer,
        dead_letters: DeadLetters,
        *,
        group_id: str,
        batch_records: int,
        batches_in_flight: int,
    ) -> None:
        """`handlers` by topic (full name); `name` is the consumer's name in `consumer_offsets`."""
        self.name = name
        self._bootstrap_servers = bootstrap_servers
        self._handlers = handlers
        self._writer = writer
        self._dead_letters = dead_letters
        self._group_id = group_id
        self._batch_records = batch_records
        self._slots = asyncio.Semaphore(batches_in_flight)
        self._few_slots = asyncio.Semaphore(ROOM_BATCHES)
        self._workers: dict[TopicPartition, _Worker] = {}
        self._hunger = asyncio.Event()
        self._room_until = 0.0
        self._owner = uuid.uuid4().hex
        self._failure: asyncio.Future[None] | None = None
        self._kafka: AIOKafkaConsumer | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; finish the transactions under way; leave the group."""
        self._failure = asyncio.get_running_loop().create_future()
        self._kafka = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            group_id=self._group_id,
            enable_auto_commit=False,
            # What a producer gave up in a transaction, and the marks of all its transactions, are no records.
            isolation_level="read_committed",
            auto_offset_reset="none",
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            max_poll_interval_ms=600_000,
            metadata_max_age_ms=30_000,
        )
        self._kafka.subscribe(list(self._handlers), listener=_Rebalance(self))
        await self._kafka.start()
        stopping = asyncio.create_task(stop.wait())
        courtesy = asyncio.create_task(self._commit_as_a_courtesy())
        try:
            while not stop.is_set():
                fetching = asyncio.create_task(self._fetch(self._kafka))
                watched: set[asyncio.Future[Any]] = {fetching, stopping, self._failure}
                await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                if self._failure.done():
                    fetching.cancel()
                    self._failure.result()
                if not fetching.done():
                    fetching.cancel()
                    break
                self._enqueue(fetching.result())
        finally:
            stopping.cancel()
            courtesy.cancel()
            await self.release(list(self._workers))
            await self._kafka.stop()
            if self._failure.done():
                self._failure.exception()

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        """What this process owns now."""
        return frozenset(self._workers)

    def make_room(self) -> None:
        """Others want the chains: hold them for shorter, for a while."""
        self._room_until = asyncio.get_running_loop().time() + ROOM_SECONDS

    async def claim(self, partitions: Iterable[TopicPartition]) -> None:
        """Become the owner of partitions: fence whoever had them, and go on from the committed offset."""
        kafka = self._kafka
        if kafka is None:
            raise InvariantBroken("partitions were assigned before the consumer was started")
        partitions = list(partitions)
        for tp in partitions:
            # Before the first await: until the database has said where to go on, nothing is fetched, and the client
            # does not look for an offset committed to Kafka (there is none at first, and that would be an error).
            kafka.seek(tp, 0)
            kafka.pause(tp)
        first = await kafka.beginning_offsets(partitions)
        for tp in partitions:
            async with self._writer.transaction() as tx:
                row = await tx.fetchrow(CLAIM, tp.partition, self.name, tp.topic, first[tp], self._owner)
            worker = _Worker(tp, self._handlers[tp.topic], row["next_offset"], row["epoch"])
            kafka.seek(tp, worker.next_offset)
            kafka.resume(tp)
            self._workers[tp] = worker
            self._hunger.set()
            worker.task = asyncio.create_task(
                self._work(worker), name=f"{self.name} {tp.topic}/{tp.partition}"
            )

    async def release(self, partitions: Iterable[TopicPartition]) -> None:
        """Finish the transactions under way of partitions and forget them; the rest of their queues is dropped."""
        leaving = [worker for tp in partitions if (worker := self._workers.pop(tp, None)) is not None]
        for worker in leaving:
            worker.closing = True
            worker.wake.set()
        tasks = [worker.task for worker in leaving if worker.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=HAND_OVER_SECONDS)
            for task in late:
                task.cancel()

    def fail(self, error: BaseException) -> None:
        """Make `run` raise `error`."""
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)

    async def _fetch(self, kafka: AIOKafkaConsumer) -> Fetched:
        """Some records of partitions whose queues are short; none when there are none for a while."""
        enough = QUEUED_BATCHES * self._batch_records
        hungry = [tp for tp, worker in self._workers.items() if len(worker.queue) < enough]
        if not hungry:
            self._hunger.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hunger.wait(), FETCH_TIMEOUT_MS / 1_000)
            return {}
        records = await kafka.getmany(*hungry, timeout_ms=FETCH_TIMEOUT_MS, max_records=self._batch_records)
        return {tp: (records.get(tp, []), await kafka.position(tp)) for tp in hungry if tp in self._workers}

    def _enqueue(self, fetched: Fetched) -> None:
        for tp, (records, position) in fetched.items():
            worker = self._workers.get(tp)
            if worker is None:
                continue
            worker.queue.extend(records)
            if position > worker.fetched_to:
                worker.fetched_to = position
                worker.wake.set()

    async def _work(self, worker: _Worker) -> None:
        try:
            while not worker.gave_up():
                if not worker.queue and worker.fetched_to <= worker.next_offset:
                    worker.wake.clear()
                    await worker.wake.wait()
                    continue
                few = self._few_slots if self._makes_room() else contextlib.nullcontext()
                async with few, self._slots:
                    if worker.gave_up():
                        return
                    most = (
                        min(self._batch_records, ROOM_RECORDS) if self._makes_room() else self._batch_records
                    )
                    batch = [worker.queue.popleft() for _ in range(min(len(worker.queue), most))]
                    self._hunger.set()
                    await self._take(worker, batch)
        except Fenced as error:
            # Another process owns the partition now; the group will tell us so.
            log.warning("fenced", partition=str(worker.partition), why=str(error))
            worker.closing = True
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 (not swallowed: `run` raises it)
            self.fail(error)

    def _makes_room(self) -> bool:
        return asyncio.get_running_loop().time() < self._room_until

    async def _take(self, worker: _Worker, records: Sequence[ConsumerRecord]) -> None:
        """Decode, dead-letter what can't be decoded, apply the rest, move the offset."""
        items: list[Any] = []
        kept: list[ConsumerRecord] = []
        dead: list[int] = []
        now = utc_now()
        for place, record in enumerate(records, 1):
            if place % SLICE == 0:
                await asyncio.sleep(0)
            try:
                items.append(worker.handler.decode(record, now))
                kept.append(record)
            except InvariantBroken as error:
                await self._stop_at(worker, record, items, len(dead), error)
            except Undecodable as error:
                if worker.handler.own_stream:
                    await self._stop_at(worker, record, items, len(dead), error)
                await self._bury(worker, record, str(error))
                dead.append(record.offset)
        after = worker.queue[0].offset if worker.queue else worker.fetched_to
        try:
            await self._commit(worker, items, len(dead), after)
        except NOT_POISON:
            raise
        except Exception as error:
            if worker.handler.own_stream:
                raise InvariantBroken(f"{worker.partition}: our own record is refused: {error!r}") from error
            await self._isolate(worker, kept, items, dead, after, error)

    async def _isolate(
        self,
        worker: _Worker,
        records: Sequence[ConsumerRecord],
        items: Sequence[Any],
        dead: Sequence[int],
        after: int,
        error: Exception,
    ) -> None:
        """One of `items` makes the transaction fail: halve until it is alone, then dead-letter it.

        `dead` are the offsets of records up to `after` that were dead-lettered already and not counted yet.
        """
        if len(items) == 1:
            log.error("poison", partition=str(worker.partition), offset=records[0].offset, error=repr(error))
            await self._bury(worker, records[0], f"failed to apply: {type(error).__name__}")
            await self._commit(worker, [], len(dead) + 1, after)
            return
        middle = len(items) // 2
        for part in (slice(None, middle), slice(middle, None)):
            part_after = after if part.stop is None else records[middle].offset
            # Each is counted by the commit that passes its offset: a crash between two parts loses no count.
            part_dead = [offset for offset in dead if worker.next_offset <= offset < part_after]
            try:
                await self._commit(worker, items[part], len(part_dead), part_after)
            except NOT_POISON:
                raise
            except Exception as part_error:  # noqa: BLE001 (not swallowed: the record behind it is looked for)
                await self._isolate(worker, records[part], items[part], part_dead, part_after, part_error)

    async def _stop_at(
        self, worker: _Worker, record: ConsumerRecord, items: Sequence[Any], dead: int, error: Exception
    ) -> NoReturn:
        """A record that can't be: `items` before it are taken, so that the offset in the database is its place."""
        if record.offset > worker.next_offset:
            await self._commit(worker, items, dead, record.offset)
        raise InvariantBroken(f"{record.topic}/{record.partition} offset {record.offset}: {error}") from error

    async def _bury(self, worker: _Worker, record: ConsumerRecord, reason: str) -> None:
        # The reason may quote what was sent, so it stands beside what was sent and not in a log.
        log.warning("dead letter", partition=str(worker.partition), offset=record.offset)
        await self._dead_letters.write(record, reason)

    async def _commit(self, worker: _Worker, items: Sequence[Any], dead: int, after: int) -> None:
        """One transaction, tried again after passing faults. Raises Fenced when the partition is another's."""
        tp = worker.partition
        without_record = after - worker.next_offset - len(items) - dead
        delay = RETRY_FIRST_SECONDS
        for attempt in range(1, RETRIES_MAX + 1):
            try:
                async with self._writer.transaction() as tx:
                    if attempt > 1 and await self._was_committed(tx, worker, after):
                        break
                    applied = await worker.handler.apply(tx, tp.partition, items) if items else Applied()
                    done = await tx.execute(
                        ADVANCE, tp.partition, self.name, tp.topic, after, worker.next_offset, worker.epoch,
                        applied.recorded, applied.rejected, applied.duplicates, dead, without_record,
                    )  # fmt: skip
                    if done != "UPDATE 1":
                        raise Fenced(
                            f"offset {worker.next_offset} of epoch {worker.epoch} is not ours to move"
                        )
                break
            except PASSING_FAULTS as error:
                log.warning("passing fault", partition=str(tp), attempt=attempt, error=repr(error))
                if attempt == RETRIES_MAX:
                    raise
                if isinstance(error, BeginAgain):
                    continue
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_LONGEST_SECONDS)
        worker.next_offset = after
        worker.handler.committed()

    async def _was_committed(self, tx: Transaction, worker: _Worker, after: int) -> bool:
        """After a fault during COMMIT nobody told us how it ended: the offset row knows."""
        tp = worker.partition
        row = await tx.fetchrow(LOOK, tp.partition, self.name, tp.topic)
        if row["epoch"] != worker.epoch:
            raise Fenced(f"epoch is {row['epoch']}, ours was {worker.epoch}")
        return bool(row["next_offset"] == after)

    async def _commit_as_a_courtesy(self) -> None:
        """Tell Kafka where we are, for lag monitors only; PostgreSQL's offsets are the ones that count."""
        while True:
            await asyncio.sleep(COURTESY_COMMIT_SECONDS)
            offsets = {tp: worker.next_offset for tp, worker in self._workers.items()}
            if offsets:
                try:
                    await self._kafka.commit(offsets)  # type: ignore[union-attr]
                except KafkaError as error:
                    log.debug("courtesy commit refused", error=repr(error))


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes the group's changes on; a failure to claim stops the consumer."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        await self._consumer.release(revoked)

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        try:
            await self._consumer.claim(assigned)
        except BaseException as error:
            self._consumer.fail(error)
            raise
