"""What deciding again has found: how much was looked at, what could not be, and where it came out otherwise."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

DIFFERENCES_MAX = 100
"""So many are kept of each group of chains; all are counted."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one row. `field` is empty where a whole row is there too many or is missing."""

    chain: int
    position: int
    """The recorded row; of a row that is missing, the last one before it."""
    program: str
    member: str
    event: str
    field: str
    recorded: str
    now: str
    why: str

    def __str__(self) -> str:
        what = f"{self.event}.{self.field}" if self.field else self.event
        whose = f" of {self.member}" if self.member else ""
        return (
            f"{self.chain}-{self.position}{whose}: {what} was recorded as {self.recorded} and is {self.now} now "
            f"({self.why})"
        )


@dataclass(slots=True)
class Report:
    """What came of some chains, or of all."""

    rows: int = 0
    decided: Counter[str] = field(default_factory=Counter)
    """Commands that were decided again, by kind."""
    untold: Counter[str] = field(default_factory=Counter)
    """Rows that no command can be made from: refusals by what was refused, and notes of where a parked one went."""
    differences: list[Difference] = field(default_factory=list)
    differing: Counter[str] = field(default_factory=Counter)
    """Commands that came out otherwise, by kind."""
    left_out: int = 0
    """Rows behind one that can't follow from those before it: on such a state nothing can be decided."""

    @property
    def same(self) -> bool:
        return not self.differing

    def add(self, other: Report) -> None:
        """Count another's in."""
        self.rows += other.rows
        self.decided += other.decided
        self.untold += other.untold
        self.differences += other.differences
        self.differing += other.differing
        self.left_out += other.left_out
