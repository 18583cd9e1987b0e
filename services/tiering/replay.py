"""Rebuilds tiering's projections and its journal from the ledger's book, in whatever schema the search_path names.

The input is the ledger's stream, and of our own journal only what tiering was told itself (grants by hand, tags,
and what runs over all members measured). So a rebuild decides everything again: equal projections are L7, an equal
journal (but for recorded_at, and so the hashes) is L8.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf.message import DecodeError

from services.common.chain import genesis
from services.common.codec import StreamRow, journal_row
from services.common.db import Transaction
from services.common.errors import InvariantBroken
from services.common.journal import Journal
from services.tiering.domain.events import SegmentsRun, TiersRanked, Told
from services.tiering.project import LEDGER_TOPIC, apply_rows, apply_told
from services.tiering.ranking import apply_ranking
from services.tiering.segments import apply_run
from services.tiering.wire import LEDGER_TYPES, payload_of, told_of

PROJECTIONS: dict[str, tuple[str, ...]] = {
    "programs": ("chain", "program", "position"),
    "program_clocks": ("chain", "program"),
    "members": ("chain", "program", "member"),
    "entries": ("chain", "program", "member", "metric", "occurred_at", "position"),
    "purchases": ("chain", "program", "purchase"),
    "visit_days": ("chain", "program", "member", "metric", "day"),
    "tier_history": ("chain", "program", "member", "position"),
    "segments": ("chain", "program", "member"),
    "tags": ("chain", "program", "member", "tag"),
    "segment_runs": ("chain", "program", "run"),
    "tier_rankings": ("chain", "program", "run"),
    "absorbed_members": ("chain", "program", "member"),
    "merges": ("chain", "program", "absorbed"),
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
    return journal_row(record, LEDGER_TYPES)


@dataclass(slots=True, frozen=True)
class OwnRow:
    """A row of tiering's journal that is a fact: told to tiering itself, right behind a row of the ledger."""

    program: str
    member: str
    """Empty for a run: it is about all."""
    occurred_at: datetime
    cause: tuple[str, str, bytes | None]
    version: str
    told: Told | SegmentsRun | TiersRanked


def own_row(record: Mapping[str, Any]) -> OwnRow:
    """A row of tiering's own journal table whose type is among OWN_TYPES. `record` has the columns by name."""
    try:
        told = told_of(record["type"], record["payload"])
    except DecodeError as error:
        raise InvariantBroken(f"tiering row {record['chain']}-{record['position']} can't be read") from error
    cause = (record["cause_source"], record["cause_id"], record["cause_digest"])
    return OwnRow(
        record["program"],
        record["member"] or "",
        record["occurred_at"],
        cause,
        record["program_version"],
        told,
    )


async def rebuild(
    tx: Transaction,
    chain: int,
    batches: AsyncIterable[Sequence[StreamRow]],
    recorded_at: datetime,
    own: AsyncIterable[OwnRow] | None = None,
) -> int:
    """Apply the ledger's chain from its first row on, in the caller's transaction. Returns the rows applied.

    `own` are the facts of our own journal, in order: each comes right behind the row of the ledger that it names. The
    schema's tables are empty at the start (or hold a rebuild that is to be carried on).
    """
    await tx.execute(SEED_HEAD, chain, genesis(chain))
    facts = None if own is None else aiter(own)
    told = await _next(facts)
    applied = 0
    async for rows in batches:
        batch = rows
        while told is not None and batch and told.told.ledger_position < batch[-1].position:
            before = told.told.ledger_position - batch[0].position + 1
            if before > 0:
                applied += (
                    await apply_rows(tx, chain, LEDGER_TOPIC, batch[:before], recorded_at, alone=True)
                )[0]
                batch = batch[before:]
            await _tell(tx, chain, told, recorded_at)
            told = await _next(facts)
        applied += (await apply_rows(tx, chain, LEDGER_TOPIC, batch, recorded_at, alone=True))[0]
    while told is not None:
        await _tell(tx, chain, told, recorded_at)
        told = await _next(facts)
    return applied


async def _next(facts: AsyncIterator[OwnRow] | None) -> OwnRow | None:
    return None if facts is None else await anext(facts, None)


async def _tell(tx: Transaction, chain: int, row: OwnRow, recorded_at: datetime) -> None:
    journal = await Journal.lock(tx, [chain], payload_of)
    if isinstance(row.told, SegmentsRun):
        await apply_run(tx, journal, chain, row.program, row.told, recorded_at, row.version)
        return
    if isinstance(row.told, TiersRanked):
        await apply_ranking(tx, journal, chain, row.program, row.told, recorded_at, row.version)
        return
    await apply_told(
        tx,
        journal,
        chain,
        row.program,
        row.member,
        row.told,
        row.occurred_at,
        recorded_at,
        row.cause,
        row.version,
    )
