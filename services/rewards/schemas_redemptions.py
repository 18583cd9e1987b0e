"""What the HTTP API takes and shows of redemptions. Amounts are minor units of the program's currency."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints, model_validator

from services.rewards.domain.catalogue import MONEY_MAX, POINTS_MAX, REWARD_ID
from services.rewards.domain.payment import LINES_MAX, BasketLine
from services.rewards.domain.program import TTL_MAX_SECONDS
from services.rewards.domain.redemption import Redemption
from services.rewards.domain.refunds import AskRefund
from services.rewards.domain.reservation import Reserve
from services.rewards.domain.voucher_terms import AMOUNT_MAX
from services.rewards.patterns import ORDER, QUANTITY_MAX, TEXT, VOUCHER

LINE_MAX = 2**53

Text = Annotated[str, StringConstraints(strict=True, pattern=TEXT)]
Amount = Annotated[StrictInt, Field(ge=0, le=MONEY_MAX)]
LineId = Annotated[StrictInt, Field(ge=0, le=LINE_MAX)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OrderLine(_Body):
    """A line of the order; `amount` is for all its units."""

    id: LineId
    sku: Text = ""
    category: Text = ""
    quantity: Annotated[StrictInt, Field(ge=1, le=QUANTITY_MAX)] = 1
    amount: Annotated[StrictInt, Field(ge=0, le=AMOUNT_MAX)]
    new: StrictBool = False
    """A new product; the program may call it new too. It matters for prices only."""


class RedemptionRequest(_Body):
    """Set aside what an order is paid with: a reward of the catalogue, stored value, a voucher, or of each."""

    reward: Annotated[str, StringConstraints(strict=True, pattern=f"^{REWARD_ID.pattern}$")] | None = None
    order: Annotated[str, StringConstraints(strict=True, pattern=ORDER)]
    ttl_seconds: Annotated[StrictInt, Field(ge=1, le=TTL_MAX_SECONDS)] | None = None
    """How long it stays aside; the program's own time when it is left out."""
    store: Text = ""
    """Where it is: rewards and vouchers may be for some stores, and times are the store's own."""
    money: Amount = 0
    """Stored value for the order, beside what the reward itself costs."""
    voucher: Annotated[str, StringConstraints(strict=True, pattern=VOUCHER)] | None = None
    """A voucher of the member; it needs `lines`."""
    outside: Amount = 0
    """Paid by other means: noted, so that a refund says how much of it goes back."""
    lines: Annotated[list[OrderLine], Field(max_length=LINES_MAX)] = []
    """The order: what it costs, less voucher and reward, is `money` and `outside`, and what `points` are worth."""
    expected: Annotated[StrictInt, Field(ge=0)] | None = None
    """The `total` of a quote: the lines are then what anybody would pay, and prices and vouchers are the quote's."""
    points: Annotated[StrictInt, Field(ge=0, le=POINTS_MAX)] = 0
    """Points that pay for the order, beside what the reward itself costs; they need `expected`."""

    @model_validator(mode="after")
    def _something_is_asked(self) -> RedemptionRequest:
        if self.reward is None and not self.money and self.voucher is None and self.expected is None:
            raise ValueError("reward, money, voucher or expected is needed")
        if (self.voucher is not None or self.expected is not None) and not self.lines:
            raise ValueError("a voucher, or expected, needs the order's lines")
        if self.expected is None and self.points:
            raise ValueError("points need expected: what they may pay is a share of the total")
        if self.expected is not None and self.voucher is not None:
            raise ValueError("with expected the vouchers are those of the quote: leave voucher out")
        return self

    def command(self, redemption: str, member: str) -> Reserve:
        """The command that it is."""
        return Reserve(
            redemption,
            member,
            self.reward or "",
            self.order,
            self.ttl_seconds,
            self.store,
            self.money,
            self.voucher or "",
            self.outside,
            tuple(
                BasketLine(line.id, line.sku, line.category, line.quantity, line.amount, line.new)
                for line in self.lines
            ),
            self.points,
            self.expected,
        )


