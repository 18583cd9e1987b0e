"""What the ledger's database says of corrections: what was asked for before, and what members have now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import asyncpg

from services.common.chain import chain_of
from services.common.program_document import load_json
from services.ledger.domain.program import Program, parse_program
from services.ops.correcting.plan import Account, Asked
from services.ops.verify.snapshot import connect

CHAINS = "SELECT chains FROM installation"
ATTEMPTS = """
-- Every request that reached the ledger, refused ones too: by the inbox's key, source first.
SELECT member, count(*) AS attempts FROM inbox
WHERE chain = ANY($1::smallint[]) AND source = $2 AND starts_with(event_id, $3)
GROUP BY member
"""
ADJUSTMENTS = """
SELECT member, adjustment, points, state FROM adjustments
WHERE chain = ANY($1::smallint[]) AND program = $2 AND starts_with(adjustment, $3) AND state <> 'applied'
"""
IN_FORCE = """
SELECT v.version, v.document FROM programs AS p JOIN program_versions AS v USING (chain, program, version)
WHERE p.program = $1 ORDER BY p.chain LIMIT 1
"""
ACCOUNTS = """
SELECT k.member, m.status, greatest(0, coalesce(a.posted - a.held - a.pending, 0)) AS available
FROM unnest($1::smallint[], $3::text[]) AS k (chain, member)
JOIN members AS m ON m.chain = k.chain AND m.program = $2 AND m.member = k.member
LEFT JOIN accounts AS a ON a.chain = k.chain AND a.program = $2 AND a.member = k.member AND a.asset = 'points'
"""
SOURCE = "adjustment"
APPROVAL = "adjustment_approval"


async def program_in_force(url: str, program: str) -> Program | None:
    """The program as it decides now; None where the book does not know it."""
    connection = await connect(url)
    try:
        found = await connection.fetchrow(IN_FORCE, program)
    finally:
        await connection.close()
    return None if found is None else parse_program(load_json(found["document"]), found["version"])


async def asked_before(url: str, program: str, ids: str) -> tuple[dict[str, Asked], Counter[str]]:
    """By member, what was asked for under ids that begin so; and by member, how often it was to be approved.

    To be read before the try: what is asked for meanwhile is then asked for again under the same id, and counts once.
    """
    connection = await connect(url)
    try:
        chains = list(range(await connection.fetchval(CHAINS)))
        attempts = await _attempts(connection, chains, f"{program}/{SOURCE}", ids)
        approvals = await _attempts(connection, chains, f"{program}/{APPROVAL}", ids)
        rows = await connection.fetch(ADJUSTMENTS, chains, program, ids)
    finally:
        await connection.close()
    waiting = {
        row["member"]: (row["adjustment"], row["points"]) for row in rows if row["state"] == "requested"
    }
    declined: defaultdict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row["state"] == "declined":
            declined[row["member"]].add(row["points"])
    found = {
        member: Asked(count, waiting.get(member), frozenset(declined[member]))
        for member, count in attempts.items()
    }
    return found, approvals


async def _attempts(connection: asyncpg.Connection, chains: list[int], source: str, ids: str) -> Counter[str]:
    rows = await connection.fetch(ATTEMPTS, chains, source, ids)
    return Counter({row["member"]: row["attempts"] for row in rows})


async def accounts_of(url: str, program: str, members: Sequence[str]) -> dict[str, Account]:
    """By member, status and points that can be taken now."""
    connection = await connect(url)
    try:
        chains = await connection.fetchval(CHAINS)
        places = [chain_of(member, chains) for member in members]
        rows: list[Any] = await connection.fetch(ACCOUNTS, places, program, list(members))
    finally:
        await connection.close()
    return {row["member"]: Account(row["status"], row["available"]) for row in rows}
