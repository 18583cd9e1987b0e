"""Why a member's tier is what it is: the changes, newest first, with the rule and the ledger's rows behind each."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.chain import chain_of
from services.common.errors import Refusal
from services.tiering.schemas import ChangesView, TierChangeView
from services.tiering.tables import tier_history


async def member(
    read: AsyncConnection, chains: int, program: str, member_id: str, before: int | None, limit: int
) -> ChangesView:
    """Up to `limit` changes of a tier before journal position `before`, of the id asked for even if it was merged.

    Raises Refusal("no_tier_changes"): who has had the lowest tier only has none.
    """
    c = tier_history.c
    query = (
        select(tier_history)
        .where(c.chain == chain_of(member_id, chains), c.program == program, c.member == member_id)
        .order_by(c.position.desc())
        .limit(limit + 1)
    )
    if before is not None:
        query = query.where(c.position < before)
    rows = (await read.execute(query)).all()
    if not rows and before is None:
        raise Refusal(
            "no_tier_changes",
            f"tiering has changed no tier of a member {member_id!r} of {program!r}: who is one has the lowest",
        )
    entries = [TierChangeView.model_validate(row, from_attributes=True) for row in rows[:limit]]
    return ChangesView(entries=entries, next=str(entries[-1].position) if len(rows) > limit else None)
