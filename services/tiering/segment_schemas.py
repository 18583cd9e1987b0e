"""What the HTTP API says of segments, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.tiering.schemas import NO_NUL


class ScoresView(BaseModel):
    """RFM scores of the last run: 1 is the lowest."""

    recency: int
    frequency: int
    monetary: int


class SegmentsView(BaseModel):
    """Where a member is in each family."""

    program: str
    member: str
    lifecycle: str = Field(description="new, active, dormant, lost or won_back.")
    lifecycle_since: datetime
    lifecycle_rule: str = Field(description="The rule in words, of the version in force.")
    class_: str = Field(
        alias="class",
        description="dormant, churning, high_spend, high_ticket, loyal, bargain_hunter or low_low: the first that fits "
        "at the last run.",
    )
    class_since: datetime
    class_rule: str
    rfm: str = Field(
        description="One of the eight groups; empty without a purchase in the last run's window."
    )
    scores: ScoresView | None
    tags: list[str]


class ListedMember(BaseModel):
    """A member in a list."""

    member: str
    tier: str
    lifecycle: str
    class_: str = Field(alias="class")
    rfm: str


class MembersView(BaseModel):
    """A page of members."""

    members: list[ListedMember]
    next: str | None = Field(description="Give it as `after` for the next page; null on the last.")


class SegmentDistributionView(BaseModel):
    """How many members are in each segment now."""

    program: str
    members: int
    lifecycle: dict[str, int]
    class_: dict[str, int] = Field(alias="class")
    rfm: dict[str, int] = Field(description="Those without a group are left out.")
    tags: dict[str, int]


class RunView(BaseModel):
    """One run."""

    run: str
    cause: str = Field(description="request or schedule.")
    at: datetime = Field(description="The program's time that was looked at.")
    version: str = Field(description="Of the program.")
    done: bool = Field(description="false: some of it is left to do; ask for the same run again.")
    duration_ms: int = Field(description="From its beginning until the last part was sorted.")
    measured_ms: int = Field(description="How much of it the bounds took.")
    members: int
    population: int = Field(description="Members with a purchase in the window: the bounds are theirs.")
    changed: int = Field(description="Changes of life cycle and class that were published.")
    parameters: dict[str, Any]
    bounds: dict[str, Any] = Field(
        description="From where on a value belongs to the next score or to a class."
    )
    counts: dict[str, dict[str, int]] = Field(description="Members by family and segment.")


class RunAnswer(BaseModel):
    """What a request for a run came to."""

    duplicate: bool = Field(description="The run had been done before.")
    run: RunView


class RunsView(BaseModel):
    """A page of runs, newest first."""

    runs: list[RunView]
    next: str | None = Field(description="Give it as `after` for the next page; null on the last.")


class TagRequest(BaseModel):
    """What is said of a member."""

    model_config = ConfigDict(extra="forbid")

    tag: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")
    set: bool = Field(default=True, description="false: it is so no more.")
    reason: str = Field(
        min_length=1, max_length=500, pattern=NO_NUL, description="Who says so and why: it is published."
    )


class TagAnswer(BaseModel):
    """What a tag came to."""

    duplicate: bool = Field(description="The same request had been taken before.")
    segments: SegmentsView
