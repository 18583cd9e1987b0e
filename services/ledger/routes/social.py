"""What members do that is no purchase, and whom they bring."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from services.ledger import answers, schemas
from services.ledger.domain import events as e
from services.ledger.routes.asking import (
    PREFIX,
    Key,
    LedgerDep,
    OptionalKey,
    ProgramPath,
    answer_of,
    check_same_key,
    set_time,
    submit,
    told,
)
from services.ledger.routes.till_clocks import flags
from tallybook.activities.v1 import activities_pb2 as activities

router = APIRouter(prefix=PREFIX)


@router.post("/interactions", response_model=answers.InteractionAnswer, status_code=201, tags=["activities"])
async def record_interaction(
    program: ProgramPath,
    body: schemas.InteractionBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: OptionalKey = None,
) -> JSONResponse:
    """Record an interaction; one that earns nothing is recorded too, and the answer says why it does not."""
    key.allow(("pos", "checkout"), program, body.store)
    check_same_key(idempotency_key, body.id)
    outcome = await submit(ledger, interaction_message(program, body))
    events, balance = await told(ledger, outcome)
    awarded = next((event for event in events if isinstance(event, e.PointsAwarded)), None)
    withheld = next((event for event in events if isinstance(event, e.AwardWithheld)), None)
    answer = {
        "id": body.id,
        "member": outcome.command.member,
        "kind": body.kind,
        "points": awarded.points if awarded else 0,
        "reason": withheld.reason if withheld else None,
        "flags": flags(body.occurred_at, outcome.command.now),
        "expires_at": awarded.expires_at.isoformat() if awarded and awarded.expires_at else None,
        "balance": balance,
    }
    return answer_of(outcome, answer)


@router.post("/referrals", response_model=answers.ReferralAnswer, status_code=201, tags=["activities"])
async def record_referral(
    program: ProgramPath,
    body: schemas.ReferralBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: OptionalKey = None,
) -> JSONResponse:
    """Record that a member was referred, or has done a task; whoever is rewarded for it is so a moment later."""
    key.allow(("pos", "checkout"), program)
    check_same_key(idempotency_key, body.id)
    outcome = await submit(ledger, referral_message(program, body))
    events, _ = await told(ledger, outcome)
    owing = [event for event in events if isinstance(event, (e.ReferralQualified, e.ReferralTaskDone))]
    answer = {
        "id": body.id,
        "member": outcome.command.member,
        "qualified": any(isinstance(event, e.ReferralQualified) for event in events),
        "owed": [side for event in owing for side in event.owed],
        "flags": flags(body.occurred_at, outcome.command.now),
    }
    return answer_of(outcome, answer)


def interaction_message(program: str, body: schemas.InteractionBody) -> activities.Interaction:
    """An interaction as Kafka would bring it."""
    message = activities.Interaction(
        id=body.id, program=program, member=body.member, kind=body.kind, content=body.content, channel=body.channel,
        store=body.store,
    )  # fmt: skip
    set_time(message.occurred_at, body.occurred_at)
    return message


def referral_message(program: str, body: schemas.ReferralBody) -> activities.Referral:
    """A step of a referral as Kafka would bring it."""
    message = activities.Referral(
        id=body.id, program=program, member=body.member, referrer=body.referrer or "", step=body.step, task=body.task
    )  # fmt: skip
    set_time(message.occurred_at, body.occurred_at)
    return message
