"""The HTTP API: catalogue, wallets, redemptions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Response

from services.common.auth import ApiKey, Keys, authenticated
from services.common.problem import PROBLEM_RESPONSES, install_problems
from services.common.service import health_router
from services.rewards.domain.decide import Reserve, Step
from services.rewards.handle import Answer, Redeemer
from services.rewards.handle_vouchers import VoucherDesk
from services.rewards.problems import STATUS
from services.rewards.routes.vouchers import voucher_router
from services.rewards.schemas import (
    KEY,
    MEMBER,
    PROGRAM,
    CatalogueView,
    Nothing,
    RedemptionAnswer,
    RedemptionRequest,
    RedemptionView,
    WalletView,
)
from services.rewards.views import Views, redemption_view

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


def create_app(
    keys: Keys,
    redeemer: Redeemer,
    desk: VoucherDesk,
    views: Views,
    ready: Callable[[], Awaitable[dict[str, Any]]],
) -> FastAPI:
    """The application, assembled from its parts."""
    app = FastAPI(
        title="Tallybook rewards",
        version="1",
        description="What a member can have for points, and a checkout's redemptions: reserve, then capture or cancel.",
        responses=PROBLEM_RESPONSES,
    )
    app.state.keys = keys
    install_problems(app, STATUS)
    app.include_router(health_router(ready))
    app.include_router(_reads(views))
    app.include_router(_writes(redeemer))
    app.include_router(voucher_router(desk, views))
    return app


def _reads(views: Views) -> APIRouter:
    router = APIRouter(prefix="/v1/programs/{program}", tags=["rewards"])

    @router.get("/catalogue")
    async def catalogue(program: ProgramId, caller: Caller) -> CatalogueView:
        """What can be redeemed, and for how many points."""
        caller.allow(READ, program)
        return await views.catalogue(program)

    @router.get("/members/{member}/wallet")
    async def wallet(program: ProgramId, member: MemberId, caller: Caller) -> WalletView:
        """Points and tier as far as the streams have told, and the newest redemptions."""
        caller.allow(READ, program)
        return await views.wallet(program, member)

    @router.get("/members/{member}/redemptions/{redemption}")
    async def redemption(
        program: ProgramId, member: MemberId, redemption: RedemptionId, caller: Caller
    ) -> RedemptionView:
        """How a redemption stands."""
        caller.allow(READ, program)
        return await views.redemption(program, member, redemption)

    return router


def _writes(redeemer: Redeemer) -> APIRouter:
    router = APIRouter(prefix="/v1/programs/{program}/members/{member}/redemptions", tags=["redemptions"])

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
        """Set the points of a reward aside for an order; the Idempotency-Key becomes the redemption's id."""
        caller.allow(WRITE, program)
        command = Reserve(idempotency_key, member, body.reward, body.order, body.ttl_seconds)
        answer = await redeemer.reserve(program, command)
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
        """Spend the points: the order is paid."""
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
        """Free the points: the order will not be."""
        return await take_step("cancel", program, member, redemption, idempotency_key, caller)

    return router


def _answer(answer: Answer) -> RedemptionAnswer:
    return RedemptionAnswer(**redemption_view(answer.redemption).model_dump(), duplicate=answer.duplicate)
