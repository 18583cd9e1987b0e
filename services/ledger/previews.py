"""What a purchase would earn if it were made: decided as a real one is, and recorded nowhere.

By the bare driver and in two statements at most: somebody waits at a checkout. With the views' snapshots (a ping, a
transaction and seven queries) a preview took 10 ms of CPU.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from services.common.chain import chain_of
from services.common.db import Transaction
from services.common.errors import Refusal
from services.ledger.domain.book import Member
from services.ledger.domain.checks import check_not_closed
from services.ledger.domain.commands import Purchase
from services.ledger.domain.counters import VISITS, Counted
from services.ledger.domain.earning import AppliedRule, explain
from services.ledger.domain.program import Program
from services.ledger.domain.purchases import check_form, would_earn
from services.ledger.store import Programs

WHO = """
-- The version in force on the member's chain, and the member.
SELECT p.version, m.member, m.enrolled_at, m.status, m.merged_into, m.tier_since, m.tier_names, m.tier_of
FROM programs AS p LEFT JOIN members AS m ON (m.chain, m.program, m.member) = (p.chain, p.program, $3)
WHERE p.chain = $1 AND p.program = $2
"""
DOCUMENT = "SELECT document FROM program_versions WHERE chain = $1 AND program = $2 AND version = $3"
COUNTED = """
-- The counters that the program has, and purchases since the last that was counted as a visit ($5: it counts visits).
SELECT
    ARRAY(
        SELECT c FROM counters AS c
        WHERE (c.chain, c.program, c.member) = ($1, $2, $3) AND c.counter = ANY($4::text[])
    ) AS counters,
    CASE WHEN $5::text = ANY($4::text[]) THEN (
        SELECT count(*) FROM journal AS j
        WHERE (j.chain, j.program, j.member) = ($1, $2, $3) AND j.type = 'PurchaseRecorded' AND j.position > coalesce((
            SELECT position FROM counters
            WHERE (chain, program, member) = ($1, $2, $3) AND counter = $5
        ), 0)
    ) ELSE 0 END AS uncounted
"""


async def preview(
    tx: Transaction, known: Programs, chains: int, program_id: str, member_id: str, purchase: Purchase
) -> tuple[str, int, str, list[AppliedRule]]:
    """(the member who has everything now, points, tier, the rules behind them).

    Raises:
        Refusal: unknown_program, what `check_form` refuses, unknown_member, member_closed, in this order.
    """
    chain = chain_of(member_id, chains)
    row = await tx.fetchrow(WHO, chain, program_id, member_id)
    if row is not None and row["merged_into"]:
        return await preview(tx, known, chains, program_id, row["merged_into"], purchase)
    if row is None:
        raise Refusal("unknown_program", f"no program {program_id!r} is active here")
    program = known.versions.get(row["version"])
    if program is None:
        document = await tx.fetchval(DOCUMENT, chain, program_id, row["version"])
        program = known.parsed(row["version"], document)
    check_form(program, purchase)
    member = None
    if row["member"] is not None:
        member = await _member(tx, chain, program, row, purchase)
        check_not_closed(member)
    elif not program.enrols_on_first_activity:
        raise Refusal("unknown_member", f"member {member_id!r} is not enrolled in {program_id!r}")
    tier, earned = would_earn(program, member, purchase)
    rules = explain(program, earned.amount, tier, earned.contributions, earned.counters)
    return member_id, earned.points, tier, rules


async def _member(tx: Transaction, chain: int, program: Program, row: Any, purchase: Purchase) -> Member:
    """The member as far as earning looks: status, tiers, and the counters that the program has."""
    member = Member(row["member"], program.id, chain, row["enrolled_at"], status=row["status"])
    member.tiers = [
        (since, name)
        for since, name, of in zip(row["tier_since"], row["tier_names"], row["tier_of"], strict=True)
        if not of
    ]
    if program.counting is not None:
        names = program.counting.names(purchase.occurred_at)
        found = await tx.fetchrow(COUNTED, chain, program.id, member.id, names, VISITS)
        member.uncounted = found["uncounted"]
        for counter in found["counters"]:
            member.counters[counter["counter"]] = Counted(Fraction(counter["value"]), counter["position"])
    return member
