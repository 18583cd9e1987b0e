"""The ledger read naively: a list of credits, whole numbers, and no thought for speed.

Written from the rules (docs and DESIGN), not from the code: it keeps every credit and every unit for ever and looks
through all of them each time. The state machine holds the real book against it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from tests.simulation import naive_earning, naive_holds, naive_lots
from tests.simulation.naive_earning import Counts
from tests.simulation.naive_holds import REINSTATE_DAYS, Hold
from tests.simulation.naive_merge import last_heir
from tests.simulation.naive_stored_value import NaiveStoredValue

FAR = datetime.max.replace(tzinfo=UTC)
TIERS = {"": Fraction(1), "member": Fraction(1), "silver": Fraction(5, 4), "gold": Fraction(3, 2)}
RATES = {"v1": Fraction(1, 100), "v2": Fraction("0.033333333")}
"""Points for a yen, by version (no minor units: exact rates are easy to read); other versions have v1's."""
KEEPS_RETURNS, FORGIVES = ("v2",), ("v2",)
"""Versions that keep a return without its purchase, and that forgive what is spent already."""
EXCLUDED = "FUEL"
HOLD_SECONDS = 900


class Refused(Exception):
    """The naive reading refuses too; `args[0]` is the code."""


@dataclass
class Credit:
    number: int
    left: int
    expires: datetime | None
    purchase: str
    matures: datetime | None
    held: int = 0

    @property
    def free(self) -> int:
        return self.left - self.held

    def order(self) -> tuple[datetime, int]:
        """Soonest expiry first, then the oldest."""
        return (FAR if self.expires is None else self.expires, self.number)


