"""What can be read of the ledger: balances, statements, holds, totals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.chain import chain_of, spread
from services.common.errors import Refusal
from services.common.program_document import load_json
from services.ledger import money_views, payloads
from services.ledger.domain import events as e
from services.ledger.domain.book import POINTS
from services.ledger.domain.earning import explain
from services.ledger.domain.merge_effects import MOVED
from services.ledger.parking import PARKED
from services.ledger.statement import STATEMENT_TYPES, describe
from services.ledger.store import Programs
from services.ledger.tables import (
    accounts,
    holds,
    identifiers,
    inbox,
    journal,
    members,
    postings,
    program_versions,
    programs,
)

GROUP_ROWS_MAX = 10


def balance(posted: int, held: int, debt: int, pending: int) -> dict[str, int]:
    """A balance as it is shown; `available` is what can be spent, never below zero."""
    available = max(0, posted - held - pending)
    return {"available": available, "posted": posted, "held": held, "debt": debt, "pending": pending}


async def member(connection: AsyncConnection, chain: int, program: str, member_id: str) -> dict[str, Any]:
    """A member's balance, tier and clock. Raises Refusal("unknown_member")."""
    key = and_(
        members.c.chain == accounts.c.chain,
        members.c.program == accounts.c.program,
        members.c.member == accounts.c.member,
    )
    query = (
        select(
            members,
            accounts.c.asset,
            accounts.c.posted,
            accounts.c.held,
            accounts.c.debt,
            accounts.c.pending,
            accounts.c.lapses_at,
            programs.c.clock_at,
        )
        .join(accounts, key)
        .join(programs, and_(programs.c.chain == members.c.chain, programs.c.program == members.c.program))
        .where(members.c.chain == chain, members.c.program == program, members.c.member == member_id)
    )
    rows = (await connection.execute(query)).mappings().all()
    row = next((row for row in rows if row["asset"] == POINTS), None)
    if row is None:
        raise Refusal("unknown_member", f"member {member_id!r} is not enrolled in {program!r}")
    return {
        "program": program,
        "member": member_id,
        "absorbed": row["absorbed"],
        "enrolled_at": row["enrolled_at"].isoformat(),
        "status": row["status"],
        "tier": next(
            (t for t, of in zip(row["tier_names"][::-1], row["tier_of"][::-1], strict=True) if not of), ""
        ),
        "points": balance(row["posted"], row["held"], row["debt"], row["pending"]),
        "money": money_views.by_currency(rows),
        "lapses_at": row["lapses_at"].isoformat() if row["lapses_at"] else None,
        "clock": row["clock_at"].isoformat(),
    }


async def by_identifier(
    connection: AsyncConnection, program_id: str, digest: bytes, chains: int
) -> str | None:
    """The member id behind an identifier's hash."""
    query = select(identifiers.c.member).where(
        identifiers.c.chain == spread(digest, chains),
        identifiers.c.program == program_id,
        identifiers.c.hash == digest,
    )
    return (await connection.execute(query)).scalar_one_or_none()


async def hold(
    connection: AsyncConnection, chains: int, program: str, member_ids: Sequence[str], hold_id: str
) -> dict[str, Any]:
    """A hold as it is now, of a member or of those merged into it. Raises Refusal("hold_unknown")."""
    query = select(holds).where(
        tuple_(holds.c.chain, holds.c.member).in_([(chain_of(id_, chains), id_) for id_ in member_ids]),
        holds.c.program == program,
        holds.c.hold == hold_id,
        holds.c.state != MOVED,
    )
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise Refusal("hold_unknown", f"member {member_ids[0]!r} has no hold {hold_id!r}")
    return {
        "hold": hold_id,
        "order": row["order_id"],
        "amount": row["amount"],
        "captured": row["captured"],
        "held_money": money_views.of_hold(row["money_currency"], row["money_amount"], row["money_captured"]),
        "state": row["state"],
        "expires_at": row["expires_at"].isoformat(),
    }


async def statement(
    connection: AsyncConnection,
    known: Programs,
    chain: int,
    program: str,
    member_id: str,
    after: int,
    limit: int,
) -> dict[str, Any]:
    """A member's rows after a position, oldest first, a page at a time."""
    query = (
        select(
            journal.c.position,
            journal.c.type,
            journal.c.occurred_at,
            journal.c.recorded_at,
            journal.c.payload,
        )
        .where(
            journal.c.chain == chain,
            journal.c.program == program,
            journal.c.member == member_id,
            journal.c.position > after,
            journal.c.type.in_(STATEMENT_TYPES),
        )
        .order_by(journal.c.position)
        .limit(limit + 1)
    )
    rows = (await connection.execute(query)).all()
    events = [payloads.decode(row.type, row.payload) for row in rows[:limit]]
    await read_versions(connection, known, chain, program, events)
    entries = []
    for row, event in zip(rows, events, strict=False):
        points, text, details = describe(event)
        entries.append(
            {
                "position": row.position,
                "type": row.type,
                "occurred_at": row.occurred_at.isoformat(),
                "recorded_at": row.recorded_at.isoformat(),
                "points": points,
                "money": money_views.moved(event),
                "text": text,
                "rules": rules_behind(known, event),
                "details": details,
            }
        )
    return {"entries": entries, "next": str(entries[-1]["position"]) if len(rows) > limit else None}


