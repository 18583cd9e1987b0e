"""Members: enrolment, identifiers, balance, statement; suspended, reactivated, closed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse

from services.common.auth import ApiKey
from services.common.clock import utc_now
from services.ledger import answers, schemas, views
from services.ledger.domain import events as e
from services.ledger.domain.book import ACTIVE, CLOSED, SUSPENDED
from services.ledger.domain.commands import (
    Cause,
    CloseMember,
    ReactivateMember,
    SuspendMember,
    UnlinkIdentifiers,
)
from services.ledger.handle import KINDS
from services.ledger.routes.asking import (
    PREFIX,
    Key,
    Ledger,
    LedgerDep,
    MemberPath,
    OptionalKey,
    ProgramPath,
    RequiredKey,
    answer_of,
    digest_of,
    set_time,
    submit,
    told,
)
from services.ledger.routes.profile import profile_message
from services.ledger.routes.till_clocks import flags
from tallybook.activities.v1 import activities_pb2 as activities

STATEMENT_PAGE_MAX = 500
IdentifierPath = Annotated[schemas.IdentifierRef, Path(description="An identifier `kind:value`.")]

router = APIRouter(prefix=PREFIX)


@router.post("/members", response_model=answers.EnrolmentAnswer, status_code=201, tags=["members"])
async def enrol(
    program: ProgramPath,
    body: schemas.EnrolmentBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: OptionalKey = None,
) -> JSONResponse:
    """Enrol a member, or give an enrolled one more identifiers."""
    key.allow(("pos", "checkout"), program)
    outcome = await submit(ledger, enrolment_message(program, body, body.id or idempotency_key or ""))
    await told(ledger, outcome)
    return answer_of(outcome, {"member": body.member, "flags": flags(body.occurred_at, outcome.command.now)})


@router.get("/members/{member}", response_model=answers.MemberAnswer, tags=["members"])
async def get_member(program: ProgramPath, member: MemberPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """A member's balance, tier and status; of one who was merged into another, that one's."""
    key.allow(("pos", "checkout", "member", "audit"), program)
    async with ledger.reader.snapshot() as connection:
        chain, member_id, asked = await ledger.find(connection, program, member)
        answer = await views.member(connection, chain, program, member_id)
    return JSONResponse({**answer, "merged_from": asked if asked != member_id else None})


@router.get("/members/{member}/statement", response_model=answers.StatementPage, tags=["members"])
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


@router.delete(
    "/members/{member}/identifiers/{identifier:path}",
    response_model=answers.UnlinkingAnswer,
    status_code=201,
    tags=["members"],
)
async def unlink(
    program: ProgramPath,
    member: MemberPath,
    identifier: IdentifierPath,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """A card is lost: it no longer leads to the member, and another member may get it."""
    key.allow(("pos", "checkout"), program)
    chain, member_id = await ledger.resolve(program, member)
    kind, _, value = identifier.partition(":")
    hashed = ledger.identifiers.digest(kind, value)
    cause = Cause(f"{program}/unlinking", idempotency_key, digest_of("unlinking", kind, hashed.hex()))
    command = UnlinkIdentifiers(program, member_id, chain, cause, utc_now(), [(kind, hashed)])
    outcome = await ledger.queue.submit(command)
    await told(ledger, outcome)
    return answer_of(outcome, {"member": member_id})


@router.post(
    "/members/{member}/suspend", response_model=answers.StatusAnswer, status_code=201, tags=["members"]
)
async def suspend(
    program: ProgramPath,
    member: MemberPath,
    body: schemas.StatusBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Earning goes on, spending is refused until the member is reactivated."""
    return await _becomes(SuspendMember, SUSPENDED, program, member, body, key, ledger, idempotency_key)


@router.post(
    "/members/{member}/reactivate", response_model=answers.StatusAnswer, status_code=201, tags=["members"]
)
async def reactivate(
    program: ProgramPath,
    member: MemberPath,
    body: schemas.StatusBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """A suspended member may spend again."""
    return await _becomes(ReactivateMember, ACTIVE, program, member, body, key, ledger, idempotency_key)


@router.post(
    "/members/{member}/close", response_model=answers.StatusAnswer, status_code=201, tags=["members"]
)
async def close(
    program: ProgramPath,
    member: MemberPath,
    body: schemas.StatusBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """For good: what is left is forfeited, and everything that comes later is refused."""
    return await _becomes(CloseMember, CLOSED, program, member, body, key, ledger, idempotency_key)


async def _becomes(
    change: type[SuspendMember | ReactivateMember | CloseMember],
    status: str,
    program: str,
    member: str,
    body: schemas.StatusBody,
    key: ApiKey,
    ledger: Ledger,
    idempotency_key: str,
) -> JSONResponse:
    key.allow(("ops",), program)
    chain, member_id = await ledger.resolve(program, member)
    cause = Cause(
        f"{program}/{KINDS[change.__name__]}", idempotency_key, digest_of(status, body.reason, key.key_id)
    )
    command = change(program, member_id, chain, cause, utc_now(), body.reason, key.key_id)
    outcome = await ledger.queue.submit(command)
    (first, *_), _ = await told(ledger, outcome)
    closed = first if isinstance(first, e.MemberClosed) else None
    left = {"forfeited": closed.points if closed else 0, "forgiven": closed.debt if closed else 0}
    return answer_of(outcome, {"member": member_id, "status": status, **left})


def enrolment_message(program: str, body: schemas.EnrolmentBody, id_: str) -> activities.Enrolment:
    """An enrolment as Kafka would bring it."""
    message = activities.Enrolment(
        id=id_,
        program=program,
        member=body.member,
        identifiers=[activities.Identifier(kind=i.kind, value=i.value) for i in body.identifiers],
    )
    if body.profile is not None:
        message.profile.CopyFrom(profile_message(body.profile))
    set_time(message.occurred_at, body.occurred_at)
    return message
