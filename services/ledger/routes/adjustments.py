"""Points given or taken by hand."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse

from services.common.clock import utc_now
from services.ledger import adjustments, answers, schemas, views
from services.ledger.domain import events as e
from services.ledger.domain.commands import Adjust, ApproveAdjustment, Cause, DeclineAdjustment
from services.ledger.routes.asking import (
    PREFIX,
    Key,
    Ledger,
    LedgerDep,
    MemberPath,
    ProgramPath,
    RequiredKey,
    answer_of,
    digest_of,
    told,
)

WAITING_MAX = 500
"""So many that wait are shown; the others come up when these are decided."""

router = APIRouter(prefix=PREFIX, tags=["adjustments"])
AdjustmentPath = Annotated[schemas.Id, Path(description="The Idempotency-Key that asked for it.")]
ONE = "/members/{member}/adjustments/{adjustment:path}"


@router.post("/members/{member}/adjustments", response_model=answers.AdjustmentAnswer, status_code=201)
async def adjust(
    program: ProgramPath,
    member: MemberPath,
    body: schemas.AdjustmentBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Give points by hand, or take some. Over the program's limit it waits for another person's key to approve.

    The Idempotency-Key becomes the adjustment's id.
    """
    # Rewards gives points by a key of its own, and can't take any.
    key.allow(("rewards",) if body.points > 0 else ("ops",), program)
    chain, member_id = await ledger.resolve(program, member)
    digest = digest_of("adjustment", str(body.points), body.reason, body.note, key.key_id)
    cause = Cause(f"{program}/adjustment", idempotency_key, digest)
    command = Adjust(
        program, member_id, chain, cause, utc_now(), idempotency_key, body.points, body.reason, body.note, key.key_id
    )  # fmt: skip
    return await _answer(ledger, command)


@router.post(ONE + "/approve", response_model=answers.AdjustmentAnswer, status_code=201)
async def approve(
    program: ProgramPath,
    member: MemberPath,
    adjustment: AdjustmentPath,
    body: schemas.ApprovalBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Say yes to what another person asked for: the points move now."""
    key.allow(("ops",), program)
    chain, member_id = await ledger.resolve(program, member)
    digest = digest_of("approval", adjustment, key.key_id)
    cause = Cause(f"{program}/adjustment_approval", idempotency_key, digest)
    command = ApproveAdjustment(program, member_id, chain, cause, utc_now(), adjustment, key.key_id)
    return await _answer(ledger, command)


@router.post(ONE + "/decline", response_model=answers.AdjustmentAnswer, status_code=201)
async def decline(
    program: ProgramPath,
    member: MemberPath,
    adjustment: AdjustmentPath,
    body: schemas.DeclineBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Say no; whoever asked may take it back so."""
    key.allow(("ops",), program)
    chain, member_id = await ledger.resolve(program, member)
    digest = digest_of("decline", adjustment, body.note, key.key_id)
    cause = Cause(f"{program}/adjustment_decline", idempotency_key, digest)
    command = DeclineAdjustment(
        program, member_id, chain, cause, utc_now(), adjustment, body.note, key.key_id
    )
    return await _answer(ledger, command)


@router.get(ONE, response_model=answers.WaitingAdjustment)
async def get_adjustment(
    program: ProgramPath, member: MemberPath, adjustment: AdjustmentPath, key: Key, ledger: LedgerDep
) -> JSONResponse:
    """An adjustment as it is now."""
    key.allow(("ops", "audit", "rewards"), program)
    chain, member_id = await ledger.resolve(program, member)
    async with ledger.reader.snapshot() as connection:
        return JSONResponse(await adjustments.find(connection, chain, program, member_id, adjustment))


@router.get("/adjustments", response_model=answers.WaitingAdjustments)
async def get_waiting(program: ProgramPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """The adjustments that wait for a second person, the oldest first."""
    key.allow(("ops", "audit"), program)
    async with ledger.reader.snapshot() as connection:
        await views.program(connection, program)
        found = await adjustments.waiting(connection, program, ledger.chains, WAITING_MAX)
    return JSONResponse({"adjustments": found})


async def _answer(ledger: Ledger, command: Adjust | ApproveAdjustment | DeclineAdjustment) -> JSONResponse:
    """The adjustment as this request left it."""
    outcome = await ledger.queue.submit(command)
    (first, *_), balance = await told(ledger, outcome)
    if isinstance(first, e.PointsAdjusted):
        answer = _asked(first) | {"state": "applied", "decided_by": first.approved_by}
    elif isinstance(first, e.AdjustmentRequested):
        answer = _asked(first)
    else:
        # Its event does not repeat what was asked for, and what was declined stays as it is.
        member, chain = command.member, command.chain
        async with ledger.reader.snapshot() as connection:
            answer = await adjustments.find(connection, chain, command.program, member, command.adjustment)
        del answer["requested_at"]
    return answer_of(outcome, {**answer, "member": command.member, "balance": balance})


def _asked(event: e.PointsAdjusted | e.AdjustmentRequested) -> dict[str, Any]:
    return {
        "adjustment": event.adjustment,
        "points": event.points,
        "reason": event.reason,
        "note": event.note,
        "state": "requested",
        "requested_by": event.requested_by,
        "decided_by": "",
    }
