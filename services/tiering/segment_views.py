"""What others may see of segments: reads of the projections."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.chain import from_micros, micros
from services.common.errors import Refusal
from services.tiering.domain.program import Rules
from services.tiering.domain.segments import CLASSES, FIRST, GROUPS, LIFECYCLE, UNSCORED, rule_of
from services.tiering.segment_schemas import (
    ListedMember,
    MembersView,
    RunsView,
    RunView,
    ScoresView,
    SegmentDistributionView,
    SegmentsView,
)
from services.tiering.tables import members, metadata, segment_runs, tags
from services.tiering.tables import segments as table
from services.tiering.views import answering, is_open, member_in, rules_in_force

NAMED = {"lifecycle": LIFECYCLE, "class": CLASSES, "rfm": tuple(GROUPS.values())}
"""The families whose segments are the same in every program."""


async def one(read: AsyncConnection, chains: int, program: str, member: str) -> SegmentsView:
    """Where a member is. Raises Refusal unknown_program, not_tiered, not_segmented or unknown_member."""
    chain, member = await answering(read, chains, program, member)
    rules = await _segmented(read, chain, program)
    found = await member_in(read, chain, rules, member)
    where = (table.c.chain == chain, table.c.program == program, table.c.member == member)
    row = (await read.execute(select(table).where(*where))).mappings().one_or_none()
    set_ = await read.execute(
        select(tags.c.tag)
        .where(tags.c.chain == chain, tags.c.program == program, tags.c.member == member)
        .order_by(tags.c.tag)
    )
    known: dict[str, Any] = dict(row) if row else {"rfm": UNSCORED, **FIRST}
    segments = rules.segments
    assert segments is not None  # noqa: S101 - _segmented
    return SegmentsView(
        program=program,
        member=member,
        lifecycle=known["lifecycle"],
        lifecycle_since=known.get("lifecycle_since") or found.enrolled_at,
        lifecycle_rule=rule_of(segments, "lifecycle", known["lifecycle"]),
        **{"class": known["class"]},
        class_since=known.get("class_since") or found.enrolled_at,
        class_rule=rule_of(segments, "class", known["class"]),
        rfm=known["rfm"],
        scores=ScoresView.model_validate(known) if known["rfm"] else None,
        tags=list(set_.scalars()),
    )


async def listed(
    read: AsyncConnection, program: str, wanted: dict[str, str], after: tuple[int, str], limit: int
) -> MembersView:
    """Members who are in every one of `wanted` (family: segment), in the order of (chain, member) behind `after`."""
    rules = await rules_in_force(read, None, program)
    tiers = [step.name for step in rules.tiers]
    if wanted.get("tier") not in (None, *tiers):
        raise Refusal("unknown_tier", f"no tier {wanted['tier']!r}; one of {', '.join(tiers)}")
    for family, known in NAMED.items():
        if wanted.get(family) not in (None, *known):
            raise Refusal("unknown_segment", f"no {family} {wanted[family]!r}; one of {', '.join(known)}")
    lifecycle = func.coalesce(table.c.lifecycle, FIRST["lifecycle"])
    class_ = func.coalesce(table.c["class"], FIRST["class"])
    rfm = func.coalesce(table.c.rfm, UNSCORED)
    query = (
        select(members.c.chain, members.c.member, members.c.tier, lifecycle, class_, rfm)
        .outerjoin(table, _same(table))
        .where(members.c.program == program, is_open())
        .where(
            or_(members.c.chain > after[0], and_(members.c.chain == after[0], members.c.member > after[1]))
        )
        .order_by(members.c.chain, members.c.member)
        .limit(limit + 1)
    )
    for family, column in (("lifecycle", lifecycle), ("class", class_), ("rfm", rfm)):
        if family in wanted:
            query = query.where(column == wanted[family])
    if "tag" in wanted:
        query = query.join(tags, and_(_same(tags), tags.c.tag == wanted["tag"]))
    if "tier" in wanted:
        # The lowest is written as none, and so counts who is in a tier that the version does not have.
        named = members.c.tier == wanted["tier"]
        query = query.where(
            or_(members.c.tier.is_(None), members.c.tier.not_in(tiers[1:]))
            if wanted["tier"] == tiers[0]
            else named
        )
    rows = (await read.execute(query)).all()
    page = [
        ListedMember(
            member=name,
            tier=rules.tiers[rules.rank(tier)].name,
            lifecycle=life,
            **{"class": of_class},
            rfm=group,
        )
        for _, name, tier, life, of_class, group in rows[:limit]
    ]
    more = f"{rows[limit - 1][0]}.{rows[limit - 1][1]}" if len(rows) > limit else None
    return MembersView(members=page, next=more)


async def distribution(read: AsyncConnection, program: str) -> SegmentDistributionView:
    """How many members are in each segment; the families but tags add up to all."""
    await _segmented(read, None, program)
    total = (
        await read.execute(
            select(func.count()).select_from(members).where(members.c.program == program, is_open())
        )
    ).scalar_one()
    counts: dict[str, dict[str, int]] = {
        "lifecycle": dict.fromkeys(LIFECYCLE, 0),
        "class": dict.fromkeys(CLASSES, 0),
        "rfm": dict.fromkeys(GROUPS.values(), 0),
    }
    for family, known in counts.items():
        column = table.c[family]
        rows = await read.execute(
            select(column, func.count())
            .join(members, _same(table))
            .where(table.c.program == program, is_open())
            .group_by(column)
        )
        known.update({name: count for name, count in rows if name})
    for family, first in FIRST.items():
        # Who has no row yet is what everybody is to begin with.
        counts[family][first] += total - sum(counts[family].values())
    tagged = await read.execute(
        select(tags.c.tag, func.count())
        .join(members, _same(tags))
        .where(tags.c.program == program, is_open())
        .group_by(tags.c.tag)
        .order_by(tags.c.tag)
    )
    return SegmentDistributionView(
        program=program, members=total, tags={row[0]: row[1] for row in tagged}, **counts
    )


async def runs(
    read: AsyncConnection, program: str, limit: int, after: tuple[datetime, str] | None = None, run: str = ""
) -> RunsView:
    """Runs, the newest first, behind `after` (its at and run); or the one that is named."""
    await _segmented(read, None, program)
    chains = (
        await read.execute(select(func.count()).select_from(metadata.tables["chain_heads"]))
    ).scalar_one()
    c = segment_runs.c
    names = select(c.run, c.at).where(c.program == program).group_by(c.run, c.at)
    if run:
        names = names.where(c.run == run)
    if after is not None:
        names = names.where(or_(c.at < after[0], and_(c.at == after[0], c.run < after[1])))
    page = (await read.execute(names.order_by(c.at.desc(), c.run.desc()).limit(limit + 1))).all()
    parts: dict[str, list[Any]] = {name: [] for name, _ in page[:limit]}
    rows = await read.execute(
        select(segment_runs).where(c.program == program, c.run.in_(list(parts))).order_by(c.chain)
    )
    for row in rows:
        parts[row.run].append(row)
    last = page[limit - 1] if len(page) > limit else None
    return RunsView(
        runs=[_run_of(found, chains) for found in parts.values()],
        next=f"{micros(last.at)}.{last.run}" if last else None,
    )


def cursor_of(text: str) -> tuple[datetime, str]:
    """`next` of a page of runs, read."""
    at, _, run = text.partition(".")
    return from_micros(int(at)), run


def _run_of(parts: list[Any], chains: int) -> RunView:
    first = parts[0]
    counts: dict[str, Counter[str]] = {}
    for part in parts:
        for family, of_chain in part.counts.items():
            counts.setdefault(family, Counter()).update(of_chain)
    return RunView(
        run=first.run,
        cause=first.cause,
        at=first.at,
        version=first.version,
        done=len(parts) == chains,
        duration_ms=max(part.took_ms for part in parts),
        measured_ms=first.measured_ms,
        members=sum(part.members for part in parts),
        population=first.population,
        changed=sum(part.changed for part in parts),
        parameters=first.parameters,
        bounds=first.bounds,
        counts={family: dict(sorted(count.items())) for family, count in counts.items()},
    )


def _same(other: Any) -> Any:
    return and_(
        other.c.chain == members.c.chain,
        other.c.program == members.c.program,
        other.c.member == members.c.member,
    )


async def _segmented(read: AsyncConnection, chain: int | None, program: str) -> Rules:
    rules = await rules_in_force(read, chain, program)
    if rules.segments is None:
        raise Refusal("not_segmented", f"program {program!r} has no segments: tiering.segments is missing")
    return rules
