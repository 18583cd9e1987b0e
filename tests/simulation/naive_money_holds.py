"""The money of holds, read naively: which coins are set aside, and which stay spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

Order = Callable[["Coins"], object]


@dataclass
class Coins:
    bucket: str
    left: int
    expires: datetime | None
    source: str
    held: int = 0

    @property
    def free(self) -> int:
        return self.left - self.held

    def order(self) -> tuple[bool, datetime | None]:
        """Soonest to run out first; then, for sorting leaves them as they are, the oldest."""
        return (self.expires is None, self.expires)


@dataclass
class HeldCoins:
    """The money of one hold, as (coins, how much of them)."""

    parts: list[tuple[Coins, int]] = field(default_factory=list)
    spent: list[tuple[Coins, int]] = field(default_factory=list)
    captured: int = 0

    @property
    def left(self) -> int:
        return sum(amount for _, amount in self.parts)

    @property
    def stays(self) -> int:
        return sum(amount for _, amount in self.spent)


def of_bonus(amount: int, principal: int, bonus: int, order: str) -> int:
    if order == "pro_rata":
        return amount - int(Fraction(amount * principal, principal + bonus or 1))
    return max(0, amount - principal) if order == "principal_first" else min(amount, bonus)


def pay(there: list[tuple[Coins, int]], amount: int, order: str) -> list[tuple[Coins, int]]:
    """Which of these coins pay."""
    sums = {name: sum(n for c, n in there if c.bucket == name) for name in ("principal", "bonus")}
    wanted = {"bonus": of_bonus(amount, sums["principal"], sums["bonus"], order)}
    wanted["principal"] = amount - wanted["bonus"]
    paying = []
    for coins, has in sorted(there, key=lambda part: part[0].order()):
        part = min(has, wanted[coins.bucket])
        wanted[coins.bucket] -= part
        if part:
            paying.append((coins, part))
    assert not any(wanted.values())
    return paying


def without(some: list[tuple[Coins, int]], taken: list[tuple[Coins, int]]) -> list[tuple[Coins, int]]:
    """What is left of some coins."""
    rest = []
    for coins, amount in some:
        amount -= sum(n for c, n in taken if c is coins)
        if amount:
            rest.append((coins, amount))
    return rest


def set_aside(held: HeldCoins, paying: list[tuple[Coins, int]]) -> None:
    for coins, amount in paying:
        coins.held += amount
    held.parts = paying


def capture(held: HeldCoins, amount: int, order: str) -> None:
    paying = pay(held.parts, amount, order)
    for coins, part in paying:
        coins.left -= part
        coins.held -= part
    held.parts = without(held.parts, paying)
    spent = held.spent + paying
    coins_spent = [coins for n, (coins, _) in enumerate(spent) if all(c is not coins for c, _ in spent[:n])]
    held.spent = [(coins, sum(n for c, n in spent if c is coins)) for coins in coins_spent]
    held.captured += amount


def free(held: HeldCoins) -> list[Coins]:
    """All that is set aside is free; which coins it is."""
    freed = held.parts
    for coins, amount in freed:
        coins.held -= amount
    held.parts = []
    return [coins for coins, _ in freed]


def refund(
    holds: list[HeldCoins], purse: list[Coins], amount: int, order: str, clock: datetime, days: int | None
) -> list[Coins]:
    """Give back what a smaller spending would not have taken. Returns what is lost of it: coins past their day."""
    total = [(c, sum(n for h in holds for d, n in h.spent if d is c)) for c in purse]
    total = [(coins, n) for coins, n in total if n]
    back = without(total, pay(total, sum(n for _, n in total) - amount, order))
    for coins, wanted in back:
        missing = wanted
        for held in holds:
            there = sum(n for c, n in held.spent if c is coins)
            part = min(there, missing)
            held.spent = without(held.spent, [(coins, part)])
            missing -= part
        coins.left += wanted
        if coins.expires is not None and coins.expires <= clock and days is not None:
            coins.left = coins.held + wanted
            coins.expires = clock + timedelta(days=days)
    return [coins for coins, _ in back]
