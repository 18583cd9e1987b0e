"""Stored value read naively: every coin in a list for ever, and all of them looked through each time."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from tests.simulation import naive_money_holds
from tests.simulation.naive_money_holds import Coins, HeldCoins

STORED_VALUE: dict[str, dict[str, Any]] = {
    "v1": {
        "ladder": [{"load": 1_000, "bonus": 100}, {"load": 5_000, "bonus_share": "0.1", "bonus_points": 30}],
        "top_up": {"min": 100},
        "balance": {"max": 20_000},
        "gift": {"max": 3_000},
        "expiry": {"bonus_months": 1},
    },
    "v2": {
        "ladder": [
            {"load": 500, "bonus": 500, "top_ups": "first"},
            {"load": 1_000, "bonus_points": 5, "top_ups": "reload"},
        ],
        "expiry": {"principal_months": 2, "bonus_months": 2},
        "spend_order": "pro_rata",
    },
    "v3": {
        "ladder": [{"load": 1_000, "bonus": 300}],
        "expiry": {"bonus_months": 1},
        "spend_order": "principal_first",
    },
}
for version in ("month_end", "fixed_day", "inactivity", "redeeming"):
    STORED_VALUE[version] = STORED_VALUE["v1"]
"""By version, as the document says it."""


@dataclass
class TopUp:
    bonus: int
    points: int
    lost: int = 0
    """Bonus that ran out."""
    undone: bool = False


class NaiveStoredValue:
    """The part of the naive ledger that keeps money; `self` is the whole of it."""

    def __init__(self) -> None:
        self.coins: dict[str, list[Coins]] = {}
        self.top_ups: dict[str, dict[str, TopUp]] = {}
        self.awards: dict[str, Coins] = {}
        """What was given as a reward; whose it is, says the purse that it is in."""
        self.rewarded = 0
        """All that was given as a reward, less what was taken back."""

    def top_up(self: Any, id_: str, member: str, at: datetime, amount: int, wall: datetime) -> None:
        self.refuse_future(at, wall)
        self.new_day(at)
        member = self.heir(member)
        rules = STORED_VALUE[self.version]
        if amount < rules.get("top_up", {}).get("min", 1):
            raise self.Refused("amount_out_of_range")
        if member in self.members or self.parks:
            self.account(member)
        before = self.top_ups.get(member, {})
        wrong = "first" if any(not t.undone for t in before.values()) else "reload"
        steps = [s for s in rules["ladder"] if s["load"] <= amount and s.get("top_ups") != wrong]
        step = max(steps, key=lambda s: s["load"], default={})
        bonus = step.get("bonus", 0) + int(amount * Fraction(step.get("bonus_share", 0)))
        self._refuse_riches(member, amount + bonus)
        self.open_account(member)
        given = self.top_ups.setdefault(member, {})[id_] = TopUp(bonus, step.get("bonus_points", 0))
        for bucket, part in (("principal", amount), ("bonus", bonus)):
            months = rules["expiry"].get(f"{bucket}_months")
            self._purse(member).append(Coins(bucket, part, months and months_on(at, months), id_))
        if given.points:
            self.give_points(member, given.points, id_, at)

    def undo_top_up(self: Any, of: str, member: str, at: datetime, wall: datetime) -> int:
        """What the member is handed."""
        self.refuse_future(at, wall)
        self.new_day(at)
        member = self.heir(member)
        self.account(member)
        top_up = self.top_ups.get(member, {}).get(of)
        if top_up is None:
            raise self.Refused("top_up_unknown")
        if top_up.undone:
            raise self.Refused("top_up_reversed")
        if any(coins.held for coins in self._purse(member) if coins.source == of):
            raise self.Refused("top_up_held")
        top_up.undone = True
        left = {"principal": 0, "bonus": 0}
        for coins in self._purse(member):
            if coins.source == of:
                left[coins.bucket] += coins.left
                coins.left = 0
        spent = top_up.bonus - top_up.lost - left["bonus"]
        self.take_points(member, top_up.points, of)
        return max(0, left["principal"] - spent)

    def gift(self: Any, id_: str, giver: str, receiver: str, amount: int) -> None:
        giver, receiver = self.heir(giver), self.heir(receiver)
        rules = STORED_VALUE[self.version]
        if not 1 <= amount <= rules.get("gift", {}).get("max", amount):
            raise self.Refused("amount_out_of_range")
        if giver == receiver:
            raise self.Refused("gift_to_self")
        self._spender(giver)
        if receiver not in self.members or self.members[receiver].status == "closed":
            raise self.Refused("receiver_unknown")
        paying = self._paying(giver, amount)
        self._refuse_riches(receiver, amount)
        received: dict[tuple[str, datetime | None], int] = {}
        for coins, paid in paying:
            coins.left -= paid
            key = (coins.bucket, coins.expires)
            received[key] = received.get(key, 0) + paid
        for (bucket, expires), paid in received.items():
            self._purse(receiver).append(Coins(bucket, paid, expires, id_))

    def award_money(self: Any, award: str, member: str, amount: int) -> None:
        """A reward is bonus, over the limit of the balance too, for it was paid for."""
        if not amount:
            raise self.Refused("amount_out_of_range")
        self.account(member)
        months = STORED_VALUE[self.version]["expiry"].get("bonus_months")
        expires = months and months_on(self.clock, months)
        self.awards[award] = Coins("bonus", amount, expires, award)
        self._purse(member).append(self.awards[award])
        self.rewarded += amount

    def take_back_money(self: Any, award: str, member: str, amount: int) -> None:
        """Those very coins, as many as are asked for or none: nobody owes money."""
        if not amount:
            raise self.Refused("amount_out_of_range")
        self.account(member)
        own = [coins for coins in self._purse(member) if coins is self.awards.get(award)]
        if amount > sum(free for _, free in self._good(own)):
            raise self.Refused("insufficient_value")
        own[0].left -= amount
        self.rewarded -= amount

    def _good(self: Any, some: list[Coins]) -> list[tuple[Coins, int]]:
        """Coins that are not past their day, and how much of each nothing holds."""
        return [(c, c.free) for c in some if c.expires is None or c.expires > self.clock]

    def _paying(self: Any, member: str, amount: int) -> list[tuple[Coins, int]]:
        """Which coins pay, where there are enough."""
        good = self._good(self._purse(member))
        if amount > sum(free for _, free in good):
            raise self.Refused("insufficient_value")
        return naive_money_holds.pay(good, amount, self.pays_first())

    def pays_first(self: Any) -> str:
        return str(STORED_VALUE[self.version].get("spend_order", "bonus_first"))

    def refund_money(self: Any, member: str, holds: list[HeldCoins], amount: int, days: int | None) -> None:
        order = self.pays_first()
        back = naive_money_holds.refund(holds, self._purse(member), amount, order, self.clock, days)
        self.drop_money(member, back)

    def expire_money(self: Any) -> None:
        for member, purse in self.coins.items():
            self.drop_money(member, purse)

    def drop_money(self: Any, member: str, some: list[Coins]) -> None:
        """Coins past their day that no hold protects are gone."""
        member = self.heir(member)
        for coins in some:
            if coins.expires is not None and coins.expires <= self.clock and coins.free:
                top_up = self.top_ups.get(member, {}).get(coins.source)
                if top_up is not None and coins.bucket == "bonus":
                    top_up.lost += coins.free
                coins.left = coins.held

    def held_of(self: Any, member: str) -> int:
        return sum(coins.held for coins in self._purse(member))

    def money_of(self: Any, member: str) -> dict[tuple[str, datetime | None, str], int]:
        """What is left, by bucket, day of expiry and source."""
        found: dict[tuple[str, datetime | None, str], int] = {}
        for coins in self._purse(member):
            if coins.left:
                key = (coins.bucket, coins.expires, coins.source)
                found[key] = found.get(key, 0) + coins.left
        return found

    def _purse(self: Any, member: str) -> list[Coins]:
        purse: list[Coins] = self.coins.setdefault(self.heir(member), [])
        return purse

    def _refuse_riches(self: Any, member: str, more: int) -> None:
        most = STORED_VALUE[self.version].get("balance", {}).get("max")
        if most is not None and sum(c.left for c in self._purse(member)) + more > most:
            raise self.Refused("balance_limit_exceeded")


def months_on(at: datetime, months: int) -> datetime:
    """The same day and time so many months on, or that month's last day."""
    year, month = at.year + (at.month - 1 + months) // 12, (at.month - 1 + months) % 12 + 1
    return at.replace(year=year, month=month, day=min(at.day, monthrange(year, month)[1]))
