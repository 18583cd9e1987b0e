"""What is to be given or taken by hand so that members have what the right version would have given them.

Pure: what was given and what was due come from a try, what the book says of a member from its tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from services.ops.trying.run import Moved

PREFIX = "correct"
MEMBER_DIGITS = 16
State = Literal["at once", "second person", "waits", "outdated", "declined", "closed", "spent"]
"""at once | second person: it is posted so. waits | outdated: an earlier run has asked for it, and a second person has
not decided yet (outdated: for other points than are to be corrected now). declined: a second person said no to just
this. closed: the account is. spent: there is nothing left to take."""
POSTED: tuple[State, ...] = ("at once", "second person")


class Pair(NamedTuple):
    """The version that was in force by mistake, and the one that should have been."""

    wrong: str
    right: str

    @property
    def ids(self) -> str:
        """What the id of every adjustment that corrects the wrong version begins with, whatever was due."""
        return f"{PREFIX}/{self.wrong}/"

    def id_of(self, member: str, attempts: int) -> str:
        """The adjustment's id and Idempotency-Key; `attempts`: how often the ledger was asked for this member before.

        Two runs that don't know of each other make the same id, so one of them is told that it was done.
        """
        digest = hashlib.sha256(member.encode()).hexdigest()[:MEMBER_DIGITS]
        return f"{self.ids}{self.right}/{digest}/{attempts + 1}"


class Asked(NamedTuple):
    """What earlier runs have asked the ledger for a member."""

    attempts: int = 0
    """Refused ones too."""
    waiting: tuple[str, int] | None = None
    """(adjustment, points) that a second person has not decided."""
    declined: frozenset[int] = frozenset()
    """Points that a second person said no to."""


class Account(NamedTuple):
    """A member's account as it is now."""

    status: str
    available: int


class Correction(NamedTuple):
    """A member who has other points than were due. `points` are to be given (below zero: taken), or wait to be."""

    member: str
    given: int
    """Issued less taken back, by everything up to now, earlier corrections too."""
    due: int
    """The same, had the right version been in force."""
    points: int
    state: State
    adjustment: str

    @property
    def difference(self) -> int:
        return self.due - self.given

    @property
    def left(self) -> int:
        """What is still wrong once `points` have moved."""
        return self.difference - self.points

    @property
    def posted(self) -> bool:
        return self.state in POSTED


def corrections(
    pair: Pair,
    moved: Iterable[Moved],
    asked: Mapping[str, Asked],
    accounts: Mapping[str, Account],
    limit: int,
) -> list[Correction]:
    """Those who have too much or too little, the largest difference first. Over `limit` points need a second person.

    Points that are spent can't be taken: what there is goes, the rest is `left` for a later run.
    """
    found = []
    for member, before, after in moved:
        difference = after.earned - before.earned
        if not difference:
            continue
        earlier, account = asked.get(member, Asked()), accounts[member]
        points = difference if difference > 0 else max(difference, -account.available)
        state = _state(earlier, account, points, limit)
        adjustment = earlier.waiting[0] if earlier.waiting else pair.id_of(member, earlier.attempts)
        moves = points if state in (*POSTED, "waits") else 0
        found.append(Correction(member, before.earned, after.earned, moves, state, adjustment))
    return sorted(found, key=lambda each: (-abs(each.difference), each.member))


def _state(earlier: Asked, account: Account, points: int, limit: int) -> State:
    if account.status == "closed":
        return "closed"
    if earlier.waiting is not None:
        return "waits" if earlier.waiting[1] == points else "outdated"
    if not points:
        return "spent"
    if points in earlier.declined:
        return "declined"
    return "at once" if abs(points) <= limit else "second person"
