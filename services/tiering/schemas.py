"""What the HTTP API says, as JSON. Amounts are minor units of the program's currency; times are RFC 3339."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class TierView(BaseModel):
    """A member's tier and why it is that one."""

    program: str
    member: str
    tier: str
    since: datetime
    until: datetime | None = Field(
        description="When it is reviewed; null for the lowest tier, which can't be lost."
    )
    reason: str = Field(description="enrolment, upgrade, downgrade or renewal")
    rule: str = Field(description="The rule in words; empty for a member who has had the lowest tier only.")
    metric: int = Field(description="What the window ending with `since` held.")
    threshold: int = Field(description="What was asked of it.")


class NextTier(BaseModel):
    """The step above."""

    tier: str
    threshold: int
    missing: int = Field(description="How much more the window has to hold; at least 1.")


class ProgressView(BaseModel):
    """How far a member is on the way to the next tier."""

    program: str
    member: str
    tier: str
    metric: int = Field(description="What the window ending with `as_of` holds.")
    next: NextTier | None = Field(description="null for the highest tier.")
    until: datetime | None
    as_of: datetime = Field(
        description="The program's clock: now, or the latest event of a program that runs on events."
    )


class TierChangeView(BaseModel):
    """One change or renewal."""

    position: int = Field(description="Its row in tiering's journal, on the member's chain.")
    from_tier: str
    to_tier: str
    since: datetime
    until: datetime | None
    reason: str
    rule: str
    metric: int
    threshold: int
    ledger_position: int = Field(
        description="The row of the ledger's journal that it followed from, on the same chain."
    )


class HistoryView(BaseModel):
    """A page of changes, oldest first."""

    entries: list[TierChangeView]
    next: str | None = Field(description="Give it as `after` for the next page; null on the last.")


class DistributionView(BaseModel):
    """How many members have each tier."""

    program: str
    tiers: dict[str, int]
    members: int
