"""Redemptions over HTTP: reserve, then capture or cancel, then refund."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Response

from services.common.auth import ApiKey, authenticated
from services.rewards.domain.decide import Step
from services.rewards.handle import Answer, Redeemer
from services.rewards.patterns import KEY, MEMBER, PROGRAM
from services.rewards.schemas import Nothing
from services.rewards.schemas_redemptions import (
    RedemptionAnswer,
    RedemptionRequest,
    RedemptionView,
    RefundRequest,
    redemption_view,
)
from services.rewards.views import Views

READ = ("checkout", "member", "audit", "pos")
WRITE = ("checkout",)

Caller = Annotated[ApiKey, Depends(authenticated)]
ProgramId = Annotated[str, Path(pattern=PROGRAM)]
MemberId = Annotated[str, Path(pattern=MEMBER)]
RedemptionId = Annotated[str, Path(pattern=KEY)]
RequestKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        pattern=KEY,
        description="The same key with the same content counts once, and gets the same outcome.",
    ),
]


def redemption_router(redeemer: Redeemer, views: Views) -> APIRouter:
    """The routes under a member's redemptions."""
    router = APIRouter(prefix="/v1/programs/{program}/members/{member}/redemptions", tags=["redemptions"])

    @router.get("/{redemption}")
    async def redemption(
        program: ProgramId, member: MemberId, redemption: RedemptionId, caller: Caller
    ) -> RedemptionView:
        """How a redemption stands."""
        caller.allow(READ, program)
        return await views.redemption(program, member, redemption)

    @router.post(
        "", status_code=201, responses={200: {"description": "The same request had been taken before."}}
    )
    async def reserve(
        program: ProgramId,
        member: MemberId,
        body: RedemptionRequest,
        idempotency_key: RequestKey,
        caller: Caller,
        response: Response,
    ) -> RedemptionAnswer:
        """Set aside what an order is paid with; the Idempotency-Key becomes the redemption's id."""
        caller.allow(WRITE, program, body.store)
        answer = await redeemer.reserve(program, body.command(idempotency_key, member))
        response.status_code = 200 if answer.duplicate else 201
        return _answer(answer)

    async def take_step(
        step: Step, program: str, member: str, redemption: str, request_key: str, caller: ApiKey
    ) -> RedemptionAnswer:
        caller.allow(WRITE, program)
        return _answer(await redeemer.step(program, member, redemption, step, request_key))

    @router.post("/{redemption}/capture")
    async def capture(
        program: ProgramId,
        member: MemberId,
        redemption: RedemptionId,
        idempotency_key: RequestKey,
        caller: Caller,
        _: Nothing | None = None,
    ) -> RedemptionAnswer:
        """Spend what was set aside: the order is paid."""
        return await take_step("capture", program, member, redemption, idempotency_key, caller)

    @router.post("/{redemption}/cancel")
    async def cancel(
        program: ProgramId,
        member: MemberId,
        redemption: RedemptionId,
        idempotency_key: RequestKey,
        caller: Caller,
        _: Nothing | None = None,
    ) -> RedemptionAnswer:
        """Free what was set aside: the order will not be paid."""
        return await take_step("cancel", program, member, redemption, idempotency_key, caller)

    @router.post("/{redemption}/refund")
    async def refund(
        program: ProgramId,
        member: MemberId,
        redemption: RedemptionId,
        body: RefundRequest,
        idempotency_key: RequestKey,
        caller: Caller,
    ) -> RedemptionAnswer:
        """Give back what was spent, whole, by amount or by line; the Idempotency-Key becomes the refund's id."""
        caller.allow(WRITE, program)
        return _answer(await redeemer.refund(program, member, body.command(redemption, idempotency_key)))

    return router


def _answer(answer: Answer) -> RedemptionAnswer:
    return RedemptionAnswer(**redemption_view(answer.redemption).model_dump(), duplicate=answer.duplicate)
