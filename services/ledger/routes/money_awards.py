"""Stored value as a reward: the rewards service gives it, and takes it back when its reward is refunded."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse

from services.common.clock import utc_now
from services.ledger import answers, schemas
from services.ledger.domain import events as e
from services.ledger.domain.commands import AwardMoney, Cause, TakeBackMoney
from services.ledger.routes.asking import (
    PREFIX,
    Key,
    Ledger,
    LedgerDep,
    MemberPath,
    ProgramPath,
    RequiredKey,
    answer_of,
    balances,
    digest_of,
    told,
)

router = APIRouter(prefix=PREFIX, tags=["stored value"])
AwardPath = Annotated[schemas.Id, Path(description="The Idempotency-Key that gave it.")]
ROOT = "/members/{member}/money_awards"


@router.post(ROOT, response_model=answers.MoneyAwardAnswer, status_code=201)
async def award_money(
    program: ProgramPath,
    member: MemberPath,
    body: schemas.MoneyBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Give stored value as a reward: it becomes bonus. The Idempotency-Key becomes the award's id."""
    key.allow(("rewards",), program)
    chain, member_id = await ledger.resolve(program, member)
    # Without the key's own id: rewards' key may change between two tries.
    cause = Cause(
        f"{program}/money_award", idempotency_key, digest_of("money_award", body.currency, str(body.amount))
    )
    command = AwardMoney(
        program, member_id, chain, cause, utc_now(), idempotency_key, body.currency, body.amount
    )
    return await _answer(ledger, command)


@router.post(ROOT + "/{award}/take_back", response_model=answers.MoneyAwardAnswer, status_code=201)
async def take_back_money(
    program: ProgramPath,
    member: MemberPath,
    award: AwardPath,
    body: schemas.MoneyBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Take back what an award gave, where all of it is still there and free."""
    key.allow(("rewards",), program)
    chain, member_id = await ledger.resolve(program, member)
    digest = digest_of("money_taken_back", award, body.currency, str(body.amount))
    cause = Cause(f"{program}/money_taken_back", idempotency_key, digest)
    command = TakeBackMoney(program, member_id, chain, cause, utc_now(), award, body.currency, body.amount)
    return await _answer(ledger, command)


async def _answer(ledger: Ledger, command: AwardMoney | TakeBackMoney) -> JSONResponse:
    outcome = await ledger.queue.submit(command)
    (event, *_), points = await told(ledger, outcome)
    expires_at = event.expires_at if isinstance(event, e.MoneyCredited) else None
    answer = {
        "award": command.award,
        "member": command.member,
        "currency": command.currency,
        "amount": command.amount,
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
    return answer_of(outcome, answer | await balances(ledger, outcome, points))
