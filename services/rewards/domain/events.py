"""What the rewards journal says, one class a row type. The same words as `proto/tallybook/rewards/v1/events.proto`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.rewards.domain.award_events import AwardEvent
from services.rewards.domain.draw_events import DrawEvent
from services.rewards.domain.grant_events import GrantEvent
from services.rewards.domain.payment import BasketLine, PayingVoucher
from services.rewards.domain.refund_events import RefundEvent
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
    currency: str = ""
    money: int = 0
    """Stored value that the ledger is asked to hold beside the points, minor units."""
    store: str = ""
    vouchers: tuple[PayingVoucher, ...] = ()
    """Of the member, held from here on, used by the capture."""
    outside: int = 0
    """Paid by other means, minor units."""
    stocked: bool = False
    """It takes one of the reward's stock."""
    draw: str = ""
    tickets: int = 0
    days: int = 0
    """What a draw ticket and a trial are."""
    lines: tuple[BasketLine, ...] = ()
    paying_points: int = 0
    worth: int = 0
    """Of the points those that pay for the order, and the minor units that they pay."""


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
    | CancellationRequested | RedemptionCancelled | RefundEvent
)  # fmt: skip
Event = RedemptionEvent | ProgramRefused | VoucherEvent | GrantEvent | AwardEvent | DrawEvent
