"""The ledger's HTTP: one resource tree under /v1/programs/{program}."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import JSONResponse

from services.common.auth import ApiKey, authenticated
from services.common.chain import chain_of, micros
from services.common.clock import utc_now
from services.common.db import Reader
from services.common.errors import Refusal, Undecodable
from services.common.program_document import canonical, load_json, version_of
from services.common.program_section import ProgramError
from services.ledger import consume, schemas, views, wire
from services.ledger.command_queue import CommandQueue
from services.ledger.domain import events as e
from services.ledger.domain.commands import (
    ActivateProgram,
    AdvanceClock,
    CaptureHold,
    Cause,
    Command,
    PlaceHold,
    ReleaseHold,
)
from services.ledger.domain.program import parse_program
from services.ledger.handle import Outcome
from services.ledger.store import Programs
from tallybook.activities.v1 import activities_pb2 as activities

STATUS_OF = {
    "unknown_program": 404,
    "unknown_member": 404,
    "purchase_unknown": 404,
    "hold_unknown": 404,
    "id_reused": 409,
    "already_enrolled": 409,
    "identifier_taken": 409,
    "insufficient_points": 409,
    "hold_already_captured": 409,
    "hold_already_released": 409,
    "hold_expired": 409,
    "quantity_exceeds_purchase": 409,
    "clock_not_ours": 409,
    "idempotency_key_mismatch": 400,
}
"""The ledger's refusals in HTTP; all others are 422."""

STATEMENT_PAGE_MAX = 500

Key = Annotated[ApiKey, Depends(authenticated)]
ProgramPath = Annotated[schemas.ProgramId, Path()]
MemberPath = Annotated[schemas.MemberRef, Path(description="A member id, or an identifier `kind:value`.")]
HoldPath = Annotated[schemas.Id, Path()]
RequiredKey = Annotated[str, Header(alias="Idempotency-Key", pattern=r"^[!-~]{1,128}$")]
OptionalKey = Annotated[str | None, Header(alias="Idempotency-Key", pattern=r"^[!-~]{1,128}$")]

router = APIRouter(prefix="/v1/programs/{program}")


class Ledger:
    """What the routes work with; `main` puts one in `app.state.ledger`."""

    def __init__(
        self,
        queue: CommandQueue,
        reader: Reader,
        programs: Programs,
        identifiers: wire.Identifiers,
        chains: int,
    ) -> None:
        self.queue = queue
        self.reader = reader
        self.programs = programs
        self.identifiers = identifiers
        self.chains = chains

    async def resolve(self, program: str, reference: str) -> tuple[int, str]:
        """(chain, member id) of a member reference. Raises Refusal("unknown_member")."""
        member = await self._member_id(program, reference)
        return chain_of(member, self.chains), member

    async def _member_id(self, program: str, reference: str) -> str:
        if ":" not in reference:
            return reference
        kind, _, value = reference.partition(":")
        digest = self.identifiers.digest(kind, value)
        async with self.reader.snapshot() as connection:
            found = await views.by_identifier(connection, program, digest, self.chains)
        if found is None:
            raise Refusal("unknown_member", f"nobody in the program is known by this {kind}")
        return found


async def ledger_of(request: Request) -> Ledger:
    """The ledger behind the request."""
    ledger: Ledger = request.app.state.ledger
    return ledger


LedgerDep = Annotated[Ledger, Depends(ledger_of)]


@router.put("", response_model=schemas.ActivationAnswer, tags=["programs"])
async def activate_program(
    program: ProgramPath, request: Request, key: Key, ledger: LedgerDep
) -> JSONResponse:
    """Put the document in the body in force, on every chain. Sending it again changes nothing."""
    key.allow(("ops",), program)
    try:
        document = load_json(await request.body())
        content = canonical(document)
        version = version_of(content)
        parsed = parse_program(document, version)
    except ProgramError as error:
        raise Refusal("program_invalid", str(error)) from error
    except ValueError as error:
        raise Refusal("program_invalid", f"the body is not a program document: {error}") from error
    if parsed.id != program:
        raise Refusal("program_invalid", f"program: is {parsed.id!r}, the path says {program!r}")
    cause = Cause("program", f"{program}@{version}")
    now = utc_now()
    outcomes = await _on_every_chain(
        ledger,
        [ActivateProgram(program, "", chain, cause, now, version, content) for chain in range(ledger.chains)],
    )
    activated = any(outcome.events for outcome in outcomes)
    return JSONResponse(
        {"program": program, "version": version, "activated": activated}, 201 if activated else 200
    )


