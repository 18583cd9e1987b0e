"""What tills did while they were offline: thousands of activities in one request, each with an answer of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter, ValidationError

from services.common.auth import ApiKey
from services.common.clock import utc_now
from services.common.codec import MAX_VALUE_BYTES
from services.common.errors import Refusal, Undecodable
from services.common.problem import problem_of
from services.ledger import schemas
from services.ledger.consume import command_of
from services.ledger.domain import events as e
from services.ledger.domain.checks import UNRESOLVED
from services.ledger.domain.commands import Command, Enrol, RecordReferral
from services.ledger.handle import Outcome
from services.ledger.routes.activities import purchase_message, return_message
from services.ledger.routes.asking import Key, Ledger, LedgerDep
from services.ledger.routes.members import enrolment_message
from services.ledger.routes.social import interaction_message, referral_message
from services.ledger.routes.stored_value import top_up_message, top_up_reversal_message
from services.ledger.routes.till_clocks import flags

PATH = "/v1/activities:batch"
MEDIA_TYPE = "application/x-ndjson"
BODY_BYTES_MAX = 8_000_000
LINES_MAX = 10_000
SLICE = 200
"""So many lines share a transaction: enough that its commit is cheap, and few enough that a checkout which waits for
one of its chains does not notice."""

ENTRIES: TypeAdapter[schemas.AnyEntry] = TypeAdapter(schemas.Entry)

router = APIRouter(tags=["activities"])


@router.post(
    PATH,
    response_class=StreamingResponse,
    responses={200: {"description": "A line for each line, in their order.", "content": {MEDIA_TYPE: {}}}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "A JSON object a line: the body of `/purchases`, `/returns`, `/members`, `/top_ups`, "
            "`/top_ups/reversals`, `/interactions` or `/referrals`, and beside it `program` and `type` (purchase, "
            "return, enrolment, top_up, top_up_reversal, interaction or referral).",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
        }
    },
)
async def record_batch(request: Request, key: Key, ledger: LedgerDep) -> StreamingResponse:
    """Record up to 10,000 activities. What was recorded before is a duplicate: after a failure send it all again."""
    key.allow(("pos", "checkout"))
    lines = (await request.body()).split(b"\n")
    count = sum(1 for line in lines if line.strip())
    if not 1 <= count <= LINES_MAX:
        raise Refusal("lines_out_of_range", f"{count} lines; a batch has 1 to {LINES_MAX}")
    return StreamingResponse(_answers(lines, key, ledger), media_type=MEDIA_TYPE)


@dataclass(slots=True)
class Line:
    """A line of the body. It has a command, or the `problem` that kept it from being one."""

    told: dict[str, Any]
    """What its answer says in any case."""
    command: Command | None = None
    problem: Refusal | None = None


async def _answers(lines: list[bytes], key: ApiKey, ledger: Ledger) -> AsyncIterator[bytes]:
    """The answers, as soon as their slice is committed."""
    away: Refusal | None = None
    for part in _slices(_read(lines, key, ledger)):
        commands = [line.command for line in part if line.command is not None]
        outcomes: list[Outcome] = []
        if commands and away is None:
            try:
                outcomes = await ledger.queue.submit_together(commands)
            except Refusal as refusal:
                # Nothing of the slice is written, and what comes after it may hang on it.
                away = refusal
        coming = iter(outcomes)
        answers = []
        for line in part:
            if line.command is None or away is not None:
                answer = _refused(line.problem or away)
            else:
                answer = _decided(next(coming))
            answers.append(json.dumps({**line.told, **answer}).encode() + b"\n")
        yield b"".join(answers)


def _slices(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Parts that are decided together, in order. Who is named by an identifier is looked up before a part is decided,
    so a line that names one does not share its part with the enrolment that brings it."""
    part: list[Line] = []
    linked: set[str] = set()
    for line in lines:
        if len(part) == SLICE or not linked.isdisjoint(_named(line.command)):
            yield part
            part, linked = [], set()
        part.append(line)
        if isinstance(line.command, Enrol):
            linked.update(f"{kind}{UNRESOLVED}{digest.hex()}" for kind, digest in line.command.identifiers)
    if part:
        yield part


