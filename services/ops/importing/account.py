"""The account of an import: what became of every row of the source."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from services.ops.importing.errors import AccountError


@dataclass(slots=True)
class RowAccount:
    """Counts rows by fate. Each row has exactly one fate, so the three fates add up to `rows`.

    `events`      rows that are in an activity that the ledger can take, by what they became
    `exclusions`  rows that were left out on purpose, by the reason
    `rejections`  rows sent although the ledger has to refuse them, so that its book says so, by the reason
    `treatments`  rows among the events that were sent differently from how they stand in the file
    `messages`    activities made, by kind (one activity carries many rows)
    """

    rows: int = 0
    events: Counter[str] = field(default_factory=Counter)
    exclusions: Counter[str] = field(default_factory=Counter)
    rejections: Counter[str] = field(default_factory=Counter)
    treatments: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)

    def accounted(self) -> int:
        """Rows that have a fate so far."""
        return self.events.total() + self.exclusions.total() + self.rejections.total()

    def close(self) -> None:
        """Prove that every row has a fate.

        Raises:
            AccountError: the fates add up to another number than the rows of the source.
        """
        if self.accounted() != self.rows:
            raise AccountError(f"the source has {self.rows} rows, but {self.accounted()} were accounted for")
