"""Points set aside, spent, freed, given back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from services.common.clock import utc_now
from services.ledger import answers, schemas, views
from services.ledger.domain import events as e
from services.ledger.domain.commands import (
    CaptureHold,
    Cause,
    PlaceHold,
    RefundSpend,
    ReleaseHold,
)
from services.ledger.handle import Outcome
from services.ledger.routes.asking import (
    PREFIX,
    HoldPath,
    Key,
    Ledger,
    LedgerDep,
    MemberPath,
    OrderPath,
    ProgramPath,
    RequiredKey,
    answer_of,
    digest_of,
    told,
)

router = APIRouter(prefix=PREFIX)


@router.post("/members/{member}/holds", response_model=answers.HoldAnswer, status_code=201, tags=["holds"])
async def place_hold(
    program: ProgramPath,
    member: MemberPath,
    body: schemas.HoldBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Set points aside for an order. The Idempotency-Key becomes the hold's id."""
    key.allow(("checkout",), program)
    chain, member_id = await ledger.resolve(program, member)
    digest = digest_of("hold", idempotency_key, body.order, str(body.amount), str(body.ttl_seconds))
    cause = Cause(f"{program}/hold", idempotency_key, digest)
    command = PlaceHold(
        program,
        member_id,
        chain,
        cause,
        utc_now(),
        idempotency_key,
        body.order,
        body.amount,
        body.ttl_seconds,
    )
    return await _hold_answer(ledger, await ledger.queue.submit(command), idempotency_key)


@router.get("/members/{member}/holds/{hold}", response_model=answers.HoldAnswer, tags=["holds"])
async def get_hold(
    program: ProgramPath, member: MemberPath, hold: HoldPath, key: Key, ledger: LedgerDep
) -> JSONResponse:
    """A hold as it is now."""
    key.allow(("checkout", "member", "audit"), program)
    async with ledger.reader.snapshot() as connection:
        chain, member_id, _ = await ledger.find(connection, program, member)
        answer = await views.member(connection, chain, program, member_id)
        found = await views.hold(connection, ledger.chains, program, [member_id, *answer["absorbed"]], hold)
    return JSONResponse({"outcome": "found", "duplicate": False, **found, "balance": answer["points"]})


@router.post("/members/{member}/holds/{hold}/capture", response_model=answers.HoldAnswer, tags=["holds"])
async def capture_hold(
    program: ProgramPath,
    member: MemberPath,
    hold: HoldPath,
    body: schemas.CaptureBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Spend a hold's points, or some of them; the rest is free again, or stays held where `final` is false."""
    key.allow(("checkout",), program)
    chain, member_id = await ledger.resolve(program, member)
    content = ("capture", hold, str(body.amount), *(() if body.final else ("more",)))
    cause = Cause(f"{program}/capture", idempotency_key, digest_of(*content))
    command = CaptureHold(program, member_id, chain, cause, utc_now(), hold, body.amount, body.final)
    return await _hold_answer(ledger, await ledger.queue.submit(command), hold)


@router.post("/members/{member}/holds/{hold}/release", response_model=answers.HoldAnswer, tags=["holds"])
async def release_hold(
    program: ProgramPath,
    member: MemberPath,
    hold: HoldPath,
    body: schemas.ReleaseBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Free a hold's points."""
    key.allow(("checkout",), program)
    chain, member_id = await ledger.resolve(program, member)
    cause = Cause(f"{program}/release", idempotency_key, digest_of("release", hold))
    command = ReleaseHold(program, member_id, chain, cause, utc_now(), hold)
    return await _hold_answer(ledger, await ledger.queue.submit(command), hold)


@router.post(
    "/members/{member}/orders/{order:path}/refunds",
    response_model=answers.RefundAnswer,
    status_code=201,
    tags=["holds"],
)
async def refund_spend(
    program: ProgramPath,
    member: MemberPath,
    order: OrderPath,
    body: schemas.RefundBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Give points that were spent on an order back to the lots that they came from: all, or some of them."""
    key.allow(("checkout",), program)
    chain, member_id = await ledger.resolve(program, member)
    cause = Cause(f"{program}/refund", idempotency_key, digest_of("refund", order, str(body.amount)))
    command = RefundSpend(program, member_id, chain, cause, utc_now(), idempotency_key, order, body.amount)
    outcome = await ledger.queue.submit(command)
    events, balance = await told(ledger, outcome)
    answer: dict[str, Any] = {"refund": idempotency_key, "order": order, "balance": balance}
    first = events[0]
    if isinstance(first, e.SpendRefunded):
        answer |= {
            "points": first.amount,
            "debt_repaid": first.debt_repaid,
            "expired": first.expired,
            "left": first.left,
        }
    return answer_of(outcome, answer)


async def _hold_answer(ledger: Ledger, outcome: Outcome, hold_id: str) -> JSONResponse:
    events, balance = await told(ledger, outcome)
    first = events[0]
    answer: dict[str, Any] = {"hold": hold_id, "balance": balance, "expires_at": ""}
    match first:
        case e.HoldPlaced():
            answer |= {"order": first.order, "amount": first.amount, "captured": 0, "state": "open"}
            answer["expires_at"] = first.expires_at.isoformat()
        case e.HoldCaptured():
            captured = first.captured_before + first.amount
            answer |= {
                "order": first.order,
                "amount": captured + first.left + sum(points for _, points in first.released),
                "captured": captured,
                "state": "open" if first.left else "captured",
            }
            if first.left:
                command = outcome.command
                async with ledger.reader.snapshot() as connection:
                    found = await views.hold(
                        connection, outcome.chain, command.program, command.member, hold_id
                    )
                answer["expires_at"] = found["expires_at"]
        case e.HoldReleased():
            answer |= {
                "order": first.order,
                "amount": first.captured + first.amount,
                "captured": first.captured,
                "state": first.reason,
            }
    return answer_of(outcome, answer)