def _named(command: Command | None) -> tuple[str, ...]:
    """Whom a line names, by id or by identifier."""
    if command is None:
        return ()
    return (command.member, command.referrer) if isinstance(command, RecordReferral) else (command.member,)


def _read(lines: list[bytes], key: ApiKey, ledger: Ledger) -> Iterator[Line]:
    now = utc_now()
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        line = Line({"line": number})
        try:
            entry = _entry(text)
            line.told |= {"type": entry.type, "id": entry.id, "flags": flags(entry.occurred_at, now)}
            line.command = _command(entry, key, ledger, now)
        except Refusal as refusal:
            line.problem = refusal
        yield line


def _entry(text: bytes) -> schemas.AnyEntry:
    """What a line says. Raises Refusal."""
    if len(text) > MAX_VALUE_BYTES:
        raise Refusal("body_too_large", f"at most {MAX_VALUE_BYTES} bytes are taken in a line")
    try:
        return ENTRIES.validate_json(text)
    except ValidationError as error:
        # Pydantic's own text, without the input: it may hold personal data.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "line"
        raise Refusal("invalid_request", f"{field}: {first['msg']}") from error


def _command(entry: schemas.AnyEntry, key: ApiKey, ledger: Ledger, now: datetime) -> Command:
    """The command that the single route would have made of it. Raises Refusal."""
    message: Any
    match entry:
        case schemas.EnrolmentEntry():
            key.allow(("pos", "checkout"), entry.program)
            message = enrolment_message(entry.program, entry, entry.id or "")
        case schemas.InteractionEntry():
            key.allow(("pos", "checkout"), entry.program, entry.store)
            message = interaction_message(entry.program, entry)
        case schemas.ReferralEntry():
            key.allow(("pos", "checkout"), entry.program)
            message = referral_message(entry.program, entry)
        case _:
            key.allow(("pos",), entry.program, entry.store)
            message = _at_a_till(entry)
    try:
        return command_of(message, ledger.identifiers, ledger.chains, now)
    except Undecodable as error:
        raise Refusal("invalid_request", str(error)) from error


def _at_a_till(
    entry: schemas.PurchaseEntry | schemas.ReturnEntry | schemas.TopUpEntry | schemas.TopUpReversalEntry,
) -> Any:
    match entry:
        case schemas.PurchaseEntry():
            return purchase_message(entry.program, entry)
        case schemas.ReturnEntry():
            return return_message(entry.program, entry)
        case schemas.TopUpEntry():
            return top_up_message(entry.program, entry)
        case schemas.TopUpReversalEntry():
            return top_up_reversal_message(entry.program, entry)


def _refused(problem: Refusal | None) -> dict[str, Any]:
    if problem is None:
        raise AssertionError("a line without a command has a problem")
    return {"outcome": "refused", "duplicate": False, "problem": problem_of(problem.code, problem.detail)}


def _decided(outcome: Outcome) -> dict[str, Any]:
    """What a line came to. A duplicate's first outcome is in the book, and is not read again for thousands of them."""
    if outcome.refusal is not None:
        code, detail = outcome.refusal
        detail = (
            detail or "it was refused when it came first, and that is final: a new request needs a new id"
        )
        problem = problem_of(code, detail)
        return {"outcome": "refused", "duplicate": outcome.duplicate, "problem": problem}
    answer = {"outcome": "recorded", "duplicate": outcome.duplicate, "member": outcome.command.member}
    if not outcome.duplicate:
        if isinstance(outcome.events[0][1].event, e.ActivityParked):
            answer["outcome"] = "parked"
        answer["points"] = sum(_points(decided.event) for _, decided in outcome.events)
    return answer


def _points(event: e.Event) -> int:
    if isinstance(event, e.PointsAccrued | e.PointsAwarded):
        return event.points
    return -event.points if isinstance(event, e.PointsClawedBack) else 0
