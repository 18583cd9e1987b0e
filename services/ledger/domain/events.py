"""What the book says, one class a journal row type. The same words as `proto/tallybook/ledger/v1/events.proto`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from services.ledger.domain.commands import Purchase, Return, TopUp, TopUpReversal
from services.ledger.domain.counters import Contribution, Counter
from services.ledger.domain.hold_events import Allocations as Allocations
from services.ledger.domain.hold_events import HoldCaptured as HoldCaptured
from services.ledger.domain.hold_events import HoldPlaced as HoldPlaced
from services.ledger.domain.hold_events import HoldReleased as HoldReleased
from services.ledger.domain.hold_events import SpendRefunded as SpendRefunded
from services.ledger.domain.people_events import (
    ActivityParked as ActivityParked,
)
from services.ledger.domain.people_events import (
    ActivityUnparked as ActivityUnparked,
)
from services.ledger.domain.people_events import (
    AdjustmentDeclined as AdjustmentDeclined,
)
from services.ledger.domain.people_events import (
    AdjustmentRequested as AdjustmentRequested,
)
from services.ledger.domain.people_events import (
    AwardsMoved as AwardsMoved,
)
from services.ledger.domain.people_events import (
    CountersMoved as CountersMoved,
)
from services.ledger.domain.people_events import (
    HoldMoved as HoldMoved,
)
from services.ledger.domain.people_events import (
    IdentifiersLinked as IdentifiersLinked,
)
from services.ledger.domain.people_events import (
    IdentifiersUnlinked as IdentifiersUnlinked,
)
from services.ledger.domain.people_events import (
    LotMoved as LotMoved,
)
from services.ledger.domain.people_events import (
    MemberAbsorbed as MemberAbsorbed,
)
from services.ledger.domain.people_events import (
    MemberClosed as MemberClosed,
)
from services.ledger.domain.people_events import (
    MemberErased as MemberErased,
)
from services.ledger.domain.people_events import (
    MemberReactivated as MemberReactivated,
)
from services.ledger.domain.people_events import (
    MembersMerged as MembersMerged,
)
from services.ledger.domain.people_events import (
    MemberSuspended as MemberSuspended,
)
from services.ledger.domain.people_events import (
    PointsAdjusted as PointsAdjusted,
)
from services.ledger.domain.people_events import (
    ProfileChanged as ProfileChanged,
)
from services.ledger.domain.people_events import (
    ReferralMoved as ReferralMoved,
)
from services.ledger.domain.people_events import (
    SettlementMoved as SettlementMoved,
)
from services.ledger.domain.people_events import (
    TopUpMoved as TopUpMoved,
)


@dataclass(slots=True)
class ProgramActivated:
    version: str
    document: bytes
    by: str = ""
    """The API key that asked for it."""


@dataclass(slots=True)
class ClockAdvanced:
    to: datetime


@dataclass(slots=True)
class MemberEnrolled:
    by: str


@dataclass(slots=True)
class PurchaseRecorded:
    purchase: Purchase


@dataclass(slots=True)
class ReturnedLine:
    line: int
    sku: str
    category: str
    quantity: int
    amount: int


@dataclass(slots=True)
class ReturnRecorded:
    activity: Return
    lines: list[ReturnedLine]
    purchased_at: datetime
    parked: bool = False
    """It came before its purchase."""


@dataclass(slots=True)
class ReturnParked:
    activity: Return


@dataclass(slots=True)
class ParkedReturnRefused:
    id: str
    of: str
    code: str
    detail: str


@dataclass(slots=True)
class TierAssigned:
    tier: str
    since: datetime
    tiering_position: int
    of: str = ""
    """The absorbed member whom it was said of; empty: the member."""


@dataclass(slots=True)
class PointsAccrued:
    purchase: str
    reason: str
    points: int
    tier: str
    amount: int
    """Minor units that earned; with tier and version they give the arithmetic (`earning.explain`)."""
    version: str
    expires_at: datetime | None
    debt_repaid: int
    contributions: list[Contribution] = field(default_factory=list)
    """Of the program's rules, in their order; what the base gives is not among them."""
    counters: list[Counter] = field(default_factory=list)
    """What was looked at beside the purchase and the tier. The first accrual of a purchase sets them."""
    matures_at: datetime | None = None
    """Until then the lot is pending; None: it can be spent at once."""


@dataclass(slots=True)
class PointsClawedBack:
    purchase: str
    reason: str
    points: int
    tier: str
    allocations: Allocations
    debt: int
    pending: int = 0
    """How many of the points were pending."""
    forgiven: int = 0