async def read_versions(
    connection: AsyncConnection, known: Programs, chain: int, program: str, events: Sequence[e.Event]
) -> None:
    """Make sure that the versions which `events` were decided by are among those that this process has parsed."""
    missing = {
        event.version for event in events if isinstance(event, e.PointsAccrued)
    } - known.versions.keys()
    if missing:
        query = select(program_versions.c.version, program_versions.c.document).where(
            program_versions.c.chain == chain,
            program_versions.c.program == program,
            program_versions.c.version.in_(missing),
        )
        for row in await connection.execute(query):
            known.parsed(row.version, row.document)


def rules_behind(known: Programs, event: e.Event | None) -> list[dict[str, str]]:
    """The rules that made an event's points, with their arithmetic; none where it gives none."""
    if not isinstance(event, e.PointsAccrued):
        return []
    if event.reason == "top_up":
        arithmetic = f"{event.amount} minor units loaded -> {event.points}"
        return [{"rule": "top-up ladder", "arithmetic": arithmetic}]
    program = known.versions[event.version]
    rules = explain(program, event.amount, event.tier, event.contributions, event.counters)
    return [rule._asdict() for rule in rules]


async def group(
    connection: AsyncConnection,
    known: Programs,
    chain: int,
    position: int,
    program: str,
    source: str,
    cause_id: str,
) -> list[e.Event]:
    """The events of the request whose first row stands at `position`: its first outcome, told again."""
    query = (
        select(journal.c.type, journal.c.payload)
        .where(
            journal.c.chain == chain,
            journal.c.position >= position,
            journal.c.position < position + GROUP_ROWS_MAX,
            journal.c.cause_source == source,
            journal.c.cause_id == cause_id,
        )
        .order_by(journal.c.position)
    )
    events = [payloads.decode(row.type, row.payload) for row in await connection.execute(query)]
    await read_versions(connection, known, chain, program, events)
    return events


async def program(connection: AsyncConnection, program_id: str) -> dict[str, Any]:
    """The version in force and its document. Raises Refusal("unknown_program")."""
    query = (
        select(programs.c.version, program_versions.c.document)
        .join(
            program_versions,
            and_(
                program_versions.c.chain == programs.c.chain,
                program_versions.c.program == programs.c.program,
                program_versions.c.version == programs.c.version,
            ),
        )
        .where(programs.c.program == program_id)
        .order_by(programs.c.chain)
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    if row is None:
        raise Refusal("unknown_program", f"no program {program_id!r} is active here")
    return {"program": program_id, "version": row.version, "document": load_json(row.document)}


async def clock(connection: AsyncConnection, program_id: str) -> datetime:
    """The program's clock: that of the chain that is furthest behind."""
    query = select(func.min(programs.c.clock_at)).where(programs.c.program == program_id)
    found: datetime = (await connection.execute(query)).scalar_one()
    return found


async def totals(connection: AsyncConnection, program_id: str) -> dict[str, Any]:
    """A program's points, summed over its postings."""
    by_account = {
        account: (
            select(
                func.coalesce(
                    func.sum(
                        case((postings.c.credit == account, postings.c.amount), else_=-postings.c.amount)
                    ),
                    0,
                )
            )
            .where(
                postings.c.program == program_id,
                postings.c.asset == POINTS,
                or_(postings.c.debit == account, postings.c.credit == account),
            )
            .scalar_subquery()
        )
        for account in ("issued", "adjustment", "redeemed", "breakage", "clawed_back")
    }
    count = (
        select(func.count())
        .select_from(members)
        .where(members.c.program == program_id, members.c.merged_into == "")
        .scalar_subquery()
    )
    row = (await connection.execute(select(count, *by_account.values()))).one()
    enrolled, not_issued, not_adjusted, spent, expired, clawed_back = (int(value) for value in row)
    issued, adjusted = -not_issued, -not_adjusted
    return {
        "program": program_id,
        "members": enrolled,
        "issued": issued,
        "adjusted": adjusted,
        "spent": spent,
        "expired": expired,
        "clawed_back": clawed_back,
        "outstanding": issued + adjusted - spent - expired - clawed_back,
        "money": await money_views.totals(connection, program_id),
    }


async def rejections(connection: AsyncConnection, program_id: str) -> dict[str, int]:
    """How many requests of a program were refused, by code."""
    query = (
        select(inbox.c.rejection, func.count())
        .where(
            inbox.c.rejection.is_not(None),
            inbox.c.rejection != PARKED,
            inbox.c.source.startswith(f"{program_id}/", autoescape=True),
        )
        .group_by(inbox.c.rejection)
    )
    return {row[0]: row[1] for row in await connection.execute(query)}
