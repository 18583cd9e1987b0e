"""What the HTTP API takes and gives. Times are RFC 3339, points whole numbers, value minor units of the currency."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from services.rewards.domain.program import REWARD_ID, TTL_MAX_SECONDS
from services.rewards.schemas_vouchers import VoucherView

KEY = r"^[A-Za-z0-9_.:-]{1,100}$"
PROGRAM = r"^[a-z0-9][a-z0-9_-]{0,63}$"
MEMBER = r"^[A-Za-z0-9_.-]{1,64}$"
ORDER = r"^[ -~]{1,128}$"


class RedemptionRequest(BaseModel):
    """Set the points of a reward aside for an order."""

    model_config = ConfigDict(extra="forbid")

    reward: Annotated[str, StringConstraints(strict=True, pattern=f"^{REWARD_ID.pattern}$")]
    order: Annotated[str, StringConstraints(strict=True, pattern=ORDER)]
    ttl_seconds: Annotated[StrictInt, Field(ge=1, le=TTL_MAX_SECONDS)] | None = None
    """How long the points stay aside; the program's own time when it is left out."""


class Nothing(BaseModel):
    """A body without content."""

    model_config = ConfigDict(extra="forbid")


class RewardView(BaseModel):
    """A reward of the catalogue."""

    id: str
    name: str
    kind: str
    points: int
    value: int


class CatalogueView(BaseModel):
    """What can be redeemed now."""

    program: str
    version: str
    rewards: list[RewardView]


class RedemptionView(BaseModel):
    """A redemption as it now stands."""

    redemption: str
    program: str
    member: str
    state: str
    reward: str
    name: str
    kind: str
    value: int
    points: int
    order: str
    requested_at: datetime
    changed_at: datetime
    expires_at: datetime | None
    """When the ledger frees the points unless they are captured; none while the ledger has not answered."""
    code: str | None
    detail: str | None
    """Why it was refused."""


class RedemptionAnswer(RedemptionView):
    """A redemption, and whether the same request had been taken before."""

    duplicate: bool


class PointsView(BaseModel):
    """Points as far as the ledger's stream has told; the ledger itself has the last word."""

    available: int
    """What can be spent, never below zero."""
    posted: int
    held: int
    pending: int
    """Points that can't be spent yet."""


class WalletView(BaseModel):
    """What a member has and does."""

    program: str
    member: str
    points: PointsView
    tier: str
    """As tiering last said; empty until it has moved the member out of the program's lowest tier."""
    redemptions: list[RedemptionView]
    """The newest 20, newest first."""
    vouchers: list[VoucherView]
    """The newest 50, newest first."""
