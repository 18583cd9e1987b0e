"""The state that decisions are taken on: members with their lots and holds, programs with their clocks.

A book holds as much as the commands at hand need: the store loads it for one batch, the replay for one chain.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.ledger.domain.commands import Purchase, Return
from services.ledger.domain.counters import Counted, Counter
from services.ledger.domain.program import Program

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)

HOLD_ENDS, LOT_EXPIRES, LOT_MATURES, MEMBER_LAPSES = range(4)
"""What falls due; at one instant in this order."""

POINTS = "points"
"""The asset of points. Money is kept in two more for each currency: `money.asset`."""

ACTIVE, SUSPENDED, CLOSED = "active", "suspended", "closed"
"""What a member is: a suspended one earns and spends nothing, a closed one does neither, for ever."""


@dataclass(slots=True)
class Lot:
    """Points of one accrual. 0 <= held <= remaining <= amount."""

    id: int
    amount: int
    remaining: int
    held: int
    earned_at: datetime
    expires_at: datetime | None
    purchase: str
    """What it came from: a purchase, of money a top-up, a gift or a reward."""
    matures_at: datetime | None = None
    """Pending until the clock has come by here: it can't be spent or held. None: it can."""
    asset: str = POINTS

    @property
    def free(self) -> int:
        """Points that no hold protects."""
        return self.remaining - self.held


@dataclass(slots=True)
class HeldMoney:
    """The money of a hold, as its points are in `Hold`; of a hold of points alone, nothing."""

    currency: str = ""
    amount: int = 0
    captured: int = 0
    allocations: list[tuple[int, int]] = field(default_factory=list)
    spent: list[tuple[int, int]] = field(default_factory=list)
    refunded: int = 0

    @property
    def left(self) -> int:
        """Minor units still set aside."""
        return sum([amount for _, amount in self.allocations])


@dataclass(slots=True)
class Hold:
    """Points and money set aside for an order. `allocations` are (lot, points) still set aside."""

    id: str
    order: str
    amount: int
    captured: int
    expires_at: datetime
    state: str
    """open | captured | released | expired"""
    allocations: list[tuple[int, int]]
    spent: list[tuple[int, int]] = field(default_factory=list)
    """(lot, points) that were captured and not given back since."""
    refunded: int = 0
    money: HeldMoney = field(default_factory=HeldMoney)

    @property
    def left(self) -> int:
        """Points still set aside."""
        return sum([points for _, points in self.allocations])


@dataclass(slots=True)
class PurchaseFact:
    """A purchase as it was told, where the book has it, and what became of it."""

    told: Purchase
    position: int
    version: str
    accrued: int = 0
    """Points of the first accrual."""
    counters: Sequence[Counter] = ()
    """What the first accrual found counted."""
    buyer: str = ""
    """The absorbed member whose purchase it was; empty: the member's own."""

    @property
    def id(self) -> str:
        """The purchase's own."""
        return self.told.id

    @property
    def occurred_at(self) -> datetime:
        """When it was made."""
        return self.told.occurred_at


@dataclass(slots=True)
class ParkedReturn:
    """A return that waits for its purchase; `position` is that of the row that says so."""

    position: int
    activity: Return


@dataclass(slots=True)
class Settlement:
    """What happened to a purchase after its first accrual."""

    returned: dict[int, int] = field(default_factory=dict)
    """Units returned, by line."""
    adjusted: int = 0
    """Points given (or, below zero, taken back) after the first accrual."""
    counters: list[Counter] = field(default_factory=list)
    """What the purchase found counted and what it left, once it was counted again; empty before."""


@dataclass(slots=True)
class TopUpFact:
    """A top-up as the book has it, and what became of it. Amounts are minor units."""

    currency: str
    amount: int
    points: int = 0
    """Points given on top."""
    bonus: int = 0
    principal_lot: int = 0
    bonus_lot: int = 0
    """0: no money was given on top."""
    bonus_expired: int = 0
    """What of the bonus went to breakage: it was not spent."""
    reversed: bool = False


@dataclass(slots=True)
class Referral:
    """How a referee came, and what it has led to. `owed` are (side, since when): who waits for a reward."""

    id: str
    referee: str
    referrer: str
    registered_at: datetime
    qualified_at: datetime | None = None
    tasks: list[str] = field(default_factory=list)
    owed: list[tuple[str, datetime]] = field(default_factory=list)


