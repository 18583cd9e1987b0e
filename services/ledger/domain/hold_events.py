"""What the book says of holds and of what they have spent. `events` names these among all that it says.

The money of a hold, in minor units of `money_currency`, stands beside its points; rows of points alone have none of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

Allocations = list[tuple[int, int]]
"""(lot, points) pairs; a lot's id is the position of the accrual that opened it."""


@dataclass(slots=True)
class HoldPlaced:
    hold: str
    order: str
    amount: int
    expires_at: datetime
    allocations: Allocations
    money_currency: str = ""
    money_amount: int = 0
    principal: Allocations = field(default_factory=list)
    bonus: Allocations = field(default_factory=list)


@dataclass(slots=True)
class HoldCaptured:
    hold: str
    order: str
    amount: int
    allocations: Allocations
    released: Allocations = field(default_factory=list)
    left: int = 0
    """Points that stay held; with `money_left` 0, the hold is over."""
    captured_before: int = 0
    money_currency: str = ""
    money_amount: int = 0
    principal: Allocations = field(default_factory=list)
    bonus: Allocations = field(default_factory=list)
    principal_released: Allocations = field(default_factory=list)
    bonus_released: Allocations = field(default_factory=list)
    money_left: int = 0
    money_captured_before: int = 0


@dataclass(slots=True)
class HoldReleased:
    hold: str
    order: str
    amount: int
    reason: str
    allocations: Allocations
    captured: int = 0
    money_currency: str = ""
    money_amount: int = 0
    principal: Allocations = field(default_factory=list)
    bonus: Allocations = field(default_factory=list)
    money_captured: int = 0


@dataclass(slots=True)
class SpendRefunded:
    refund: str
    order: str
    amount: int
    parts: list[tuple[str, int, int]]
    """(hold, lot, points): which captures are undone."""
    allocations: Allocations
    """What the lots have got back; the rest of the amount has repaid debt."""
    debt_repaid: int
    left: int
    """Points of the order that stay spent."""
    expired: int
    """Points among `allocations` whose lot was past its day."""
    money_currency: str = ""
    money_amount: int = 0
    money_parts: list[tuple[str, int, int]] = field(default_factory=list)
    principal: Allocations = field(default_factory=list)
    bonus: Allocations = field(default_factory=list)
    money_left: int = 0
    money_expired: int = 0
