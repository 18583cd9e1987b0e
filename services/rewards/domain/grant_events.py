"""What the rewards journal says of grants. The same words as `proto/tallybook/rewards/v1/events.proto`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class GrantProgressed:
    """An occasion counted for a grant that looks at several: what it has come to with it."""

    grant: str
    slot: str
    occasion: str
    purchases: int
    amount: int


@dataclass(slots=True, frozen=True)
class GrantGiven:
    """The member has this slot of the grant; what it gives stands behind this row."""

    grant: str
    slot: str
    occasion: str
    vouchers: int
    budgeted: bool = False
    """What it gives counts against the grant's budget."""
    points: int = 0
    tickets: int = 0
    money: int = 0

    @property
    def size(self) -> int:
        """What counts: one with a budget gives only one of the four."""
        return self.vouchers + self.points + self.tickets + self.money


@dataclass(slots=True, frozen=True)
class GrantWithheld:
    """The member would have had this slot of the grant; `reason`: budget_exhausted."""

    grant: str
    slot: str
    occasion: str
    reason: str


GrantEvent = GrantProgressed | GrantGiven | GrantWithheld
