"""Award counts, referrals and budgets beside what the journals told."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from services.ops.verify.findings import Findings
from services.ops.verify.ledger_state import LedgerState
from services.ops.verify.snapshot import Connection, batches

BUDGETS = "SELECT chain, program, campaign, given FROM budgets"
REFERRAL_COLUMNS = (
    "referral", "referrer", "registered_at", "qualified_at", "tasks", "owed_sides", "owed_since",
)  # fmt: skip

Told = Mapping[tuple[Any, ...], tuple[Any, ...]]


def award_counts(state: LedgerState) -> Told:
    """Rows of `award_counts` by key."""
    return {key: (count,) for key, count in state.awards.items()}


def referrals(state: LedgerState) -> Told:
    """Rows of `referrals` by key."""
    return {
        key: (
            r.referral, r.referrer, r.registered_at, r.qualified_at, r.tasks, [side for side, _ in r.owed],
            [since for _, since in r.owed],
        )
        for key, r in state.referrals.items()
    }  # fmt: skip


async def check_budgets(
    connection: Connection, chains: int, given: Mapping[tuple[str, str], int], found: Findings
) -> None:
    """Every budget's row against `given`, which all chains together have told."""
    told = dict(given)
    async for rows in batches(connection, BUDGETS):
        found.looked("budgets", len(rows))
        for chain, program, campaign, points in rows:
            where = f"budgets {chain} {program} {campaign}"
            wanted = told.pop((program, campaign), None)
            if wanted is None:
                found.add("budgets", where, "the journal knows nothing of it")
            elif points != wanted:
                found.add("budgets", where, f"given is {points}, the awards add up to {wanted}")
            place = zlib.crc32(f"{program}/{campaign}".encode()) % chains
            if chain != place:
                found.add("budgets", where, f"belongs on chain {place}")
    for program, campaign in told:
        found.add("budgets", f"budgets {program} {campaign}", "the journal tells of it, it is missing")