@dataclass(slots=True)
class Adjustment:
    """Points given or taken by hand, or asked for."""

    id: str
    points: int
    reason: str
    note: str
    state: str
    """requested | applied | declined"""
    requested_by: str
    requested_at: datetime
    decided_by: str = ""
    """Who approved or declined; empty while it waits, and where the limit needs nobody."""


@dataclass(slots=True, init=False)
class Member:
    """A member of a program. posted = sum of the lots' remaining less debt (L2);
    available = posted - held - pending (L3)."""

    id: str
    program: str
    chain: int
    enrolled_at: datetime
    posted: int
    held: int
    debt: int
    tiers: list[tuple[datetime, str]]
    """(since, tier), oldest first."""
    lots: dict[int, Lot]
    holds: dict[str, Hold]
    purchases: dict[str, PurchaseFact]
    settlements: dict[str, Settlement]
    merged_into: str
    """The member who has everything now; empty: nobody."""
    absorbed: dict[str, list[tuple[datetime, str]]]
    """Who was merged into this one, with the tiers that each had: what they bought goes on earning by those."""
    profile: bytes
    """Sealed; not loaded for decisions, which never look at it."""
    parked: dict[str, list[ParkedReturn]]
    """Returns by the purchase that they wait for."""
    awards: dict[str, int]
    """How many awards were counted in each slot (`awards.slots_of`); those that the commands at hand ask for."""
    bought_before: datetime | None
    """When the member's first purchase was made, where a referral asks for it and the purchase is not at hand."""
    counters: dict[str, Counted]
    """What programs with rules that need it count; only those counters that the commands at hand need."""
    uncounted: int
    """Purchases since the counter of visits was last written."""
    complete: bool
    """True when every lot with points left is in `lots`; spending needs it."""
    money: dict[int, Lot]
    """Lots of stored value of every asset, apart from those of points."""
    top_ups: dict[str, TopUpFact]
    pending: int
    """Points of lots that are not mature."""
    lapses_at: datetime | None
    """When all points that no hold protects expire, if nothing puts it off. None: they have days of their own."""
    status: str
    adjustments: dict[str, Adjustment]

    # Written out: the generated one calls a factory for each collection, and most batches bring hundreds of members.
    def __init__(
        self, id: str, program: str, chain: int, enrolled_at: datetime, posted: int = 0, held: int = 0,  # noqa: A002
        debt: int = 0, *, complete: bool = False, status: str = ACTIVE,
    ) -> None:  # fmt: skip
        """A member with nothing at hand yet but what is told."""
        self.id = id
        self.program = program
        self.chain = chain
        self.enrolled_at = enrolled_at
        self.posted = posted
        self.held = held
        self.debt = debt
        self.tiers = []
        self.lots = {}
        self.holds = {}
        self.purchases = {}
        self.settlements = {}
        self.merged_into = ""
        self.absorbed = {}
        self.profile = b""
        self.parked = {}
        self.awards = {}
        self.bought_before = None
        self.counters = {}
        self.uncounted = 0
        self.complete = complete
        self.money = {}
        self.top_ups = {}
        self.pending = 0
        self.lapses_at = None
        self.status = status
        self.adjustments = {}

    def lots_of(self, asset: str) -> dict[int, Lot]:
        """Where a lot of this asset is kept."""
        return self.lots if asset == POINTS else self.money

    def lot(self, lot_id: int) -> Lot | None:
        """A lot of whichever asset."""
        return self.lots.get(lot_id) or self.money.get(lot_id)

    @property
    def available(self) -> int:
        """What the member can spend or set aside."""
        return self.posted - self.held - self.pending

    @property
    def free(self) -> int:
        """Points that no hold protects, pending ones among them."""
        return self.posted + self.debt - self.held

    def tier_at(self, time: datetime) -> str:
        """The tier that a purchase made at `time` earns by: a tier counts for what comes after its `since`."""
        return _tier_at(self.tiers, time)

    def tier_of(self, purchase: PurchaseFact) -> str:
        """The tier that a purchase earns by: that of whoever bought it, when it was bought."""
        tiers = self.absorbed[purchase.buyer] if purchase.buyer else self.tiers
        return _tier_at(tiers, purchase.occurred_at)

    @property
    def tier(self) -> str:
        """The latest tier that tiering told of; empty when it told of none."""
        return self.tiers[-1][1] if self.tiers else ""