@router.get("", response_model=schemas.ProgramAnswer, tags=["programs"])
async def get_program(program: ProgramPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """The version in force and its document."""
    key.allow(("audit", "pos", "checkout"), program)
    async with ledger.reader.snapshot() as connection:
        return JSONResponse(await views.program(connection, program))


@router.post("/clock", response_model=schemas.ClockAnswer, tags=["programs"])
async def advance_clock(
    program: ProgramPath, body: schemas.ClockBody, key: Key, ledger: LedgerDep
) -> JSONResponse:
    """Move the clock of a program that runs on its events; what falls due by then happens."""
    key.allow(("ops",), program)
    async with ledger.reader.snapshot() as connection:
        found = await views.program(connection, program)
    if not parse_program(found["document"], found["version"]).runs_on_events:
        raise Refusal(
            "clock_not_ours",
            "the program runs on the wall's clock; only `clock: events` programs can be moved",
        )
    to = body.to.astimezone(UTC)
    cause = Cause("clock", to.isoformat())
    now = utc_now()
    await _on_every_chain(
        ledger, [AdvanceClock(program, "", chain, cause, now, to) for chain in range(ledger.chains)]
    )
    return JSONResponse({"program": program, "clock": to.isoformat()})


@router.get("/totals", response_model=schemas.TotalsAnswer, tags=["programs"])
async def get_totals(program: ProgramPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """Points issued, spent, expired, clawed back and outstanding."""
    key.allow(("audit",), program)
    async with ledger.reader.snapshot() as connection:
        return JSONResponse(await views.totals(connection, program))


@router.get("/rejections", response_model=schemas.RejectionsAnswer, tags=["programs"])
async def get_rejections(program: ProgramPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """Refused requests, counted by code."""
    key.allow(("audit",), program)
    async with ledger.reader.snapshot() as connection:
        return JSONResponse({"counts": await views.rejections(connection, program)})


@router.post("/members", response_model=schemas.EnrolmentAnswer, status_code=201, tags=["members"])
async def enrol(
    program: ProgramPath,
    body: schemas.EnrolmentBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: OptionalKey = None,
) -> JSONResponse:
    """Enrol a member, or give an enrolled one more identifiers."""
    key.allow(("pos", "checkout"), program)
    message = activities.Enrolment(
        id=body.id or idempotency_key or "",
        program=program,
        member=body.member,
        identifiers=[activities.Identifier(kind=i.kind, value=i.value) for i in body.identifiers],
    )
    _set_time(message.occurred_at, body.occurred_at)
    outcome = await _submit(ledger, message)
    await _told(ledger, outcome)
    return _answer(outcome, {"member": body.member})


@router.get("/members/{member}", response_model=schemas.MemberAnswer, tags=["members"])
async def get_member(program: ProgramPath, member: MemberPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """A member's balance and tier."""
    key.allow(("pos", "checkout", "member", "audit"), program)
    chain, member_id = await ledger.resolve(program, member)
    async with ledger.reader.snapshot() as connection:
        return JSONResponse(await views.member(connection, chain, program, member_id))


@router.get("/members/{member}/statement", response_model=schemas.StatementPage, tags=["members"])
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
    chain, member_id = await ledger.resolve(program, member)
    async with ledger.reader.snapshot() as connection:
        await views.member(connection, chain, program, member_id)
        return JSONResponse(
            await views.statement(connection, ledger.programs, chain, program, member_id, after, limit)
        )


@router.post("/purchases", response_model=schemas.PurchaseAnswer, status_code=201, tags=["activities"])
async def record_purchase(
    program: ProgramPath,
    body: schemas.PurchaseBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: OptionalKey = None,
) -> JSONResponse:
    """Record a purchase; the answer is what a till prints. The body's `id` makes it count once, on any road."""
    key.allow(("pos",), program, body.store)
    _same_key(idempotency_key, body.id)
    message = activities.Purchase(
        id=body.id, program=program, member=body.member, store=body.store, channel=body.channel, currency=body.currency,
        lines=[
            activities.PurchaseLine(id=x.id, sku=x.sku, category=x.category, quantity=x.quantity, amount=x.amount)
            for x in body.lines
        ],
    )  # fmt: skip
    _set_time(message.occurred_at, body.occurred_at)
    outcome = await _submit(ledger, message)
    events, balance = await _told(ledger, outcome)
    accrued = next((event for event in events if isinstance(event, e.PointsAccrued)), None)
    answer = {
        "purchase": body.id,
        "member": outcome.command.member,
        "points": accrued.points if accrued else 0,
        "tier": accrued.tier if accrued else "",
        "rules": views.rules_behind(ledger.programs, accrued),
        "expires_at": accrued.expires_at.isoformat() if accrued and accrued.expires_at else None,
        "balance": balance,
    }
    return _answer(outcome, answer)


@router.post("/returns", response_model=schemas.ReturnAnswer, status_code=201, tags=["activities"])
async def record_return(
    program: ProgramPath,
    body: schemas.ReturnBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: OptionalKey = None,
) -> JSONResponse:
    """Record units brought back; the answer says how many points went back."""
    key.allow(("pos",), program, body.store)
    _same_key(idempotency_key, body.id)
    message = activities.Return(
        id=body.id, program=program, member=body.member, store=body.store, channel=body.channel, of=body.of,
        lines=[activities.ReturnLine(line=x.line, quantity=x.quantity) for x in body.lines],
    )  # fmt: skip
    _set_time(message.occurred_at, body.occurred_at)
    outcome = await _submit(ledger, message)
    events, balance = await _told(ledger, outcome)
    taken = [event for event in events if isinstance(event, e.PointsClawedBack)]
    answer = {
        "id": body.id,
        "purchase": body.of,
        "member": outcome.command.member,
        "points": sum(event.points for event in taken),
        "debt": sum(event.debt for event in taken),
        "balance": balance,
    }
    return _answer(outcome, answer)


@router.post("/members/{member}/holds", response_model=schemas.HoldAnswer, status_code=201, tags=["holds"])
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
    digest = _digest("hold", idempotency_key, body.order, str(body.amount), str(body.ttl_seconds))
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


@router.get("/members/{member}/holds/{hold}", response_model=schemas.HoldAnswer, tags=["holds"])
async def get_hold(
    program: ProgramPath, member: MemberPath, hold: HoldPath, key: Key, ledger: LedgerDep
) -> JSONResponse:
    """A hold as it is now."""
    key.allow(("checkout", "member", "audit"), program)
    chain, member_id = await ledger.resolve(program, member)
    async with ledger.reader.snapshot() as connection:
        found = await views.hold(connection, chain, program, member_id, hold)
        points = (await views.member(connection, chain, program, member_id))["points"]
    return JSONResponse({"outcome": "found", "duplicate": False, **found, "balance": points})


@router.post("/members/{member}/holds/{hold}/capture", response_model=schemas.HoldAnswer, tags=["holds"])
async def capture_hold(
    program: ProgramPath,
    member: MemberPath,
    hold: HoldPath,
    body: schemas.CaptureBody,
    key: Key,
    ledger: LedgerDep,
    idempotency_key: RequiredKey,
) -> JSONResponse:
    """Spend a hold's points, or some of them; the rest is free again."""
    key.allow(("checkout",), program)
    chain, member_id = await ledger.resolve(program, member)
    cause = Cause(f"{program}/capture", idempotency_key, _digest("capture", hold, str(body.amount)))
    command = CaptureHold(program, member_id, chain, cause, utc_now(), hold, body.amount)
    return await _hold_answer(ledger, await ledger.queue.submit(command), hold)


@router.post("/members/{member}/holds/{hold}/release", response_model=schemas.HoldAnswer, tags=["holds"])
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
    cause = Cause(f"{program}/release", idempotency_key, _digest("release", hold))
    command = ReleaseHold(program, member_id, chain, cause, utc_now(), hold)
    return await _hold_answer(ledger, await ledger.queue.submit(command), hold)


async def _on_every_chain(ledger: Ledger, commands: Sequence[Command]) -> list[Outcome]:
    """The outcomes of one command a chain. Raises the first Refusal; the same request again does what is missing."""
    outcomes = await asyncio.gather(*(ledger.queue.submit(command) for command in commands))
    for outcome in outcomes:
        if outcome.refusal is not None:
            raise Refusal(*outcome.refusal)
    return outcomes


async def _submit(ledger: Ledger, message: Any) -> Outcome:
    """Send an activity down the same road as Kafka's."""
    try:
        command = consume.command_of(message, ledger.identifiers, ledger.chains, utc_now())
    except Undecodable as error:
        raise Refusal("invalid_request", str(error)) from error
    return await ledger.queue.submit(command)


async def _told(ledger: Ledger, outcome: Outcome) -> tuple[list[e.Event], dict[str, int]]:
    """The events of an outcome (read again where it is the first outcome of an earlier request) and the balance."""
    if not outcome.duplicate:
        _refuse_if_refused(outcome, [decided.event for _, decided in outcome.events])
        posted, held, debt = outcome.balance or (0, 0, 0)
        return [decided.event for _, decided in outcome.events], views.balance(posted, held, debt)
    command: Command = outcome.command
    async with ledger.reader.snapshot() as connection:
        events = await views.group(
            connection,
            ledger.programs,
            outcome.chain,
            outcome.position,
            command.program,
            command.cause.source,
            command.cause.id,
        )
        _refuse_if_refused(outcome, events)
        chain = chain_of(command.member, ledger.chains)
        points: dict[str, int] = (await views.member(connection, chain, command.program, command.member))[
            "points"
        ]
    return events, points


def _refuse_if_refused(outcome: Outcome, events: list[e.Event]) -> None:
    if outcome.refusal is None:
        return
    detail = next(
        (event.detail for event in events if isinstance(event, e.ActivityRejected)), outcome.refusal[1]
    )
    raise Refusal(outcome.refusal[0], detail)


async def _hold_answer(ledger: Ledger, outcome: Outcome, hold_id: str) -> JSONResponse:
    events, balance = await _told(ledger, outcome)
    first = events[0]
    answer: dict[str, Any] = {"hold": hold_id, "balance": balance}
    match first:
        case e.HoldPlaced():
            answer |= {"order": first.order, "amount": first.amount, "captured": 0, "state": "open"}
            answer["expires_at"] = first.expires_at.isoformat()
        case e.HoldCaptured():
            amount = first.amount + sum(points for _, points in first.released)
            answer |= {
                "order": first.order,
                "amount": amount,
                "captured": first.amount,
                "state": "captured",
                "expires_at": "",
            }
        case e.HoldReleased():
            answer |= {
                "order": first.order,
                "amount": first.amount,
                "captured": 0,
                "state": first.reason,
                "expires_at": "",
            }
    return _answer(outcome, answer)


def _answer(outcome: Outcome, answer: dict[str, Any]) -> JSONResponse:
    if outcome.refusal is not None:
        raise Refusal(*outcome.refusal)
    body = {"outcome": "recorded", "duplicate": outcome.duplicate, **answer}
    return JSONResponse(body, 200 if outcome.duplicate else 201)


def _same_key(idempotency_key: str | None, id_: str) -> None:
    if idempotency_key is not None and idempotency_key != id_:
        raise Refusal(
            "idempotency_key_mismatch",
            "the Idempotency-Key of an activity is its id: send the same, or leave the header out",
        )


def _digest(*parts: str) -> bytes:
    """SHA-256 of a command's content."""
    return hashlib.sha256("\n".join(parts).encode()).digest()


def _set_time(timestamp: Any, time: datetime | None) -> None:
    if time is not None:
        timestamp.FromMicroseconds(micros(time))
