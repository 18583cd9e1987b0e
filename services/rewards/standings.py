"""Who a member is, out of the database: known at all, tier, segments and tags; kept up to date by tiers.v1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.common.codec import StreamRow
from services.common.db import Transaction
from services.common.errors import Refusal
from services.rewards.domain.facts import Fact, SegmentChanged
from services.rewards.domain.standing import Segments, Standing, evolve

MemberKey = tuple[str, str]
"""(program, member)"""

FIND_SEGMENTS = """
-- LIMIT keeps it to one look into the primary key each: a plan made while the table was empty must stay good.
SELECT s.program, s.member, s.lifecycle, s.class, s.tags
FROM unnest($2::text[], $3::text[]) AS k (program, member)
CROSS JOIN LATERAL (
    SELECT * FROM member_segments WHERE chain = $1 AND program = k.program AND member = k.member LIMIT 1
) AS s
"""
SAVE_SEGMENTS = """
INSERT INTO member_segments (chain, program, member, lifecycle, class, tags)
SELECT $1::smallint, k.program, k.member, k.lifecycle, k.class, string_to_array(k.tags, ',')
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) AS k (program, member, lifecycle, class, tags)
ON CONFLICT (chain, program, member) DO UPDATE
SET lifecycle = EXCLUDED.lifecycle, class = EXCLUDED.class, tags = EXCLUDED.tags
"""
FIND_TIERS = """
SELECT w.program, w.member, w.tier
FROM unnest($2::text[], $3::text[]) AS k (program, member)
CROSS JOIN LATERAL (
    SELECT * FROM wallets WHERE chain = $1 AND program = k.program AND member = k.member LIMIT 1
) AS w
"""
KNOWN_MEMBER = "SELECT true FROM wallets WHERE chain = $1 AND program = $2 AND member = $3"


async def must_know(tx: Transaction, chain: int, program: str, member: str) -> None:
    """The ledger has told of the member. Raises Refusal("unknown_member")."""
    if not await tx.fetchval(KNOWN_MEMBER, chain, program, member):
        raise Refusal("unknown_member", f"the ledger has told of no member {member!r} in program {program!r}")


async def apply_segments(tx: Transaction, chain: int, told: Sequence[tuple[StreamRow, Fact | None]]) -> None:
    """Bring the segments and tags of members up to a batch of rows."""
    moved = [
        ((row.program, row.member), fact)
        for row, fact in told
        if isinstance(fact, SegmentChanged) and row.member is not None
    ]
    if not moved:
        return
    segments = await find_segments(tx, chain, {key for key, _ in moved})
    for key, fact in moved:
        segments[key] = evolve(segments.get(key, Segments()), fact)
    keys = sorted(segments)
    await tx.execute(
        SAVE_SEGMENTS,
        chain,
        [key[0] for key in keys],
        [key[1] for key in keys],
        [segments[key].lifecycle for key in keys],
        [segments[key].member_class for key in keys],
        [",".join(sorted(segments[key].tags)) for key in keys],
    )


async def find_standings(
    tx: Transaction, chain: int, members: Iterable[MemberKey]
) -> dict[MemberKey, Standing]:
    """The standing of each of `members` as far as tiers.v1 has told, by two queries; all of them are there."""
    keys = sorted(set(members))
    if not keys:
        return {}
    rows = await tx.fetch(FIND_TIERS, chain, [key[0] for key in keys], [key[1] for key in keys])
    tiers = {(row["program"], row["member"]): row["tier"] for row in rows}
    segments = await find_segments(tx, chain, keys)
    return {key: Standing(tiers.get(key), segments.get(key, Segments())) for key in keys}


async def find_segments(
    tx: Transaction, chain: int, members: Iterable[MemberKey]
) -> dict[MemberKey, Segments]:
    """The segments of those of `members` of whom tiering has told any."""
    keys = sorted(set(members))
    rows = await tx.fetch(FIND_SEGMENTS, chain, [key[0] for key in keys], [key[1] for key in keys])
    return {
        (row["program"], row["member"]): Segments(row["lifecycle"], row["class"], frozenset(row["tags"]))
        for row in rows
    }
