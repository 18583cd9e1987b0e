"""The ledger read naively: a list of credits, whole numbers, and no thought for speed.

Written from the rules (docs and DESIGN), not from the code: it keeps every credit and every unit for ever and looks
through all of them each time. The state machine holds the real book against it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from tests.simulation import naive_earning, naive_holds, naive_lots, naive_money_holds
from tests.simulation.naive_accounts import Account, Bought, Credit, spending, tier_at
from tests.simulation.naive_earning import Counts
from tests.simulation.naive_holds import REINSTATE_DAYS, Hold
from tests.simulation.naive_merge import last_heir
from tests.simulation.naive_stored_value import NaiveStoredValue

KEEPS_RETURNS, FORGIVES = ("v2",), ("v2",)
"""Versions that keep a return without its purchase, and that forgive what is spent already."""
HOLD_SECONDS = 900


class Refused(Exception):
    """The naive reading refuses too; `args[0]` is the code."""


class NaiveLedger(NaiveStoredValue):
    """One program that runs on its events. Every method does what the command of that name does, or raises Refused."""

    Refused = Refused

    def __init__(self, clock: datetime) -> None:
        super().__init__()
        self.clock = clock
        self.version = "v1"
        self.members: dict[str, Account] = {}
        self.cards: dict[str, str] = {}
        self.count = 0
        self.heirs: dict[str, str] = {}
        self.parks = False
        self.on_purchase: Callable[[str, datetime, list[tuple[str, int, int]]], None] | None = None
        self.waiting: dict[str, list[Callable[[], None]]] = {}
        """What is done again when somebody enrols, by who it named."""

    def heir(self, member: str) -> str:
        return last_heir(self.heirs, member)

    def enrol(self, member: str) -> None:
        if member in self.members:
            self.account(member)
            raise Refused("already_enrolled")
        self.members[member] = Account()

    def take_waiting(self) -> None:
        """Whoever is a member by now has all that waited for it."""
        for member in [name for name in self.waiting if name in self.members]:
            for take in self.waiting.pop(member):
                with suppress(Refused):
                    take()

    def purchase(
        self, id_: str, member: str, at: datetime, lines: list[tuple[str, int, int]], wall: datetime
    ) -> None:
        self.refuse_future(at, wall)
        self.new_day(at)
        if self._park(member, lambda: self.purchase(id_, member, at, lines, wall)):
            return
        self.open_account(member)
        account = self.account(member)
        bought = Bought(at, self.version, lines, account.tiers)
        if self.version == "v3":
            earned = {period: account.earned[period] for period in naive_earning.periods(at)}
            bought.counts = Counts(len(account.bought), account.carry, earned)
        account.bought[id_] = bought
        self._settle(account, id_)
        account.lapses = naive_lots.lapse(self.version, "purchase", at, account.lapses)
        if self.on_purchase is not None:
            self.on_purchase(member, at, lines)
        for back_at, units in account.parked.pop(id_, []):
            with suppress(Refused):
                self._back(account, id_, units, back_at)

    def give_back(self, of: str, member: str, at: datetime, units: dict[int, int], wall: datetime) -> None:
        self.refuse_future(at, wall)
        self.new_day(at)
        if self._park(member, lambda: self.give_back(of, member, at, units, wall)):
            return
        kept = self.version in KEEPS_RETURNS
        if kept:
            self.open_account(member)
        account = self.account(member)
        if of in account.bought:
            self._back(account, of, units, at)
        elif not kept:
            raise Refused("purchase_unknown" if of else "return_without_purchase")
        elif of:
            account.parked.setdefault(of, []).append((at, units))

    def _back(self, account: Account, of: str, units: dict[int, int], at: datetime) -> None:
        bought = account.bought[of]
        if any(number > len(bought.lines) for number in units):
            raise Refused("line_unknown")
        if any(bought.back.get(n, 0) + count > bought.lines[n - 1][1] for n, count in units.items()):
            raise Refused("quantity_exceeds_purchase")
        for number, count in units.items():
            bought.back[number] = bought.back.get(number, 0) + count
        self._settle(account, of, forgives=bought.version in FORGIVES)
        account.lapses = naive_lots.lapse(self.version, "return", at, account.lapses)

    def hold(self, id_: str, order: str, member: str, amount: int, seconds: int, coins: int = 0) -> None:
        if not amount and not coins:
            raise Refused("amount_out_of_range")
        account = self._spender(member)
        lapsed = account.lapses is not None and account.lapses <= self.clock
        usable = [c for c in account.credits if c.expires is None or c.expires > self.clock]
        usable = [c for c in usable if c.matures is None and not lapsed]
        if amount > max(0, sum(credit.free for credit in usable) - account.debt):
            raise Refused("insufficient_points")
        paying = self._paying(member, coins)
        parts: list[tuple[naive_holds.Credit, int]] = []
        for credit in sorted(usable, key=spending(self.version)):
            part = min(credit.free, amount - sum(points for _, points in parts))
            credit.held += part
            if part:
                parts.append((credit, part))
        hold = account.holds[id_] = Hold(amount, self.clock + timedelta(seconds=seconds), parts, order)
        naive_money_holds.set_aside(hold.coins, paying)

    def capture(
        self, id_: str, member: str, amount: int | None, final: bool = True, coins: int | None = None
    ) -> None:
        account = self._spender(member)
        hold = self._open(id_, member)
        if amount is None and coins is None:
            amount, coins = hold.left, hold.coins.left
        amount, coins = amount or 0, coins or 0
        if not amount and not coins:
            raise Refused("amount_out_of_range")
        if amount > hold.left:
            raise Refused("amount_exceeds_hold")
        if coins > hold.coins.left:
            raise Refused("value_exceeds_hold")
        naive_holds.capture(hold, amount)
        naive_money_holds.capture(hold.coins, coins, self.pays_first())
        if amount:
            account.lapses = naive_lots.lapse(self.version, "redemption", self.clock, account.lapses)
        if final or not hold.left + hold.coins.left:
            self._end(member, hold, "captured", lapses=amount > 0)
        elif amount and not account.held:
            self._lapse(account)

    def refund(self, order: str, member: str, amount: int | None, coins: int | None = None) -> None:
        account = self.account(member)
        holds = [hold for hold in account.holds.values() if hold.order == order]
        spent, paid = sum(len(hold.spent) for hold in holds), sum(hold.coins.stays for hold in holds)
        if not any(hold.captured or hold.coins.captured for hold in holds):
            raise Refused("order_unknown")
        if not spent and not paid:
            raise Refused("order_already_refunded")
        if amount is None and coins is None:
            amount, coins = spent, paid
        amount, coins = amount or 0, coins or 0
        if not amount and not coins:
            raise Refused("amount_out_of_range")
        if amount > spent:
            raise Refused("amount_exceeds_spend")
        if coins > paid:
            raise Refused("value_exceeds_spend")
        debt, days = account.debt, REINSTATE_DAYS.get(self.version)
        account.debt = naive_holds.refund(holds, amount, debt, self.clock, days, spending(self.version))
        self.refund_money(member, [hold.coins for hold in holds], coins, days)
        if amount:
            self._lapse(account)
        if amount > debt and account.lapses is None:
            account.lapses = naive_lots.lapse(self.version, "points", self.clock, None)

    def release(self, id_: str, member: str) -> None:
        self.account(member)
        self._end(member, self._open(id_, member), "released")

    def assign(self, member: str, tier: str, since: datetime) -> None:
        account = self.account(member)
        # Said of a member who was merged, it counts for what that one bought.
        tiers = self.members[member].tiers
        tiers.append((since, tier))
        more: Counter[str] = Counter()
        for id_, bought in account.bought.items():
            # What a cap leaves to a purchase hangs on those that were booked before it.
            met = bought.counts.earned if bought.counts else {}
            if bought.tiers is tiers and (bought.at > since or any(more[period] for period in met)):
                self._settle(account, id_, more)

    def advance(self, to: datetime) -> None:
        if to <= self.clock:
            return
        self.clock = to
        for name, account in self.members.items():
            for hold in account.holds.values():
                if hold.state == "open" and hold.ends <= to:
                    self._end(name, hold, "expired")
            for credit in account.credits:
                if credit.matures is not None and credit.matures <= to:
                    credit.matures = None
            self._drop(account.credits)
            self._lapse(account)
        self.expire_money()

    def _park(self, member: str, take: Callable[[], None]) -> bool:
        unknown = self.parks and self.heir(member) not in self.members
        if unknown:
            self.waiting.setdefault(member, []).append(take)
        return unknown

    def open_account(self, member: str) -> None:
        """Whoever does something is a member."""
        self.members.setdefault(self.heir(member), Account())

    def give_points(self, member: str, points: int, source: str, at: datetime) -> None:
        """Points that were paid for are not pending."""
        self._give(self.account(member), points, source, at, self.version, None)

    def take_points(self, member: str, points: int, source: str) -> None:
        self._take(self.account(member), points, source)

    def new_day(self, at: datetime) -> None:
        self.advance(at.replace(hour=0, minute=0, second=0, microsecond=0))

    def refuse_future(self, at: datetime, wall: datetime) -> None:
        if at > max(wall, self.clock) + timedelta(hours=24):
            raise Refused("occurred_in_future")

    def account(self, member: str) -> Account:
        member = self.heir(member)
        if member not in self.members:
            raise Refused("unknown_member")
        if self.members[member].status == "closed":
            raise Refused("member_closed")
        return self.members[member]

    def _spender(self, member: str) -> Account:
        account = self.account(member)
        if account.status == "suspended":
            raise Refused("member_suspended")
        return account

    def _open(self, id_: str, member: str) -> Hold:
        account = self.account(member)
        hold = account.holds.get(id_) or account.ended.get(id_)
        if hold is None:
            raise Refused("hold_unknown")
        codes = {
            "captured": "hold_already_captured",
            "released": "hold_already_released",
            "expired": "hold_expired",
        }
        if hold.state in codes:
            raise Refused(codes[hold.state])
        if hold.ends <= self.clock:
            raise Refused("hold_expired")
        return hold

    def _end(self, member: str, hold: Hold, state: str, *, lapses: bool = False) -> None:
        account, lapses = self.members[self.heir(member)], lapses or hold.left > 0
        hold.state = state
        self.drop_money(member, naive_money_holds.free(hold.coins))
        for credit, points in hold.parts:
            credit.held -= points
        self._drop([credit for credit, _ in hold.parts])
        hold.parts = []
        if lapses:
            self._lapse(account)

    def _lapse(self, account: Account) -> None:
        """Once the member's day has come, nothing is left but what is held; and the day with that."""
        if account.lapses is not None and account.lapses <= self.clock:
            for credit in account.credits:
                credit.left = credit.held
            if account.held == 0:
                account.lapses = None

    def _drop(self, some: Sequence[naive_holds.Credit]) -> None:
        """Points past their day that no hold protects are gone."""
        for credit in some:
            if credit.expires is not None and credit.expires <= self.clock:
                credit.left = credit.held

    def _settle(
        self, account: Account, id_: str, more: Counter[str] | None = None, *, forgives: bool = False
    ) -> None:
        """Make what the purchase has given what it should have given by now."""
        bought = account.bought[id_]
        if bought.counts is None:
            missing = bought.owed() - bought.given
        else:
            missing = self._missing(account, bought, bought.counts, Counter() if more is None else more)
        bought.given += missing
        if missing > 0:
            matures = naive_lots.maturity(bought.version, bought.at, self.clock)
            self._give(account, missing, id_, bought.at, bought.version, matures)
        self._take(account, max(0, -missing), id_, forgives=forgives)

    def _missing(self, account: Account, bought: Bought, counts: Counts, more: Counter[str]) -> int:
        """Points to give (or take) so that all of the member's purchases gave what they stand for, but for a fraction.

        `more` was earned in each period by purchases before it, since it was settled last.
        """
        counts.earned = {period: earned + more[period] for period, earned in counts.earned.items()}
        earned, _ = naive_earning.points(bought.worths(tier_at(bought.tiers, bought.at), counts), counts)
        step, bought.earned = earned - bought.earned, earned
        for period in counts.earned:
            more[period] += step
            account.earned[period] += step
        bought.stands = bought.stands_for(counts)
        counted = [one for one in account.bought.values() if one.counts is not None]
        rest = sum(one.stands for one in counted) - sum(one.given for one in counted)
        missing = math.floor(rest)
        missing = min(missing, max(step, 0)) if rest > account.carry else min(missing, 0)
        account.carry = rest - missing
        return missing

    def _give(
        self, account: Account, points: int, source: str, at: datetime, version: str, matures: datetime | None
    ) -> None:
        """Debt is repaid first."""
        repaid = min(points, account.debt)
        account.debt -= repaid
        self.count += 1
        expires = naive_lots.expiry(version, at)
        account.credits.append(Credit(self.count, points - repaid, expires, source, matures))
        if account.lapses is None:
            account.lapses = naive_lots.lapse(self.version, "points", at, None)

    def _take(self, account: Account, points: int, source: str, *, forgives: bool = False) -> None:
        """What it came from first, then pending points, then anything free; the rest is debt."""
        first: Callable[[Credit], bool] = lambda credit: credit.purchase != source  # noqa: E731
        for credit in sorted(account.credits, key=lambda c: (first(c), c.matures is None, *c.order())):
            taken = min(credit.free, points)
            credit.left -= taken
            points -= taken
        account.debt += 0 if forgives else points
