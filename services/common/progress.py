"""How far a service is, by its own database: so it is what all its processes have done together."""

from __future__ import annotations

from collections import Counter
from typing import Any

from services.common import telemetry
from services.common.db import Transaction

TAKEN = """
SELECT topic, chain, next_offset, recorded, rejected, duplicates, dead_lettered
FROM consumer_offsets WHERE consumer = $1
"""
OUTCOMES = ("recorded", "rejected", "duplicates", "dead_lettered")
RELAYED = """
SELECT coalesce(sum(r.position), 0)::bigint AS relayed, coalesce(sum(h.position - r.position), 0)::bigint AS behind
FROM chain_heads h JOIN relay_positions r USING (chain)
"""


async def progress(session: Transaction, service: str) -> dict[str, Any]:
    """`consumers`: by `topic/partition` the next offset to take, and what became of the records before it;
    `relay`: how many journal rows are not published yet. The metrics say the same from then on.
    """
    consumers, outcomes = {}, Counter[tuple[str, str]]()
    for row in await session.fetch(TAKEN, service):
        counts = {outcome: row[outcome] for outcome in OUTCOMES}
        consumers[f"{row['topic']}/{row['chain']}"] = {"next_offset": row["next_offset"], **counts}
        outcomes.update({(row["topic"], outcome): count for outcome, count in counts.items()})
    for (topic, outcome), count in outcomes.items():
        telemetry.RECORDS.labels(service, topic, outcome).set(count)
    relay = await session.fetchrow(RELAYED)
    telemetry.RELAYED.labels(service).set(relay["relayed"])
    telemetry.RELAY_BEHIND.labels(service).set(relay["behind"])
    return {"consumers": consumers, "relay": {"behind": relay["behind"]}}
