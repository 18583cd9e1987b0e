"""What the verifier keeps of one chain while it reads: plain numbers, filled from the journal and from the tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

MemberKey = tuple[str, str]
"""(program, member)"""


@dataclass(slots=True)
class LotRead:
    """A lot as the journal tells it, and the sum of the postings that name it."""

    owner: MemberKey
    amount: int
    remaining: int
    held: int
    earned_at: datetime
    expires_at: datetime | None
    purchase: str
    matures_at: datetime | None = None
    by_postings: int = 0


@dataclass(slots=True)
class HoldRead:
    """A hold as the journal tells it; `parts` are points by lot, empty once it is over."""

    order: str
    amount: int
    captured: int
    expires_at: datetime
    state: str
    parts: list[tuple[int, int]]


@dataclass(slots=True)
class MemberRead:
    """A member as the journal tells it, and what the tables add up to beside it."""

    enrolled_at: datetime
    tiers: list[tuple[datetime, str, str]] = field(default_factory=list)
    """(since, tier, absorbed member whom it was said of or "")"""
    merged_into: str = ""
    absorbed: list[str] = field(default_factory=list)
    posted: int = 0
    held: int = 0
    debt: int = 0
    pending: int = 0
    lapses_at: datetime | None = None
    by_postings: int = 0
    """Sum of the postings to the member's account."""
    debt_by_postings: int = 0
    """Less the sum of those that name no lot."""
    lots_remaining: int = 0
    """Sums over the table `lots`."""
    lots_held: int = 0
    lots_pending: int = 0
    uncounted: int = 0
    """Purchases since the last accrual that counted them."""
    holds_open: int = 0
    """Sum over the open rows of the table `holds`."""


@dataclass(slots=True)
class SettlementRead:
    """What came after a purchase's first accrual: units returned by line, and points given or taken."""

    returned: dict[int, int] = field(default_factory=dict)
    adjusted: int = 0


@dataclass(slots=True)
class LedgerState:
    """One chain."""

    members: dict[MemberKey, MemberRead] = field(default_factory=dict)
    lots: dict[int, LotRead] = field(default_factory=dict)
    """By the position of the accrual that opened them."""
    holds: dict[tuple[str, str, str], HoldRead] = field(default_factory=dict)
    """By (program, member, hold)."""
    settlements: dict[tuple[str, str, str], SettlementRead] = field(default_factory=dict)
    """By (program, member, purchase)."""
    counters: dict[tuple[str, str, str], tuple[Decimal, int]] = field(default_factory=dict)
    """(value, position of the accrual that set it) by (program, member, counter)."""
    programs: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    """(version in force, clock) by program."""
    versions: dict[tuple[str, str], tuple[bytes, int]] = field(default_factory=dict)
    """(document, position of the first activation) by (program, version)."""
    identifiers: dict[tuple[str, bytes], tuple[str, str]] = field(default_factory=dict)
    """(kind, member) by (program, hash)."""
    profiles: dict[MemberKey, bytes] = field(default_factory=dict)
    """Sealed, by member."""
    parked: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    """(program, reference, member, applied chain, applied position, rejection) by position."""
    balances: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """Sum of the postings by (program, asset, account), program accounts only."""
    accounts_total: dict[tuple[str, str], int] = field(default_factory=dict)
    """Sum of `posted` over the table `accounts` by (program, asset)."""
