"""What a scenario document may say (DESIGN: A scenario). The words are the API's words."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import Field, StrictInt, model_validator

from services.ops.scenario.draw_words import DrawOffer, DrawStep, Turn
from services.ops.scenario.quote_words import BasketLine, Quote, QuoteStep
from services.ops.scenario.words import Moment
from services.ops.scenario.words import Words as _Words


class Enroll(_Words):
    """Somebody joins. `identifiers` is kind: value, such as `card: 6001`."""

    member: str
    identifiers: dict[str, str] = Field(default_factory=dict)
    birthday: date | None = None


class PurchaseLine(_Words):
    """A line; `amount` is minor units for all units of the line."""

    id: StrictInt
    sku: str = ""
    category: str = ""
    quantity: StrictInt = 1
    amount: StrictInt
    brand: str = ""
    discount: StrictInt = 0


class Purchase(_Words):
    """A finished purchase; the currency is the program's own when none is named."""

    id: str
    member: str
    store: str = "s1"
    channel: str = "pos"
    currency: str | None = None
    payment_method: str = ""
    lines: list[PurchaseLine]


class ReturnLine(_Words):
    """Units of a line of the purchase."""

    line: StrictInt
    quantity: StrictInt = 1


class Return(_Words):
    """Units brought back; the member is the one of purchase `of` when none is named."""

    id: str
    of: str
    member: str | None = None
    store: str = "s1"
    channel: str = "pos"
    lines: list[ReturnLine]


class Interaction(_Words):
    """A member likes, reviews, checks in; `content` is what it was about."""

    id: str
    member: str
    kind: str
    content: str = ""
    store: str = ""
    channel: str = "app"


class Referral(_Words):
    """Somebody joins on a member's word (`registered`), or does a `task`. The step's member is the referee."""

    id: str
    referee: str
    referrer: str = ""
    step: Literal["registered", "task"] = "registered"
    task: str = ""


class Hold(_Words):
    """A hold in the ledger: `amount` (points) or `money` (minor units) is needed to place it, and may be less than
    the hold to capture it.

    `refund` gives back what was spent on the hold's order; `final: false` leaves the rest of a capture held.
    """

    id: str
    member: str
    step: Literal["place", "capture", "release", "refund"]
    order: str | None = None
    amount: StrictInt | None = None
    money: StrictInt | None = None
    ttl_seconds: StrictInt | None = None
    final: bool | None = None

    @model_validator(mode="after")
    def _placing_needs_an_amount(self) -> Hold:
        if self.step == "place" and self.amount is None and self.money is None:
            raise ValueError("amount is needed to place a hold, or money")
        return self


class TopUp(_Words):
    """Money paid in; the currency is the program's own when none is named."""

    id: str
    member: str
    amount: StrictInt
    currency: str | None = None
    store: str = "s1"
    channel: str = "pos"


class TopUpReversal(_Words):
    """A top-up undone; the member is the one of top-up `of` when none is named."""

    id: str
    of: str
    member: str | None = None
    store: str = "s1"
    channel: str = "pos"


class Gift(_Words):
    """Money of `member` given to another."""

    id: str
    member: str
    to: str
    amount: StrictInt
    currency: str | None = None


class Redeem(_Words):
    """A redemption. `capture` of one that was never reserved reserves it first.

    `voucher` is the program's entry in `rewards.vouchers`: the member's oldest of it that can be used pays. With
    `expected`, the total of a quote, prices and vouchers are the quote's, and `points` may pay. A refund gives all
    back, or `points` and `money`, or what the lines of `returned` were paid with.
    """

    id: str
    member: str
    reward: str | None = None
    step: Literal["reserve", "capture", "cancel", "refund"]
    order: str | None = None
    ttl_seconds: StrictInt | None = None
    store: str | None = None
    points: StrictInt | None = None
    money: StrictInt | None = None
    voucher: str | None = None
    outside: StrictInt | None = None
    lines: list[BasketLine] | None = None
    expected: StrictInt | None = None
    returned: list[ReturnLine] | None = None
    restock: bool | None = None


class Tag(_Words):
    """Somebody says something of a member (one of the tags of the program), or takes it back."""

    id: str
    member: str
    tag: str
    set: bool = True
    reason: str = "a scenario"


class SegmentRun(_Words):
    """Everybody is sorted into segments, now."""

    id: str


class Ranking(_Words):
    """All members are ranked for the tiers that go to the best, as of the last review."""

    id: str


class Merge(_Words):
    """One member's account is joined to another's: `absorbed` goes, `member` stays."""

    id: str
    member: str
    absorbed: str