def _tier_at(tiers: list[tuple[datetime, str]], time: datetime) -> str:
    tier = ""
    for since, name in tiers:
        if since >= time:
            break
        tier = name
    return tier


@dataclass(slots=True)
class ProgramState:
    """A program on one chain: the version in force and its clock."""

    version: str
    clock: datetime = BEGINNING


class Book:
    """Members, programs and clocks, keyed as the journal is."""

    def __init__(self, *, keeps_purchases: bool = True) -> None:
        """`keeps_purchases`: remember the facts of new purchases (decisions need them, a replay does not)."""
        self.keeps_purchases = keeps_purchases
        self.versions: dict[str, Program] = {}
        self.programs: dict[tuple[int, str], ProgramState] = {}
        self.members: dict[tuple[str, str], Member] = {}
        self.identifiers: dict[tuple[str, bytes], str] = {}
        """(program, hash) -> member id."""
        self.kinds: dict[tuple[str, bytes], str] = {}
        """What each of the identifiers is: card, phone, ..."""
        self.referrals: dict[tuple[str, str], Referral] = {}
        """By (program, referee)."""
        self.heirs: dict[tuple[str, str], str] = {}
        """(program, absorbed member) -> survivor, of those whom referrals name."""
        self.budgets: dict[tuple[str, str], int] = {}
        """Points given by (program, campaign)."""
        self.horizon: dict[tuple[int, str], datetime] | None = None
        """How far the commands at hand can move the clocks; None: any distance. What is due later is not looked for."""
        self._due: dict[tuple[int, str], list[tuple[datetime, int, str, str]]] = {}

    def heir(self, program: str, member: str) -> str:
        """Who has everything of `member` now."""
        while (program, member) in self.heirs:
            member = self.heirs[program, member]
        return member

    def program(self, chain: int, program: str) -> Program | None:
        """The program in force on a chain."""
        state = self.programs.get((chain, program))
        return None if state is None else self.versions[state.version]

    def expect_lot(self, member: Member, lot: Lot) -> None:
        """Remember that a lot may mature and expire."""
        if lot.expires_at is not None:
            self._expect(member, lot.expires_at, LOT_EXPIRES, lot.id)
        if lot.matures_at is not None:
            self._expect(member, lot.matures_at, LOT_MATURES, lot.id)

    def expect_hold(self, member: Member, hold: Hold) -> None:
        """Remember that a hold may time out."""
        self._expect(member, hold.expires_at, HOLD_ENDS, hold.id)

    def expect_lapse(self, member: Member) -> None:
        """Remember that all of a member's points may lapse."""
        if member.lapses_at is not None:
            self._expect(member, member.lapses_at, MEMBER_LAPSES, "")

    def _expect(self, member: Member, at: datetime, kind: int, id_: str | int) -> None:
        # Holds come before lots of the same instant: what a hold frees can expire at once.
        key = (member.chain, member.program)
        if self.horizon is not None and at > self.horizon.get(key, BEGINNING):
            return
        heap = self._due.setdefault(key, [])
        heapq.heappush(heap, (at, kind, member.id, str(id_)))

    def next_due(
        self, chain: int, program: str, until: datetime
    ) -> tuple[int, Member, Hold | Lot | None] | None:
        """What ends, matures or lapses next, at or before `until`: (what happens, to whom, to what of theirs).

        In order of time; it is taken off the list.
        """
        heap = self._due.get((chain, program), [])
        while heap and heap[0][0] <= until:
            at, kind, member_id, id_ = heapq.heappop(heap)
            member = self.members[program, member_id]
            if kind == HOLD_ENDS:
                hold = member.holds.get(id_)
                if hold is not None and hold.state == "open":
                    return kind, member, hold
            elif kind == MEMBER_LAPSES:
                # An activity may have put it off; and while all that is left is held, there is nothing to do yet.
                if member.lapses_at == at and member.complete and (member.free > 0 or member.held == 0):
                    return kind, member, None
            else:
                lot = member.lot(int(id_))
                if lot is None:
                    continue
                if kind == LOT_EXPIRES:
                    # A lot that was reinstated is on the list with its old day too.
                    if lot.free > 0 and lot.expires_at == at:
                        return kind, member, lot
                elif lot.matures_at is not None and lot.remaining > 0:
                    return kind, member, lot
        return None
