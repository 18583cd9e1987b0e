"""What the HTTP API says, as JSON. Amounts are minor units of the program's currency; times are RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL has no text with it."""


def _in_utc(told: datetime) -> datetime:
    try:
        return told.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("there is no such time in UTC") from error


Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class MeasureView(BaseModel):
    """What a metric held after `after` and up to `up_to`, and what was asked of it."""

    metric: str
    value: int
    threshold: int
    after: datetime
    up_to: datetime


class ChangeReason(BaseModel):
    """Why a tier is what it is."""

    reason: str = Field(
        description="upgrade, downgrade, renewal, grace, protected, lifetime, return, card, card_renewed, card_ended, "
        "card_refunded, grant, grant_ended, grant_revoked, merge; of a new member enrolment"
    )
    rule: str = Field(description="The rule in words; empty for a member who has had the lowest tier only.")
    metric: int = Field(description="What the window ending with `since` held, of the metric that decided.")
    threshold: int = Field(description="What was asked of it.")
    measures: list[MeasureView] = Field(
        description="Every metric of the condition, the one that decided first."
    )
    positions: list[int] = Field(
        description="The rows of the ledger's journal behind the measures, on the member's chain: the latest 100."
    )
    granted_by: str = Field(description="The card or grant behind it; empty for metrics.")


class GrantView(BaseModel):
    """A card, or a tier given by hand."""

    id: str
    card: str = Field(description="The card's name; empty for a tier given by hand.")
    tier: str
    start: datetime
    until: datetime | None


class EarnedView(BaseModel):
    """What the metrics gave, whatever cards and grants say."""

    tier: str
    since: datetime
    until: datetime | None
    grace: bool = Field(description="The last review failed: the tier is lent until the next.")


class TierView(ChangeReason):
    """A member's tier and why it is that one."""

    program: str
    member: str
    tier: str
    since: datetime
    until: datetime | None = Field(
        description="When it is reviewed or ends; null for the lowest tier, which can't be lost."
    )
    earned: EarnedView
    grants: list[GrantView]


class ProgressMeasure(BaseModel):
    """How far one metric is from what a tier asks of it."""

    metric: str
    value: int
    threshold: int
    missing: int = Field(description="0 when it holds enough.")


class NextTier(BaseModel):
    """The step above."""

    tier: str
    threshold: int
    missing: int = Field(description="How much more the window has to hold; at least 1.")
    rule: str = Field(description="The whole condition in words.")
    measures: list[ProgressMeasure] = Field(
        description="Every metric of it; the one that `threshold` is of first."
    )


class LossView(BaseModel):
    """What will be lost if nothing more is counted, and what would keep it."""

    tier: str = Field(description="What the member falls to.")
    on: datetime
    reason: str
    rule: str
    measures: list[ProgressMeasure] = Field(
        description="What the windows of that day hold so far, and would have to."
    )


class ProgressView(BaseModel):
    """How far a member is on the way to the next tier, and what is at stake."""

    program: str
    member: str
    tier: str
    metric: int = Field(
        description="What the window ending with `as_of` holds, of the metric that `next` is about."
    )
    metrics: dict[str, int] = Field(description="The same of every metric of the program.")
    next: NextTier | None = Field(description="null for the highest tier that metrics can give.")
    loses: LossView | None = Field(description="null when nothing can be lost.")
    until: datetime | None
    as_of: datetime = Field(
        description="The program's clock: now, or the latest event of a program that runs on events."
    )


class TierChangeView(ChangeReason):
    """One change or renewal."""

    position: int = Field(description="Its row in tiering's journal, on the member's chain.")
    from_tier: str
    to_tier: str
    since: datetime
    until: datetime | None
    ledger_position: int = Field(
        description="The row of the ledger's journal that it followed from, on the same chain."
    )


class HistoryView(BaseModel):
    """A page of changes, oldest first."""

    entries: list[TierChangeView]
    next: str | None = Field(description="Give it as `after` for the next page; null on the last.")


class ChangesView(BaseModel):
    """A page of changes, newest first."""

    entries: list[TierChangeView]
    next: str | None = Field(description="Give it as `before` for the page before this; null on the first.")


class SegmentsThen(BaseModel):
    """Where a member was in each family that is published."""

    lifecycle: str
    class_: str = Field(alias="class")
    tags: list[str]


class AsOfView(BaseModel):
    """A member's tier and segments at a past instant, as tiering's own journal has them."""

    program: str
    member: str
    at: datetime
    by: str
    chain: int
    position: int = Field(
        description="The last of the member's rows in tiering's journal that counts; 0: none."
    )
    tier: str
    since: datetime | None = Field(
        description="null for who had the lowest tier only, and was merged into another since."
    )
    until: datetime | None
    reason: str = Field(description="As of a tier; enrolment where nothing had been said of the member yet.")
    rule: str
    ledger_position: int | None = Field(description="The row of the ledger's journal that it followed from.")
    segments: SegmentsThen | None = Field(description="null where the program in force now has none.")


class DistributionView(BaseModel):
    """How many members have each tier."""

    program: str
    tiers: dict[str, int]
    members: int


class TopView(BaseModel):
    """The best of all members by a metric."""

    metric: str
    percent: str = Field(description="An exact decimal.")
    places: int = Field(
        description="The percentage of all members, rounded up; fewer where fewer have anything."
    )
    threshold: int = Field(description="What the last one in has.")


class RankingView(BaseModel):
    """All members ranked, for the tiers that go to the best."""

    run: str = Field(description="The local day of the review.")
    at: datetime = Field(description="The review: what occurred from then on does not count.")
    cause: str = Field(description="request or schedule.")
    version: str = Field(description="Of the program.")
    done: bool = Field(description="false: some of it is left to do; ask for it again.")
    members: int
    changed: int = Field(description="Changes and renewals of tiers that it led to.")
    tops: list[TopView]


class RankingsView(BaseModel):
    """A page of rankings, newest first."""

    rankings: list[RankingView]
    next: str | None = Field(description="Give it as `after` for the next page; null on the last.")


class RankingAnswer(BaseModel):
    """What a request for a ranking came to."""

    duplicate: bool = Field(description="It had been made before.")
    ranking: RankingView


class GrantRequest(BaseModel):
    """A tier given by hand."""

    model_config = ConfigDict(extra="forbid")

    tier: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")
    until: Time
    reason: str = Field(
        min_length=1, max_length=500, pattern=NO_NUL, description="Who wants it and why: it is published."
    )


class RevokeRequest(BaseModel):
    """Why a tier given by hand is taken back."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500, pattern=NO_NUL)


class GrantAnswer(BaseModel):
    """What a grant came to."""

    grant: str
    duplicate: bool = Field(description="The same request had been taken before.")
    tier: TierView = Field(description="The member's tier now.")
