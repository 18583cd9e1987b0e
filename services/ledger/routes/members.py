"""Members: enrolment, balance, statement."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from services.ledger import schemas, views
from services.ledger.routes.asking import (
    PREFIX,
    Key,
    LedgerDep,
    MemberPath,
    OptionalKey,
    ProgramPath,
    answer_of,
    set_time,
    submit,
    told,
)
from services.ledger.routes.profile import profile_message
from tallybook.activities.v1 import activities_pb2 as activities

STATEMENT_PAGE_MAX = 500

router = APIRouter(prefix=PREFIX)


@router.post("/members", response_model=schemas.EnrolmentAnswer, status_code=201, tags=["members"])
async def enrol(
    program: ProgramPath,
    body: schemas.EnrolmentBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: OptionalKey = None,
) -> JSONResponse:
    """Enrol a member, or give an enrolled one more identifiers."""
    key.allow(("pos", "checkout"), program)
    message = activities.Enrolment(
        id=body.id or idempotency_key or "",
        program=program,
        member=body.member,
        identifiers=[activities.Identifier(kind=i.kind, value=i.value) for i in body.identifiers],
    )
    if body.profile is not None:
        message.profile.CopyFrom(profile_message(body.profile))
    set_time(message.occurred_at, body.occurred_at)
    outcome = await submit(ledger, message)
    await told(ledger, outcome)
    return answer_of(outcome, {"member": body.member})


@router.get("/members/{member}", response_model=schemas.MemberAnswer, tags=["members"])
async def get_member(program: ProgramPath, member: MemberPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """A member's balance and tier; of one who was merged into another, that one's."""
    key.allow(("pos", "checkout", "member", "audit"), program)
    async with ledger.reader.snapshot() as connection:
        chain, member_id, asked = await ledger.find(connection, program, member)
        answer = await views.member(connection, chain, program, member_id)
    return JSONResponse({**answer, "merged_from": asked if asked != member_id else None})


@router.get("/members/{member}/statement", response_model=schemas.StatementPage, tags=["members"])
async def get_statement(
    program: ProgramPath,
    member: MemberPath,
    key: Key,
    ledger: LedgerDep,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="The `next` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=STATEMENT_PAGE_MAX)] = 50,
) -> JSONResponse:
    """Everything that happened to a member's points, oldest first, with the reasons."""
    key.allow(("pos", "checkout", "member", "audit"), program)
    async with ledger.reader.snapshot() as connection:
        chain, member_id, _ = await ledger.find(connection, program, member)
        await views.member(connection, chain, program, member_id)
        return JSONResponse(
            await views.statement(connection, ledger.programs, chain, program, member_id, after, limit)
        )
