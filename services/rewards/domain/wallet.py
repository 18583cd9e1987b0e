"""What a member can spend, as far as the ledger's stream has told. The ledger decides; this is for looking at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.common.errors import InvariantBroken
from services.rewards.domain.facts import (
    Fact,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    MemberAbsorbed,
    PointsHeld,
    PointsMatured,
    PointsMoved,
    SpendRefunded,
    TierChanged,
)


@dataclass(slots=True)
class Wallet:
    """Points of one member. `posted` is below zero for a member in debt; `tier` None: the program's lowest."""

    posted: int = 0
    held: int = 0
    tier: str | None = None
    tier_since: datetime | None = None
    pending: int = 0
    """Points that can't be spent yet."""

    @property
    def available(self) -> int:
        """What a redemption can take: never below zero, though the posted balance of a debtor is."""
        return max(0, self.posted - self.held - self.pending)


def evolve(wallet: Wallet, fact: Fact) -> None:
    """Bring the wallet to the moment after `fact`.

    Raises:
        InvariantBroken: more was released than was held, or more matured than was pending, which the ledger can't
            have said.
    """
    match fact:
        case PointsMoved():
            wallet.posted += fact.points
            wallet.pending += fact.pending
        case SpendRefunded(points=points):
            wallet.posted += points
        case PointsMatured(points):
            wallet.pending -= points
        case MemberAbsorbed():
            wallet.posted = wallet.held = wallet.pending = 0
        case HoldPlaced(amount=amount) | PointsHeld(points=amount):
            wallet.held += amount
        case HoldCaptured(spent=spent, held=held):
            wallet.posted -= spent
            wallet.held -= held
        case HoldReleased(amount=amount):
            wallet.held -= amount
        case TierChanged(tier, since):
            wallet.tier = tier
            wallet.tier_since = since
        case _:
            pass
    if wallet.held < 0:
        raise InvariantBroken(f"the ledger's stream frees more points than it held: {fact}")
    if wallet.pending < 0:
        raise InvariantBroken(f"the ledger's stream takes more pending points than it gave: {fact}")
