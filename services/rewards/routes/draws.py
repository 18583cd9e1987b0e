"""Draws over HTTP: what there is for a member, turns, and what came of them."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from services.common.auth import ApiKey, authenticated
from services.common.clock import utc_now
from services.rewards.domain.draws import SEED_BYTES
from services.rewards.handle_draws import DrawDesk
from services.rewards.patterns import KEY, MEMBER, PROGRAM
from services.rewards.schemas_draws import (
    DrawsView,
    TurnAnswerView,
    TurnPage,
    TurnRequest,
    TurnView,
    turn_view,
)
from services.rewards.views import Views

READ = ("checkout", "member", "audit", "pos")
TURN = ("checkout", "member")
PAGE_MAX = 100

Caller = Annotated[ApiKey, Depends(authenticated)]
ProgramId = Annotated[str, Path(pattern=PROGRAM)]
MemberId = Annotated[str, Path(pattern=MEMBER)]
TurnId = Annotated[str, Path(pattern=KEY)]
RequestKey = Annotated[str, Header(alias="Idempotency-Key", pattern=KEY)]


def draw_router(desk: DrawDesk, views: Views) -> APIRouter:
    """The routes under a member's draws."""
    router = APIRouter(prefix="/v1/programs/{program}/members/{member}/draws", tags=["draws"])

    @router.get("")
    async def draws(program: ProgramId, member: MemberId, caller: Caller) -> DrawsView:
        """The draws, their prizes, and what the member may do there."""
        caller.allow(READ, program)
        return await views.draws.draws(program, await views.home(program, member), utc_now())

    @router.post(
        "", status_code=201, responses={200: {"description": "The same request had been taken before."}}
    )
    async def turn(
        program: ProgramId,
        member: MemberId,
        body: TurnRequest,
        idempotency_key: RequestKey,
        caller: Caller,
        response: Response,
    ) -> TurnAnswerView:
        """Have a turn; the Idempotency-Key becomes its id. The same request again draws nothing."""
        caller.allow(TURN, program)
        key = (program, member, idempotency_key)
        answer = await desk.turn(key, body.draw, body.pay, secrets.token_bytes(SEED_BYTES))
        response.status_code = 200 if answer.duplicate else 201
        return TurnAnswerView(**turn_view(answer.turn).model_dump(), duplicate=answer.duplicate)

    @router.get("/turns")
    async def turns(
        program: ProgramId,
        member: MemberId,
        caller: Caller,
        before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> TurnPage:
        """What the member has drawn."""
        caller.allow(READ, program)
        found, more = await views.draws.turns(program, member, before, limit)
        return TurnPage(
            turns=[turn_view(turn) for turn in found], next=str(found[-1].position) if more else None
        )

    @router.get("/turns/{turn}")
    async def one_turn(program: ProgramId, member: MemberId, turn: TurnId, caller: Caller) -> TurnView:
        """One turn as it now stands."""
        caller.allow(READ, program)
        return turn_view(await views.draws.turn(program, member, turn))

    return router