@dataclass
class Bought:
    at: datetime
    version: str
    lines: list[tuple[str, int, int]]
    """(category, units, yen); lines are numbered from 1."""
    tiers: list[tuple[datetime, str]]
    """Those of who bought it, whoever has it now."""
    back: dict[int, int] = field(default_factory=dict)
    given: int = 0
    counts: Counts | None = None
    """What was counted before it, where the version counts."""

    def owed(self) -> int:
        """Points of every single unit that was not brought back."""
        tier = tier_at(self.tiers, self.at)
        if self.counts is not None:
            return self._owed_by_rules(tier, self.counts)
        earning = [(n, units, yen) for n, (kind, units, yen) in enumerate(self.lines, 1) if kind != EXCLUDED]
        whole = sum(yen for _, _, yen in earning)
        total = int(whole * RATES.get(self.version, RATES["v1"]) * TIERS[tier])
        kept, so_far = 0, 0
        for number, units, yen in earning:
            if whole == 0:
                return 0
            share = total * (so_far + yen) // whole - total * so_far // whole
            of_unit = [share * (k + 1) // units - share * k // units for k in range(units)]
            kept += sum(of_unit[self.back.get(number, 0) :])
            so_far += yen
        return kept

    def worths(self, tier: str, counts: Counts) -> dict[int, Fraction]:
        """By line, where the version has rules."""
        lines = {n: line for n, line in enumerate(self.lines, 1) if line[0] != EXCLUDED}
        return naive_earning.worth(lines, self.at, tier, TIERS[tier], counts.purchases + 1)

    def _owed_by_rules(self, tier: str, counts: Counts) -> int:
        worths = self.worths(tier, counts)
        total, _ = naive_earning.points(worths, counts)
        kept, so_far, whole = 0, Fraction(0), sum(worths.values())
        for number, worth in worths.items():
            if whole == 0:
                return 0
            share = total * (so_far + worth) // whole - total * so_far // whole
            units = self.lines[number - 1][1]
            of_unit = [share * (k + 1) // units - share * k // units for k in range(units)]
            kept += sum(of_unit[self.back.get(number, 0) :])
            so_far += worth
        return kept


def tier_at(tiers: list[tuple[datetime, str]], at: datetime) -> str:
    return next((name for since, name in reversed(tiers) if since < at), "")


class Account:
    """One member."""

    def __init__(self) -> None:
        self.credits: list[Credit] = []
        self.debt = 0
        self.bought: dict[str, Bought] = {}
        self.holds: dict[str, Hold] = {}
        self.tiers: list[tuple[datetime, str]] = []
        self.ended: dict[str, Hold] = {}
        """Holds that were over before their member was merged into this one."""
        self.status = "active"
        self.by_hand: dict[str, tuple[int, str, str]] = {}
        """(points, who asked, state) by adjustment."""
        self.lapses: datetime | None = None
        self.parked: dict[str, list[tuple[datetime, dict[int, int]]]] = {}
        """When, and units by line, of returns by the purchase that they wait for."""
        self.carry = Fraction(0)
        self.earned: Counter[str] = Counter()
        """Points by day, month and altogether, of purchases under the version that has caps."""

    @property
    def posted(self) -> int:
        return sum(credit.left for credit in self.credits) - self.debt

    @property
    def pending(self) -> int:
        return sum(credit.left for credit in self.credits if credit.matures is not None)

    @property
    def held(self) -> int:
        return sum(credit.held for credit in self.credits)


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
        self.waiting: dict[str, list[Callable[[], None]]] = {}
        """What is done again when somebody enrols, by who it named."""

    def heir(self, member: str) -> str:
        return last_heir(self.heirs, member)

    def enrol(self, member: str) -> None:
        if member in self.members:
            self.account(member)
            raise Refused("already_enrolled")
        self.members[member] = Account()
        for take in self.waiting.pop(member, []):
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
        periods = {"day": f"{at:%Y-%m-%d}", "month": f"{at:%Y-%m}", "lifetime": "lifetime"}
        if self.version == "v3":
            left = min(cap - account.earned[periods[kind]] for kind, cap in naive_earning.CAPS.items())
            # After a merge more may be earned than a cap allows: then nothing is left.
            bought.counts = Counts(len(account.bought), account.carry, max(0, left))
        account.bought[id_] = bought
        self._settle(account, id_)
        if bought.counts is not None:
            worths = bought.worths(tier_at(bought.tiers, at), bought.counts)
            _, account.carry = naive_earning.points(worths, bought.counts)
            account.earned.update(dict.fromkeys(periods.values(), bought.given))
        account.lapses = naive_lots.lapse(self.version, "purchase", at, account.lapses)
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

    def hold(self, id_: str, order: str, member: str, amount: int, seconds: int) -> None:
        account = self._spender(member)
        lapsed = account.lapses is not None and account.lapses <= self.clock
        usable = [c for c in account.credits if c.expires is None or c.expires > self.clock]
        usable = [c for c in usable if c.matures is None and not lapsed]
        if amount > sum(credit.free for credit in usable) - account.debt:
            raise Refused("insufficient_points")
        parts: list[tuple[naive_holds.Credit, int]] = []
        for credit in sorted(usable, key=Credit.order):
            part = min(credit.free, amount - sum(points for _, points in parts))
            credit.held += part
            parts.append((credit, part))
        account.holds[id_] = Hold(amount, self.clock + timedelta(seconds=seconds), parts, order)

    def capture(self, id_: str, member: str, amount: int | None, final: bool = True) -> None:
        self._spender(member)
        hold = self._open(id_, member)
        amount = hold.left if amount is None else amount
        if amount > hold.left:
            raise Refused("amount_exceeds_hold")
        naive_holds.capture(hold, amount)
        account = self.account(member)
        account.lapses = naive_lots.lapse(self.version, "redemption", self.clock, account.lapses)
        if final or not hold.parts:
            self._end(account, hold, "captured")

    def refund(self, order: str, member: str, amount: int | None) -> None:
        account = self.account(member)
        holds = [hold for hold in account.holds.values() if hold.order == order and hold.captured]
        spent = sum(len(hold.spent) for hold in holds)
        if not holds:
            raise Refused("order_unknown")
        if not spent:
            raise Refused("order_already_refunded")
        if amount is not None and amount > spent:
            raise Refused("amount_exceeds_spend")
        given_back, days = spent if amount is None else amount, REINSTATE_DAYS.get(self.version)
        debt = account.debt
        account.debt = naive_holds.refund(holds, given_back, debt, self.clock, days)
        self._lapse(account)
        if given_back > debt and account.lapses is None:
            account.lapses = naive_lots.lapse(self.version, "points", self.clock, None)

    def release(self, id_: str, member: str) -> None:
        self._end(self.account(member), self._open(id_, member), "released")

    def assign(self, member: str, tier: str, since: datetime) -> None:
        account = self.account(member)
        # Said of a member who was merged, it counts for what that one bought.
        tiers = self.members[member].tiers
        tiers.append((since, tier))
        for id_, bought in account.bought.items():
            if bought.tiers is tiers and bought.at > since:
                self._settle(account, id_)

    def advance(self, to: datetime) -> None:
        if to <= self.clock:
            return
        self.clock = to
        for account in self.members.values():
            for hold in account.holds.values():
                if hold.state == "open" and hold.ends <= to:
                    self._end(account, hold, "expired")
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

    def _end(self, account: Account, hold: Hold, state: str) -> None:
        hold.state = state
        for credit, points in hold.parts:
            credit.held -= points
        self._drop([credit for credit, _ in hold.parts])
        hold.parts = []
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

    def _settle(self, account: Account, id_: str, *, forgives: bool = False) -> None:
        """Make what the purchase has given what it should have given by now."""
        bought = account.bought[id_]
        missing = bought.owed() - bought.given
        bought.given += missing
        if missing > 0:
            matures = naive_lots.maturity(bought.version, bought.at, self.clock)
            self._give(account, missing, id_, bought.at, bought.version, matures)
        self._take(account, max(0, -missing), id_, forgives=forgives)

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
