"""What the ledger's HTTP takes and gives. Strict: no number is made from text, no time without a zone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
MemberRef = Annotated[
    str, StringConstraints(pattern=r"^(?:[A-Za-z0-9_.-]{1,64}|[a-z][a-z_]{0,31}:[^\x00]{1,200})$")
]
MemberId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
ProgramId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
ShortText = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
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
    of: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]*$")]
    lines: list[ReturnLineBody] = Field(max_length=2_000)
    store: ShortText = ""
    channel: ShortText = ""


class HoldBody(Body):
    order: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
    amount: Int64 = Field(description="Points.")
    ttl_seconds: Int64 | None = None


class CaptureBody(Body):
    amount: Int64 | None = Field(
        default=None, description="Points; all of the hold when absent. The rest is released."
    )


class ReleaseBody(Body):
    pass


class MergeBody(Body):
    member: MemberRef = Field(
        description="Who is merged into the member of the path, and answers to it after."
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
    balance: Balance


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


class MemberAnswer(BaseModel):
    program: str
    member: str
    merged_from: str | None = Field(description="The id asked for, where it was merged into this member.")
    absorbed: list[str] = Field(description="Members who were merged into this one.")
    enrolled_at: str
    tier: str
    points: Balance
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


class ErasureAnswer(BaseModel):
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


class StatementEntry(BaseModel):
    position: int
    type: str
    occurred_at: str
    recorded_at: str
    points: int = Field(description="Change of the posted balance.")
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
    spent: int
    expired: int
    clawed_back: int
    outstanding: int


class RejectionsAnswer(BaseModel):
    counts: dict[str, int]
