"""What tiering hears from the ledger's book (facts) and what it says itself (decisions)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.tiering.domain.state import Member

Lines = list[tuple[str, int, int, str]]
"""(category, minor units of money, units, sku) of each line."""


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
    """A purchase, by its id."""

    lines: Lines
    purchase: str = ""
    ids: tuple[int, ...] = ()
    """The lines' own numbers, in the order of `lines`."""
    promoted: frozenset[int] = frozenset()
    """The numbers of the lines that were bought in a promotion."""


@dataclass(slots=True)
class ReturnRecorded:
    """Units brought back of a purchase that was made at `purchased_at`."""

    lines: Lines
    purchased_at: datetime
    purchase: str = ""
    ids: tuple[int, ...] = ()
    """The numbers that the purchase's lines have, in the order of `lines`."""


@dataclass(slots=True)
class PointsMoved:
    """Points given for a purchase, or taken back (negative)."""

    purchase: str
    points: int


@dataclass(slots=True)
class ToppedUp:
    """Money loaded by the member, minor units."""

    amount: int
    top_up: str = ""


@dataclass(slots=True)
class TopUpReversed:
    """So much of what was loaded was handed back."""

    amount: int
    top_up: str


@dataclass(slots=True)
class MemberClosed:
    """The account is closed, for good."""


@dataclass(slots=True)
class TierGranted:
    """A tier given by hand, whatever the metrics say, up to `until`. A fact that tiering itself is told."""

    grant: str
    tier: str
    until: datetime
    reason: str
    ledger_position: int
    """The last row of the ledger that had been applied: the grant comes right behind it."""


@dataclass(slots=True)
class TierGrantRevoked:
    """A tier given by hand is taken back before its end."""

    grant: str
    reason: str
    ledger_position: int


@dataclass(slots=True)
class MemberTagged:
    """The outside world says something of a member (`set`), or takes it back. A fact that tiering itself is told."""

    request: str
    tag: str
    set: bool
    reason: str
    ledger_position: int


@dataclass(slots=True, frozen=True)
class Bounds:
    """From where on a value belongs to the next score or to a class; the lists ascend (SegmentBounds in proto/)."""

    recency: tuple[datetime, ...]
    frequency: tuple[int, ...]
    monetary: tuple[int, ...]
    high: tuple[int, int, int]
    """The scores from which on recency, frequency and monetary are high."""
    high_spend: int
    high_ticket: int
    bargain_hunter: int
    loyal: int


@dataclass(slots=True)
class SegmentsRun:
    """Every member of the program on this chain was sorted into segments, at the program's time `at`.

    A fact, for its `bounds` come from all chains as they were when the run began. `took_ms` is from the run's beginning
    until this chain was sorted.
    """

    run: str
    cause: str
    at: datetime
    bounds: Bounds
    population: int
    measured_ms: int
    took_ms: int
    ledger_position: int


@dataclass(slots=True, frozen=True)
class Top:
    """The best `percent` of all members by `metric` (Top in proto/).

    `places`: how many that is, `here`: by chain; `threshold`: what the last one in has.
    """

    metric: str
    percent: str
    places: int
    here: tuple[int, ...]
    threshold: int


@dataclass(slots=True)
class TiersRanked:
    """All members of the program were ranked at `at`, for the tiers that go to the best.

    A fact, for a place is among the members of all chains. What was counted is what the ledger's rows up to
    `counted_to` (by chain) told, so that the same members come first whenever a chain is decided.
    """

    run: str
    cause: str
    at: datetime
    tops: tuple[Top, ...]
    members: int
    counted_to: tuple[int, ...]
    ledger_position: int


@dataclass(slots=True)
class MembersMerged:
    """Another member was merged into this one; what was counted of it comes over once its own chain has let it go."""

    absorbed: str


@dataclass(slots=True)
class MemberAbsorbed:
    """The member was merged into another, and is nobody any more."""

    into: str


