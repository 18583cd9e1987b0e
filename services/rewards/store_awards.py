"""Points and stored value that rewards gives, in the database; and the steps that wait for the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.common.db import Transaction
from services.rewards.domain.awards import Award, AwardState

AwardKey = tuple[str, str, str]
"""(program, member, award id)"""
StepKey = tuple[str, str, str, str]
"""(program, member, kind, id); kind is `award` or `turn`."""

COLUMNS = """
a.award AS id, a.program, a.member, a.points, a.source, a.source_id, a.state, a.promised_at, a.changed_at,
a.first_position AS position, a.code, a.detail, a.money, a.currency
"""
FIND_AWARDS = f"""
-- LIMIT keeps it to one look into the primary key each: a plan made while the table was empty must stay good.
SELECT {COLUMNS} FROM unnest($2::text[], $3::text[], $4::text[]) AS k (program, member, award)
CROSS JOIN LATERAL (
    SELECT * FROM awards
    WHERE chain = $1 AND program = k.program AND member = k.member AND award = k.award LIMIT 1
) AS a
"""  # noqa: S608 - constants
FIND_AWARDS_OF = f"""
SELECT {COLUMNS} FROM awards AS a WHERE a.chain = $1 AND a.program = $2 AND a.member = $3
ORDER BY a.first_position, a.award LIMIT $4
"""  # noqa: S608 - constants
SAVE_AWARDS = """
INSERT INTO awards (chain, program, member, award, points, source, source_id, state, promised_at, changed_at,
                          first_position, code, detail, money, currency)
SELECT $1::smallint, * FROM unnest(
    $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::timestamptz[],
    $10::timestamptz[], $11::bigint[], $12::text[], $13::text[], $14::bigint[], $15::text[])
ON CONFLICT (chain, program, member, award) DO UPDATE
SET state = EXCLUDED.state, changed_at = EXCLUDED.changed_at, code = EXCLUDED.code, detail = EXCLUDED.detail
"""
BEGIN_STEPS = """
INSERT INTO ledger_steps (chain, program, member, kind, id, due_at, attempts)
SELECT $1::smallint, *, $6::timestamptz, 0 FROM unnest($2::text[], $3::text[], $4::text[], $5::text[])
"""
END_STEPS = """
DELETE FROM ledger_steps AS s
USING unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS k (program, member, kind, id)
WHERE s.chain = $1 AND s.program = k.program AND s.member = k.member AND s.kind = k.kind AND s.id = k.id
"""


async def find_awards(tx: Transaction, chain: int, keys: Iterable[AwardKey]) -> dict[AwardKey, Award]:
    """The awards of `keys` that exist, by one query."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    rows = await tx.fetch(FIND_AWARDS, chain, *columns(wanted))
    return {(row["program"], row["member"], row["id"]): _award_of(row) for row in rows}


async def find_awards_of(tx: Transaction, chain: int, program: str, member: str, limit: int) -> list[Award]:
    """A member's awards, the oldest first."""
    return [_award_of(row) for row in await tx.fetch(FIND_AWARDS_OF, chain, program, member, limit)]


async def save_awards(tx: Transaction, chain: int, awards: Iterable[Award]) -> None:
    """Write awards as they now are, by one statement."""
    rows = sorted(awards, key=lambda a: (a.program, a.member, a.id))
    if rows:
        values = [
            (a.program, a.member, a.id, a.points, a.source, a.source_id, str(a.state), a.promised_at, a.changed_at,
             a.position, a.code, a.detail, a.money, a.currency)
            for a in rows
        ]  # fmt: skip
        await tx.execute(SAVE_AWARDS, chain, *columns(values))


async def begin_steps(tx: Transaction, chain: int, steps: Sequence[StepKey], due_at: datetime) -> None:
    """Note what waits for the ledger; whoever finds it due takes it over."""
    if steps:
        await tx.execute(BEGIN_STEPS, chain, *columns(steps), due_at)


async def end_steps(tx: Transaction, chain: int, steps: Sequence[StepKey]) -> None:
    """It waits no more."""
    if steps:
        await tx.execute(END_STEPS, chain, *columns(steps))


def columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    """Rows as columns, for `unnest`."""
    return [list(column) for column in zip(*rows, strict=True)]


def _award_of(row: Mapping[str, Any]) -> Award:
    values = dict(row)
    values["state"] = AwardState(values["state"])
    return Award(**values)
