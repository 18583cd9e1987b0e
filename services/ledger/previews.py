"""What a purchase would earn if it were made: decided as a real one is, from one snapshot, and recorded nowhere."""

from __future__ import annotations

from fractions import Fraction

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.errors import Refusal
from services.ledger.domain.book import Member
from services.ledger.domain.checks import check_not_closed
from services.ledger.domain.commands import Purchase
from services.ledger.domain.counters import VISITS, Counted
from services.ledger.domain.earning import AppliedRule, explain
from services.ledger.domain.program import Program
from services.ledger.domain.purchases import check_form, would_earn
from services.ledger.store import Programs
from services.ledger.tables import counters, journal, members, program_versions, programs


async def preview(
    connection: AsyncConnection,
    known: Programs,
    chain: int,
    program_id: str,
    member_id: str,
    purchase: Purchase,
) -> tuple[int, str, list[AppliedRule]]:
    """(points, tier, the rules behind them).

    Raises:
        Refusal: unknown_program, what `check_form` refuses, unknown_member, member_closed, in this order.
    """
    program = await _program(connection, known, chain, program_id)
    check_form(program, purchase)
    member = await _member(connection, chain, program, member_id, purchase)
    if member is not None:
        check_not_closed(member)
    elif not program.enrols_on_first_activity:
        raise Refusal("unknown_member", f"member {member_id!r} is not enrolled in {program_id!r}")
    tier, earned = would_earn(program, member, purchase)
    return earned.points, tier, explain(program, earned.amount, tier, earned.contributions, earned.counters)


async def _program(connection: AsyncConnection, known: Programs, chain: int, program_id: str) -> Program:
    """The version in force on a chain, parsed once in the process."""
    query = select(programs.c.version).where(programs.c.chain == chain, programs.c.program == program_id)
    version = (await connection.execute(query)).scalar_one_or_none()
    if version is None:
        raise Refusal("unknown_program", f"no program {program_id!r} is active here")
    found = known.versions.get(version)
    if found is None:
        document = select(program_versions.c.document).where(
            program_versions.c.chain == chain,
            program_versions.c.program == program_id,
            program_versions.c.version == version,
        )
        found = known.parsed(version, (await connection.execute(document)).scalar_one())
    return found


async def _member(
    connection: AsyncConnection, chain: int, program: Program, member_id: str, purchase: Purchase
) -> Member | None:
    """The member as far as earning looks: status, tiers, and the counters that the program has."""
    key = {"chain": chain, "program": program.id, "member": member_id}
    row = (await connection.execute(select(members).filter_by(**key))).one_or_none()
    if row is None:
        return None
    member = Member(member_id, program.id, chain, row.enrolled_at, status=row.status)
    member.tiers = [
        (since, name)
        for since, name, of in zip(row.tier_since, row.tier_names, row.tier_of, strict=True)
        if not of
    ]
    if program.counting is not None:
        names = program.counting.names(purchase.occurred_at)
        counted = select(counters).filter_by(**key).where(counters.c.counter.in_(names))
        for counter in (await connection.execute(counted)).all():
            member.counters[counter.counter] = Counted(Fraction(counter.value), counter.position)
        if VISITS in names:
            since = member.counters[VISITS].position if VISITS in member.counters else 0
            uncounted = select(func.count()).where(
                journal.c.chain == chain,
                journal.c.program == program.id,
                journal.c.member == member_id,
                journal.c.position > since,
                journal.c.type == "PurchaseRecorded",
            )
            member.uncounted = (await connection.execute(uncounted)).scalar_one()
    return member
