"""What the ledger's HTTP answers: one class an answer. What it takes is in `schemas`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field


class Rule(BaseModel):
    rule: str
    arithmetic: str


Flags = Annotated[
    list[str],
    Field(description="What is odd about occurred_at: late, clock_ahead. It counts by its day all the same."),
]


class Balance(BaseModel):
    available: int
    posted: int
    held: int
    debt: int
    pending: int = Field(description="Points that can't be spent yet; `available` is without them.")


class EnrolmentAnswer(BaseModel):
    outcome: str
    duplicate: bool
    flags: Flags
    member: str


class PurchaseAnswer(BaseModel):
    outcome: str
    duplicate: bool
    flags: Flags
    purchase: str
    member: str
    points: int
    tier: str
    rules: list[Rule]
    expires_at: str | None
    matures_at: str | None = Field(description="Until then the points can't be spent; null: they can.")
    balance: Balance


class PreviewAnswer(BaseModel):
    member: str
    points: int
    tier: str
    rules: list[Rule]


class ReturnAnswer(BaseModel):
    outcome: str
    duplicate: bool
    flags: Flags
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
    flags: Flags
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
    flags: Flags
    id: str
    member: str
    qualified: bool = Field(description="True when this is what the referral was waiting for.")
    owed: list[str] = Field(description="Who is rewarded for it, within seconds: referrer, referee.")


class Money(BaseModel):
    principal: int = Field(description="Paid in; minor units, as all of these.")
    bonus: int = Field(description="Given on top.")
    held: int
    available: int


class MoneyOfHold(BaseModel):
    currency: str
    amount: int = Field(description="Minor units.")
    captured: int


class HoldAnswer(BaseModel):
    outcome: str
    duplicate: bool
    hold: str
    order: str
    amount: int
    captured: int
    held_money: MoneyOfHold | None = Field(description="Null for a hold of points alone.")
    state: str
    expires_at: str
    balance: Balance
    money: dict[str, Money] | None = Field(description="The member's, by currency; null where held_money is.")


class TopUpAnswer(BaseModel):
    outcome: str
    duplicate: bool
    flags: Flags
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
    flags: Flags
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


class MoneyAwardAnswer(BaseModel):
    outcome: str
    duplicate: bool
    award: str
    member: str
    currency: str
    amount: int = Field(description="Minor units given, or taken back.")
    expires_at: str | None = Field(description="Of what is given.")
    balance: Balance
    money: dict[str, Money]


class MoneyLot(BaseModel):
    lot: int
    currency: str
    bucket: str
    remaining: int
    held: int
    from_: str = Field(alias="from", description="The top-up, gift or award that it came from.")
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
    currency: str = Field(description="Of the money; empty where the order was paid with points alone.")
    principal: int = Field(description="Money given back, minor units.")
    bonus: int
    money_expired: int = Field(description="How much of it was of lots past their day, as with points.")
    money_left: int = Field(description="Money of the order that stays spent.")
    balance: Balance
    money: dict[str, Money] | None = Field(
        description="The member's, by currency; null where currency is empty."
    )


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


class BirthdayAnswer(BaseModel):
    member: str
    month: int | None
    day: int | None


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


class UnlinkingAnswer(BaseModel):
    outcome: str
    duplicate: bool
    member: str


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
