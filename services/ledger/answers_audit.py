"""What the ledger's HTTP answers an auditor: a balance of a past instant, and the rows behind a number."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from services.ledger.answers import Balance, Money, Rule


class LotThen(BaseModel):
    lot: int = Field(description="The position of the row that opened it.")
    asset: str
    amount: int
    remaining: int = Field(
        description="By business time below zero where a row dated earlier has taken of it."
    )
    held: int
    from_: str = Field(alias="from", description="The purchase, top-up or gift that it came from.")
    earned_at: str
    matures_at: str | None
    expires_at: str | None


class MoneyHeldThen(BaseModel):
    currency: str
    amount: int
    captured: int
    left: int


class HoldThen(BaseModel):
    hold: str
    order: str
    amount: int
    captured: int
    left: int = Field(description="Points still set aside.")
    money: MoneyHeldThen | None
    expires_at: str


class AsOfAnswer(BaseModel):
    program: str
    member: str
    at: str
    by: str
    chain: int
    position: int = Field(description="The last of the member's rows that counts; `rows` of them do.")
    rows: int
    enrolled_at: str
    status: str
    merged_into: str | None
    absorbed: list[str]
    tier: str = Field(description="The latest that tiering had told the ledger of; empty for none.")
    points: Balance
    money: dict[str, Money]
    lapses_at: str | None
    lots: list[LotThen] = Field(
        description="Those that were not empty, the first 1000 of `lots_in_all`; the balance is over all."
    )
    lots_in_all: int
    holds: list[HoldThen] = Field(description="Those that were open.")


class AccountThen(BaseModel):
    account: str = Field(description="As in postings; all members' accounts are one, `members`.")
    asset: str
    balance: int = Field(description="Credits less debits; over all accounts an asset adds up to 0.")


class AccountsAnswer(BaseModel):
    program: str
    at: str
    by: str
    accounts: list[AccountThen]


class Posting(BaseModel):
    debit: str
    credit: str
    asset: str
    amount: int
    lot: int | None = Field(description="Null for debt.")


class Cause(BaseModel):
    source: str
    id: str


class Entry(BaseModel):
    chain: int
    position: int
    member: str | None
    type: str
    occurred_at: str
    recorded_at: str
    cause: Cause
    program_version: str
    text: str
    points: int = Field(description="The change of the posted balance.")
    money: dict[str, int]
    rules: list[Rule]
    details: dict[str, Any]
    postings: list[Posting]


class EntryOfMember(Entry):
    balance_after: dict[str, int] = Field(description="By asset, the sum of all postings so far.")


class LotNow(LotThen):
    chain: int
    member: str


class LotBecause(LotNow):
    because: str = Field(description="What the row that opened it says.")
    rules: list[Rule]


class MemberExplained(BaseModel):
    program: str
    member: str
    chain: int
    enrolled_at: str
    status: str
    tier: str
    merged_into: str | None
    absorbed: list[str]
    lapses_at: str | None
    points: Balance = Field(description="`posted` is what remains of all lots less the debt.")
    money: dict[str, Money]
    lots: list[LotBecause] = Field(description="The newest 200 that are not empty.")
    entries: list[EntryOfMember] = Field(description="Newest first.")
    next: str | None = Field(
        description="Send it as `before` for the page before this; null at the beginning."
    )


class MoneyOfOrder(BaseModel):
    spent: int = Field(description="Minor units, as given_back.")
    given_back: int


class OrderExplained(BaseModel):
    program: str
    order: str
    members: list[str] = Field(description="Who bought it, who held for it, whom those were merged into.")
    earned: int = Field(description="Points, as the three after it.")
    taken_back: int
    spent: int
    given_back: int
    money: dict[str, MoneyOfOrder] = Field(description="Stored value, by currency.")
    lots: list[LotNow] = Field(description="What the purchase opened, as it is now.")
    entries: list[Entry] = Field(description="Oldest first, a member after the other.")
    entries_in_all: int


class PositionExplained(Entry):
    program: str
    says: dict[str, Any] = Field(
        description="All that the row says, as protobuf's JSON: numbers of 64 bits are text, bytes are base64."
    )
    hash: str
    lot: LotNow | None = Field(description="The lot that the row opened, as it is now.")
    purchase_at: str | None = Field(description="chain:position of the purchase that the row is about.")
    same_request: list[Entry] = Field(description="The other rows of the same request on this chain.")
