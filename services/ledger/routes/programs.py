"""A program: its version, its clock, its totals."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from services.common.clock import utc_now
from services.common.errors import Refusal
from services.common.program_document import canonical, load_json, version_of
from services.common.program_section import ProgramError
from services.ledger import answers, schemas, views
from services.ledger.domain.commands import (
    ActivateProgram,
    AdvanceClock,
    Cause,
    Command,
)
from services.ledger.domain.program import parse_program
from services.ledger.handle import Outcome
from services.ledger.routes.asking import (
    PREFIX,
    Key,
    Ledger,
    LedgerDep,
    ProgramPath,
)

router = APIRouter(prefix=PREFIX)


@router.put("", response_model=answers.ActivationAnswer, tags=["programs"])
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
        [
            ActivateProgram(program, "", chain, cause, now, version, content, key.key_id)
            for chain in range(ledger.chains)
        ],
    )
    activated = any(outcome.events for outcome in outcomes)
    return JSONResponse(
        {"program": program, "version": version, "activated": activated}, 201 if activated else 200
    )


@router.get("", response_model=answers.ProgramAnswer, tags=["programs"])
async def get_program(program: ProgramPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """The version in force and its document."""
    key.allow(("audit", "pos", "checkout"), program)
    async with ledger.reader.snapshot() as connection:
        return JSONResponse(await views.program(connection, program))


@router.post("/clock", response_model=answers.ClockAnswer, tags=["programs"])
async def advance_clock(
    program: ProgramPath, body: schemas.ClockBody, key: Key, ledger: LedgerDep
) -> JSONResponse:
    """Move the clock of a program that runs on its events; what falls due by then happens. It never goes back: the
    answer says where it stands."""
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
    async with ledger.reader.snapshot() as connection:
        clock = await views.clock(connection, program)
    return JSONResponse({"program": program, "clock": clock.isoformat()})


@router.get("/totals", response_model=answers.TotalsAnswer, tags=["programs"])
async def get_totals(program: ProgramPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """Points issued, spent, expired, clawed back and outstanding."""
    key.allow(("audit",), program)
    async with ledger.reader.snapshot() as connection:
        await views.program(connection, program)
        return JSONResponse(await views.totals(connection, program))


@router.get("/rejections", response_model=answers.RejectionsAnswer, tags=["programs"])
async def get_rejections(program: ProgramPath, key: Key, ledger: LedgerDep) -> JSONResponse:
    """Refused requests, counted by code."""
    key.allow(("audit",), program)
    async with ledger.reader.snapshot() as connection:
        return JSONResponse({"counts": await views.rejections(connection, program)})


async def _on_every_chain(ledger: Ledger, commands: Sequence[Command]) -> list[Outcome]:
    """The outcomes of one command a chain. Raises the first Refusal; the same request again does what is missing."""
    outcomes = await asyncio.gather(*(ledger.queue.submit(command) for command in commands))
    for outcome in outcomes:
        if outcome.refusal is not None:
            raise Refusal(*outcome.refusal)
    return outcomes
