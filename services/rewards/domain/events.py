"""What the rewards journal says, one class a row type. The same words as `proto/tallybook/rewards/v1/events.proto`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.rewards.domain.grant_events import GrantEvent
from services.rewards.domain.voucher_events import VoucherEvent
from services.rewards.domain.voucher_terms import Pack


@dataclass(slots=True, frozen=True)
class RedemptionRequested:
    """Written before the ledger is asked for anything, with all that the question needs."""

    redemption: str
    reward: str
    order: str
    points: int
    ttl_seconds: int
    kind: str
    name: str
    value: int
    pack: Pack | None = None
    """The vouchers that it gives when it is captured."""


@dataclass(slots=True, frozen=True)
class RedemptionReserved:
    redemption: str
    expires_at: datetime


@dataclass(slots=True, frozen=True)
class RedemptionRefused:
    """`code` and `detail` are the ledger's."""

    redemption: str
    code: str
    detail: str


@dataclass(slots=True, frozen=True)
class CaptureRequested:
    redemption: str


@dataclass(slots=True, frozen=True)
class RedemptionCaptured:
    redemption: str


@dataclass(slots=True, frozen=True)
class CancellationRequested:
    redemption: str


@dataclass(slots=True, frozen=True)
class RedemptionCancelled:
    """`reason`: cancelled | timed_out."""

    redemption: str
    reason: str


@dataclass(slots=True, frozen=True)
class ProgramRefused:
    """A program version whose section can't be used: the one before stays in force."""

    version: str
    reason: str


RedemptionEvent = (
    RedemptionRequested | RedemptionReserved | RedemptionRefused | CaptureRequested | RedemptionCaptured
    | CancellationRequested | RedemptionCancelled
)  # fmt: skip
Event = RedemptionEvent | ProgramRefused | VoucherEvent | GrantEvent
