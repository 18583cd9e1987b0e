"""What segments know of single members, in and out of PostgreSQL: one query a table for a whole batch.

Only programs with segments have any of it; the others pay one look at their rules.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.common.db import Transaction
from services.tiering.domain.events import Fact, FactsMoved, MemberTagged, PurchaseRecorded
from services.tiering.domain.state import Life, State

LIVES = """
SELECT s.program, s.member, s.lifecycle_since, s.lifecycle, s.first_at, s.last_at, s.won_back_at
FROM unnest($2::text[], $3::text[]) AS w (program, member)
CROSS JOIN LATERAL (
    SELECT * FROM segments WHERE chain = $1 AND program = w.program AND member = w.member LIMIT 1
) AS s
"""
UPSERT_LIVES = """
INSERT INTO segments (chain, program, member, lifecycle_since, lifecycle, first_at, last_at, won_back_at)
SELECT $1, program, member, since, lifecycle, first_at, last_at, won_back_at
FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::timestamptz[], $7::timestamptz[],
    $8::timestamptz[]) AS n (program, member, since, lifecycle, first_at, last_at, won_back_at)
ON CONFLICT (chain, program, member) DO UPDATE SET
    lifecycle_since = EXCLUDED.lifecycle_since, lifecycle = EXCLUDED.lifecycle, first_at = EXCLUDED.first_at,
    last_at = EXCLUDED.last_at, won_back_at = EXCLUDED.won_back_at
"""
TAGS = """
SELECT t.program, t.member, t.tag
FROM unnest($2::text[], $3::text[], $4::text[]) AS w (program, member, tag)
CROSS JOIN LATERAL (
    SELECT * FROM tags WHERE chain = $1 AND program = w.program AND member = w.member AND tag = w.tag LIMIT 1
) AS t
"""
SET_TAGS = """
INSERT INTO tags (chain, program, member, tag, since)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[])
"""
TAKE_TAGS = """
DELETE FROM tags USING unnest($2::text[], $3::text[], $4::text[]) AS w (program, member, tag)
WHERE tags.chain = $1 AND tags.program = w.program AND tags.member = w.member AND tags.tag = w.tag
"""


async def load(tx: Transaction, chain: int, state: State, facts: Sequence[Fact]) -> None:
    """Give `state` the lives of members who buy, and the tags that are told of."""
    lives: dict[tuple[str, str], None] = {}
    tags: dict[tuple[str, str, str], None] = {}
    sorting = any(program.rules.segments is not None for program in state.values())
    for fact in facts:
        if not sorting and isinstance(fact.event, PurchaseRecorded):
            continue
        program = state.get(fact.program)
        if program is None or fact.member is None:
            continue
        if isinstance(fact.event, MemberTagged):
            tags[fact.program, fact.member, fact.event.tag] = None
        elif isinstance(fact.event, FactsMoved):
            tags.update(dict.fromkeys((fact.program, fact.member, tag) for tag, _ in fact.event.tags))
        if program.rules.segments is not None and isinstance(fact.event, (PurchaseRecorded, FactsMoved)):
            lives[fact.program, fact.member] = None
    if lives:
        rows = await tx.fetch(LIVES, chain, [p for p, _ in lives], [m for _, m in lives])
        for name, member, *life in rows:
            state[name].lives[member] = Life(*life)
    if tags:
        columns = ([key[n] for key in tags] for n in range(3))
        for name, member, tag in await tx.fetch(TAGS, chain, *columns):
            state[name].tags[member, tag] = True


async def save(tx: Transaction, chain: int, state: State) -> None:
    """Write what has changed."""
    lives = [
        (name, member, life.since, life.segment, life.first_at, life.last_at, life.won_back_at)
        for name, program in state.items()
        for member in program.lived
        for life in (program.lives[member],)
    ]
    if lives:
        await tx.execute(UPSERT_LIVES, chain, *map(list, zip(*lives, strict=True)))
    changed = [
        (name, member, tag, at)
        for name, program in state.items()
        for (member, tag), at in program.tagged.items()
    ]
    if changed:
        taken = [list(column) for column in zip(*(key[:3] for key in changed), strict=True)]
        await tx.execute(TAKE_TAGS, chain, *taken)
        kept = [row for row in changed if state[row[0]].tags[row[1], row[2]]]
        if kept:
            await tx.execute(SET_TAGS, chain, *map(list, zip(*kept, strict=True)))