class VoucherStep(_Words):
    """Something done with the member's oldest voucher of the program's entry `reward` that can still be used.

    `gift` keeps its code under the member's name; `claim` takes the last gift of member `from`. `issue` is ops'.
    """

    member: str
    reward: str
    step: Literal["issue", "use", "unuse", "gift", "withdraw", "claim", "void"]
    order: str = "o1"
    store: str = "s1"
    lines: list[PurchaseLine] = Field(default_factory=list)
    count: StrictInt = 1
    from_: str | None = Field(default=None, alias="from")


class Points(_Words):
    """Points of the member: its balance, and what it has lost to expiry so far."""

    available: StrictInt | None = None
    posted: StrictInt | None = None
    held: StrictInt | None = None
    debt: StrictInt | None = None
    pending: StrictInt | None = None
    expired: StrictInt | None = None


class Money(_Words):
    """Money of one currency, in minor units."""

    principal: StrictInt | None = None
    bonus: StrictInt | None = None
    held: StrictInt | None = None
    available: StrictInt | None = None


class WalletPoints(_Words):
    """Points as the rewards service knows them."""

    available: StrictInt | None = None
    posted: StrictInt | None = None
    held: StrictInt | None = None
    pending: StrictInt | None = None


class Redemption(_Words):
    """A redemption in the wallet."""

    id: str
    reward: str | None = None
    state: str | None = None


class Voucher(_Words):
    """A voucher in the wallet; `reward` is the program's entry in `rewards.vouchers`."""

    reward: str | None = None
    state: str | None = None
    expires_at: Moment | None = None
    order: str | None = None
    discount: StrictInt | None = None


class Wallet(_Words):
    """The member as the rewards service knows it."""

    points: WalletPoints | None = None
    money: dict[str, Money] | None = None
    tier: str | None = None


class Shelf(_Words):
    """What the catalogue says of a reward for the member."""

    id: str
    available: bool | None = None
    why_not: list[str] | None = None
    left: StrictInt | None = None


class Segments(_Words):
    """Where the member is; each of `tags` is set, and an empty list means that none is."""

    lifecycle: str | None = None
    class_: str | None = Field(default=None, alias="class")
    rfm: str | None = None
    tags: list[str] | None = None


class Expect(_Words):
    """What must be so once the services are level. Only what is named is compared.

    `member` is the one of the step, or the last one that a step named. `error` is the code that the step was
    refused with; a step that is refused without an expected error fails the scenario.
    """

    member: str | None = None
    points: Points | None = None
    money: dict[str, Money] | None = None
    tier: str | None = None
    error: str | None = None
    segments: Segments | None = None
    wallet: Wallet | None = None
    redemptions: list[Redemption] | None = None
    vouchers: list[Voucher] | None = None
    catalogue: list[Shelf] | None = None
    turns: list[Turn] | None = None
    draws: dict[str, DrawOffer] | None = None
    quote: Quote | None = None


class Step(_Words):
    """One thing that happens, and what must be so after it.

    `at` is the business time of this step and of those after it that name none; the clock of the program
    moves on to it first, never back.
    """

    at: Moment | None = None
    via: Literal["kafka", "kafka_json", "http"] = "kafka"
    enroll: Enroll | None = None
    purchase: Purchase | None = None
    return_: Return | None = Field(default=None, alias="return")
    interaction: Interaction | None = None
    referral: Referral | None = None
    hold: Hold | None = None
    redeem: Redeem | None = None
    voucher: VoucherStep | None = None
    draw: DrawStep | None = None
    top_up: TopUp | None = None
    top_up_reversal: TopUpReversal | None = None
    gift: Gift | None = None
    tag: Tag | None = None
    segment_run: SegmentRun | None = None
    ranking: Ranking | None = None
    merge: Merge | None = None
    quote: QuoteStep | None = None
    advance_to: Moment | None = None
    expect: Expect | None = None

    @model_validator(mode="after")
    def _one_thing_happens(self) -> Step:
        happens = [name for name in KINDS if getattr(self, name) is not None]
        if len(happens) > 1:
            raise ValueError(f"a step is one thing, this one is {' and '.join(happens)}")
        if self.advance_to is not None and self.at is not None:
            raise ValueError("`advance_to` is itself a time: leave `at` out")
        if not happens and self.at is None and self.expect is None:
            raise ValueError(f"nothing happens: name one of {', '.join(k.rstrip('_') for k in KINDS)}")
        return self

    @property
    def acts(self) -> bool:
        """True when something is done, not only time passed or looked at."""
        return any(getattr(self, name) is not None for name in KINDS if name != "advance_to")


KINDS = (
    "enroll", "purchase", "return_", "interaction", "referral", "top_up", "top_up_reversal", "hold", "redeem", "gift",
    "tag", "segment_run", "ranking", "merge", "voucher", "draw", "quote", "advance_to",
)  # fmt: skip


class Scenario(_Words):
    """A whole document. `program` is the name of a file in deploy/programs, or a program document in place."""

    program: str | dict[str, Any]
    about: str = ""
    steps: list[Step] = Field(min_length=1)
