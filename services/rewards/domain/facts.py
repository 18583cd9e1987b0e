"""What rewards learns from the ledger and from tiering, reduced to what a wallet and a redemption need."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True, frozen=True)
class MemberEnrolled:
    """The member belongs to the program."""


@dataclass(slots=True, frozen=True)
class PointsMoved:
    """The posted balance changed by `points`: above zero given, below taken back or expired; of them `pending`."""

    points: int
    pending: int = 0


@dataclass(slots=True, frozen=True)
class PointsMatured:
    """Pending points can be spent from now on."""

    points: int


@dataclass(slots=True, frozen=True)
class PointsHeld:
    """A hold came over with its member: `points` more are held, for a redemption of the id that it came from."""

    points: int


@dataclass(slots=True, frozen=True)
class MemberAbsorbed:
    """Everything of the member is `into`'s now."""

    into: str


@dataclass(slots=True, frozen=True)
class HoldPlaced:
    hold: str
    order: str
    amount: int
    expires_at: datetime
    money: int = 0
    """Of stored value, minor units."""


@dataclass(slots=True, frozen=True)
class HoldCaptured:
    """`spent` points are gone; `held`, those and what was freed with them, are no longer held."""

    hold: str
    order: str
    spent: int
    held: int
    final: bool = True
    """False: the rest stays held."""


@dataclass(slots=True, frozen=True)
class HoldReleased:
    """`expired`: by the clock, not by anybody's wish."""

    hold: str
    order: str
    amount: int
    expired: bool


@dataclass(slots=True, frozen=True)
class SpendRefunded:
    """`points` that were spent on the order are the member's again; `refund` is the request's id at the ledger."""

    refund: str
    order: str
    points: int


@dataclass(slots=True, frozen=True)
class TierChanged:
    tier: str
    since: datetime


@dataclass(slots=True, frozen=True)
class SegmentChanged:
    """The member is in another segment of `family` (lifecycle | class | tag); a tag comes from "" or goes to ""."""

    family: str
    from_segment: str
    to_segment: str


@dataclass(slots=True, frozen=True)
class ProgramActivated:
    """From here on the chain decides under this version; `document` is the whole document, canonical JSON."""

    version: str
    document: bytes


@dataclass(slots=True, frozen=True)
class ClockAdvanced:
    to: datetime


HoldFact = HoldPlaced | HoldCaptured | HoldReleased
TiersFact = TierChanged | SegmentChanged
"""What tiering tells: its times are not the ledger's, so they move no clock."""
MemberFact = (
    MemberEnrolled | MemberAbsorbed | PointsMoved | PointsMatured | PointsHeld | HoldFact | SpendRefunded
)
Fact = MemberFact | TiersFact | ProgramActivated | ClockAdvanced
