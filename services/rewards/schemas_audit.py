"""What an auditor is told of rewards: a member at a past instant, and all that is behind an order."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from services.rewards.schemas_draws import TurnView
from services.rewards.schemas_redemptions import RedemptionView
from services.rewards.schemas_vouchers import VoucherView


class AwardThen(BaseModel):
    """Points that were promised."""

    id: str
    points: int
    source: str
    source_id: str
    state: str
    """promised | given | refused"""
    promised_at: datetime
    changed_at: datetime
    code: str | None
    detail: str | None


class PlayerThen(BaseModel):
    """A member's part in a draw; `losses` are in a row."""

    draw: str
    tickets: int
    turns: int
    losses: int


class AsOfView(BaseModel):
    """The newest 200 of each, as they stood then, newest first."""

    program: str
    member: str
    at: datetime
    by: str
    chain: int
    position: int
    """The last of the member's rows in the journal of rewards that counts; 0: none."""
    redemptions: list[RedemptionView]
    vouchers: list[VoucherView]
    awards: list[AwardThen]
    draws: list[PlayerThen]
    turns: list[TurnView]


class RowView(BaseModel):
    """A row of the journal of rewards; `says` is its message as protobuf's JSON."""

    chain: int
    position: int
    member: str
    type: str
    occurred_at: datetime
    recorded_at: datetime
    says: dict[str, Any]


class OrderView(BaseModel):
    """What was redeemed and used for an order, as it stands now, and its rows, a member after the other."""

    program: str
    order: str
    redemptions: list[RedemptionView]
    vouchers: list[VoucherView]
    entries: list[RowView]
