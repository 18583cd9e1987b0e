"""What the rewards journal says of refunds. The same words as `proto/tallybook/rewards/v1/events.proto`."""

from __future__ import annotations

from dataclasses import dataclass

RefundedLine = tuple[int, int]
"""(line of the basket, units that came back)"""


@dataclass(slots=True, frozen=True)
class RefundRequested:
    """Written before the ledger is asked. `number` counts the refunds of the redemption, from 1."""

    redemption: str
    refund: str
    number: int
    points: int
    money: int
    outside: int
    lines: tuple[RefundedLine, ...]
    restock: bool
    value: int = 0
    """Stored value that the reward was, to be taken back first, minor units."""


@dataclass(slots=True, frozen=True)
class RedemptionRefunded:
    """`whole`: nothing that was paid is left."""

    redemption: str
    refund: str
    points: int
    money: int
    outside: int
    whole: bool


@dataclass(slots=True, frozen=True)
class RefundRefused:
    """`code` and `detail` are the ledger's."""

    redemption: str
    refund: str
    code: str
    detail: str


RefundEvent = RefundRequested | RedemptionRefunded | RefundRefused
