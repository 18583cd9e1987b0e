"""What tiering hears from the ledger's book (facts) and what it says itself (decisions)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

CategorySpend = list[tuple[str, int]]
"""(category, minor units of money) of each line."""


@dataclass(slots=True)
class ProgramActivated:
    """From here on this chain decides under this version. `document` is the whole program as JSON."""

    version: str
    document: bytes


@dataclass(slots=True)
class ClockAdvanced:
    """The program's time on this chain is now `to`."""

    to: datetime


@dataclass(slots=True)
class MemberEnrolled:
    """The member belongs to the program."""


@dataclass(slots=True)
class PurchaseRecorded:
    """A purchase, of which tiering needs the lines' categories and amounts."""

    lines: CategorySpend


@dataclass(slots=True)
class ReturnRecorded:
    """Units brought back of a purchase that was made at `purchased_at`."""

    lines: CategorySpend
    purchased_at: datetime


FactEvent = ProgramActivated | ClockAdvanced | MemberEnrolled | PurchaseRecorded | ReturnRecorded


@dataclass(slots=True)
class Fact:
    """A row of the ledger's book, on the chain that is being decided. `member` None: the program's own."""

    position: int
    program: str
    member: str | None
    occurred_at: datetime
    event: FactEvent


@dataclass(slots=True)
class TierChanged:
    """A member's tier is now another, or was kept at its review; `occurred_at` of the journal row is `since`.

    `metric` is what the window that ends with `since` holds, `threshold` what was asked of it.
    """

    program: str
    member: str
    from_tier: str
    to_tier: str
    since: datetime
    until: datetime | None
    reason: str
    """upgrade | downgrade | renewal"""
    rule: str
    metric: int
    threshold: int
    ledger_position: int
    version: str


@dataclass(slots=True)
class ProgramRefused:
    """A version whose section `tiering` can't be used: the version before stays in force."""

    program: str
    version: str
    reason: str
    occurred_at: datetime


Decision = TierChanged | ProgramRefused
