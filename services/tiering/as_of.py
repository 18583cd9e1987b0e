"""What tiering said of a member at an instant that is past: its own journal, as far as it counts then."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.as_of import ROWS_MAX, By, last_rows, member_rows
from services.common.chain import chain_of
from services.common.codec import time_of
from services.common.errors import Refusal
from services.tiering.domain.segments import FIRST
from services.tiering.schemas import AsOfView, SegmentsThen
from services.tiering.tables import absorbed_members, members, metadata
from services.tiering.views import rules_in_force
from tallybook.tiering.v1 import events_pb2 as pb


async def member(
    read: AsyncConnection,
    chains: int,
    program: str,
    member_id: str,
    at: datetime,
    by: By,
    rows_max: int | None = ROWS_MAX,
) -> AsOfView:
    """A member's tier and segments at `at`; of one who was merged later, what that one had then.

    Raises Refusal unknown_program, not_tiered, unknown_member, history_too_long.
    """
    chain = chain_of(member_id, chains)
    rules = await rules_in_force(read, chain, program)
    enrolled_at = await _enrolled_at(read, chain, program, member_id, at)
    last = (await last_rows(read, [chain], at))[chain] if by is By.RECORDED else None
    tier: Any = None
    position = 0
    families: dict[str, str] = dict(FIRST)
    tags: set[str] = set()
    following: Any = None
    async for row in member_rows(
        read, metadata.tables["journal"], (chain, program, member_id), None, rows_max
    ):
        counts = row.position <= last if last is not None else row.occurred_at <= at
        if row.type == "TierChanged":
            message = pb.TierChanged.FromString(row.payload)
            if counts:
                tier, following = message, None
            else:
                following = following or message
        elif row.type == "SegmentChanged" and counts:
            changed = pb.SegmentChanged.FromString(row.payload)
            if changed.family == "tag":
                tags = (tags - {changed.from_segment}) | ({changed.to_segment} - {""})
            else:
                families[changed.family] = changed.to_segment
        if counts:
            position = row.position
    segments = SegmentsThen.model_validate({**families, "tags": sorted(tags)}) if rules.segments else None
    told = {"program": program, "member": member_id, "at": at, "by": by.value, "chain": chain}
    if tier is None:
        # Nothing is said of who is in the lowest tier. What it was called then, the next change says.
        lowest = following.from_tier if following is not None else rules.tiers[0].name
        return AsOfView(
            **told, position=position, tier=lowest, since=enrolled_at, until=None, reason="enrolment", rule="",
            ledger_position=None, segments=segments,
        )  # fmt: skip
    return AsOfView(
        **told, position=position, tier=tier.to_tier, since=time_of(tier.since),
        until=time_of(tier.until) if tier.HasField("until") else None, reason=tier.reason, rule=tier.rule,
        ledger_position=tier.ledger_position, segments=segments,
    )  # fmt: skip


async def _enrolled_at(
    read: AsyncConnection, chain: int, program: str, member_id: str, at: datetime
) -> datetime | None:
    """Since when the member is one; None for who was merged into another since. Raises Refusal("unknown_member")."""
    c, a = members.c, absorbed_members.c
    found = select(c.enrolled_at).where(c.chain == chain, c.program == program, c.member == member_id)
    absorbed = select(a.member).where(a.chain == chain, a.program == program, a.member == member_id)
    enrolled_at: datetime | None = (await read.execute(found)).scalar_one_or_none()
    merged = enrolled_at is None and (await read.execute(absorbed)).scalar_one_or_none() is not None
    if not merged and (enrolled_at is None or enrolled_at > at):
        raise Refusal(
            "unknown_member",
            f"the ledger has told of no member {member_id!r} of {program!r} who was enrolled by {at.isoformat()}",
        )
    return enrolled_at