class ReturnedLine(_Body):
    """Units of a line that came back."""

    line: LineId
    quantity: Annotated[StrictInt, Field(ge=1, le=QUANTITY_MAX)] = 1


class RefundRequest(_Body):
    """Give back what `lines` were paid with; or points and money; or, where nothing is named, all that is left."""

    points: Annotated[StrictInt, Field(ge=0, le=POINTS_MAX)] | None = None
    money: Amount | None = None
    lines: Annotated[list[ReturnedLine], Field(max_length=LINES_MAX)] = []
    restock: StrictBool = False
    """The reward itself came back: its stock has one more."""

    @model_validator(mode="after")
    def _one_way_or_the_other(self) -> RefundRequest:
        if self.lines and not (self.points is None and self.money is None):
            raise ValueError("lines say how much: leave points and money out")
        return self

    def command(self, redemption: str, refund: str) -> AskRefund:
        """The command that it is."""
        lines = tuple((line.line, line.quantity) for line in self.lines)
        return AskRefund(redemption, refund, self.points, self.money, lines, self.restock)


class RefundView(BaseModel):
    """A refund of a redemption; `outside` is the checkout's to give back."""

    refund: str
    state: str
    points: int
    money: int
    outside: int
    lines: list[ReturnedLine]
    restock: bool
    value: int
    """Stored value that the reward was, taken back."""
    code: str | None
    detail: str | None
    """Why it was refused."""


class PayingVoucherView(BaseModel):
    """A voucher that pays for the order."""

    voucher: str
    discount: int


class RedemptionView(BaseModel):
    """A redemption as it now stands."""

    redemption: str
    program: str
    member: str
    state: str
    reward: str
    """Empty where the order is paid without one."""
    name: str
    kind: str
    value: int
    points: int
    currency: str
    money: int
    """Stored value, the reward's own price and what was paid for the order."""
    paying_points: int
    """Of the points those that pay for the order."""
    worth: int
    """What they pay, minor units."""
    vouchers: list[PayingVoucherView]
    discount: int
    """What the vouchers take off."""
    outside: int
    store: str
    order: str
    draw: str
    tickets: int
    days: int
    """What a draw ticket and a trial are."""
    requested_at: datetime
    changed_at: datetime
    expires_at: datetime | None
    """When all of it is free again unless it is captured; none while the ledger has not answered."""
    code: str | None
    detail: str | None
    """Why it was refused."""
    refunds: list[RefundView]


class RedemptionAnswer(RedemptionView):
    """A redemption, and whether the same request had been taken before."""

    duplicate: bool


def redemption_view(redemption: Redemption) -> RedemptionView:
    """A redemption as the API shows it."""
    return RedemptionView(
        redemption=redemption.id,
        program=redemption.program,
        member=redemption.member,
        state=str(redemption.state),
        reward=redemption.reward,
        name=redemption.name,
        kind=redemption.kind,
        value=redemption.value,
        points=redemption.points,
        currency=redemption.currency,
        money=redemption.money,
        paying_points=redemption.paying_points,
        worth=redemption.worth,
        vouchers=[PayingVoucherView(voucher=p.voucher, discount=p.discount) for p in redemption.vouchers],
        discount=redemption.discount,
        outside=redemption.outside,
        store=redemption.store,
        order=redemption.order,
        draw=redemption.draw,
        tickets=redemption.tickets,
        days=redemption.days,
        requested_at=redemption.requested_at,
        changed_at=redemption.changed_at,
        expires_at=redemption.expires_at,
        code=redemption.code,
        detail=redemption.detail,
        refunds=[
            RefundView(
                refund=refund.id,
                state=str(refund.state),
                points=refund.points,
                money=refund.money,
                outside=refund.outside,
                lines=[ReturnedLine(line=line, quantity=quantity) for line, quantity in refund.lines],
                restock=refund.restock,
                value=refund.value,
                code=refund.code or None,
                detail=refund.detail or None,
            )
            for refund in redemption.refunds
        ],
    )
