"""Two members are one person."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from services.common.chain import chain_of
from services.common.clock import utc_now
from services.ledger import answers, schemas
from services.ledger.domain import events as e
from services.ledger.domain.commands import Cause, MergeMembers
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

router = APIRouter(prefix=PREFIX)


@router.post("/members/{member}/merge", response_model=answers.MergeAnswer, status_code=201, tags=["members"])
async def merge_members(
    program: ProgramPath,
    member: MemberPath,
    body: schemas.MergeBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Merge another member into this one: points, debt, holds, purchases and identifiers come over for good."""
    key.allow(("ops",), program)
    # Never an identifier in clear, not even under a digest: a phone number is soon guessed.
    digest = digest_of("merge", ledger.identifiers.reference(body.member))
    cause = Cause(f"{program}/merge", idempotency_key, digest)
    chain, survivor = await ledger.resolve(program, member)
    _, absorbed = await ledger.resolve(program, body.member)
    place = chain_of(absorbed, ledger.chains)
    command = MergeMembers(program, survivor, chain, cause, utc_now(), absorbed, place)
    outcome = await ledger.queue.submit(command)
    events, balance = await told(ledger, outcome)
    merged = next(event for event in events if isinstance(event, e.MembersMerged))
    answer = {
        "member": outcome.command.member,
        "absorbed": merged.absorbed,
        "points": merged.points,
        "held": merged.held,
        "debt": merged.debt,
        "balance": balance,
    }
    return answer_of(outcome, answer)
