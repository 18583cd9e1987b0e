"""What goes over to another member when the ledger merges two: vouchers, redemptions, awards, grants had, draws played.

The ledger's balances move there; here moves what rewards itself keeps. Turns that were had stay where they were had.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.rewards.domain.awards import Award
from services.rewards.domain.draws import Player
from services.rewards.domain.events import Event
from services.rewards.domain.grants import Progress
from services.rewards.domain.redemption import Redemption
from services.rewards.domain.vouchers import Voucher


@dataclass(slots=True, frozen=True)
class HoldingsLeft:
    """On the chain of the member who was merged: these left for `into`. A slot is (grant, slot)."""

    into: str
    vouchers: tuple[str, ...]
    redemptions: tuple[str, ...]
    awards: tuple[str, ...]
    draws: tuple[str, ...]
    grants: tuple[tuple[str, str], ...]


@dataclass(slots=True, frozen=True)
class VoucherMoved:
    """On the survivor's chain, as are all that follow: a voucher as it stood with the member `from_`."""

    from_: str
    voucher: Voucher


@dataclass(slots=True, frozen=True)
class RedemptionMoved:
    from_: str
    redemption: Redemption


@dataclass(slots=True, frozen=True)
class AwardMoved:
    from_: str
    award: Award


@dataclass(slots=True, frozen=True)
class GrantMoved:
    """`settled`: had or withheld; `progress` is what it had come to."""

    from_: str
    grant: str
    slot: str
    settled: bool
    progress: Progress


@dataclass(slots=True, frozen=True)
class PlayerMoved:
    from_: str
    draw: str
    player: Player


Arrival = VoucherMoved | RedemptionMoved | AwardMoved | GrantMoved | PlayerMoved
AnyEvent = Event | HoldingsLeft | Arrival
"""All that stands in the journal of rewards."""


def both(mine: Player, came: Player) -> Player:
    """One player of two: tickets and turns add up, and nobody's losses running are lost."""
    day = max(mine.day, came.day)
    mine, came = mine.on(day), came.on(day)
    return replace(
        mine,
        tickets=mine.tickets + came.tickets,
        losses=max(mine.losses, came.losses),
        turns=mine.turns + came.turns,
        today=mine.today + came.today,
        free_today=mine.free_today + came.free_today,
    )
