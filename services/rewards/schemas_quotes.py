"""What the HTTP API takes and shows of quotes. Amounts are minor units of the program's currency."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
)

from services.common.codec import YEARS
from services.rewards.domain.payment import LINES_MAX
from services.rewards.domain.program import Program
from services.rewards.domain.quote import Basket, Payable, Quote, QuoteLine
from services.rewards.patterns import MEMBER
from services.rewards.schemas_redemptions import OrderLine, Text


def _told_as_text(time: object) -> object:
    # Pydantic reads numbers, also in text, as seconds or milliseconds since 1970, by their size.
    if not isinstance(time, str) or "-" not in time[1:]:
        raise ValueError("a time is text with a zone, such as 2026-01-05T10:00:00Z")
    if not time[:4].isdecimal() or int(time[:4]) not in YEARS:
        raise ValueError(f"the year must be from {YEARS[0]} to {YEARS[-1]}")
    return time


class BasketLine(OrderLine):
    """A line as the till would charge anybody."""

    brand: Text = ""


class QuoteRequest(BaseModel):
    """What does this basket cost the member?"""

    model_config = ConfigDict(extra="forbid")

    member: Annotated[str, StringConstraints(strict=True, pattern=MEMBER)]
    store: Text = ""
    channel: Text = ""
    payment_method: Text = ""
    occurred_at: Annotated[AwareDatetime, BeforeValidator(_told_as_text)] | None = None
    """When it is bought; the program's present when it is left out."""
    lines: Annotated[list[BasketLine], Field(min_length=1, max_length=LINES_MAX)]
    earns: StrictBool = True
    """Ask the ledger what the order will earn; false where nobody is shown that."""

    def basket(self) -> Basket:
        """The basket that it is."""
        lines = [QuoteLine(x.id, x.sku, x.category, x.quantity, x.amount, x.new, x.brand) for x in self.lines]
        return Basket(lines, self.store, self.channel)


class ReductionView(BaseModel):
    """What a member price takes off a line."""

    price: str
    off: int


class LineView(BaseModel):
    """A line: `before` less what prices and vouchers take off is `total`."""

    id: int
    sku: str
    category: str
    quantity: int
    before: int
    off_by_prices: int
    after_prices: int
    """What the line costs in a redemption, which takes the voucher off itself."""
    off_by_vouchers: int
    total: int
    prices: list[ReductionView]


class PriceView(BaseModel):
    """A member price that is about something in the basket; `off` is what it takes off, or would."""

    id: str
    name: str
    kind: str
    value: int
    off: int
    applied: bool
    why_not: list[str]


class QuotedVoucherView(BaseModel):
    """A voucher that can be used; `off` is what it takes off, or would."""

    voucher: str
    reward: str
    name: str
    expires_at: datetime | None
    off: int
    applied: bool
    why_not: list[str]


class StackingView(BaseModel):
    """How they add up, by the program."""

    prices: str
    vouchers: str


class PayableView(BaseModel):
    """The most of `available` that can pay for the order, and what that is worth; why none can."""

    available: int
    most: int
    worth: int
    why_not: str | None


class EarnsView(BaseModel):
    """Points that the order will earn, by the ledger; null with the reason where it has not said."""

    points: int | None
    why_not: str | None


class QuoteView(BaseModel):
    """What the basket costs. `total` is to be paid; `points` and `money` can pay so much of it, each alone."""

    program: str
    version: str
    member: str
    tier: str
    store: str
    currency: str
    at: datetime
    before: int
    total: int
    lines: list[LineView]
    prices: list[PriceView]
    stacking: StackingView
    vouchers: list[QuotedVoucherView]
    points: PayableView
    money: PayableView
    earns: EarnsView | None
    """Null when it was not asked for."""


def quote_view(
    program: Program, body: QuoteRequest, quoted: Quote, at: datetime, earns: EarnsView | None
) -> QuoteView:
    """A quote as the API shows it."""
    return QuoteView(
        program=program.id,
        version=program.version,
        member=body.member,
        tier=quoted.tier,
        store=body.store,
        currency=program.currency,
        at=at,
        before=quoted.before,
        total=quoted.total,
        lines=[
            LineView(
                id=q.line.id,
                sku=q.line.sku,
                category=q.line.category,
                quantity=q.line.quantity,
                before=q.line.amount,
                off_by_prices=sum(one.off for one in q.prices),
                after_prices=q.left + q.off_by_vouchers,
                off_by_vouchers=q.off_by_vouchers,
                total=q.left,
                prices=[ReductionView(price=one.price.id, off=one.off) for one in q.prices],
            )
            for q in quoted.lines
        ],
        prices=[
            PriceView(
                id=one.price.id,
                name=one.price.name,
                kind=one.price.kind,
                value=one.price.value,
                off=one.off,
                applied=not one.why_not,
                why_not=one.why_not,
            )
            for one in quoted.prices
        ],
        stacking=StackingView(prices=quoted.stacking.prices, vouchers=quoted.stacking.vouchers),
        vouchers=[
            QuotedVoucherView(
                voucher=one.voucher.id,
                reward=one.voucher.terms.id,
                name=one.voucher.terms.name,
                expires_at=one.voucher.expires_at,
                off=one.off,
                applied=not one.why_not,
                why_not=one.why_not,
            )
            for one in quoted.vouchers
        ],
        points=_payable(quoted.points),
        money=_payable(quoted.money),
        earns=earns,
    )


def _payable(payable: Payable) -> PayableView:
    return PayableView(
        available=payable.available,
        most=payable.most,
        worth=payable.worth,
        why_not=payable.why_not or None,
    )
