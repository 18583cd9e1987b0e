"""What members and others may see: reads of the projections, never of the write path's locks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.chain import chain_of
from services.common.errors import Refusal
from services.tiering.domain.program import Rules
from services.tiering.schemas import (
    DistributionView,
    HistoryView,
    NextTier,
    ProgressView,
    TierChangeView,
    TierView,
)
from services.tiering.store import rules_of
from services.tiering.tables import members, program_clocks, programs, spend, tier_history


async def tier(read: AsyncConnection, chains: int, program: str, member: str) -> TierView:
    """The tier. Raises Refusal unknown_program, not_tiered or unknown_member."""
    chain = chain_of(member, chains)
    rules = await _rules(read, chain, program)
    row = await _member(read, chain, program, member)
    found = (
        await read.execute(
            select(tier_history).where(
                *_key(tier_history, chain, program, member), tier_history.c.position == row.changed_position
            )
        )
    ).one_or_none()
    return TierView(
        program=program,
        member=member,
        tier=rules.tiers[rules.rank(row.tier)].name,
        since=row.since,
        until=row.until,
        reason="enrolment" if found is None else found.reason,
        rule="" if found is None else found.rule,
        metric=0 if found is None else found.metric,
        threshold=0 if found is None else found.threshold,
    )


async def progress(
    read: AsyncConnection, chains: int, program: str, member: str, now: datetime
) -> ProgressView:
    """The metric at the program's clock and the step above. `now` is the wall's time, for programs that run on it."""
    chain = chain_of(member, chains)
    rules = await _rules(read, chain, program)
    row = await _member(read, chain, program, member)
    clock = (
        await read.execute(
            select(program_clocks.c.clock).where(
                program_clocks.c.chain == chain, program_clocks.c.program == program
            )
        )
    ).scalar_one_or_none()
    as_of = max(row.as_of, clock or row.as_of)
    if not rules.runs_on_events:
        as_of = max(as_of, now)
    metric = (
        await read.execute(
            select(func.coalesce(func.sum(spend.c.amount), 0)).where(
                *_key(spend, chain, program, member), spend.c.occurred_at > rules.window_start(as_of)
            )
        )
    ).scalar_one()
    rank = rules.rank(row.tier)
    above = rules.tiers[rank + 1] if rank + 1 < len(rules.tiers) else None
    return ProgressView(
        program=program,
        member=member,
        tier=rules.tiers[rank].name,
        metric=int(metric),
        # A changed threshold shows at the next purchase: until then the member may be past it.
        next=None if above is None else NextTier(
            tier=above.name, threshold=above.threshold, missing=max(1, above.threshold - int(metric))
        ),
        until=row.until,
        as_of=as_of,
    )  # fmt: skip


async def history(
    read: AsyncConnection, chains: int, program: str, member: str, after: int, limit: int
) -> HistoryView:
    """Up to `limit` changes after journal position `after`."""
    chain = chain_of(member, chains)
    await _rules(read, chain, program)
    await _member(read, chain, program, member)
    rows = (
        await read.execute(
            select(tier_history)
            .where(*_key(tier_history, chain, program, member), tier_history.c.position > after)
            .order_by(tier_history.c.position)
            .limit(limit + 1)
        )
    ).all()
    entries = [TierChangeView.model_validate(row, from_attributes=True) for row in rows[:limit]]
    return HistoryView(entries=entries, next=str(entries[-1].position) if len(rows) > limit else None)


async def distribution(read: AsyncConnection, program: str) -> DistributionView:
    """How many members have each tier of the version in force."""
    rules = await _rules(read, None, program)
    rows = await read.execute(
        select(members.c.tier, func.count()).where(members.c.program == program).group_by(members.c.tier)
    )
    counts = dict.fromkeys((step.name for step in rules.tiers), 0)
    for name, count in rows:
        counts[rules.tiers[rules.rank(name)].name] += count
    return DistributionView(program=program, tiers=counts, members=sum(counts.values()))


def _key(table: Any, chain: int, program: str, member: str) -> tuple[Any, ...]:
    return table.c.chain == chain, table.c.program == program, table.c.member == member


async def _rules(read: AsyncConnection, chain: int | None, program: str) -> Rules:
    """The rules in force on a chain; `chain` None: on any (an activation reaches the chains one after the other)."""
    on_chain = programs.c.chain == chain if chain is not None else programs.c.chain >= 0
    row = (
        await read.execute(
            select(programs.c.document, programs.c.version)
            .where(and_(on_chain, programs.c.program == program, programs.c.refusal.is_(None)))
            .order_by(programs.c.position.desc())
            .limit(1)
        )
    ).one_or_none()
    if row is None:
        raise Refusal(
            "unknown_program", f"no program {program!r} is active here; activate it at the ledger first"
        )
    rules = rules_of(row.document, row.version)
    if rules is None:
        raise Refusal(
            "not_tiered", f"program {program!r} has no tiers: its document has no section `tiering`"
        )
    return rules


async def _member(read: AsyncConnection, chain: int, program: str, member: str) -> Any:
    row = (await read.execute(select(members).where(*_key(members, chain, program, member)))).one_or_none()
    if row is None:
        raise Refusal(
            "unknown_member",
            f"no member {member!r} in program {program!r}; a member shows here once the ledger has recorded it",
        )
    return row
