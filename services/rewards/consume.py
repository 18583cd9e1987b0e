"""Takes ledger.v1 and tiers.v1: wallets, tiers, segments, programs, and the holds that finish or end redemptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from aiokafka.structs import ConsumerRecord
from google.protobuf.message import Message

from services.common.clock import utc_now
from services.common.codec import StreamRow, decode_row, unseen
from services.common.consumer import Applied
from services.common.db import Transaction
from services.common.errors import InvariantBroken
from services.rewards.birthdays import note_profiles
from services.rewards.domain.decide import hear
from services.rewards.domain.events import ProgramRefused
from services.rewards.domain.facts import HoldCaptured, HoldFact, HoldPlaced, HoldReleased, SpendRefunded
from services.rewards.domain.refunds import from_ledger_key
from services.rewards.granting import Granting
from services.rewards.money import MONEY_TYPES
from services.rewards.moving import begin_merges
from services.rewards.project import Told, apply_told
from services.rewards.store import Book
from services.rewards.store_redemptions import Key
from services.rewards.wire import LEDGER_TYPES, OCCASION_TYPES, TIERS_TYPES, fact_of

LEDGER_TOPIC = "ledger.v1"
TIERS_TOPIC = "tiers.v1"
TYPES: Mapping[str, Mapping[str, type[Message]]] = {
    LEDGER_TOPIC: LEDGER_TYPES | OCCASION_TYPES | MONEY_TYPES,
    TIERS_TOPIC: TIERS_TYPES,
}
"""What is read, by topic (without the installation's prefix)."""
SOURCES = {LEDGER_TOPIC: "tallybook/ledger", TIERS_TOPIC: "tallybook/tiering"}
REASON_MAX = 1_000
HOLDS = (HoldPlaced, HoldCaptured, HoldReleased)

APPLIED = "SELECT position FROM stream_positions WHERE chain = $1 AND topic = $2"
MOVE = """
INSERT INTO stream_positions (chain, topic, position) VALUES ($1, $2, $3)
ON CONFLICT (chain, topic) DO UPDATE SET position = EXCLUDED.position
"""


class StreamHandler:
    """Applies one service's stream, a batch of one chain at a time."""

    own_stream = True

    def __init__(self, topic: str, chains: int, wake_relay: Callable[[], None]) -> None:
        self._topic = topic
        self._chains = chains
        self._source = SOURCES[topic]
        self._types = TYPES[topic]
        self._wake_relay = wake_relay

    def decode(self, record: ConsumerRecord, now: datetime) -> StreamRow:
        """The row in a record. Raises InvariantBroken."""
        return decode_row(record.headers, record.value, self._types)

    async def apply(self, tx: Transaction, partition: int, items: Sequence[StreamRow]) -> Applied:
        """Wallets, then what follows for redemptions; the rows of one chain, in order."""
        book = await Book.load(tx, partition)
        fresh = await self._fresh(tx, partition, items)
        if not fresh:
            return Applied(duplicates=len(items))
        told: list[Told] = [(row, fact_of(row)) for row in fresh]
        granting = await Granting.begin(tx, partition, fresh)
        refused = await apply_told(tx, partition, told)
        now = utc_now()
        for row, error in refused:
            version = row.message.version  # type: ignore[union-attr]
            book.record(
                row.program, None, version, ProgramRefused(version, str(error)[:REASON_MAX]),
                row.occurred_at, now, self._cause(row),
            )  # fmt: skip
        await self._hear(tx, book, told)
        await granting.give(tx, book, self._chains, told, self._source, now)
        await note_profiles(tx, partition, fresh, now)
        await begin_merges(tx, partition, fresh, now)
        await book.vouchers.lapse(tx, partition, {row.program for row in fresh}, now)
        await book.write(tx, now, self._chains)
        await tx.execute(MOVE, partition, self._topic, fresh[-1].position)
        return Applied(recorded=len(fresh), duplicates=len(items) - len(fresh))

    async def _fresh(self, tx: Transaction, chain: int, items: Sequence[StreamRow]) -> list[StreamRow]:
        """The rows that were not applied yet. Raises InvariantBroken for a gap or a row of another chain."""
        if any(row.chain != chain for row in items):
            raise InvariantBroken(f"partition {chain} of {self._topic} holds rows of another chain")
        applied = {chain: await tx.fetchval(APPLIED, chain, self._topic) or 0}
        return unseen(items, applied)

    async def _hear(self, tx: Transaction, book: Book, told: Sequence[Told]) -> None:
        """Holds that were placed, captured or released, and refunds, finish or end the redemptions that they are of."""
        heard: list[tuple[StreamRow, HoldFact | SpendRefunded, Key]] = []
        for row, fact in told:
            if isinstance(fact, HOLDS):
                heard.append((row, fact, (row.program, row.member or "", fact.hold)))
            elif isinstance(fact, SpendRefunded):
                ours = from_ledger_key(fact.refund)
                if ours is not None:
                    heard.append((row, fact, (row.program, row.member or "", ours[0])))
        await book.load_more(tx, [key for _, _, key in heard])
        now = utc_now()
        for row, fact, key in heard:
            redemption = book.redemptions.get(key)
            if redemption is None:
                continue
            for event in hear(redemption, fact):
                book.record(
                    row.program, row.member, redemption.version, event, row.occurred_at, now, self._cause(row)
                )

    def _cause(self, row: StreamRow) -> tuple[str, str, None]:
        return (self._source, f"{row.chain}-{row.position}", None)

    def committed(self) -> None:
        """There may be rows to publish."""
        self._wake_relay()
