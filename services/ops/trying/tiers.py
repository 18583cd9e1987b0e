"""Tiers in memory: the ledger's events in, the tiers that they give out, at once.

Live, a tier comes back to the ledger by Kafka, and purchases that were booked meanwhile are settled again; here it is
there before the next purchase, which comes to the same.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from datetime import datetime
from operator import itemgetter

from services.common.codec import StreamRow
from services.common.program_document import load_json
from services.ledger import payloads
from services.ledger.domain import events as e
from services.ledger.domain.commands import Purchase
from services.tiering.domain import events as tiering
from services.tiering.domain.decide import take, take_retired
from services.tiering.domain.events import Fact, FactEvent, TierChanged, Told
from services.tiering.domain.program import Rules, parse_rules
from services.tiering.domain.state import Member, ProgramState, State, Window
from services.tiering.wire import LEDGER_TYPES, POINTS_TYPES, fact_of

TIME = itemgetter(0)
MERGES = (e.MembersMerged, e.MemberAbsorbed)
"""What the absorbed member had counted stays behind in a try; the caller says so."""


class Facts:
    """Events as tiering reads them; a purchase is made into one once for all who are told of it one after another.

    The two that a book is full of are made by hand, without their bytes; `fact_of` makes the others.
    """

    def __init__(self) -> None:
        self._told: Purchase | None = None
        self._purchased: tiering.PurchaseRecorded | None = None

    def fact(self, program: str, chain: int, position: int, decided: e.Decided) -> Fact | None:
        """The fact in an event of the ledger's; None for one that tiering has no use for."""
        event, at = decided.event, decided.occurred_at
        told: FactEvent
        match event:
            case e.PurchaseRecorded():
                told = self._purchase(event)
            case e.ClockAdvanced():
                told = tiering.ClockAdvanced(event.to)
            case _:
                type_, payload = payloads.encode(event)
                message = LEDGER_TYPES[type_].FromString(payload)
                return fact_of(StreamRow(chain, position, program, decided.member, type_, at, at, message))
        return Fact(position, program, decided.member, at, told)

    def _purchase(self, event: e.PurchaseRecorded) -> tiering.PurchaseRecorded:
        """Without what was bought in a promotion: that is for segments, and no tier asks."""
        if event.purchase is not self._told or self._purchased is None:
            lines = [
                (category, amount, quantity, sku)
                for _, sku, category, quantity, amount, _ in event.purchase.lines
            ]
            self._told = event.purchase
            self._purchased = tiering.PurchaseRecorded(lines, event.purchase.id)
        return self._purchased


class _Window(Window):
    """A window with all entries of the member's past, in order: so what leaves it is found without looking at all."""

    __slots__ = ()

    def between(self, after: datetime, up_to: datetime) -> int:
        first = bisect_right(self.entries, after, key=TIME)
        last = bisect_right(self.entries, up_to, first, key=TIME)
        return sum([amount for _, amount in self.entries[first:last]])

    def add(self, at: datetime, amount: int) -> None:
        insort(self.entries, (at, amount), key=TIME)
        if at > self.start:
            self.total += amount


class _Program(ProgramState):
    """A program whose members' windows are such."""

    __slots__ = ()

    def enrol(self, name: str, at: datetime) -> Member:
        known = name in self.members
        member = ProgramState.enrol(self, name, at)
        if not known:
            member.windows = {metric: _Window(window.start) for metric, window in member.windows.items()}
        return member


class Tiers:
    """Who has which tier of one program, chain by chain."""

    def __init__(self, program: str, facts: Facts) -> None:
        self._program = program
        self._facts = facts
        self._chains: dict[int, State] = {}
        self._types: frozenset[str] = frozenset()
        self.rules: Rules | None = None

    def activate(self, chain: int, position: int, decided: e.Decided) -> list[TierChanged]:
        """Another version is in force: members whose tier it does not have are reviewed."""
        event = decided.event
        assert isinstance(event, e.ProgramActivated)  # noqa: S101 - the caller's own match
        rules = self.rules = parse_rules(load_json(event.document), event.version)
        if rules is None:
            self._chains.pop(chain, None)
            return []
        self._types = frozenset(LEDGER_TYPES) - (
            frozenset() if "points" in rules.kinds else frozenset(POINTS_TYPES)
        )
        state = self._chains.setdefault(chain, {})
        program = state.get(self._program)
        if program is None:
            state[self._program] = _Program(rules, None, {})
            return []
        program.rules = rules
        names = {tier.name for tier in rules.tiers[1:]}
        changes: list[TierChanged] = []
        at = program.clock or decided.occurred_at
        for name in sorted(program.members):
            member = program.members[name]
            windows = member.windows
            # A metric that is new begins with nothing, as its entries do.
            member.windows = {m.name: windows.get(m.name) or _Window(member.as_of) for m in rules.counted}
            program.touch(member, member.as_of)
            if member.tier is not None and member.tier not in names and not member.closed:
                changes += take_retired(program, member, at, position)
        return changes

    def take(self, chain: int, position: int, decided: e.Decided) -> list[TierChanged]:
        """What follows from an event of the ledger's."""
        if isinstance(decided.event, e.ProgramActivated):
            return self.activate(chain, position, decided)
        state = self._chains.get(chain)
        if (
            state is None
            or type(decided.event).__name__ not in self._types
            or isinstance(decided.event, MERGES)
        ):
            return []
        fact = self._facts.fact(self._program, chain, position, decided)
        return [] if fact is None else self._take(state, fact)

    def tell(self, chain: int, position: int, told: tuple[str, datetime, Told]) -> list[TierChanged]:
        """What tiering itself was told: (member, when, a grant or its end)."""
        state = self._chains.get(chain)
        if state is None:
            return []
        member, at, event = told
        return self._take(state, Fact(position, self._program, member, at, event))

    def _take(self, state: State, fact: Fact) -> list[TierChanged]:
        changes = take(state, fact)
        # What the store would write is kept nowhere here.
        state[self._program].counted.clear()
        return changes

    def tier_of(self, chain: int, member: str) -> str:
        """The member's tier; the lowest one's name for who never had another, and empty without tiers."""
        if self.rules is None:
            return ""
        state = self._chains.get(chain, {}).get(self._program)
        there = None if state is None else state.members.get(member)
        return self.rules.tiers[0].name if there is None or there.tier is None else there.tier

    def names(self) -> Iterator[str]:
        """The tiers, lowest first."""
        yield from () if self.rules is None else (tier.name for tier in self.rules.tiers)