@dataclass(slots=True)
class FactsMoved:
    """What was counted of an absorbed member counts for this one; nothing is decided before the `last` of several."""

    absorbed: str
    ledger_position: int
    last: bool
    as_of: datetime
    entries: list[tuple[str, datetime, int]]
    """(metric, occurred_at, amount)"""
    purchases: list[tuple[str, datetime, int, int, tuple[int, ...]]]
    """(purchase, occurred_at, what counts of it and was kept, the promoted part of that, its lines in a promotion)"""
    days: list[tuple[str, date, int]]
    """(metric, local day, visits)"""
    tags: list[tuple[str, datetime]]
    life: tuple[datetime | None, datetime | None, datetime | None] | None
    """The first purchase, the last, and the last that came when the member was dormant."""
    came: Member
    """The absorbed member, with its standing, its cards and grants, and without windows."""
    told: object = field(default=None, compare=False)
    """What it was read from, to be written as it was."""


Told = TierGranted | TierGrantRevoked | MemberTagged | FactsMoved
"""What tiering itself is told, and keeps in its own journal."""


FactEvent = (
    ProgramActivated | ClockAdvanced | MemberEnrolled | PurchaseRecorded | ReturnRecorded | PointsMoved | ToppedUp
    | TopUpReversed | MemberClosed | TiersRanked | MembersMerged | MemberAbsorbed | FactsMoved
    | TierGranted | TierGrantRevoked | MemberTagged
)  # fmt: skip


@dataclass(slots=True)
class Fact:
    """A row of the ledger's book, on the chain that is being decided. `member` None: the program's own.

    What tiering itself is told has the position of the last row of the ledger before it.
    """

    position: int
    program: str
    member: str | None
    occurred_at: datetime
    event: FactEvent


@dataclass(slots=True, frozen=True)
class Measure:
    """What a metric held after `after` and up to `up_to`, and what was asked of it."""

    metric: str
    value: int
    threshold: int
    after: datetime
    up_to: datetime


@dataclass(slots=True)
class TierChanged:
    """A member's tier is now another, or was kept at its review; `occurred_at` of the journal row is `since`.

    `metric` is what the window that ends with `since` holds, `threshold` what was asked of it: those of the metric that
    decided. Both are 0 where no metric did.
    """

    program: str
    member: str
    from_tier: str
    to_tier: str
    since: datetime
    until: datetime | None
    reason: str
    """By metrics: upgrade | downgrade | renewal | grace | protected | lifetime | return. Otherwise: card |
    card_renewed | card_ended | card_refunded | grant | grant_ended | grant_revoked | merge."""
    rule: str
    metric: int
    threshold: int
    ledger_position: int
    version: str
    measures: list[Measure] = field(default_factory=list, compare=False)
    """Every metric of the condition, the one that decided first."""
    positions: list[int] = field(default_factory=list, compare=False)
    """The ledger's rows that were counted, in order: the latest of them (the store looks them up)."""
    counted_to: int = field(default=0, compare=False)
    """The last row of the ledger that can be behind the measures."""
    grant: str = field(default="", compare=False)
    """The grant or card that the tier comes from or came from; empty for metrics."""


@dataclass(slots=True)
class ProgramRefused:
    """A version whose section `tiering` can't be used: the version before stays in force."""

    program: str
    version: str
    reason: str
    occurred_at: datetime


@dataclass(slots=True)
class SegmentChanged:
    """A member is now in another segment of a family; `occurred_at` of the journal row is `at`."""

    program: str
    member: str
    family: str
    """lifecycle | class | tag"""
    from_segment: str
    to_segment: str
    at: datetime
    rule: str
    run: str
    """Empty when a purchase or a tag moved the member at once."""
    ledger_position: int
    version: str


Decision = TierChanged | SegmentChanged | ProgramRefused
Recorded = Decision | Told | SegmentsRun | TiersRanked
"""What rows of our journal say."""
