"""Points and money set aside, spent, freed, given back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.clock import utc_now
from services.ledger import answers, schemas, views
from services.ledger.domain import events as e
from services.ledger.domain.commands import (
    CaptureHold,
    Cause,
    Money,
    PlaceHold,
    RefundSpend,
    ReleaseHold,
)
from services.ledger.domain.held_money import total
from services.ledger.handle import Outcome
from services.ledger.money_views import of_hold
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
    balances,
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
    """Set points, money or both aside for an order. The Idempotency-Key becomes the hold's id."""
    key.allow(("checkout",), program)
    chain, member_id = await ledger.resolve(program, member)
    content = ("hold", idempotency_key, body.order, str(body.amount), str(body.ttl_seconds))
    digest = digest_of(*content, *_words(body.money))
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
        _money(body.money),
    )
    return await _hold_answer(ledger, await ledger.queue.submit(command), idempotency_key)


@router.get("/members/{member}/holds/{hold:path}", response_model=answers.HoldAnswer, tags=["holds"])
async def get_hold(
    program: ProgramPath, member: MemberPath, hold: HoldPath, key: Key, ledger: LedgerDep
) -> JSONResponse:
    """A hold as it is now."""
    key.allow(("checkout", "member", "audit"), program)
    async with ledger.reader.snapshot() as connection:
        found, whose = await _find(ledger, connection, program, member, hold)
    answer = {"balance": whose["points"], "money": whose["money"] if found["held_money"] else None}
    return JSONResponse({"outcome": "found", "duplicate": False, **found, **answer})


@router.post("/members/{member}/holds/{hold:path}/capture", response_model=answers.HoldAnswer, tags=["holds"])
async def capture_hold(
    program: ProgramPath,
    member: MemberPath,
    hold: HoldPath,
    body: schemas.CaptureBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Spend what a hold has, or some of it; the rest is free again, or stays held where `final` is false."""
    key.allow(("checkout",), program)
    chain, member_id = await ledger.resolve(program, member)
    content = ("capture", hold, str(body.amount), *(() if body.final else ("more",)), *_words(body.money))
    cause = Cause(f"{program}/capture", idempotency_key, digest_of(*content))
    command = CaptureHold(
        program, member_id, chain, cause, utc_now(), hold, body.amount, body.final, _money(body.money)
    )
    return await _hold_answer(ledger, await ledger.queue.submit(command), hold)


@router.post("/members/{member}/holds/{hold:path}/release", response_model=answers.HoldAnswer, tags=["holds"])
async def release_hold(
    program: ProgramPath,
    member: MemberPath,
    hold: HoldPath,
    body: schemas.ReleaseBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Free what a hold still has."""
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
    """Give what was spent on an order back to the lots that it came from: all, or some of it."""
    key.allow(("checkout",), program)
    chain, member_id = await ledger.resolve(program, member)
    digest = digest_of("refund", order, str(body.amount), *_words(body.money))
    cause = Cause(f"{program}/refund", idempotency_key, digest)
    command = RefundSpend(
        program, member_id, chain, cause, utc_now(), idempotency_key, order, body.amount, _money(body.money)
    )
    outcome = await ledger.queue.submit(command)
    events, balance = await told(ledger, outcome)
    answer: dict[str, Any] = {"refund": idempotency_key, "order": order, "balance": balance, "money": None}
    first = events[0]
    if isinstance(first, e.SpendRefunded):
        if first.money_currency:
            answer |= await balances(ledger, outcome, balance)
        answer |= {
            "points": first.amount,
            "debt_repaid": first.debt_repaid,
            "expired": first.expired,
            "left": first.left,
            "currency": first.money_currency,
            "principal": total(first.principal),
            "bonus": total(first.bonus),
            "money_expired": first.money_expired,
            "money_left": first.money_left,
        }
    return answer_of(outcome, answer)


def _money(body: schemas.MoneyBody | None) -> Money | None:
    return None if body is None else Money(body.currency, body.amount)


def _words(body: schemas.MoneyBody | None) -> tuple[str, ...]:
    """Money in a request's digest."""
    return () if body is None else ("money", body.currency, str(body.amount))


async def _find(
    ledger: Ledger, connection: AsyncConnection, program: str, reference: str, hold_id: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the hold, the member who has it now, whoever was told it). Raises Refusal."""
    chain, member_id, _ = await ledger.find(connection, program, reference)
    whose = await views.member(connection, chain, program, member_id)
    found = await views.hold(connection, ledger.chains, program, [member_id, *whose["absorbed"]], hold_id)
    return found, whose


async def _hold_answer(ledger: Ledger, outcome: Outcome, hold_id: str) -> JSONResponse:
    events, balance = await told(ledger, outcome)
    first = events[0]
    answer: dict[str, Any] = {"hold": hold_id, "balance": balance, "money": None, "expires_at": ""}
    if isinstance(first, e.HoldPlaced | e.HoldCaptured | e.HoldReleased) and first.money_currency:
        answer |= await balances(ledger, outcome, balance)
    match first:
        case e.HoldPlaced():
            answer |= {"order": first.order, "amount": first.amount, "captured": 0, "state": "open"}
            answer["held_money"] = of_hold(first.money_currency, first.money_amount, 0)
            answer["expires_at"] = first.expires_at.isoformat()
        case e.HoldCaptured():
            captured = first.captured_before + first.amount
            paid = first.money_captured_before + first.money_amount
            freed = total([*first.principal_released, *first.bonus_released])
            is_open = first.left + first.money_left > 0
            answer |= {
                "order": first.order,
                "amount": captured + first.left + total(first.released),
                "captured": captured,
                "held_money": of_hold(first.money_currency, paid + first.money_left + freed, paid),
                "state": "open" if is_open else "captured",
            }
            if is_open:
                command = outcome.command
                async with ledger.reader.snapshot() as connection:
                    found, _ = await _find(ledger, connection, command.program, command.member, hold_id)
                answer["expires_at"] = found["expires_at"]
        case e.HoldReleased():
            answer |= {
                "order": first.order,
                "amount": first.captured + first.amount,
                "captured": first.captured,
                "held_money": of_hold(
                    first.money_currency, first.money_captured + first.money_amount, first.money_captured
                ),
                "state": first.reason,
            }
    return answer_of(outcome, answer)
