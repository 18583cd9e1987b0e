"""Points and stored value that rewards gives: promised in its own journal first, then given by the ledger, once.

promised -> given | refused
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.common.errors import InvariantBroken
from services.rewards.domain.award_events import (
    AwardEvent,
    MoneyGiven,
    MoneyPromised,
    MoneyRefused,
    PointsGiven,
    PointsRefused,
    Promise,
)

AWARD_ID_DIGITS = 24
REASON = "reward"
"""The reason by which the ledger gives them: the program must name it in `ledger.adjustments.reasons`."""


class AwardState(StrEnum):
    """Where something stands that a member is to have."""

    PROMISED = "promised"
    GIVEN = "given"
    REFUSED = "refused"


@dataclass(slots=True, frozen=True)
class Award:
    """Points, or `money` (minor units), for one member, as their events made them."""

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
    money: int = 0
    currency: str = ""

    @property
    def request(self) -> str:
        """The key under which the ledger is asked: the same however often."""
        return request_of(self.id)


@dataclass(slots=True, frozen=True)
class LedgerGave:
    """The ledger has given it, now or when it was asked before."""


@dataclass(slots=True, frozen=True)
class LedgerDenied:
    """The ledger does not give it, and would not if it were asked again."""

    code: str
    detail: str


def award_id(
    program: str, member: str, source: str, source_id: str, number: int, what: str = "points"
) -> str:
    """The id of the `number`-th thing that a source gives a member; nobody else's have it."""
    parts = (program, member, source, source_id, what, number)
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:AWARD_ID_DIGITS]


def request_of(award: str) -> str:
    """The id that an award has at the ledger."""
    return f"award-{award}"


def settle(award: Award, answer: LedgerGave | LedgerDenied) -> list[AwardEvent]:
    """What follows from the ledger's answer; nothing when it is known already."""
    if award.state is not AwardState.PROMISED:
        return []
    if isinstance(answer, LedgerGave):
        return [MoneyGiven(award.id) if award.money else PointsGiven(award.id)]
    refused = MoneyRefused if award.money else PointsRefused
    return [refused(award.id, answer.code, answer.detail)]


def begin(program: str, member: str, event: Promise, at: datetime, position: int) -> Award:
    """The award that its first event makes."""
    points, money, currency = (
        (0, event.amount, event.currency) if isinstance(event, MoneyPromised) else (event.points, 0, "")
    )
    return Award(
        event.award, program, member, points, event.source, event.source_id, AwardState.PROMISED, at, at, position,
        money=money, currency=currency,
    )  # fmt: skip


def evolve(award: Award, event: AwardEvent, at: datetime) -> Award:
    """The award after `event`. Raises InvariantBroken: the event can't come in this state."""
    if award.state is not AwardState.PROMISED:
        raise InvariantBroken(f"{type(event).__name__} can't come in state {award.state}")
    match event:
        case PointsGiven() | MoneyGiven():
            return replace(award, state=AwardState.GIVEN, changed_at=at)
        case PointsRefused(code=code, detail=detail) | MoneyRefused(code=code, detail=detail):
            return replace(award, state=AwardState.REFUSED, code=code, detail=detail, changed_at=at)
    raise InvariantBroken(f"{type(event).__name__} is the first event of an award")
