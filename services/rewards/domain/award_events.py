"""What the rewards journal says of points given. The same words as `proto/tallybook/rewards/v1/events.proto`."""

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


AwardEvent = PointsPromised | PointsGiven | PointsRefused
