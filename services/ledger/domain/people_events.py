"""What the book says of who a member is, and of what is done by hand. A part of `events`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from services.ledger.domain.counters import Counter

Parts = list[tuple[int, int]]
"""(lot, points)"""


@dataclass(slots=True)
class MembersMerged:
    absorbed: str
    points: int
    """Points of all lots that come over; `held` of them are held."""
    held: int
    debt: int
    """Debt that comes over; it adds up."""
    before: list[str]
    """Whom the absorbed member had absorbed before."""


@dataclass(slots=True)
class MemberAbsorbed:
    into: str
    allocations: Parts
    debt: int
    held: int
    holds: list[str]
    """Those that are open, and those that have spent something."""
    identifiers: list[tuple[str, bytes]]
    pending: int = 0
    """How many of the points were pending."""
    money: list[tuple[str, int, int]] = field(default_factory=list)
    """(asset, lot, minor units)"""
    parked: list[tuple[str, str]] = field(default_factory=list)
    """(purchase, return) of returns that wait."""


@dataclass(slots=True)
class LotMoved:
    lot: int
    """Its id on the chain that it came from; here its id is this row's position."""
    amount: int
    points: int
    """What it still has; 0 where its points were spent by a hold that comes over too."""
    earned_at: datetime
    expires_at: datetime | None
    purchase: str
    matures_at: datetime | None
    asset: str


@dataclass(slots=True)
class HoldMoved:
    hold: str
    order: str
    amount: int
    captured: int
    expires_at: datetime
    allocations: Parts
    state: str
    spent: Parts
    refunded: int
    money_currency: str = ""
    money_amount: int = 0
    money_captured: int = 0
    money_allocations: Parts = field(default_factory=list)
    money_spent: Parts = field(default_factory=list)
    money_refunded: int = 0


@dataclass(slots=True)
class TopUpMoved:
    """Lots by their new ids; 0 for none, and for one that is empty."""

    top_up: str
    currency: str
    amount: int
    points: int
    bonus: int
    principal_lot: int
    bonus_lot: int
    bonus_expired: int
    reversed: bool


@dataclass(slots=True)
class SettlementMoved:
    purchase: str
    returned: list[tuple[int, int]]
    """(line, units)"""
    adjusted: int
    counters: list[Counter] = field(default_factory=list)


@dataclass(slots=True)
class CountersMoved:
    counters: list[Counter]
    """Those that changed, before and after."""


@dataclass(slots=True)
class AwardsMoved:
    counts: list[tuple[str, int]]
    """(slot, awards) that add up with the survivor's."""


@dataclass(slots=True)
class ReferralMoved:
    referral: str
    referrer: str
    registered_at: datetime
    qualified_at: datetime | None
    tasks: list[str]


@dataclass(slots=True)
class ActivityParked:
    kind: str
    """purchase | return"""
    reference: str
    """Whom it named: a member id, or `kind:hash` of an identifier."""
    activity: bytes


@dataclass(slots=True)
class ActivityUnparked:
    parked: int
    """Position of the ActivityParked, on this chain."""
    member: str
    chain: int
    position: int
    """Where what became of it begins."""
    rejection: str


@dataclass(slots=True)
class ProfileChanged:
    sealed: bytes


@dataclass(slots=True)
class MemberErased:
    identifiers: list[tuple[str, bytes]]


@dataclass(slots=True)
class IdentifiersLinked:
    identifiers: list[tuple[str, bytes]]


@dataclass(slots=True)
class IdentifiersUnlinked:
    identifiers: list[tuple[str, bytes]]


@dataclass(slots=True)
class MemberSuspended:
    reason: str
    by: str


@dataclass(slots=True)
class MemberReactivated:
    reason: str
    by: str


@dataclass(slots=True)
class MemberClosed:
    reason: str
    by: str
    points: int
    allocations: Parts
    debt: int
    pending: int = 0
    """How many of the points were pending."""


@dataclass(slots=True)
class AdjustmentRequested:
    adjustment: str
    points: int
    reason: str
    note: str
    requested_by: str


@dataclass(slots=True)
class AdjustmentDeclined:
    adjustment: str
    note: str
    declined_by: str


@dataclass(slots=True)
class PointsAdjusted:
    adjustment: str
    points: int
    """Above zero they open a lot, less `debt_repaid`; below zero `allocations` say whence they were taken."""
    reason: str
    note: str
    requested_by: str
    approved_by: str
    expires_at: datetime | None
    debt_repaid: int
    allocations: Parts
