"""What a decision needs to know of a chain, and how it is moved on.

A window is kept as a running total, so that deciding never needs a member's whole past: only the entries that leave
the window are looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from heapq import heapify, heappop, heappush

from services.tiering.domain.metrics import Metric, Values, with_formulas
from services.tiering.domain.program import Rules
from services.tiering.domain.windows import MOMENT


@dataclass(slots=True)
class Window:
    """The sum of a member's entries of one metric after `start`.

    `entries` are (occurred_at, amount) pairs, in no order: all those between any two starts that the window takes while
    it is in memory (the store loads them), and those added since.
    """

    start: datetime
    total: int = 0
    entries: list[tuple[datetime, int]] = field(default_factory=list)

    def total_after(self, start: datetime) -> int:
        """The sum if the window began at `start`."""
        if start > self.start:
            return self.total - self.between(self.start, start)
        if start < self.start:
            return self.total + self.between(start, self.start)
        return self.total

    def between(self, after: datetime, up_to: datetime) -> int:
        """The sum of the entries in memory after `after` and up to `up_to`."""
        return sum(amount for at, amount in self.entries if after < at <= up_to)

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
class Standing:
    """The tier that the metrics gave, whatever cards and grants say. `tier` None is the lowest."""

    tier: str | None
    since: datetime
    until: datetime | None
    floor: str | None = None
    """The highest tier that a lifetime metric gave: no review goes below it."""
    lowered_at: datetime | None = None
    """The last downgrade by a review; kept by programs that limit how often there may be one."""
    grace: bool = False
    """A review failed and the tier is lent until the next."""
    soft: bool = False
    """The tier is the soft landing of a higher one: the next review goes to what is earned."""
    lent: bool = False
    """A policy of downgrades left it; no window has earned it."""
    by_card: bool = False
    """Without a paid card it would not have been earned."""
    ranked: bool = False
    """A ranking ends it, whenever that comes: `until` is when it should."""
    earned_at: datetime | None = None
    """The moment whose windows earned it; None: `since`."""
    closing: bool = False
    """It was earned in the windows that `since` closed (a review's), not in those that it lies in."""

    @property
    def review(self) -> datetime | None:
        """When the clock looks at it again."""
        return None if self.ranked else self.until


@dataclass(slots=True)
class Grant:
    """A tier that no metric gave: by a card or by hand. It counts from `start` until `until` (None: for ever).

    `card` is the card's name, empty for a grant by hand. A paid card was bought at `at`, so many `units` of `months`.
    """

    id: str
    card: str
    tier: str
    at: datetime
    start: datetime
    until: datetime | None
    months: int = 0
    units: int = 1
    started: bool = False


@dataclass(slots=True)
class Member:
    """A member of a program. `tier` None is the lowest tier of whatever version is in force.

    `tier`, `since` and `until` are what is published: the best of the standing, the cards and the grants.
    """

    member: str
    enrolled_at: datetime
    tier: str | None
    since: datetime
    until: datetime | None
    as_of: datetime
    """The latest moment that is known of the member: a purchase, a review, or the enrolment. The windows end here."""
    windows: dict[str, Window]
    standing: Standing
    grants: list[Grant] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)
    """The cards that were issued automatically: each once."""
    tops: dict[str, int] = field(default_factory=dict)
    """The flags of the best that the last ranking gave, each with the value of the last one in."""
    missed: dict[str, int] = field(default_factory=dict)
    """The others, with the same; only while a ranking is being taken."""
    closed: bool = False
    """The account is closed: nothing is given or reviewed any more."""
    changed_position: int | None = None
    """The row of our journal with the last TierChanged; None: never changed."""
    dirty: bool = False

    @property
    def due(self) -> datetime | None:
        """When the clock decides something next: a review, or a card or grant that begins or ends."""
        if self.closed:
            return None
        if not self.grants:
            return self.standing.review
        times = [self.standing.review, *(g.until if g.started else g.start for g in self.grants)]
        return min((time for time in times if time is not None), default=None)

    def values(self, rules: Rules, total: Callable[[Metric, Window], int]) -> Values:
        """What every metric holds, by `total` of each window; with the formulas."""
        values = {metric.name: total(metric, self.windows[metric.name]) for metric in rules.counted}
        return values if len(values) == len(rules.metrics) else self._all(rules, values)

    def values_now(self, rules: Rules) -> Values:
        """What the windows that end with `as_of` hold."""
        values = {name: window.total for name, window in self.windows.items()}
        return values if len(values) == len(rules.metrics) else self._all(rules, values)

    def _all(self, rules: Rules, values: Values) -> Values:
        """`values` of the counted metrics, with the flags and the formulas."""
        for flag in rules.flags:
            values[flag.name] = int(flag.name in self.tops if flag.of else self.has_paid_card)
        return with_formulas(rules.metrics.values(), values)

    @property
    def has_paid_card(self) -> bool:
        """One that was bought runs now."""
        return any(grant.started and grant.card and grant.units for grant in self.grants)

    def values_at(self, rules: Rules, at: datetime, closing: bool) -> Values:
        """What the windows of `at` hold, `at` being the last moment that is known."""
        return self.values(
            rules, lambda m, window: window.total_after(m.span.start(at, self.enrolled_at, closing))
        )

    def values_reviewed(self, rules: Rules, at: datetime) -> Values:
        """The same at the review of what was given at `standing.since`; of a year that ended `at` then nothing more."""

        def held(metric: Metric, window: Window) -> int:
            start = rules.reviewed_from(metric, at, self.enrolled_at, self.standing.since)
            end = metric.span.end(start + MOMENT, self.enrolled_at) if start < window.start else None
            return window.total_after(start) if end is None else window.between(start, end)

        return self.values(rules, held)


