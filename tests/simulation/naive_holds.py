"""Holds in parts and refunds, read naively: point by point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from tests.simulation.naive_money_holds import HeldCoins

REINSTATE_DAYS = {"v1": None, "v2": 20}
"""How long points live that come back to a lot past its day; None: not at all."""


class Credit(Protocol):
    left: int
    held: int
    expires: datetime | None

    def order(self) -> tuple[datetime, int]: ...


@dataclass
class Hold:
    amount: int
    ends: datetime
    parts: list[tuple[Credit, int]]
    """What is still set aside."""
    order: str
    state: str = "open"
    captured: int = 0
    spent: list[Credit] = field(default_factory=list)
    """A credit for every point that stays spent of it."""
    coins: HeldCoins = field(default_factory=HeldCoins)

    @property
    def left(self) -> int:
        return sum(points for _, points in self.parts)


def capture(hold: Hold, amount: int) -> None:
    """Spend the first points that are set aside."""
    rest = []
    for credit, points in hold.parts:
        part = min(points, amount)
        amount -= part
        credit.left -= part
        credit.held -= part
        hold.captured += part
        hold.spent += [credit] * part
        if points > part:
            rest.append((credit, points - part))
    hold.parts = rest


def refund(
    holds: list[Hold],
    amount: int,
    debt: int,
    clock: datetime,
    days: int | None,
    spending: Callable[[Any], tuple[bool, datetime, int]],
) -> int:
    """Give back points of an order's holds, those that are spent last first. Returns the debt that is left."""
    back = []
    for _ in range(amount):
        # The point that would be spent last; of holds that spent the same lot any may be taken.
        hold = max((h for h in holds if h.spent), key=lambda h: max(map(spending, h.spent)))
        credit = max(hold.spent, key=spending)
        hold.spent.remove(credit)
        back.append(credit)
    back.sort(key=spending)
    repaid = min(debt, amount)
    for credit in back[repaid:]:
        is_over = credit.expires is not None and credit.expires <= clock
        if is_over and days is not None:
            credit.expires = clock + timedelta(days=days)
        if not is_over or days is not None:
            credit.left += 1
    return debt - repaid
