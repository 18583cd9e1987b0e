"""What a member tells of themselves, and its erasure."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from services.common.clock import utc_now
from services.common.errors import Refusal, Undecodable
from services.ledger import answers, people_views, profiles, schemas
from services.ledger.domain.commands import Cause, EraseMember, SetProfile
from services.ledger.routes.asking import (
    PREFIX,
    Key,
    LedgerDep,
    MemberPath,
    ProgramPath,
    RequiredKey,
    answer_of,
    digest_of,
    told,
)
from tallybook.activities.v1 import activities_pb2 as activities

router = APIRouter(prefix=PREFIX)


def profile_message(body: schemas.ProfileBody) -> Any:
    """The message that says what the body says."""
    birthday = body.birthday.isoformat() if body.birthday else ""
    return activities.Profile(
        birthday=birthday, name=body.name, email=body.email, phone=body.phone, tags=body.tags
    )


@router.put("/members/{member}/profile", response_model=answers.ErasureAnswer, tags=["members"])
async def put_profile(
    program: ProgramPath,
    member: MemberPath,
    body: schemas.ProfileBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Replace a member's profile; fields that are left out are gone."""
    key.allow(("member", "ops"), program)
    chain, member_id = await ledger.resolve(program, member)
    try:
        content = profiles.content_of(profile_message(body))
    except Undecodable as error:
        raise Refusal("invalid_request", str(error)) from error
    digest = ledger.identifiers.profile_digest(content)
    profile = ledger.identifiers.sealer.seal(program, content)
    cause = Cause(f"{program}/profile", idempotency_key, digest)
    outcome = await ledger.queue.submit(SetProfile(program, member_id, chain, cause, utc_now(), profile))
    await told(ledger, outcome)
    return answer_of(outcome, {"member": outcome.command.member})


@router.get("/members/{member}/profile", response_model=answers.ProfileAnswer, tags=["members"])
async def get_profile(program: ProgramPath, member: MemberPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """A member's profile as it was told last."""
    key.allow(("member", "ops"), program)
    async with ledger.reader.snapshot() as connection:
        chain, member_id, _ = await ledger.find(connection, program, member)
        sealed, data_key = await people_views.profile(connection, chain, program, member_id)
    content = ledger.identifiers.sealer.open(program, sealed, data_key)
    nothing: dict[str, Any] = {**dict.fromkeys(profiles.FIELDS), "tags": []}
    return JSONResponse({"member": member_id, **nothing, **content})


@router.get("/members/{member}/birthday", response_model=answers.BirthdayAnswer, tags=["members"])
async def get_birthday(program: ProgramPath, member: MemberPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """Month and day of a member's birthday and no more, for rewards; nulls where none was told."""
    key.allow(("rewards",), program)
    async with ledger.reader.snapshot() as connection:
        chain, member_id, _ = await ledger.find(connection, program, member)
        sealed, data_key = await people_views.profile(connection, chain, program, member_id)
    birthday = ledger.identifiers.sealer.open(program, sealed, data_key).get("birthday")
    born = date.fromisoformat(birthday) if birthday else None
    answer = {"member": member_id, "month": born and born.month, "day": born and born.day}
    return JSONResponse(answer)


@router.post(
    "/members/{member}/erase", response_model=answers.ErasureAnswer, status_code=201, tags=["members"]
)
async def erase_member(
    program: ProgramPath, member: MemberPath, key: Key, ledger: LedgerDep, idempotency_key: RequiredKey
) -> JSONResponse:
    """Destroy the key of a member's profile and forget the identifiers, for good; points and history stay."""
    key.allow(("ops",), program)
    chain, member_id = await ledger.resolve(program, member)
    cause = Cause(f"{program}/erasure", idempotency_key, digest_of("erase"))
    outcome = await ledger.queue.submit(EraseMember(program, member_id, chain, cause, utc_now()))
    await told(ledger, outcome)
    return answer_of(outcome, {"member": outcome.command.member})
