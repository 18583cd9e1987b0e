"""The HTTP API: catalogue and wallets here, redemptions and vouchers in `routes/`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path, Query

from services.common.auth import ApiKey, Keys, authenticated
from services.common.problem import PROBLEM_RESPONSES, install_problems
from services.common.service import health_router
from services.rewards.handle import Redeemer
from services.rewards.handle_draws import DrawDesk
from services.rewards.handle_vouchers import VoucherDesk
from services.rewards.patterns import MEMBER, PROGRAM, TEXT
from services.rewards.problems import STATUS
from services.rewards.routes.audit import audit_router
from services.rewards.routes.draws import draw_router
from services.rewards.routes.quotes import quote_router
from services.rewards.routes.redemptions import redemption_router
from services.rewards.routes.vouchers import voucher_router
from services.rewards.schemas import CatalogueView, WalletView
from services.rewards.views import Views
from services.rewards.views_quote import QuoteViews
from services.rewards.views_shop import ShopViews

READ = ("checkout", "member", "audit", "pos")

Caller = Annotated[ApiKey, Depends(authenticated)]
ProgramId = Annotated[str, Path(pattern=PROGRAM)]
MemberId = Annotated[str, Path(pattern=MEMBER)]


def create_app(
    keys: Keys,
    redeemer: Redeemer,
    desk: VoucherDesk,
    draws: DrawDesk,
    views: Views,
    quotes: QuoteViews,
    ready: Callable[[], Awaitable[dict[str, Any]]],
) -> FastAPI:
    """The application, assembled from its parts."""
    app = FastAPI(
        title="Tallybook rewards",
        version="1",
        description="What a member can have, and a checkout's redemptions: reserve, capture or cancel, refund.",
        responses=PROBLEM_RESPONSES,
    )
    app.state.keys = keys
    install_problems(app, STATUS)
    # Routes are tried one after the other: a checkout's come first.
    app.include_router(quote_router(quotes))
    app.include_router(redemption_router(redeemer, views))
    app.include_router(health_router(ready))
    app.include_router(_reads(views, ShopViews(views.reader, views.chains)))
    app.include_router(voucher_router(desk, views))
    app.include_router(draw_router(draws, views))
    app.include_router(audit_router(views))
    return app


def _reads(views: Views, shop: ShopViews) -> APIRouter:
    router = APIRouter(prefix="/v1/programs/{program}", tags=["rewards"])

    @router.get("/catalogue")
    async def catalogue(
        program: ProgramId,
        caller: Caller,
        member: Annotated[str | None, Query(pattern=MEMBER)] = None,
        store: Annotated[str, Query(pattern=TEXT)] = "",
    ) -> CatalogueView:
        """What can be redeemed, and what it costs; for a `member` (in a `store`): may it be had now, and why not."""
        caller.allow(READ, program)
        home = None if member is None else await views.home(program, member)
        return await shop.catalogue(program, home, store)

    @router.get("/members/{member}/wallet")
    async def wallet(program: ProgramId, member: MemberId, caller: Caller) -> WalletView:
        """Points, money and tier as far as the streams have told, the newest redemptions and vouchers."""
        caller.allow(READ, program)
        return await views.wallet(program, member)

    return router
