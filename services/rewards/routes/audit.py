"""For auditors: what a member had of rewards at a past instant."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from services.common.as_of import At, By, ByTime, instant
from services.common.auth import ApiKey, authenticated
from services.common.clock import utc_now
from services.rewards import as_of
from services.rewards.patterns import MEMBER, PROGRAM
from services.rewards.schemas_as_of import AsOfView
from services.rewards.views import Views


def audit_router(views: Views) -> APIRouter:
    """The route under a member."""
    router = APIRouter(prefix="/v1/programs/{program}/members/{member}", tags=["audit"])

    @router.get("/as-of")
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

    return router
