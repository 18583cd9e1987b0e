"""What the ledger's HTTP takes and gives. Strict: no number is made from text, no time without a zone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
MemberRef = Annotated[
    str, StringConstraints(pattern=r"^(?:[A-Za-z0-9_.-]{1,64}|[a-z][a-z_]{0,31}:[^\x00]{1,200})$")
]
IdentifierRef = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,31}:[^\x00]{1,200}$")]
MemberId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
ProgramId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
ShortText = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
OrderId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
Int64 = Annotated[int, Field(strict=True, ge=-(2**63), le=2**63 - 1)]
YEARS = range(2, 9999)
"""Years whose every time is a time in UTC too, whatever its zone."""


def _in_utc(time: datetime) -> datetime:
    if time.year not in YEARS:
        raise ValueError(f"the year must be from {YEARS[0]} to {YEARS[-1]}")
    return time.astimezone(UTC)


Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""RFC 3339 with a zone; UTC from here on."""
LineId = Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)]


class Body(BaseModel):
    """A request body: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid")


class IdentifierBody(Body):
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,31}$")]
    value: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class ProfileBody(Body):
    birthday: date | None = None
    name: ShortText = ""
    email: ShortText = ""
    phone: ShortText = ""
    tags: list[Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]] = Field(
        default=[], max_length=50
    )


class EnrolmentBody(Body):
    member: MemberId
    id: Id | None = None
    profile: ProfileBody | None = Field(
        default=None, description="Kept encrypted only; replaces what was told before."
    )
    identifiers: list[IdentifierBody] = Field(default=[], max_length=20)
    occurred_at: Time | None = None


class PurchaseLineBody(Body):
    id: LineId
    sku: ShortText = ""
    category: ShortText = ""
    quantity: Int64 = 1
    amount: Int64 = Field(description="What the member paid for the whole line, in minor units.")
    brand: ShortText = ""


class PurchaseBody(Body):
    id: Id = Field(description="Unique in the program; the same purchase by Kafka and by HTTP counts once.")
    member: MemberRef
    occurred_at: Time
    store: ShortText = ""
    channel: ShortText = ""
    currency: ShortText
    payment_method: ShortText = ""
    lines: list[PurchaseLineBody] = Field(max_length=2_000)


class ReturnLineBody(Body):
    line: LineId
    quantity: Int64


class ReturnBody(Body):
    id: Id
    member: MemberRef
    occurred_at: Time
    of: Annotated[str, StringConstraints(max_length=128, pattern=r"^[!-~]*$")] = Field(
        default="",
        description="The purchase; without one the return is recorded only where the program says so.",
    )
    lines: list[ReturnLineBody] = Field(max_length=2_000)
    store: ShortText = ""
    channel: ShortText = ""


class InteractionBody(Body):
    id: Id = Field(description="Unique in the program, on any road.")
    member: MemberRef
    occurred_at: Time
    kind: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    content: ShortText = Field(
        default="", description="What it was about: the id of a post, a photo, a rental."
    )
    channel: ShortText = ""
    store: ShortText = ""


class ReferralBody(Body):
    id: Id = Field(description="Unique in the program, on any road.")
    member: MemberRef = Field(description="The referee: who was referred.")
    occurred_at: Time
    step: Literal["registered", "task"]
    referrer: MemberRef | None = Field(
        default=None, description="Who referred; needed where step is registered."
    )
    task: ShortText = Field(default="", description="What the referee has done, where step is task.")


class PurchaseEntry(PurchaseBody):
    type: Literal["purchase"]
    program: ProgramId


class ReturnEntry(ReturnBody):
    type: Literal["return"]
    program: ProgramId


class EnrolmentEntry(EnrolmentBody):
    type: Literal["enrolment"]
    program: ProgramId


Entry = Annotated[PurchaseEntry | ReturnEntry | EnrolmentEntry, Field(discriminator="type")]
"""A line of a batch: what the single route takes, and which route and program it would have been sent to."""


class HoldBody(Body):
    order: OrderId
    amount: Int64 = Field(description="Points.")
    ttl_seconds: Int64 | None = None


class CaptureBody(Body):
    amount: Int64 | None = Field(
        default=None, description="Points; all that is left of the hold when absent."
    )
    final: Annotated[bool, Field(strict=True)] = Field(
        default=True, description="True: the rest is released; false: it stays held for another capture."
    )


class ReleaseBody(Body):
    pass


class MergeBody(Body):
    member: MemberRef = Field(
        description="Who is merged into the member of the path, and answers to it after."
    )


class AdjustmentBody(Body):
    points: Int64 = Field(description="Above 0 to give, below 0 to take.")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9_]*$")] = Field(
        description="One of the program's `ledger.adjustments.reasons`."
    )
    note: ShortText = Field(
        default="", description="For the file; no personal data, for it stays in the book."
    )


class ApprovalBody(Body):
    pass


class DeclineBody(Body):
    note: ShortText = ""


class StatusBody(Body):
    reason: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class TopUpBody(Body):
    id: Id = Field(description="Unique in the program; the same top-up by Kafka and by HTTP counts once.")
    member: MemberRef
    occurred_at: Time
    store: ShortText = ""
    channel: ShortText = ""
    currency: ShortText
    amount: Int64 = Field(description="What was paid in, in minor units.")


class TopUpReversalBody(Body):
    id: Id
    member: MemberRef
    occurred_at: Time
    of: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]*$")]
    store: ShortText = ""
    channel: ShortText = ""


class GiftBody(Body):
    to: MemberRef
    currency: ShortText
    amount: Int64 = Field(description="Minor units.")


class RefundBody(Body):
    amount: Int64 | None = Field(
        default=None, description="Points; when absent, all that stay spent on the order."
    )


class ClockBody(Body):
    to: Time


class Rule(BaseModel):
    rule: str
    arithmetic: str


class Balance(BaseModel):
    available: int
    posted: int
    held: int
    debt: int
    pending: int = Field(description="Points that can't be spent yet; `available` is without them.")


class EnrolmentAnswer(BaseModel):
    outcome: str
    duplicate: bool
    member: str


class PurchaseAnswer(BaseModel):
    outcome: str
    duplicate: bool
    purchase: str
    member: str
    points: int
    tier: str
    rules: list[Rule]
    expires_at: str | None
    matures_at: str | None = Field(description="Until then the points can't be spent; null: they can.")
    balance: Balance


class ReturnAnswer(BaseModel):
    outcome: str
    duplicate: bool
    id: str
    purchase: str
    member: str
    points: int = Field(description="Points taken back.")
    debt: int = Field(description="How many of them no lot could pay.")
    forgiven: int = Field(description="Points beyond these that no lot could pay and the member keeps.")
    parked: bool = Field(description="True: the purchase is not known yet, and the return waits for it.")
    balance: Balance


class InteractionAnswer(BaseModel):
    outcome: str
    duplicate: bool
    id: str
    member: str
    kind: str
    points: int
    reason: str | None = Field(
        description="Why it earned nothing: repeated, cap_reached, budget_exhausted or not_running."
    )
    expires_at: str | None
    balance: Balance


class ReferralAnswer(BaseModel):
    outcome: str
    duplicate: bool
    id: str
    member: str
    qualified: bool = Field(description="True when this is what the referral was waiting for.")
    owed: list[str] = Field(description="Who is rewarded for it, within seconds: referrer, referee.")


class HoldAnswer(BaseModel):
    outcome: str
    duplicate: bool
    hold: str
    order: str
    amount: int
    captured: int
    state: str
    expires_at: str
    balance: Balance


class Money(BaseModel):
    principal: int = Field(description="Paid in; minor units, as all of these.")
    bonus: int = Field(description="Given on top.")
    held: int
    available: int


class TopUpAnswer(BaseModel):
    outcome: str
    duplicate: bool
    top_up: str
    member: str
    currency: str
    principal: int
    bonus: int
    bonus_expires_at: str | None
    points: int = Field(description="Points given on top.")
    balance: Balance
    money: dict[str, Money] = Field(description="By currency.")


class TopUpReversalAnswer(BaseModel):
    outcome: str
    duplicate: bool
    id: str
    top_up: str
    member: str
    currency: str
    paid_out: int = Field(description="Minor units to hand out.")
    kept_for_bonus: int = Field(description="Principal kept for bonus that was spent.")
    bonus: int = Field(description="Bonus taken back.")
    points: int = Field(description="Points taken back.")
    balance: Balance
    money: dict[str, Money]


class GiftAnswer(BaseModel):
    outcome: str
    duplicate: bool
    gift: str
    member: str
    receiver: str
    currency: str
    amount: int
    principal: int
    bonus: int
    balance: Balance
    money: dict[str, Money]


class MoneyLot(BaseModel):
    lot: int
    currency: str
    bucket: str
    remaining: int
    held: int
    from_: str = Field(alias="from", description="The top-up or gift that it came from.")
    expires_at: str | None


class MoneyAnswer(BaseModel):
    program: str
    member: str
    money: dict[str, Money]
    lots: list[MoneyLot]


class RefundAnswer(BaseModel):
    outcome: str
    duplicate: bool
    refund: str
    order: str
    points: int = Field(description="Points given back.")
    debt_repaid: int = Field(description="How many of them repaid debt.")
    expired: int = Field(
        description="How many of them were of lots past their day: forfeited, or given more days, as the program says."
    )
    left: int = Field(description="Points of the order that stay spent.")
    balance: Balance


class MemberAnswer(BaseModel):
    program: str
    member: str
    merged_from: str | None = Field(description="The id asked for, where it was merged into this member.")
    absorbed: list[str] = Field(description="Members who were merged into this one.")
    enrolled_at: str
    status: str = Field(description="active, suspended or closed")
    tier: str
    points: Balance
    money: dict[str, Money] = Field(description="By currency; empty for who never had any.")
    lapses_at: str | None = Field(description="When all points expire, if no activity puts it off.")
    clock: str


class MergeAnswer(BaseModel):
    outcome: str
    duplicate: bool
    member: str
    absorbed: str
    points: int = Field(description="Points that came over.")
    held: int = Field(description="How many of them are held for orders.")
    debt: int = Field(description="Points that the absorbed member owed: debts add up.")
    balance: Balance


class AdjustmentAnswer(BaseModel):
    outcome: str
    duplicate: bool
    adjustment: str
    member: str
    points: int
    reason: str
    note: str
    state: str = Field(description="applied; requested while it waits for a second person; declined")
    requested_by: str = Field(description="The id of the API key that asked.")
    decided_by: str = Field(description="The id of the API key that approved or declined; empty for none.")
    balance: Balance


class WaitingAdjustment(BaseModel):
    adjustment: str
    member: str
    points: int
    reason: str
    note: str
    state: str
    requested_by: str
    requested_at: str
    decided_by: str


class WaitingAdjustments(BaseModel):
    adjustments: list[WaitingAdjustment]


class ErasureAnswer(BaseModel):
    outcome: str
    duplicate: bool
    member: str


class UnlinkingAnswer(BaseModel):
    outcome: str
    duplicate: bool
    member: str


class ProfileAnswer(BaseModel):
    member: str
    birthday: str | None
    name: str | None
    email: str | None
    phone: str | None
    tags: list[str]


class StatusAnswer(BaseModel):
    outcome: str
    duplicate: bool
    member: str
    status: str
    forfeited: int = Field(default=0, description="Points that went to breakage.")
    forgiven: int = Field(default=0, description="Debt that was written off.")


class StatementEntry(BaseModel):
    position: int
    type: str
    occurred_at: str
    recorded_at: str
    points: int = Field(description="Change of the posted balance.")
    money: dict[str, int] = Field(
        description="By currency and bucket, such as USD.bonus: change in minor units."
    )
    text: str
    rules: list[Rule]
    details: dict[str, Any]


class StatementPage(BaseModel):
    entries: list[StatementEntry]
    next: str | None = Field(description="Send it as `after` for the next page; null at the end.")


class ProgramAnswer(BaseModel):
    program: str
    version: str
    document: dict[str, Any]


class ActivationAnswer(BaseModel):
    program: str
    version: str
    activated: bool = Field(description="False when this version was in force already.")


class ClockAnswer(BaseModel):
    program: str
    clock: str


class TotalsAnswer(BaseModel):
    program: str
    members: int
    issued: int
    adjusted: int = Field(description="Given by hand, less what was taken.")
    spent: int
    expired: int
    clawed_back: int
    outstanding: int
    money: dict[str, dict[str, dict[str, int]]] = Field(description="By currency and bucket, in minor units.")


class RejectionsAnswer(BaseModel):
    counts: dict[str, int]
