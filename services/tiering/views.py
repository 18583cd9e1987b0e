"""What members and others may see: reads of the projections, never of the write path's locks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Text, and_, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.chain import chain_of, micros
from services.common.errors import Refusal
from services.tiering.domain.conditions import AtLeast
from services.tiering.domain.decide import turn
from services.tiering.domain.metrics import Values
from services.tiering.domain.program import Rules
from services.tiering.domain.state import Member, ProgramState
from services.tiering.schemas import (
    ChangeReason,
    DistributionView,
    EarnedView,
    GrantView,
    HistoryView,
    LossView,
    NextTier,
    ProgressMeasure,
    ProgressView,
    RankingsView,
    RankingView,
    TierChangeView,
    TierView,
)
from services.tiering.store import find_member, rules_of
from services.tiering.tables import (
    absorbed_members,
    members,
    metadata,
    program_clocks,
    programs,
    tier_history,
    tier_rankings,
)

TURNS_MAX = 60
"""How many reviews are looked ahead for what will be lost: five years of monthly ones."""
NEVER_CHANGED: dict[str, Any] = {
    "reason": "enrolment", "rule": "", "metric": 0, "threshold": 0, "measures": [], "positions": [], "granted_by": "",
}  # fmt: skip


async def tier(read: AsyncConnection, chains: int, program: str, member: str) -> TierView:
    """The tier. Raises Refusal unknown_program, not_tiered or unknown_member."""
    chain, member = await answering(read, chains, program, member)
    rules = await rules_in_force(read, chain, program)
    found = await member_in(read, chain, rules, member)
    row = (
        await read.execute(
            select(tier_history).where(
                *_key(tier_history, chain, program, member), tier_history.c.position == found.changed_position
            )
        )
    ).one_or_none()
    why = (
        NEVER_CHANGED if row is None else ChangeReason.model_validate(row, from_attributes=True).model_dump()
    )
    standing = found.standing
    return TierView(
        program=program,
        member=member,
        tier=rules.tiers[rules.rank(found.tier)].name,
        since=found.since,
        until=found.until,
        earned=EarnedView(
            tier=rules.tiers[rules.rank(standing.tier)].name,
            since=standing.since,
            until=standing.until,
            grace=standing.grace,
        ),
        grants=[GrantView.model_validate(grant, from_attributes=True) for grant in found.grants],
        **why,
    )


async def progress(
    read: AsyncConnection, chains: int, program: str, member: str, now: datetime
) -> ProgressView:
    """The metrics at the program's clock, the step above, and what is lost when nothing more is counted.

    `now` is the wall's time, for programs that run on it.
    """
    chain, member = await answering(read, chains, program, member)
    rules = await rules_in_force(read, chain, program)
    found = await member_in(read, chain, rules, member)
    clock = (
        await read.execute(
            select(program_clocks.c.clock).where(
                program_clocks.c.chain == chain, program_clocks.c.program == program
            )
        )
    ).scalar_one_or_none()
    as_of = max(found.as_of, clock or found.as_of)
    if not rules.runs_on_events:
        as_of = max(as_of, now)
    values = found.values_at(rules, as_of, closing=False)
    rank = rules.rank(found.tier)
    above = _next(rules, rank, values, await _last_in(read, chain, rules))
    first = above.measures[0].metric if above else _decisive(rules, rank, values)
    return ProgressView(
        program=program,
        member=member,
        tier=rules.tiers[rank].name,
        metric=values[first] if first else 0,
        metrics={name: value for name, value in values.items() if not rules.metrics[name].is_flag},
        next=above,
        loses=_loss(rules, found),
        until=found.until,
        as_of=as_of,
    )


async def _last_in(read: AsyncConnection, chain: int, rules: Rules) -> dict[str, int]:
    """By flag, what the last one among the best had at the last ranking."""
    if not rules.tops:
        return {}
    c = tier_rankings.c
    newest = select(c.tops).where(c.chain == chain, c.program == rules.program).order_by(c.at.desc()).limit(1)
    tops = (await read.execute(newest)).scalar_one_or_none() or []
    found = {(top["metric"], top["percent"]): top["threshold"] for top in tops}
    return {flag.name: found.get((flag.of, flag.percent_text), 0) for flag in rules.tops}


def _asked(rules: Rules, leaf: AtLeast, values: Values, last_in: Mapping[str, int]) -> ProgressMeasure:
    """How far a leaf is. A place among the best is told by what it is by, and what the last one in had."""
    flag = rules.metrics[leaf.metric]
    if flag.of:
        return _measure(flag.of, values[flag.of], last_in.get(flag.name, 0))
    return _measure(leaf.metric, values[leaf.metric], leaf.threshold)


def _next(rules: Rules, rank: int, values: Values, last_in: Mapping[str, int]) -> NextTier | None:
    """The next tier that metrics can give, with the metric that it lacks first."""
    for tier in rules.tiers[rank + 1 :]:
        condition = tier.condition
        if condition is None:
            continue
        first = condition.decisive(values)
        leaves = [first, *(leaf for leaf in condition.leaves() if leaf is not first)]
        measures = [_asked(rules, leaf, values, last_in) for leaf in leaves]
        return NextTier(
            tier=tier.name,
            threshold=measures[0].threshold,
            # A changed threshold shows at the next purchase, a place at the next ranking: until then the member may
            # be past it.
            missing=max(1, measures[0].missing),
            rule=condition.words(rules.metrics, reached=True),
            measures=measures,
        )
    return None


def _decisive(rules: Rules, rank: int, values: Values) -> str:
    """The metric that the tier itself is about; that of the program for tiers that no metric gives."""
    condition = rules.tiers[rank].condition
    if condition is None:
        return next(iter(values), "")
    name = condition.decisive(values).metric
    return rules.metrics[name].of or name


def _loss(rules: Rules, member: Member) -> LossView | None:
    """The first fall in a future in which nothing happens, by the rules that will decide it."""
    program = ProgramState.of(rules, None, {member.member: member})
    for _ in range(TURNS_MAX):
        due, rank = member.due, rules.rank(member.tier)
        if due is None:
            return None
        for event in turn(program, member, due, 0):
            if rules.rank(event.to_tier) < rank:
                measures = [_measure(m.metric, m.value, m.threshold) for m in event.measures]
                return LossView(
                    tier=event.to_tier,
                    on=event.since,
                    reason=event.reason,
                    rule=event.rule,
                    measures=measures,
                )
    return None


def _measure(metric: str, value: int, threshold: int) -> ProgressMeasure:
    return ProgressMeasure(metric=metric, value=value, threshold=threshold, missing=max(0, threshold - value))


async def history(
    read: AsyncConnection, chains: int, program: str, member: str, after: int, limit: int
) -> HistoryView:
    """Up to `limit` changes after journal position `after`."""
    chain, member = await answering(read, chains, program, member)
    await member_in(read, chain, await rules_in_force(read, chain, program), member)
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
    rules = await rules_in_force(read, None, program)
    rows = await read.execute(
        select(members.c.tier, func.count())
        .where(members.c.program == program, is_open())
        .group_by(members.c.tier)
    )
    counts = dict.fromkeys((step.name for step in rules.tiers), 0)
    for name, count in rows:
        counts[rules.tiers[rules.rank(name)].name] += count
    return DistributionView(program=program, tiers=counts, members=sum(counts.values()))


def is_open() -> Any:
    """That a row of members is no closed account."""
    return members.c.standing.has_key("closed").is_not(True)


async def rankings(
    read: AsyncConnection, program: str, limit: int, before: datetime | None = None, run: str = ""
) -> RankingsView:
    """Rankings, the newest first, of reviews before `before`; or the one that is named. Raises Refusal as `tier`."""
    await rules_in_force(read, None, program)
    c = tier_rankings.c
    chains = (
        await read.execute(select(func.count()).select_from(metadata.tables["chain_heads"]))
    ).scalar_one()
    query = (
        select(c.run, c.at, func.min(c.cause), func.min(c.version), func.min(c.members), func.sum(c.changed),
               func.count(), func.min(cast(c.tops, Text)))
        .where(c.program == program).group_by(c.run, c.at).order_by(c.at.desc()).limit(limit + 1)
    )  # fmt: skip
    if before is not None:
        query = query.where(c.at < before)
    if run:
        query = query.where(c.run == run)
    rows = (await read.execute(query)).all()
    page = [
        RankingView(run=name, at=at, cause=cause, version=version, members=everybody, changed=changed,
                    done=done == chains, tops=orjson.loads(tops))
        for name, at, cause, version, everybody, changed, done, tops in rows[:limit]
    ]  # fmt: skip
    return RankingsView(rankings=page, next=str(micros(page[-1].at)) if len(rows) > limit else None)


def _key(table: Any, chain: int, program: str, member: str) -> tuple[Any, ...]:
    return table.c.chain == chain, table.c.program == program, table.c.member == member


async def rules_in_force(read: AsyncConnection, chain: int | None, program: str) -> Rules:
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


async def answering(read: AsyncConnection, chains: int, program: str, member: str) -> tuple[int, str]:
    """(chain, member) of who answers to an id: of the survivor for who was merged, as at the ledger."""
    while True:
        chain = chain_of(member, chains)
        into = select(absorbed_members.c.into_member).where(*_key(absorbed_members, chain, program, member))
        survivor = (await read.execute(into)).scalar_one_or_none()
        if survivor is None:
            return chain, member
        member = survivor


async def member_in(read: AsyncConnection, chain: int, rules: Rules, member: str) -> Member:
    """The member as decisions see it, in the snapshot of `read` (which has begun: the rules were read in it)."""
    raw = (await read.get_raw_connection()).driver_connection
    found = await find_member(raw, chain, rules, member)
    if found is None:
        raise Refusal(
            "unknown_member",
            f"no member {member!r} in program {rules.program!r}; "
            "a member shows here once the ledger has recorded it",
        )
    return found
