"""What the verifier keeps of one chain while it reads: plain numbers, filled from the journal and from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

MemberKey = tuple[str, str]
"""(program, member)"""
POINTS = "points"
Posting = tuple[str, str, str, str, int, int | None]
"""(program, debit, credit, asset, amount, lot)"""


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
    asset: str = POINTS
    by_postings: int = 0


@dataclass(slots=True)
class HeldMoneyRead:
    """The money of a hold, as its points are in `HoldRead`."""

    currency: str = ""
    amount: int = 0
    captured: int = 0
    parts: list[tuple[int, int]] = field(default_factory=list)
    spent: dict[int, int] = field(default_factory=dict)
    refunded: int = 0


@dataclass(slots=True)
class HoldRead:
    """A hold as the journal tells it; `parts` are points by lot that are still set aside, none once it is over."""

    order: str
    amount: int
    captured: int
    expires_at: datetime
    state: str
    parts: list[tuple[int, int]]
    spent: dict[int, int] = field(default_factory=dict)
    """Points by lot that were captured and not given back since, in the order of the captures."""
    refunded: int = 0
    money: HeldMoneyRead = field(default_factory=HeldMoneyRead)


@dataclass(slots=True)
class MoneyRead:
    """A member's account of an asset of money, with the sums of a `MemberRead`; it knows no debt."""

    posted: int = 0
    held: int = 0
    debt: int = 0
    by_postings: int = 0
    debt_by_postings: int = 0
    lots_remaining: int = 0
    lots_held: int = 0
    lots_pending: int = 0
    holds_open: int = 0
    pending: int = 0
    lapses_at: datetime | None = None


@dataclass(slots=True)
class TopUpRead:
    """A top-up, and what became of its bonus."""

    currency: str
    amount: int
    points: int = 0
    bonus: int = 0
    principal_lot: int = 0
    bonus_lot: int = 0
    bonus_expired: int = 0
    reversed: bool = False


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
    status: str = "active"
    money: dict[str, MoneyRead] = field(default_factory=dict)
    """By asset."""

    def tier_before(self, time: datetime) -> str:
        """The tier by which a purchase of the member's own earns that was made at `time`: L8 asks that it says so."""
        # They come in the order of `since` (docs/decisions/tiers.md), so the first that is later ends the search.
        tier = ""
        for since, told, of in self.tiers:
            if of == "" and since >= time:
                break
            tier = tier if of else told
        return tier

    def account(self, asset: str) -> MemberRead | MoneyRead | None:
        """The sums of an asset: points are the member's own."""
        return self if asset == POINTS else self.money.get(asset)

    def accounts(self) -> Iterator[tuple[str, MemberRead | MoneyRead]]:
        """Every account with its asset."""
        yield POINTS, self
        yield from self.money.items()


@dataclass(slots=True)
class SettlementRead:
    """What came after a purchase's first accrual: units returned by line, and points given or taken."""

    returned: dict[int, int] = field(default_factory=dict)
    adjusted: int = 0
    counters: tuple[list[str], list[str], list[str]] = field(default_factory=lambda: ([], [], []))
    """Names, what the purchase found and what it left, once it was counted again."""


@dataclass(slots=True)
class ReferralRead:
    """A referral as the journal tells it; `owed` are (side, since when)."""

    referral: str
    referrer: str
    registered_at: datetime
    qualified_at: datetime | None = None
    tasks: list[str] = field(default_factory=list)
    owed: list[tuple[str, datetime]] = field(default_factory=list)


@dataclass(slots=True)
class AdjustmentRead:
    """Points given or taken by hand, or asked for."""

    points: int
    reason: str
    note: str
    state: str
    requested_by: str
    requested_at: datetime
    decided_by: str = ""


@dataclass(slots=True)
class LedgerState:
    """One chain."""

    members: dict[MemberKey, MemberRead] = field(default_factory=dict)
    lots: dict[int, LotRead] = field(default_factory=dict)
    """By the position of the accrual that opened them."""
    holds: dict[tuple[str, str, str], HoldRead] = field(default_factory=dict)
    """By (program, member, hold)."""
    orders: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """Points that stay spent by (program, member, order)."""
    money_of_orders: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    """Minor units that stay spent by (program, member, order, currency)."""
    settlements: dict[tuple[str, str, str], SettlementRead] = field(default_factory=dict)
    """By (program, member, purchase)."""
    top_ups: dict[tuple[str, str, str], TopUpRead] = field(default_factory=dict)
    """By (program, member, top-up)."""
    parked: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    """Position by (program, member, purchase, return) of returns that wait for their purchase."""
    adjustments: dict[tuple[str, str, str], AdjustmentRead] = field(default_factory=dict)
    """By (program, member, adjustment)."""
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
    waiting: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    """(program, reference, member, applied chain, applied position, rejection) by position."""
    awards: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """Awards counted, by (program, member, slot)."""
    referrals: dict[MemberKey, ReferralRead] = field(default_factory=dict)
    """By (program, referee)."""
    budgets: dict[tuple[str, str], int] = field(default_factory=dict)
    """Points that this chain has given, by (program, campaign); 0 where a document only names the campaign."""
    balances: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """Sum of the postings by (program, asset, account), program accounts only."""
    accounts_total: dict[tuple[str, str], int] = field(default_factory=dict)
    """Sum of `posted` over the table `accounts` by (program, asset)."""