@dataclass(slots=True)
class Bought:
    """What returns and points of a purchase need to know of it. `left`: what counts of its amount and was kept."""

    member: str
    at: datetime
    left: int
    promoted_left: int = 0
    """What counts of it, was kept and had been bought in a promotion."""
    promoted_lines: frozenset[int] = frozenset()
    dirty: bool = False


@dataclass(slots=True, frozen=True)
class Life:
    """A member's purchases as the life cycle sees them, and the segment that is published, `since` when."""

    since: datetime
    segment: str = "new"
    first_at: datetime | None = None
    last_at: datetime | None = None
    won_back_at: datetime | None = None
    """The last purchase that came after so long without one that the member was dormant."""


@dataclass(slots=True)
class Visits:
    """Visits of a member on one local day."""

    count: int
    dirty: bool = False


@dataclass(slots=True)
class ProgramState:
    """One program on one chain. `queue` holds (due, member) of what is to come; entries may be out of date."""

    rules: Rules
    clock: datetime | None
    members: dict[str, Member]
    queue: list[tuple[datetime, str]] = field(default_factory=list)
    clock_moved: bool = False
    counted: list[tuple[str, str, datetime, int, int]] = field(default_factory=list)
    """New entries: (member, metric, occurred_at, ledger position, amount)."""
    moved: dict[tuple[str, str, datetime, int], int] = field(default_factory=dict)
    """Entries that came over by a merge, by (member, metric, occurred_at, ledger position): added to those there."""
    purchases: dict[str, Bought] = field(default_factory=dict)
    """By purchase id; only in programs that follow purchases."""
    days: dict[tuple[str, str, date], Visits] = field(default_factory=dict)
    """By (member, metric, local day); only in programs that count days."""
    lives: dict[str, Life] = field(default_factory=dict)
    """By member; only in programs with segments, of members who buy."""
    lived: set[str] = field(default_factory=set)
    """Those of `lives` that have changed."""
    tags: dict[tuple[str, str], bool] = field(default_factory=dict)
    """By (member, tag), whether it is set; of those that are told of."""
    tagged: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """When those of `tags` that have changed did."""

    @classmethod
    def of(cls, rules: Rules, clock: datetime | None, members: dict[str, Member]) -> ProgramState:
        """A state whose `queue` follows from its members."""
        queue = [(due, m.member) for m in members.values() if (due := m.due) is not None]
        heapify(queue)
        return cls(rules, clock, members, queue)

    def pop_due(self, bound: tuple[datetime, str]) -> Member | None:
        """The member for whom the clock decides first, if its (due, member) is not after `bound`."""
        while self.queue and self.queue[0] <= bound:
            due, name = heappop(self.queue)
            member = self.members[name]
            if member.due == due:
                return member
        return None

    def push_due(self, member: Member) -> None:
        """Put the member where its next moment belongs."""
        due = member.due
        if due is not None:
            heappush(self.queue, (due, member.member))

    def advance(self, to: datetime) -> None:
        """The clock never goes back."""
        if self.clock is None or to > self.clock:
            self.clock = to
            self.clock_moved = True

    def enrol(self, name: str, at: datetime) -> Member:
        """The member, new if need be, in the lowest tier."""
        member = self.members.get(name)
        if member is None:
            windows = {metric.name: Window(metric.span.start(at, at)) for metric in self.rules.counted}
            member = Member(name, at, None, at, None, at, windows, Standing(None, at, None), dirty=True)
            self.members[name] = member
        return member

    def touch(self, member: Member, at: datetime) -> None:
        """The member is known at `at`: its windows end there, unless they end later already."""
        if at > member.as_of:
            member.as_of, member.dirty = at, True
        for metric in self.rules.counted:
            start = metric.span.start(member.as_of, member.enrolled_at)
            window = member.windows[metric.name]
            if start != window.start:
                window.move(start)
                member.dirty = True

    def count(self, member: Member, metric: str, at: datetime, position: int, amount: int) -> None:
        """An entry of `amount` (negative for what is taken back) on the day that it belongs to."""
        if amount:
            member.windows[metric].add(at, amount)
            member.dirty = True
            self.counted.append((member.member, metric, at, position, amount))


State = dict[str, ProgramState]
"""The programs of a chain that have tiers, by id."""
