"""For auditors: what a member had of rewards at a past instant, and what was done for an order."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from services.common.as_of import At, By, ByTime, instant
from services.common.auth import ApiKey, authenticated
from services.common.clock import utc_now
from services.rewards import as_of, explain
from services.rewards.patterns import MEMBER, ORDER, PROGRAM
from services.rewards.schemas_audit import AsOfView, OrderView
from services.rewards.views import Views


def audit_router(views: Views) -> APIRouter:
    """The routes of a program."""
    router = APIRouter(prefix="/v1/programs/{program}", tags=["audit"])

    @router.get("/members/{member}/as-of")
    async def get_as_of(
        program: Annotated[str, Path(pattern=PROGRAM)],
        member: Annotated[str, Path(pattern=MEMBER)],
        caller: Annotated[ApiKey, Depends(authenticated)],
        at: At = None,
        by: ByTime = By.RECORDED,
    ) -> AsOfView:
        """Redemptions, vouchers, promised points and draws at a past instant."""
        caller.allow(("audit",), program)
        at = instant(at, by, utc_now())
        async with views.reader.snapshot() as connection:
            return await as_of.member(connection, views.chains, program, member, at, by)

    @router.get("/orders/{order:path}/explain")
    async def explain_order(
        program: Annotated[str, Path(pattern=PROGRAM)],
        order: Annotated[str, Path(pattern=ORDER)],
        caller: Annotated[ApiKey, Depends(authenticated)],
    ) -> OrderView:
        """What was redeemed and used for an order, and every row behind it."""
        caller.allow(("audit",), program)
        async with views.reader.snapshot() as connection:
            return await explain.order(connection, views.chains, program, order)

    return router
