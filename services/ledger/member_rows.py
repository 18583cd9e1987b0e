"""A row of `members` with its account as the core's member, and back."""

from __future__ import annotations

from typing import Any

import asyncpg

from services.ledger.domain.book import Member


def member_of(row: asyncpg.Record) -> Member:
    """The member in a row of store.FIND_MEMBERS; lots, holds and the like are not there yet."""
    member = Member(
        row["member"],
        row["program"],
        row["chain"],
        row["enrolled_at"],
        row["posted"],
        row["held"],
        row["debt"],
        status=row["status"],
    )
    member.pending, member.lapses_at = row["pending"], row["lapses_at"]
    member.merged_into = row["merged_into"]
    if row["absorbed"]:
        member.absorbed = {id_: [] for id_ in row["absorbed"]}
    if row["tier_names"]:
        for since, name, of in zip(row["tier_since"], row["tier_names"], row["tier_of"], strict=True):
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
