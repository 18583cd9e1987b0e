"""Stored value: money paid in, handed back, given to another member."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from services.common.clock import utc_now
from services.ledger import answers, money_views, schemas, views
from services.ledger.domain import events as e
from services.ledger.domain.commands import Cause, SendGift
from services.ledger.routes.asking import (
    PREFIX,
    Key,
    LedgerDep,
    MemberPath,
    OptionalKey,
    ProgramPath,
    RequiredKey,
    answer_of,
    balances,
    check_same_key,
    digest_of,
    set_time,
    submit,
    told,
)
from services.ledger.routes.till_clocks import flags
from tallybook.activities.v1 import activities_pb2 as activities

router = APIRouter(prefix=PREFIX, tags=["stored value"])


@router.post("/top_ups", response_model=answers.TopUpAnswer, status_code=201)
async def record_top_up(
    program: ProgramPath,
    body: schemas.TopUpBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: OptionalKey = None,
) -> JSONResponse:
    """Record money paid in; the answer says what was given on top. The body's `id` makes it count once."""
    key.allow(("pos",), program, body.store)
    check_same_key(idempotency_key, body.id)
    outcome = await submit(ledger, top_up_message(program, body))
    events, points = await told(ledger, outcome)
    credited = {event.reason: event for event in events if isinstance(event, e.MoneyCredited)}
    bonus = credited.get("bonus")
    answer = {
        "top_up": body.id,
        "member": outcome.command.member,
        "currency": body.currency,
        "principal": body.amount,
        "bonus": bonus.amount if bonus else 0,
        "bonus_expires_at": bonus.expires_at.isoformat() if bonus and bonus.expires_at else None,
        "points": sum(event.points for event in events if isinstance(event, e.PointsAccrued)),
        "flags": flags(body.occurred_at, outcome.command.now),
    }
    return answer_of(outcome, answer | await balances(ledger, outcome, points))


@router.post("/top_ups/reversals", response_model=answers.TopUpReversalAnswer, status_code=201)
async def reverse_top_up(
    program: ProgramPath,
    body: schemas.TopUpReversalBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: OptionalKey = None,
) -> JSONResponse:
    """Undo a top-up; the answer says how much money to hand out."""
    key.allow(("pos",), program, body.store)
    check_same_key(idempotency_key, body.id)
    outcome = await submit(ledger, top_up_reversal_message(program, body))
    events, points = await told(ledger, outcome)
    undone = next(event for event in events if isinstance(event, e.TopUpReversed))
    answer = {
        "id": body.id,
        "top_up": body.of,
        "member": outcome.command.member,
        "currency": undone.currency,
        "paid_out": sum(amount for _, amount in undone.paid_out),
        "kept_for_bonus": sum(amount for _, amount in undone.kept),
        "bonus": sum(amount for _, amount in undone.bonus),
        "points": sum(event.points for event in events if isinstance(event, e.PointsClawedBack)),
        "flags": flags(body.occurred_at, outcome.command.now),
    }
    return answer_of(outcome, answer | await balances(ledger, outcome, points))


@router.post("/members/{member}/gifts", response_model=answers.GiftAnswer, status_code=201)
async def send_gift(
    program: ProgramPath,
    member: MemberPath,
    body: schemas.GiftBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Give money to another member. The Idempotency-Key becomes the gift's id."""
    key.allow(("checkout",), program)
    chain, giver = await ledger.resolve(program, member)
    there, receiver = await ledger.resolve(program, body.to)
    digest = digest_of("gift", idempotency_key, receiver, body.currency, str(body.amount))
    cause = Cause(f"{program}/gift", idempotency_key, digest)
    command = SendGift(
        program, giver, chain, cause, utc_now(), idempotency_key, receiver, there, body.currency, body.amount
    )
    outcome = await ledger.queue.submit(command)
    events, points = await told(ledger, outcome)
    sent = next(event for event in events if isinstance(event, e.GiftSent))
    answer = {
        "gift": sent.gift,
        "member": giver,
        "receiver": sent.receiver,
        "currency": sent.currency,
        "amount": sent.amount,
        "principal": sum(amount for _, amount in sent.principal),
        "bonus": sum(amount for _, amount in sent.bonus),
    }
    return answer_of(outcome, answer | await balances(ledger, outcome, points))


@router.get("/members/{member}/money", response_model=answers.MoneyAnswer)
async def get_money(program: ProgramPath, member: MemberPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """A member's money by currency, and the lots that it is in: what will run out, and when."""
    key.allow(("pos", "checkout", "member", "audit"), program)
    async with ledger.reader.snapshot() as connection:
        chain, member_id, _ = await ledger.find(connection, program, member)
        found = (await views.member(connection, chain, program, member_id))["money"]
        lots = await money_views.lots(connection, chain, program, member_id)
    return JSONResponse({"program": program, "member": member_id, "money": found, "lots": lots})


def top_up_message(program: str, body: schemas.TopUpBody) -> activities.TopUp:
    """A top-up as Kafka would bring it."""
    message = activities.TopUp(
        id=body.id, program=program, member=body.member, store=body.store, channel=body.channel,
        currency=body.currency, amount=body.amount,
    )  # fmt: skip
    set_time(message.occurred_at, body.occurred_at)
    return message


def top_up_reversal_message(program: str, body: schemas.TopUpReversalBody) -> activities.TopUpReversal:
    """A reversal as Kafka would bring it."""
    message = activities.TopUpReversal(
        id=body.id, program=program, member=body.member, store=body.store, channel=body.channel, of=body.of
    )
    set_time(message.occurred_at, body.occurred_at)
    return message
