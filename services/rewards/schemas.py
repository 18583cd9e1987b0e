"""What the HTTP API takes and gives. Times are RFC 3339, points whole numbers, value minor units of the currency."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from services.rewards.schemas_redemptions import RedemptionView
from services.rewards.schemas_vouchers import VoucherView


class Nothing(BaseModel):
    """A body without content."""

    model_config = ConfigDict(extra="forbid")


class LimitView(BaseModel):
    """So many for a member in each period (day | week | month | year | ever)."""

    count: int
    per: str


class RewardView(BaseModel):
    """A reward of the catalogue. `money` (of stored value) and `value` are minor units of the program's currency."""

    id: str
    name: str
    kind: str
    points: int
    money: int
    value: int
    stock: int | None
    """So many over all members; null: no end of them."""
    left: int | None
    """Of the stock."""
    limit: LimitView | None
    tiers: list[str]
    """Whom it is for; empty: everybody."""
    available: bool | None
    """Whether the member may have it now; null where no member was named."""
    why_not: list[str] | None
    """Why not: the codes that a redemption would be refused with, the first one first."""


class CatalogueView(BaseModel):
    """What can be redeemed now."""

    program: str
    version: str
    currency: str
    rewards: list[RewardView]


class PointsView(BaseModel):
    """Points as far as the ledger's stream has told; the ledger itself has the last word."""

    available: int
    """What can be spent, never below zero."""
    posted: int
    held: int
    pending: int
    """Points that can't be spent yet."""


class MoneyView(BaseModel):
    """Stored value as far as the ledger's stream has told, minor units; the ledger itself has the last word."""

    principal: int
    bonus: int
    held: int
    available: int


class WalletView(BaseModel):
    """What a member has and does."""

    program: str
    member: str
    points: PointsView
    money: dict[str, MoneyView]
    """By currency."""
    tier: str
    """As tiering last said; empty until it has moved the member out of the program's lowest tier."""
    redemptions: list[RedemptionView]
    """The newest 20, newest first."""
    vouchers: list[VoucherView]
    """The newest 50, newest first."""
