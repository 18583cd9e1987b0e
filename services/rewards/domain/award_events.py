"""What the rewards journal says of points and stored value given.

The same words as `proto/tallybook/rewards/v1/events.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class PointsPromised:
    """Written before the ledger is asked to give them. `source`: grant | draw; `source_id` is what there led to it."""

    award: str
    points: int
    source: str
    source_id: str


@dataclass(slots=True, frozen=True)
class PointsGiven:
    """The ledger has given them."""

    award: str


@dataclass(slots=True, frozen=True)
class PointsRefused:
    """The ledger will not give them; `code` and `detail` are its own."""

    award: str
    code: str
    detail: str


@dataclass(slots=True, frozen=True)
class MoneyPromised:
    """Stored value, minor units. `source`: grant | draw | redemption; `source_id` is what there led to it."""

    award: str
    amount: int
    currency: str
    source: str
    source_id: str


@dataclass(slots=True, frozen=True)
class MoneyGiven:
    """The ledger has given it."""

    award: str


@dataclass(slots=True, frozen=True)
class MoneyRefused:
    """The ledger will not give it; `code` and `detail` are its own."""

    award: str
    code: str
    detail: str


Promise = PointsPromised | MoneyPromised
AwardEvent = Promise | PointsGiven | PointsRefused | MoneyGiven | MoneyRefused
