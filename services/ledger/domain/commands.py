"""What the ledger can be asked. Time and identity come in as data; `member` is a member id."""

from __future__ import annotations

from dataclasses import dataclass
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
    content: bytes


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
class PlaceHold(Command):
    """Set `amount` points aside for `order`."""

    hold: str
    order: str
    amount: int
    ttl_seconds: int | None


@dataclass(slots=True)
class CaptureHold(Command):
    """Spend `amount` points of a hold (None: all of it) and release the rest."""

    hold: str
    amount: int | None


@dataclass(slots=True)
class ReleaseHold(Command):
    """Free a hold's points."""

    hold: str


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
    """Decide under this version on this chain from now on (`member` is empty)."""

    version: str
    document: bytes
