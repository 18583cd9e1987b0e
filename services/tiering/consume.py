"""Tiering's input: the ledger's stream. Partition = chain, so a batch concerns one chain only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from aiokafka.structs import ConsumerRecord

from services.common.clock import utc_now
from services.common.codec import StreamRow, decode_row
from services.common.consumer import Applied
from services.common.db import Transaction
from services.tiering.project import LEDGER_TOPIC, apply_rows
from services.tiering.wire import LEDGER_TYPES


class LedgerRows:
    """Handler of ledger.v1 (services.common.consumer)."""

    own_stream = True

    def __init__(self, decided: Callable[[], None]) -> None:
        """`decided` is called after each commit that wrote rows of our own (the relay has something to publish)."""
        self._decided = decided

    def decode(self, record: ConsumerRecord, now: datetime) -> StreamRow:
        """The row in a record; without its message when tiering has no use for that type."""
        return decode_row(record.headers, record.value, LEDGER_TYPES)

    async def apply(self, tx: Transaction, partition: int, items: Sequence[StreamRow]) -> Applied:
        """Apply the rows to the partition's chain."""
        # The stream is known by its unprefixed name, so that a book can move to other topic names.
        applied, _ = await apply_rows(tx, partition, LEDGER_TOPIC, items, utc_now())
        return Applied(recorded=applied, duplicates=len(items) - applied)

    def committed(self) -> None:
        """The relay may look at once."""
        self._decided()
