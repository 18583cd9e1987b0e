"""What the ledger's HTTP takes. Strict: no number is made from text, no time without a zone."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from services.common.told_time import Time as Time

Id = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
MemberRef = Annotated[
    str, StringConstraints(pattern=r"^(?:[A-Za-z0-9_.-]{1,64}|[a-z][a-z_]{0,31}:[^\x00]{1,200})$")
]
IdentifierRef = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,31}:[^\x00]{1,200}$")]
MemberId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
ProgramId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
ShortText = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
OrderId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""No line break or the like: a path that names the order can't have one."""
Int64 = Annotated[int, Field(strict=True, ge=-(2**63), le=2**63 - 1)]


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
    discount: Int64 = Field(
        default=0,
        description="What the line was cheaper than its ordinary price: more than 0 in a promotion.",
    )


class PreviewBody(Body):
    member: MemberRef
    occurred_at: Time
    store: ShortText = ""
    channel: ShortText = ""
    currency: ShortText
    payment_method: ShortText = ""
    lines: list[PurchaseLineBody] = Field(max_length=2_000)


class PurchaseBody(PreviewBody):
    id: Id = Field(description="Unique in the program; the same purchase by Kafka and by HTTP counts once.")


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


class InteractionEntry(InteractionBody):
    type: Literal["interaction"]
    program: ProgramId


class ReferralEntry(ReferralBody):
    type: Literal["referral"]
    program: ProgramId


class MoneyBody(Body):
    currency: ShortText
    amount: Int64 = Field(description="Minor units.")


class HoldBody(Body):
    order: OrderId
    amount: Int64 = Field(default=0, description="Points.")
    money: MoneyBody | None = Field(default=None, description="Stored value, beside the points or alone.")
    ttl_seconds: Int64 | None = None

    @model_validator(mode="after")
    def _something_is_held(self) -> HoldBody:
        if self.money is None and "amount" not in self.model_fields_set:
            raise ValueError("amount, money or both are needed")
        return self


class CaptureBody(Body):
    amount: Int64 | None = Field(
        default=None,
        description="Points. With neither points nor money, all that is left of both; what is not named is not spent.",
    )
    money: MoneyBody | None = Field(default=None, description="Stored value of the hold.")
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


class TopUpEntry(TopUpBody):
    type: Literal["top_up"]
    program: ProgramId


class TopUpReversalEntry(TopUpReversalBody):
    type: Literal["top_up_reversal"]
    program: ProgramId


AnyEntry = (
    PurchaseEntry
    | ReturnEntry
    | EnrolmentEntry
    | InteractionEntry
    | ReferralEntry
    | TopUpEntry
    | TopUpReversalEntry
)
Entry = Annotated[AnyEntry, Field(discriminator="type")]
"""A line of a batch: what the single route takes, and which route and program it would have been sent to."""


class GiftBody(Body):
    to: MemberRef
    currency: ShortText
    amount: Int64 = Field(description="Minor units.")


class RefundBody(Body):
    amount: Int64 | None = Field(
        default=None,
        description="Points. With neither points nor money, all that stays spent on the order.",
    )
    money: MoneyBody | None = None


class ClockBody(Body):
    to: Time