@dataclass(slots=True)
class PurchaseRecounted:
    purchase: str
    reason: str
    counters: list[Counter]
    """What the purchase found counted and what it left, as is known by now."""
    moved: list[Counter]
    """The member's counters as they are today."""


@dataclass(slots=True)
class LotsReinstated:
    lots: list[int]
    until: datetime


@dataclass(slots=True)
class PointsExpired:
    lot: int
    points: int
    pending: int = 0
    """How many of the points were pending."""


@dataclass(slots=True)
class PointsMatured:
    lot: int
    points: int


@dataclass(slots=True)
class MemberActive:
    """`lapses_at`: when all points lapse, if nothing follows; None: by no version's rule any more."""

    kind: str
    lapses_at: datetime | None


@dataclass(slots=True)
class MemberLapsed:
    points: int
    allocations: Allocations
    pending: int
    """How many of the points were pending."""


@dataclass(slots=True)
class TopUpRecorded:
    activity: TopUp


@dataclass(slots=True)
class MoneyCredited:
    top_up: str
    asset: str
    amount: int
    reason: str
    """paid_in | bonus | reward; `top_up` is then the award"""
    expires_at: datetime | None


@dataclass(slots=True)
class MoneyTakenBack:
    award: str
    asset: str
    allocations: Allocations


@dataclass(slots=True)
class TopUpReversed:
    activity: TopUpReversal
    currency: str
    paid_out: Allocations
    """Principal that the member is handed."""
    kept: Allocations
    """Principal that stands for bonus which was spent."""
    bonus: Allocations


@dataclass(slots=True)
class GiftSent:
    gift: str
    receiver: str
    currency: str
    amount: int
    principal: Allocations
    bonus: Allocations


@dataclass(slots=True)
class GiftReceived:
    gift: str
    giver: str
    asset: str
    amount: int
    expires_at: datetime | None


@dataclass(slots=True)
class MoneyExpired:
    lot: int
    asset: str
    amount: int


@dataclass(slots=True)
class InteractionRecorded:
    interaction: str
    kind: str
    content: str
    channel: str
    store: str


@dataclass(slots=True)
class PointsAwarded:
    source: str
    """interaction | referrer | referee"""
    source_id: str
    points: int
    campaign: str
    budget_left: int
    """What the campaign had left before it."""
    expires_at: datetime | None
    debt_repaid: int
    version: str
    counted: list[str]
    """What it counts against (`awards.slots_of`)."""


@dataclass(slots=True)
class AwardWithheld:
    source: str
    source_id: str
    reason: str
    points: int
    campaign: str
    budget_left: int


@dataclass(slots=True)
class ReferralRegistered:
    referral: str
    referrer: str


@dataclass(slots=True)
class ReferralTaskDone:
    referral: str
    task: str
    owed: list[str]


@dataclass(slots=True)
class ReferralQualified:
    referral: str
    referrer: str
    by: str
    cause: str
    owed: list[str]


@dataclass(slots=True)
class ReferralRewarded:
    referral: str
    referrer: str
    sides: list[str]


@dataclass(slots=True)
class ActivityRejected:
    kind: str
    code: str
    detail: str


Event = (
    ProgramActivated | ClockAdvanced | MemberEnrolled | IdentifiersLinked | PurchaseRecorded | ReturnRecorded
    | TierAssigned | PointsAccrued | PointsClawedBack | HoldPlaced | HoldCaptured | HoldReleased | PointsExpired
    | PointsMatured | MemberActive | MemberLapsed | SpendRefunded | LotsReinstated | ReturnParked | ParkedReturnRefused
    | MembersMerged | MemberAbsorbed | LotMoved | HoldMoved | SettlementMoved | CountersMoved
    | TopUpMoved | AwardsMoved | ReferralMoved
    | ActivityParked | ActivityUnparked | ProfileChanged | MemberErased
    | PurchaseRecounted
    | ActivityRejected | InteractionRecorded | PointsAwarded | AwardWithheld | ReferralRegistered | ReferralTaskDone
    | ReferralQualified | ReferralRewarded | IdentifiersUnlinked | AdjustmentRequested | AdjustmentDeclined
    | PointsAdjusted | MemberSuspended | MemberReactivated | MemberClosed
    | TopUpRecorded | MoneyCredited | MoneyTakenBack | TopUpReversed | GiftSent | GiftReceived | MoneyExpired
)  # fmt: skip


@dataclass(slots=True)
class Decided:
    """An event with whose it is and when it happened, not yet in the book. `member` None: the program's own."""

    event: Event
    member: str | None
    occurred_at: datetime
    chain: int | None = None
    """Where it belongs, if not on the command's own chain; a command's first event is always there."""
