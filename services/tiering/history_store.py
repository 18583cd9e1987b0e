"""The history of tiers: what was said, with the ledger's rows behind it."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from services.common.db import Transaction
from services.tiering.domain.events import TierChanged
from services.tiering.domain.metrics import counted_names
from services.tiering.domain.state import State

BEHIND = """
-- The last $8 rows of the ledger that a measure counted, of what was known by then.
SELECT w.n, array_agg(e.position) AS positions
FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $9::bigint[])
    AS w (n, program, member, metric, after, up_to, known)
CROSS JOIN LATERAL (
    SELECT position FROM entries
    WHERE chain = $1 AND program = w.program AND member = w.member AND metric = w.metric
    AND occurred_at > w.after AND occurred_at <= w.up_to AND position <= w.known
    ORDER BY position DESC LIMIT $8
) AS e GROUP BY w.n
"""
POSITIONS_MAX = 100
"""Rows that a TierChanged names: enough to show where it comes from, the rest is in the entries."""
HISTORY_COLUMNS = (
    "chain", "program", "member", "position", "ledger_position", "from_tier", "to_tier", "since", "until", "reason",
    "rule", "metric", "threshold", "measures", "positions", "granted_by",
)  # fmt: skip


async def find_positions(tx: Transaction, chain: int, state: State, events: Sequence[TierChanged]) -> None:
    """Tell each event the ledger's rows behind its measures, once the entries are written."""
    wanted = [
        (n, e.program, e.member, name, measure.after, measure.up_to, e.counted_to)
        for n, e in enumerate(events)
        for measure in e.measures
        for name in counted_names(state[e.program].rules.metrics, measure.metric)
    ]
    if not wanted:
        return
    *columns, known = (list(column) for column in zip(*wanted, strict=True))
    for row in await tx.fetch(BEHIND, chain, *columns, POSITIONS_MAX, known):
        events[row["n"]].positions = sorted(set(row["positions"]))[-POSITIONS_MAX:]


async def save_history(tx: Transaction, chain: int, said: Sequence[tuple[int, TierChanged]]) -> None:
    """Write what was said, each with its position in our journal."""
    records = [
        (chain, e.program, e.member, position, e.ledger_position, e.from_tier, e.to_tier, e.since, e.until, e.reason,
         e.rule, e.metric, e.threshold, orjson.dumps(e.measures).decode(), e.positions, e.grant)
        for position, e in said
    ]  # fmt: skip
    if records:
        await tx.copy_records_to_table("tier_history", records=records, columns=HISTORY_COLUMNS)
