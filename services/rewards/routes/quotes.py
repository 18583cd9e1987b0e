"""The route of quotes: what a basket costs a member. It changes nothing, so it takes no Idempotency-Key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from services.common.auth import ApiKey, authenticated
from services.rewards.patterns import PROGRAM
from services.rewards.schemas_quotes import QuoteRequest, QuoteView
from services.rewards.views_quote import QuoteViews

ASKING = ("checkout", "member", "pos", "audit")

Caller = Annotated[ApiKey, Depends(authenticated)]
ProgramId = Annotated[str, Path(pattern=PROGRAM)]


def quote_router(quotes: QuoteViews) -> APIRouter:
    """The route under a program."""
    router = APIRouter(prefix="/v1/programs/{program}/quotes", tags=["quotes"])

    @router.post("", response_model=QuoteView)
    async def quote(program: ProgramId, body: QuoteRequest, caller: Caller) -> Response:
        """What the basket costs the member, which vouchers, points and money can pay for it, and what it will earn."""
        caller.allow(ASKING, program)
        view = await quotes.quote(program, body)
        # Made into JSON once: a checkout waits for it.
        return Response(view.model_dump_json(), media_type="application/json")

    return router
