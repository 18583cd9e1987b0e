"""Interactions and referrals read naively: every award is kept for ever, and all of them are looked through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tests.simulation import naive_lots
from tests.simulation.naive_accounts import EXCLUDED, Account, Credit
from tests.simulation.naive_ledger import NaiveLedger, Refused
from tests.simulation.naive_lots import RULES

BUDGET = {**dict.fromkeys(RULES, 90), "v1": 14, "v2": 150}
"""Points of the one campaign, by version."""
KINDS: dict[str, dict[str, Any]] = {
    "review": {"points": 10, "once_per": "content", "caps": {"day": 1, "month": 3}},
    "share": {"points": 7, "once_per": "week", "campaign": True},
    "like": {"points": 1},
}
_FRIENDS: dict[str, Any] = {"minimum": 1_000, "referrer": 30, "referee": 10, "task": "", "caps": {"ever": 2}}
_PHONES = {"minimum": 5_000, "referrer": 50, "referee": 20, "task": "bind_phone", "caps": {"month": 1}}
REFERRAL: dict[str, dict[str, Any]] = {
    **dict.fromkeys(RULES, _FRIENDS),
    **dict.fromkeys(["v1", "fixed_day", "inactivity"], _PHONES),
    "v2": {"minimum": 0, "referrer": 0, "referee": 30, "task": "", "caps": {}},
}
SAME: dict[str, Callable[[datetime], Any]] = {
    "day": lambda at: at.date(),
    "week": lambda at: at.isocalendar()[:2],
    "month": lambda at: (at.year, at.month),
    "ever": lambda at: None,
}


@dataclass
class Award:
    member: str
    what: str
    content: str
    at: datetime
    points: int
    from_budget: bool


@dataclass
class Referred:
    by: str
    at: datetime
    qualified: bool = False
    tasks: set[str] = field(default_factory=set)
    owed: list[tuple[str, datetime]] = field(default_factory=list)


class NaiveSocial:
    """What members do beside buying; its points go into the same accounts."""

    def __init__(self, ledger: NaiveLedger) -> None:
        self.ledger = ledger
        self.awards: list[Award] = []
        self.referred: dict[str, Referred] = {}
        ledger.on_purchase = self.bought

    @property
    def given(self) -> int:
        return sum(award.points for award in self.awards if award.from_budget)

    def interact(self, member: str, kind: str, content: str, at: datetime, wall: datetime) -> None:
        self.ledger.refuse_future(at, wall)
        self.ledger.new_day(at)
        if kind not in KINDS:
            raise Refused("kind_unknown")
        rule = KINDS[kind]
        if rule.get("once_per") == "content" and not content:
            raise Refused("content_missing")
        member = self._newcomer(member)
        self.ledger.open_account(member)
        before = self._before(member, kind)
        once = rule.get("once_per")
        if once == "content" and any(award.content == content for award in before):
            return
        if once in SAME and any(SAME[once](award.at) == SAME[once](at) for award in before):
            return
        if self._capped(before, rule.get("caps", {}), at):
            return
        self._award(member, kind, content, at, rule["points"], "campaign" in rule)

    def register(self, referee: str, referrer: str, at: datetime, wall: datetime) -> None:
        self.ledger.refuse_future(at, wall)
        self.ledger.new_day(at)
        referee, referrer = self.ledger.heir(referee), self.ledger.heir(referrer)
        if referee == referrer:
            raise Refused("self_referral")
        self._newcomer(referee)
        if referrer not in self.ledger.members or self.ledger.members[referrer].status == "closed":
            raise Refused("referrer_unknown")
        if referee in self.referred:
            raise Refused("already_referred")
        account = self.ledger.members.get(referee, Account())
        if any(bought.at < at for bought in account.bought.values()):
            raise Refused("referee_not_new")
        if self.leads_to(referrer, referee):
            raise Refused("referral_loop")
        self.ledger.members.setdefault(referee, account)
        self.referred[referee] = Referred(referrer, at)
        for bought in sorted(account.bought.values(), key=lambda b: b.at):
            self.bought(referee, bought.at, bought.lines)

    def leads_to(self, referrer: str, member: str) -> bool:
        """The member is among those by whom the referrer came."""
        line: list[str] = []
        above: str | None = self.ledger.heir(referrer)
        while above is not None and above not in line:
            line.append(above)
            above = self.ledger.heir(self.referred[above].by) if above in self.referred else None
        return member in line

    def do(self, referee: str, task: str, at: datetime, wall: datetime) -> None:
        self.ledger.refuse_future(at, wall)
        self.ledger.new_day(at)
        referee = self.ledger.heir(referee)
        if task != REFERRAL[self.ledger.version]["task"]:
            raise Refused("task_unknown")
        if referee not in self.ledger.members:
            raise Refused("unknown_member")
        self.ledger.account(referee)
        if referee not in self.referred:
            raise Refused("referral_unknown")
        referral = self.referred[referee]
        if task in referral.tasks:
            raise Refused("task_repeated")
        referral.tasks.add(task)
        if referral.qualified and REFERRAL[self.ledger.version]["referee"]:
            referral.owed.append(("referee", at))

    def bought(self, member: str, at: datetime, lines: list[tuple[str, int, int]]) -> None:
        """What a purchase does to a referral. Who referred himself by another id earns nothing by it."""
        member = self.ledger.heir(member)
        referral, rules = self.referred.get(member), REFERRAL[self.ledger.version]
        amount = sum(yen for kind, _, yen in lines if kind != EXCLUDED)
        if referral is None or referral.qualified or at < referral.at or amount < rules["minimum"]:
            return
        if self.ledger.heir(referral.by) == member:
            return
        referral.qualified = True
        if rules["referrer"]:
            referral.owed.append(("referrer", at))
        if rules["referee"] and (not rules["task"] or rules["task"] in referral.tasks):
            referral.owed.append(("referee", at))

    def reward(self, referee: str) -> None:
        """Everything that is owed for a referral."""
        referral, rules = self.referred[referee], REFERRAL[self.ledger.version]
        owed, referral.owed = referral.owed, []
        for side, at in owed:
            member = referee if side == "referee" else self.ledger.heir(referral.by)
            if self.ledger.members[member].status == "closed":
                continue
            before = self._before(member, side)
            if rules[side] and not (side == "referrer" and self._capped(before, rules["caps"], at)):
                self._award(member, side, "", at, rules[side], True)

    def merge(self, survivor: str, absorbed: str) -> None:
        """Awards are read by their heirs; a referral comes over where there is none, and none that closes a circle."""
        came = self.referred.get(absorbed)
        if came is not None and survivor not in self.referred and not self.leads_to(came.by, survivor):
            self.referred[survivor] = replace(came, tasks=set(came.tasks), owed=[])

    def _before(self, member: str, what: str) -> list[Award]:
        return [a for a in self.awards if (self.ledger.heir(a.member), a.what) == (member, what)]

    def _newcomer(self, member: str) -> str:
        """Somebody who may not be a member yet, and becomes one by this, unless the program wants an enrolment."""
        member = self.ledger.heir(member)
        if member in self.ledger.members or self.ledger.parks:
            self.ledger.account(member)
        return member

    @staticmethod
    def _capped(before: list[Award], caps: dict[str, int], at: datetime) -> bool:
        return any(
            sum(SAME[period](award.at) == SAME[period](at) for award in before) >= most
            for period, most in caps.items()
        )

    def _award(self, member: str, what: str, content: str, at: datetime, points: int, budget: bool) -> None:
        if budget and self.given + points > BUDGET[self.ledger.version]:
            return
        self.awards.append(Award(member, what, content, at, points, budget))
        account = self.ledger.members[member]
        repaid = min(points, account.debt)
        account.debt -= repaid
        self.ledger.count += 1
        version = self.ledger.version
        account.credits.append(
            Credit(self.ledger.count, points - repaid, naive_lots.expiry(version, at), "", None)
        )
        if account.lapses is None:
            account.lapses = naive_lots.lapse(version, "points", at, None)
