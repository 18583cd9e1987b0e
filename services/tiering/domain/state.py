"""What a decision needs to know of a chain, and how events move it on (`evolve`).

A window is kept as a running total, so that deciding never needs a member's whole past: only the entries that leave
the window are looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from heapq import heapify, heappop, heappush

from services.tiering.domain.events import TierChanged
from services.tiering.domain.program import Rules


@dataclass(slots=True)
class Window:
    """The sum of a member's spend after `start`.

    `entries` are (occurred_at, amount) pairs, in no order: all those between any two starts that the window takes while
    it is in memory (the store loads them), and those added since.
    """

    start: datetime
    total: int = 0
    entries: list[tuple[datetime, int]] = field(default_factory=list)

    def total_after(self, start: datetime) -> int:
        """The sum if the window began at `start`."""
        if start > self.start:
            return self.total - sum(amount for at, amount in self.entries if self.start < at <= start)
        if start < self.start:
            return self.total + sum(amount for at, amount in self.entries if start < at <= self.start)
        return self.total

    def move(self, start: datetime) -> None:
        """Let the window begin at `start`."""
        if start != self.start:
            self.total = self.total_after(start)
            self.start = start

    def add(self, at: datetime, amount: int) -> None:
        """Count `amount` at `at`; what is older than the window changes no total."""
        self.entries.append((at, amount))
        if at > self.start:
            self.total += amount


@dataclass(slots=True)
class Member:
    """A member of a program. `tier` None is the lowest tier of whatever version is in force."""

    member: str
    enrolled_at: datetime
    tier: str | None
    since: datetime
    until: datetime | None
    as_of: datetime
    """The latest moment that is known of the member: a purchase, a review, or the enrolment. The window ends here."""
    window: Window
    changed_position: int | None = None
    """The row of our journal with the last TierChanged; None: never changed."""
    dirty: bool = False


@dataclass(slots=True)
class ProgramState:
    """One program on one chain. `due` holds (until, member) of the reviews to come; entries may be out of date."""

    rules: Rules
    clock: datetime | None
    members: dict[str, Member]
    due: list[tuple[datetime, str]] = field(default_factory=list)
    clock_moved: bool = False
    spent: list[tuple[str, datetime, int, int]] = field(default_factory=list)
    """New entries: (member, occurred_at, ledger position, amount)."""

    @classmethod
    def of(cls, rules: Rules, clock: datetime | None, members: dict[str, Member]) -> ProgramState:
        """A state whose `due` follows from its members."""
        due = [(m.until, m.member) for m in members.values() if m.until is not None]
        heapify(due)
        return cls(rules, clock, members, due)

    def pop_due(self, bound: tuple[datetime, str]) -> Member | None:
        """The member whose review comes first, if its (until, member) is not after `bound`."""
        while self.due and self.due[0] <= bound:
            until, name = heappop(self.due)
            member = self.members[name]
            if member.until == until:
                return member
        return None

    def advance(self, to: datetime) -> None:
        """The clock never goes back."""
        if self.clock is None or to > self.clock:
            self.clock = to
            self.clock_moved = True

    def enrol(self, name: str, at: datetime) -> Member:
        """The member, new if need be, in the lowest tier."""
        member = self.members.get(name)
        if member is None:
            member = Member(name, at, None, at, None, at, Window(self.rules.window_start(at)), dirty=True)
            self.members[name] = member
        return member

    def spend(self, member: Member, at: datetime, position: int, amount: int) -> None:
        """Count `amount` (negative for a return) on the day it belongs to."""
        member.as_of = max(member.as_of, at)
        start = self.rules.window_start(member.as_of)
        if start != member.window.start:
            member.window.move(start)
            member.dirty = True
        if amount:
            member.window.add(at, amount)
            member.dirty = True
            self.spent.append((member.member, at, position, amount))

    def change(self, event: TierChanged) -> None:
        """`evolve` for TierChanged."""
        member = self.members[event.member]
        member.tier = event.to_tier if self.rules.rank(event.to_tier) > 0 else None
        member.since, member.until = event.since, event.until
        member.as_of = max(member.as_of, event.since)
        member.window.move(self.rules.window_start(member.as_of))
        member.dirty = True
        if event.until is not None:
            heappush(self.due, (event.until, event.member))


State = dict[str, ProgramState]
"""The programs of a chain that have tiers, by id."""
