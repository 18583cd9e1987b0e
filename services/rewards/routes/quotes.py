"""The route of quotes: what a basket costs a member. It changes nothing, so it takes no Idempotency-Key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

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

    @router.post("")
    async def quote(program: ProgramId, body: QuoteRequest, caller: Caller) -> QuoteView:
        """What the basket costs the member, which vouchers, points and money can pay for it, and what it will earn."""
        caller.allow(ASKING, program)
        return await quotes.quote(program, body)

    return router
