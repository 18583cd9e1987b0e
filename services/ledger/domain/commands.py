"""What the ledger can be asked. Time and identity come in as data; `member` is a member id."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple


@dataclass(slots=True)
class Cause:
    """Where a command came from. With a digest it counts once: (source, id) is its key in the inbox."""

    source: str
    id: str
    digest: bytes | None = None


class Profile(NamedTuple):
    """A member's profile, encrypted, and the key that opens it, itself encrypted: the core reads neither."""

    sealed: bytes
    key: bytes


class PurchaseLine(NamedTuple):
    """`quantity` units that cost `amount` minor units together. A tuple, for a year of baskets has millions of them."""

    id: int
    sku: str
    category: str
    quantity: int
    amount: int
    brand: str = ""


@dataclass(slots=True)
class Purchase:
    """A purchase as it was told. `content` is its exact wire form, which the core keeps and never reads."""

    id: str
    occurred_at: datetime
    currency: str
    lines: list[PurchaseLine]
    content: bytes
    store: str = ""
    channel: str = ""
    payment_method: str = ""


@dataclass(slots=True)
class Return:
    """Units brought back: `lines` are (line of the purchase, units)."""

    id: str
    occurred_at: datetime
    of: str
    lines: list[tuple[int, int]]
    content: bytes = field(compare=False)


@dataclass(slots=True)
class TopUp:
    """Money paid in, as it was told. `amount` is minor units; `content` is its wire form."""

    id: str
    occurred_at: datetime
    currency: str
    amount: int
    content: bytes


@dataclass(slots=True)
class TopUpReversal:
    """The top-up `of` is to be undone."""

    id: str
    occurred_at: datetime
    of: str
    content: bytes


class Money(NamedTuple):
    """Minor units of a currency."""

    currency: str
    amount: int


@dataclass(slots=True)
class Command:
    """What all commands have. `now` is the wall's time at the edge."""

    program: str
    member: str
    chain: int
    cause: Cause
    now: datetime

    def places(self) -> tuple[tuple[int, str], ...]:
        """(chain, member) of all whom it concerns, its own first: their chains are locked, their state is loaded."""
        return ((self.chain, self.member),)


@dataclass(slots=True)
class RecordPurchase(Command):
    """A till or shop tells of a purchase."""

    purchase: Purchase


@dataclass(slots=True)
class RecordReturn(Command):
    """A till or shop tells of units brought back."""

    activity: Return


@dataclass(slots=True)
class RecordTopUp(Command):
    """A till or shop tells of money paid in."""

    activity: TopUp


@dataclass(slots=True)
class ReverseTopUp(Command):
    """A till or shop hands money back for a top-up."""

    activity: TopUpReversal


@dataclass(slots=True)
class SendGift(Command):
    """Money of the member becomes `receiver`'s, who lives on `receiver_chain`. `amount` is minor units."""

    gift: str
    receiver: str
    receiver_chain: int
    currency: str
    amount: int

    def places(self) -> tuple[tuple[int, str], ...]:
        """Giver and receiver."""
        return ((self.chain, self.member), (self.receiver_chain, self.receiver))


@dataclass(slots=True)
class AwardMoney(Command):
    """The rewards service gives the member `amount` minor units; `award` is its own id for that."""

    award: str
    currency: str
    amount: int


@dataclass(slots=True)
class TakeBackMoney(Command):
    """What `award` gave is taken back: `amount` minor units, all of them or none."""

    award: str
    currency: str
    amount: int


@dataclass(slots=True)
class Enrol(Command):
    """Somebody joins; `identifiers` are (kind, hash)."""

    occurred_at: datetime
    identifiers: list[tuple[str, bytes]]
    profile: Profile | None = None
    references: tuple[tuple[int, str], ...] = ()
    """(chain, reference) of those in whose name something may be parked, in a program that parks."""

    def places(self) -> tuple[tuple[int, str], ...]:
        """The member, and the references."""
        return ((self.chain, self.member), *self.references)


@dataclass(slots=True)
class RecordInteraction(Command):
    """A member did something that is no purchase; `content` is what it was about."""

    interaction: str
    occurred_at: datetime
    kind: str
    content: str
    channel: str
    store: str


