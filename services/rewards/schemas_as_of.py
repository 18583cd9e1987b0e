"""What a member had of rewards at a past instant, as the API shows it."""

from __future__ import annotations

from datetime import datetime

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
