"""Vouchers over HTTP: a member's vouchers, and what is done with them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from services.common.auth import ApiKey, authenticated
from services.rewards.domain.voucher_terms import AMOUNT_MAX, Line
from services.rewards.handle_vouchers import VoucherAnswer, VoucherDesk
from services.rewards.patterns import KEY, MEMBER, ORDER, PROGRAM, QUANTITY_MAX, TEXT, VOUCHER
from services.rewards.schemas import Nothing
from services.rewards.schemas_vouchers import VoucherView, voucher_view
from services.rewards.views import Views

READ = ("checkout", "member", "audit", "pos")
CHECKOUT = ("checkout",)
OWNER = ("checkout", "member")
OPS = ("ops",)
KIND = r"^[A-Za-z0-9_.-]{1,64}$"
CODE = r"^[A-Za-z2-7 -]{32,80}$"
ISSUE_MAX = 100
LINES_MAX = 2_000
PAGE_MAX = 100

Caller = Annotated[ApiKey, Depends(authenticated)]
ProgramId = Annotated[str, Path(pattern=PROGRAM)]
MemberId = Annotated[str, Path(pattern=MEMBER)]
VoucherId = Annotated[str, Path(pattern=VOUCHER)]
RequestKey = Annotated[str, Header(alias="Idempotency-Key", pattern=KEY)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class IssueRequest(_Body):
    """Give a member vouchers by hand."""

    voucher: Annotated[str, StringConstraints(strict=True, pattern=KIND)]
    """The program's entry in `rewards.vouchers`."""
    count: Annotated[StrictInt, Field(ge=1, le=ISSUE_MAX)] = 1


class BasketLine(_Body):
    """A line of the basket; `amount` is minor units for all its units."""

    sku: Annotated[str, StringConstraints(strict=True, pattern=TEXT)] = ""
    category: Annotated[str, StringConstraints(strict=True, pattern=TEXT)] = ""
    quantity: Annotated[StrictInt, Field(ge=1, le=QUANTITY_MAX)] = 1
    amount: Annotated[StrictInt, Field(ge=0, le=AMOUNT_MAX)]


class UseRequest(_Body):
    """Use a voucher for an order."""

    order: Annotated[str, StringConstraints(strict=True, pattern=ORDER)]
    store: Annotated[str, StringConstraints(strict=True, pattern=TEXT)] = ""
    lines: Annotated[list[BasketLine], Field(min_length=1, max_length=LINES_MAX)]


class UnuseRequest(_Body):
    """The order was cancelled."""

    order: Annotated[str, StringConstraints(strict=True, pattern=ORDER)]


class VoidRequest(_Body):
    """Take a voucher from its member."""

    reason: Annotated[str, StringConstraints(strict=True, pattern=r"^[^\x00]{1,200}$")]


class ClaimRequest(_Body):
    """Take a gift."""

    code: Annotated[str, StringConstraints(strict=True, pattern=CODE)]


class VoucherPage(BaseModel):
    """A member's vouchers, newest first."""

    vouchers: list[VoucherView]
    next: str | None
    """Send it as `before` for the next page; null at the end."""


class VoucherStepAnswer(VoucherView):
    """A voucher, and whether the same request had been taken before."""

    duplicate: bool


class GiftAnswer(VoucherStepAnswer):
    """The code is shown this once; who lost it withdraws the gift and gives it again."""

    code: str | None


class IssueAnswer(BaseModel):
    """The vouchers that were given."""

    vouchers: list[VoucherView]
    duplicate: bool


def voucher_router(desk: VoucherDesk, views: Views) -> APIRouter:
    """The routes under a member's vouchers."""
    router = APIRouter(prefix="/v1/programs/{program}/members/{member}/vouchers", tags=["vouchers"])

    @router.get("")
    async def vouchers(
        program: ProgramId,
        member: MemberId,
        caller: Caller,
        before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> VoucherPage:
        """What the member has and had."""
        caller.allow(READ, program)
        found, more = await views.vouchers(program, member, before, limit)
        return VoucherPage(
            vouchers=[voucher_view(v) for v in found], next=str(found[-1].position) if more else None
        )

    @router.post("", status_code=201)
    async def issue(
        program: ProgramId,
        member: MemberId,
        body: IssueRequest,
        idempotency_key: RequestKey,
        caller: Caller,
        response: Response,
    ) -> IssueAnswer:
        """Give vouchers by hand."""
        caller.allow(OPS, program)
        answer = await desk.issue(program, member, body.voucher, body.count, idempotency_key)
        response.status_code = 200 if answer.duplicate else 201
        return IssueAnswer(vouchers=[voucher_view(v) for v in answer.vouchers], duplicate=answer.duplicate)

    @router.post("/claim")
    async def claim(
        program: ProgramId, member: MemberId, body: ClaimRequest, idempotency_key: RequestKey, caller: Caller
    ) -> VoucherStepAnswer:
        """Take a gift by its code."""
        caller.allow(OWNER, program)
        return _answer(await desk.claim(program, member, body.code, caller.key_id, idempotency_key))

    @router.post("/{voucher}/use")
    async def use(
        program: ProgramId,
        member: MemberId,
        voucher: VoucherId,
        body: UseRequest,
        idempotency_key: RequestKey,
        caller: Caller,
    ) -> VoucherStepAnswer:
        """Use it for an order: `discount` is what it takes off."""
        caller.allow(CHECKOUT, program)
        lines = [Line(line.sku, line.category, line.quantity, line.amount) for line in body.lines]
        key = (program, member, voucher)
        return _answer(await desk.use(key, body.order, body.store, lines, idempotency_key))

    @router.post("/{voucher}/unuse")
    async def unuse(
        program: ProgramId,
        member: MemberId,
        voucher: VoucherId,
        body: UnuseRequest,
        idempotency_key: RequestKey,
        caller: Caller,
    ) -> VoucherStepAnswer:
        """The order was cancelled: it is good again."""
        caller.allow(CHECKOUT, program)
        return _answer(await desk.unuse((program, member, voucher), body.order, idempotency_key))

    @router.post("/{voucher}/gift")
    async def gift(
        program: ProgramId,
        member: MemberId,
        voucher: VoucherId,
        idempotency_key: RequestKey,
        caller: Caller,
        _: Nothing | None = None,
    ) -> GiftAnswer:
        """Give it away: whoever brings the code first has it."""
        caller.allow(OWNER, program)
        answer = await desk.gift((program, member, voucher), idempotency_key)
        return GiftAnswer(**_answer(answer).model_dump(), code=answer.code)

    @router.post("/{voucher}/withdraw")
    async def withdraw(
        program: ProgramId,
        member: MemberId,
        voucher: VoucherId,
        idempotency_key: RequestKey,
        caller: Caller,
        _: Nothing | None = None,
    ) -> VoucherStepAnswer:
        """Take a gift back that nobody has claimed."""
        caller.allow(OWNER, program)
        return _answer(await desk.withdraw((program, member, voucher), idempotency_key))

    @router.post("/{voucher}/void")
    async def void(
        program: ProgramId,
        member: MemberId,
        voucher: VoucherId,
        body: VoidRequest,
        idempotency_key: RequestKey,
        caller: Caller,
    ) -> VoucherStepAnswer:
        """Take it from the member by hand."""
        caller.allow(OPS, program)
        return _answer(await desk.void((program, member, voucher), body.reason, idempotency_key))

    return router


def _answer(answer: VoucherAnswer) -> VoucherStepAnswer:
    view = voucher_view(answer.vouchers[0])
    return VoucherStepAnswer(**view.model_dump(), duplicate=answer.duplicate)
