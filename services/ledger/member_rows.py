"""A row of `members` with its account as the core's member, and back."""

from __future__ import annotations

from typing import Any

import asyncpg

from services.ledger.domain.book import Member


def member_of(row: asyncpg.Record) -> Member:
    """The member in a row of store.FIND_MEMBERS; lots, holds and the like are not there yet."""
    # By their order in the tables: to ask for each by its name costs as much as the member does.
    (
        chain, program, id_, enrolled_at, tier_since, tier_names, tier_of, merged_into, absorbed, status,
        posted, held, debt, pending, lapses_at,
    ) = row  # fmt: skip
    member = Member(id_, program, chain, enrolled_at, posted, held, debt, status=status)
    member.pending, member.lapses_at, member.merged_into = pending, lapses_at, merged_into
    if absorbed:
        member.absorbed = {each: [] for each in absorbed}
    if tier_names:
        for since, name, of in zip(tier_since, tier_names, tier_of, strict=True):
            (member.absorbed[of] if of else member.tiers).append((since, name))
    return member


def row_of(member: Member) -> tuple[Any, ...]:
    """The member's row in the order of project.MEMBER_COLUMNS."""
    m = member
    tiers = [(since, name, "") for since, name in m.tiers]
    tiers += [(since, name, of) for of, theirs in m.absorbed.items() for since, name in theirs]
    return (
        m.chain, m.program, m.id, m.enrolled_at,
        [since for since, _, _ in tiers], [name for _, name, _ in tiers], [of for _, _, of in tiers],
        m.merged_into, list(m.absorbed), m.status,
    )  # fmt: skip
