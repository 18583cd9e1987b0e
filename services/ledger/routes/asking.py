"""What all routes of the ledger share: who asks, where members are, how an outcome becomes an answer."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.auth import ApiKey, authenticated
from services.common.chain import chain_of, micros
from services.common.clock import utc_now
from services.common.db import Reader
from services.common.errors import Refusal, Undecodable
from services.ledger import consume, money_views, people_views, schemas, views, wire
from services.ledger.command_queue import CommandQueue
from services.ledger.domain import events as e
from services.ledger.domain.commands import Command
from services.ledger.handle import Outcome
from services.ledger.store import Programs

PREFIX = "/v1/programs/{program}"
"""One resource tree."""

Key = Annotated[ApiKey, Depends(authenticated)]
ProgramPath = Annotated[schemas.ProgramId, Path()]
MemberPath = Annotated[schemas.MemberRef, Path(description="A member id, or an identifier `kind:value`.")]
HoldPath = Annotated[schemas.Id, Path()]
OrderPath = Annotated[schemas.OrderId, Path(description="The order that a hold named.")]
RequiredKey = Annotated[str, Header(alias="Idempotency-Key", pattern=r"^[!-~]{1,128}$")]
OptionalKey = Annotated[str | None, Header(alias="Idempotency-Key", pattern=r"^[!-~]{1,128}$")]


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

    async def find(self, connection: AsyncConnection, program: str, reference: str) -> tuple[int, str, str]:
        """(chain, id of the member who has everything now, id asked for). Raises Refusal("unknown_member")."""
        asked = await self._member_id(program, reference)
        member = await people_views.heir(connection, self.chains, program, asked)
        return chain_of(member, self.chains), member, asked

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


async def submit(ledger: Ledger, message: Any) -> Outcome:
    """Send an activity down the same road as Kafka's."""
    try:
        command = consume.command_of(message, ledger.identifiers, ledger.chains, utc_now())
    except Undecodable as error:
        raise Refusal("invalid_request", str(error)) from error
    return await ledger.queue.submit(command)


async def told(ledger: Ledger, outcome: Outcome) -> tuple[list[e.Event], dict[str, int]]:
    """The events of an outcome (read again where it is the first outcome of an earlier request) and the balance."""
    if not outcome.duplicate:
        _refuse_if_refused(outcome, [decided.event for _, decided in outcome.events])
        balance = outcome.balance or (0, 0, 0, 0)
        return [decided.event for _, decided in outcome.events], views.balance(*balance)
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
        if isinstance(events[0], e.ActivityParked):
            return events, views.balance(0, 0, 0, 0)
        chain, member, _ = await ledger.find(connection, command.program, command.member)
        points: dict[str, int] = (await views.member(connection, chain, command.program, member))["points"]
    return events, points


def _refuse_if_refused(outcome: Outcome, events: list[e.Event]) -> None:
    if outcome.refusal is None:
        return
    detail = next(
        (event.detail for event in events if isinstance(event, e.ActivityRejected)), outcome.refusal[1]
    )
    raise Refusal(outcome.refusal[0], detail)


def of_member(outcome: Outcome, events: list[e.Event], told: str) -> dict[str, str]:
    """Whose an activity is: the member's, or parked for whom it named."""
    if isinstance(events[0], e.ActivityParked):
        return {"outcome": "parked", "member": told}
    return {"member": outcome.command.member}


async def balances(ledger: Ledger, outcome: Outcome, points: dict[str, int]) -> dict[str, Any]:
    """The member's points, as `told` has them, and money."""
    command = outcome.command
    async with ledger.reader.snapshot() as connection:
        chain, member, _ = await ledger.find(connection, command.program, command.member)
        money = await money_views.money(connection, chain, command.program, member)
    return {"balance": points, "money": money}


def answer_of(outcome: Outcome, answer: dict[str, Any]) -> JSONResponse:
    if outcome.refusal is not None:
        raise Refusal(*outcome.refusal)
    body = {"outcome": "recorded", "duplicate": outcome.duplicate, **answer}
    return JSONResponse(body, 200 if outcome.duplicate else 201)


def check_same_key(idempotency_key: str | None, id_: str) -> None:
    if idempotency_key is not None and idempotency_key != id_:
        raise Refusal(
            "idempotency_key_mismatch",
            "the Idempotency-Key of an activity is its id: send the same, or leave the header out",
        )


def digest_of(*parts: str) -> bytes:
    """SHA-256 of a command's content."""
    return hashlib.sha256("\n".join(parts).encode()).digest()


def set_time(timestamp: Any, time: datetime | None) -> None:
    if time is not None:
        timestamp.FromMicroseconds(micros(time))
