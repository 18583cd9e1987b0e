"""Given / when / then for tiers: a chain in memory that facts are told to, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.tiering.domain.decide import take
from services.tiering.domain.events import (
    ClockAdvanced,
    Fact,
    FactEvent,
    Lines,
    PointsMoved,
    PurchaseRecorded,
    ReturnRecorded,
    TierChanged,
    TierGranted,
    TierGrantRevoked,
)
from services.tiering.domain.program import Rules, parse_rules
from services.tiering.domain.state import Member, ProgramState, State


def rules(
    *,
    runs_on_events: bool = True,
    window: int | dict[str, Any] = 12,
    review: int | dict[str, Any] = 12,
    version: str = "v1",
    zone: str = "UTC",
    **tiering: Any,
) -> Rules:
    """The rules of a document in short form, with parts of its section `tiering` replaced."""
    section = {
        "metric": "spend",
        "window": {"months": window} if isinstance(window, int) else window,
        "review": {"months": review} if isinstance(review, int) else review,
        "exclude_categories": ["FUEL"],
        "tiers": [
            {"name": "member", "from": 0},
            {"name": "silver", "from": 100_00},
            {"name": "gold", "from": 250_00},
        ],
    }
    clock = "events" if runs_on_events else "wall"
    found = parse_rules(
        {"program": "grocer", "time_zone": zone, "clock": clock, "tiering": section | tiering}, version
    )
    assert found is not None
    return found


def held(member: Member) -> int:
    """What the member's one window holds."""
    return member.windows["spend"].total


def day(text: str) -> datetime:
    """A day or a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class Chain:
    """A chain in memory: `given` facts, `when` one more, and what it said."""

    rules: Rules = field(default_factory=rules)
    position: int = 0

    def __post_init__(self) -> None:
        self.state: State = {"grocer": ProgramState(self.rules, None, {})}

    @property
    def program(self) -> ProgramState:
        """The one program."""
        return self.state["grocer"]

    def member(self, name: str = "ann") -> Member:
        """A member by id."""
        return self.program.members[name]

    def when(
        self, at: str, event: FactEvent, member: str | None = "ann", program: str = "grocer"
    ) -> list[TierChanged]:
        """One more fact."""
        self.position += 1
        return take(self.state, Fact(self.position, program, member, day(at), event))

    def buys(
        self,
        at: str,
        amount: int,
        member: str = "ann",
        category: str = "food",
        *,
        purchase: str = "",
        units: int = 1,
        sku: str = "",
    ) -> list[TierChanged]:
        """A purchase of one line."""
        lines: Lines = [(category, amount, units, sku)]
        return self.when(at, PurchaseRecorded(lines, purchase or f"p{self.position}"), member)

    def returns(
        self,
        at: str,
        amount: int,
        bought: str,
        member: str = "ann",
        *,
        purchase: str = "",
        units: int = 1,
        sku: str = "",
        category: str = "food",
    ) -> list[TierChanged]:
        """Units of a line brought back."""
        return self.when(at, ReturnRecorded([(category, amount, units, sku)], day(bought), purchase), member)

    def points(self, at: str, points: int, purchase: str) -> list[TierChanged]:
        """Points given for a purchase, or taken back."""
        return self.when(at, PointsMoved(purchase, points))

    def grants(self, at: str, tier: str, until: str, grant: str = "g1") -> list[TierChanged]:
        """A tier by hand."""
        return self.when(at, TierGranted(grant, tier, day(until), "a guest of the house", self.position))

    def revokes(self, at: str, grant: str = "g1") -> list[TierChanged]:
        """A tier by hand taken back."""
        return self.when(at, TierGrantRevoked(grant, "a mistake", self.position))

    def clock(self, to: str) -> list[TierChanged]:
        """The program's clock moves."""
        return self.when(to, ClockAdvanced(day(to)), None)


def said(events: list[TierChanged]) -> list[tuple[str, str, str, str]]:
    """(member, tier, reason, day of since) of each event."""
    return [(e.member, e.to_tier, e.reason, e.since.date().isoformat()) for e in events]
