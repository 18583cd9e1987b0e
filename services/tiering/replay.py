"""Rebuilds tiering's projections and its journal from the ledger's book, in whatever schema the search_path names.

The one input is the ledger's stream, so a rebuild decides everything again: equal projections are L7, an equal journal
(but for recorded_at, and so the hashes) is L8.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from google.protobuf.message import DecodeError

from services.common.chain import genesis
from services.common.codec import StreamRow
from services.common.db import Transaction
from services.common.errors import InvariantBroken
from services.tiering.consume import LEDGER_TOPIC
from services.tiering.project import apply_rows
from services.tiering.wire import LEDGER_TYPES

PROJECTIONS: dict[str, tuple[str, ...]] = {
    "programs": ("chain", "program", "position"),
    "program_clocks": ("chain", "program"),
    "members": ("chain", "program", "member"),
    "spend": ("chain", "program", "member", "occurred_at", "position"),
    "tier_history": ("chain", "program", "member", "position"),
}
"""What a rebuild fills, and the key of each: rows in this order give the digest."""
JOURNAL_COMPARED = (
    "chain", "position", "program", "member", "type", "occurred_at", "cause_source", "cause_id", "cause_digest",
    "program_version", "payload",
)  # fmt: skip
"""The journal's columns that a rebuild gives again."""
ALSO_WRITTEN = ("journal", "chain_heads", "stream_positions")
"""Tables that `rebuild` needs in its schema besides the projections."""

SEED_HEAD = "INSERT INTO chain_heads (chain, position, hash) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING"


def ledger_row(record: Mapping[str, Any]) -> StreamRow:
    """A row of the ledger's journal table, as the stream would bring it. `record` has the columns by name."""
    cls = LEDGER_TYPES.get(record["type"])
    try:
        message = None if cls is None else cls.FromString(record["payload"])
    except DecodeError as error:
        raise InvariantBroken(f"ledger row {record['chain']}-{record['position']} can't be read") from error
    return StreamRow(
        record["chain"], record["position"], record["program"], record["member"], record["type"],
        record["occurred_at"], record["recorded_at"], message,
    )  # fmt: skip


async def rebuild(
    tx: Transaction, chain: int, batches: AsyncIterable[Sequence[StreamRow]], recorded_at: datetime
) -> int:
    """Apply the ledger's chain from its first row on, in the caller's transaction. Returns the rows applied.

    The schema's tables are empty at the start (or hold a rebuild that is to be carried on).
    """
    await tx.execute(SEED_HEAD, chain, genesis(chain))
    applied = 0
    async for batch in batches:
        count, _ = await apply_rows(tx, chain, LEDGER_TOPIC, batch, recorded_at)
        applied += count
    return applied