@dataclass(slots=True)
class RecordReferral(Command):
    """`member` (the referee) joined on the referrer's word (`registered`), or did a `task`."""

    referral: str
    occurred_at: datetime
    referrer: str
    referrer_chain: int
    step: str
    task: str

    def places(self) -> tuple[tuple[int, str], ...]:
        """The referee's and the referrer's: two who refer each other at once see each other."""
        own = (self.chain, self.member)
        return (own, (self.referrer_chain, self.referrer)) if self.referrer else (own,)


@dataclass(slots=True)
class RewardReferral(Command):
    """Give what is owed for the referral of `member` (the referee)."""

    referrer: str
    referrer_chain: int

    def places(self) -> tuple[tuple[int, str], ...]:
        """The referee's and the referrer's: both are rewarded in one transaction."""
        return ((self.chain, self.member), (self.referrer_chain, self.referrer))


@dataclass(slots=True)
class UnlinkIdentifiers(Command):
    """A member is no longer known by `identifiers`, (kind, hash)."""

    identifiers: list[tuple[str, bytes]]


@dataclass(slots=True)
class SuspendMember(Command):
    """A member may not spend until reactivated. `by` is the API key that says so, here and below."""

    reason: str
    by: str


@dataclass(slots=True)
class ReactivateMember(Command):
    """A suspended member may spend again."""

    reason: str
    by: str


@dataclass(slots=True)
class CloseMember(Command):
    """A member leaves, and leaves what there is."""

    reason: str
    by: str


@dataclass(slots=True)
class Adjust(Command):
    """Give points by hand, or take some (below zero)."""

    adjustment: str
    points: int
    reason: str
    note: str
    by: str


@dataclass(slots=True)
class ApproveAdjustment(Command):
    """The second person says yes."""

    adjustment: str
    by: str


@dataclass(slots=True)
class DeclineAdjustment(Command):
    """Somebody says no."""

    adjustment: str
    note: str
    by: str


OF_MONEY = (RecordTopUp, ReverseTopUp, SendGift, AwardMoney, TakeBackMoney)
"""What moves stored value alone."""
BY_HAND = (SuspendMember, ReactivateMember, CloseMember, Adjust, ApproveAdjustment, DeclineAdjustment)
"""What ops do to a member; all of them need the member with every lot."""


@dataclass(slots=True)
class PlaceHold(Command):
    """Set `amount` points and `money` aside for `order`."""

    hold: str
    order: str
    amount: int
    ttl_seconds: int | None
    money: Money | None = None


@dataclass(slots=True)
class CaptureHold(Command):
    """Spend `amount` points and `money` of a hold (neither: all that is left of it); `final`: release the rest."""

    hold: str
    amount: int | None
    final: bool = True
    money: Money | None = None


@dataclass(slots=True)
class ReleaseHold(Command):
    """Free a hold's points."""

    hold: str


@dataclass(slots=True)
class RefundSpend(Command):
    """Give back `amount` points and `money` (neither: all) that were spent on `order`."""

    refund: str
    order: str
    amount: int | None
    money: Money | None = None


@dataclass(slots=True)
class AssignTier(Command):
    """Tiering says which tier the member has since when; `of`: it said so of a member who was merged into this one."""

    tier: str
    since: datetime
    tiering_position: int
    of: str = ""


@dataclass(slots=True)
class MergeMembers(Command):
    """`absorbed`, who lives on `absorbed_chain`, is the same person as `member`: what both have becomes `member`'s."""

    absorbed: str
    absorbed_chain: int

    def places(self) -> tuple[tuple[int, str], ...]:
        """Both of them."""
        return ((self.chain, self.member), (self.absorbed_chain, self.absorbed))


@dataclass(slots=True)
class SetProfile(Command):
    """The member tells of themselves."""

    profile: Profile


@dataclass(slots=True)
class EraseMember(Command):
    """Nothing personal of the member is to be left."""


@dataclass(slots=True)
class AdvanceClock(Command):
    """It is now `to` for the program on this chain (`member` is empty)."""

    to: datetime


@dataclass(slots=True)
class ActivateProgram(Command):
    """Decide under this version on this chain from now on (`member` is empty). `by` is the API key that says so."""

    version: str
    document: bytes
    by: str = ""
