"""Points that rewards gives: promised in its own journal first, then given by the ledger, once.

promised -> given | refused
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.common.errors import InvariantBroken
from services.rewards.domain.award_events import AwardEvent, PointsGiven, PointsPromised, PointsRefused

AWARD_ID_DIGITS = 24
REASON = "reward"
"""The reason by which the ledger gives them: the program must name it in `ledger.adjustments.reasons`."""


class AwardState(StrEnum):
    """Where points stand that a member is to have."""

    PROMISED = "promised"
    GIVEN = "given"
    REFUSED = "refused"


@dataclass(slots=True, frozen=True)
class Award:
    """Points for one member, as their events made them."""

    id: str
    program: str
    member: str
    points: int
    source: str
    source_id: str
    state: AwardState
    promised_at: datetime
    changed_at: datetime
    position: int
    """Of the journal row that began it, on the member's chain."""
    code: str | None = None
    detail: str | None = None

    @property
    def request(self) -> str:
        """The key under which the ledger is asked: the same however often."""
        return f"award-{self.id}"


@dataclass(slots=True, frozen=True)
class LedgerGave:
    """The ledger has given the points, now or when it was asked before."""


@dataclass(slots=True, frozen=True)
class LedgerDenied:
    """The ledger does not give them, and would not if it were asked again."""

    code: str
    detail: str


def award_id(program: str, member: str, source: str, source_id: str, number: int) -> str:
    """The id of the `number`-th points that a source gives a member; nobody else's have it."""
    parts = (program, member, source, source_id, "points", number)
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:AWARD_ID_DIGITS]


def settle(award: Award, answer: LedgerGave | LedgerDenied) -> list[AwardEvent]:
    """What follows from the ledger's answer; nothing when it is known already."""
    if award.state is not AwardState.PROMISED:
        return []
    if isinstance(answer, LedgerGave):
        return [PointsGiven(award.id)]
    return [PointsRefused(award.id, answer.code, answer.detail)]


def begin(program: str, member: str, event: PointsPromised, at: datetime, position: int) -> Award:
    """The award that its first event makes."""
    return Award(
        event.award, program, member, event.points, event.source, event.source_id, AwardState.PROMISED, at, at,
        position,
    )  # fmt: skip


def evolve(award: Award, event: AwardEvent, at: datetime) -> Award:
    """The award after `event`. Raises InvariantBroken: the event can't come in this state."""
    if award.state is not AwardState.PROMISED:
        raise InvariantBroken(f"{type(event).__name__} can't come in state {award.state}")
    match event:
        case PointsGiven():
            return replace(award, state=AwardState.GIVEN, changed_at=at)
        case PointsRefused(code=code, detail=detail):
            return replace(award, state=AwardState.REFUSED, code=code, detail=detail, changed_at=at)
    raise InvariantBroken(f"{type(event).__name__} is the first event of an award")
