"""What happened at a till or in a shop."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from services.ledger import answers, schemas, views
from services.ledger.domain import events as e
from services.ledger.domain.commands import Purchase, PurchaseLine
from services.ledger.previews import preview
from services.ledger.routes.asking import (
    PREFIX,
    Key,
    LedgerDep,
    OptionalKey,
    ProgramPath,
    answer_of,
    check_same_key,
    of_member,
    set_time,
    submit,
    told,
)
from services.ledger.routes.till_clocks import flags
from tallybook.activities.v1 import activities_pb2 as activities

router = APIRouter(prefix=PREFIX)


@router.post("/purchases", response_model=answers.PurchaseAnswer, status_code=201, tags=["activities"])
async def record_purchase(
    program: ProgramPath,
    body: schemas.PurchaseBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: OptionalKey = None,
) -> JSONResponse:
    """Record a purchase; the answer is what a till prints. The body's `id` makes it count once, on any road."""
    key.allow(("pos",), program, body.store)
    check_same_key(idempotency_key, body.id)
    outcome = await submit(ledger, purchase_message(program, body))
    events, balance = await told(ledger, outcome)
    accrued = next((event for event in events if isinstance(event, e.PointsAccrued)), None)
    answer = {
        "purchase": body.id,
        **of_member(outcome, events, body.member),
        "points": accrued.points if accrued else 0,
        "tier": accrued.tier if accrued else "",
        "rules": views.rules_behind(ledger.programs, accrued),
        "expires_at": accrued.expires_at.isoformat() if accrued and accrued.expires_at else None,
        "matures_at": accrued.matures_at.isoformat() if accrued and accrued.matures_at else None,
        "flags": flags(body.occurred_at, outcome.command.now),
        "balance": balance,
    }
    return answer_of(outcome, answer)


@router.post("/purchases/preview", response_model=answers.PreviewAnswer, tags=["activities"])
async def preview_purchase(
    program: ProgramPath, body: schemas.PreviewBody, key: Key, ledger: LedgerDep
) -> JSONResponse:
    """What a purchase would earn if it were recorded now. Nothing is."""
    key.allow(("pos", "checkout"), program, body.store)
    lines = [PurchaseLine(x.id, x.sku, x.category, x.quantity, x.amount, x.brand) for x in body.lines]
    purchase = Purchase(
        "", body.occurred_at, body.currency, lines, b"", body.store, body.channel, body.payment_method
    )
    _, asked = await ledger.resolve(program, body.member)
    async with ledger.queue.writer.session() as session:
        member, points, tier, rules = await preview(
            session, ledger.programs, ledger.chains, program, asked, purchase
        )
    shown = [rule._asdict() for rule in rules]
    return JSONResponse({"member": member, "points": points, "tier": tier, "rules": shown})


@router.post("/returns", response_model=answers.ReturnAnswer, status_code=201, tags=["activities"])
async def record_return(
    program: ProgramPath,
    body: schemas.ReturnBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: OptionalKey = None,
) -> JSONResponse:
    """Record units brought back; the answer says how many points went back."""
    key.allow(("pos",), program, body.store)
    check_same_key(idempotency_key, body.id)
    outcome = await submit(ledger, return_message(program, body))
    events, balance = await told(ledger, outcome)
    taken = [event for event in events if isinstance(event, e.PointsClawedBack)]
    answer = {
        "id": body.id,
        "purchase": body.of,
        **of_member(outcome, events, body.member),
        "points": sum(event.points for event in taken),
        "debt": sum(event.debt for event in taken),
        "forgiven": sum(event.forgiven for event in taken),
        "parked": any(isinstance(event, e.ReturnParked) for event in events),
        "flags": flags(body.occurred_at, outcome.command.now),
        "balance": balance,
    }
    return answer_of(outcome, answer)


def purchase_message(program: str, body: schemas.PurchaseBody) -> activities.Purchase:
    """A purchase as Kafka would bring it."""
    message = activities.Purchase(
        id=body.id, program=program, member=body.member, store=body.store, channel=body.channel, currency=body.currency,
        payment_method=body.payment_method,
        lines=[
            activities.PurchaseLine(
                id=x.id, sku=x.sku, category=x.category, quantity=x.quantity, amount=x.amount, brand=x.brand,
                discount=x.discount,
            )
            for x in body.lines
        ],
    )  # fmt: skip
    set_time(message.occurred_at, body.occurred_at)
    return message


def return_message(program: str, body: schemas.ReturnBody) -> activities.Return:
    """A return as Kafka would bring it."""
    message = activities.Return(
        id=body.id, program=program, member=body.member, store=body.store, channel=body.channel, of=body.of,
        lines=[activities.ReturnLine(line=x.line, quantity=x.quantity) for x in body.lines],
    )  # fmt: skip
    set_time(message.occurred_at, body.occurred_at)
    return message
