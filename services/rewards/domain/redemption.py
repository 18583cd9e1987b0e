"""A redemption's life. Every step is recorded before the ledger is asked, so a crash leaves a step to finish.

    reserving -> reserved -> capturing  -> captured
       |            |----> cancelling -> cancelled
       |            `----> timed_out   (the ledger's clock took the hold; also out of capturing and cancelling)
       `-> refused  (the ledger refused for good; also out of capturing and cancelling)

`reserving`, `capturing` and `cancelling` wait for the ledger; the recovery loop drives them on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.common.errors import InvariantBroken
from services.rewards.domain.events import (
    CancellationRequested,
    CaptureRequested,
    RedemptionCancelled,
    RedemptionCaptured,
    RedemptionEvent,
    RedemptionRefused,
    RedemptionRequested,
    RedemptionReserved,
)
from services.rewards.domain.voucher_terms import Pack


class State(StrEnum):
    """Where a redemption stands."""

    RESERVING = "reserving"
    RESERVED = "reserved"
    CAPTURING = "capturing"
    CAPTURED = "captured"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    REFUSED = "refused"


WAITING = frozenset({State.RESERVING, State.CAPTURING, State.CANCELLING})
"""States in which the ledger's answer is awaited."""
ENDED = frozenset({State.CAPTURED, State.CANCELLED, State.TIMED_OUT, State.REFUSED})

_HELD = (State.RESERVED, State.CAPTURING, State.CANCELLING)
TRANSITIONS: dict[type, tuple[State, ...]] = {
    RedemptionReserved: (State.RESERVING,),
    RedemptionRefused: (State.RESERVING, State.CAPTURING, State.CANCELLING),
    CaptureRequested: (State.RESERVED,),
    CancellationRequested: (State.RESERVED,),
    # Also without our asking: the hold may be captured or released at the ledger itself.
    RedemptionCaptured: _HELD,
    RedemptionCancelled: _HELD,
}
"""The states that each event may come in."""


@dataclass(slots=True, frozen=True)
class Redemption:
    """One redemption, as its events made it. Points and value (minor units) are the catalogue's at the request."""

    id: str
    program: str
    member: str
    reward: str
    name: str
    kind: str
    value: int
    order: str
    points: int
    ttl_seconds: int
    version: str
    state: State
    requested_at: datetime
    changed_at: datetime
    position: int
    """Of the journal row that began it, on the member's chain."""
    expires_at: datetime | None = None
    code: str | None = None
    detail: str | None = None
    pack: Pack | None = None
    """The vouchers that it gives when it is captured."""


def begin(
    program: str, member: str, version: str, event: RedemptionRequested, at: datetime, position: int
) -> Redemption:
    """The redemption that its first event makes."""
    return Redemption(
        id=event.redemption,
        program=program,
        member=member,
        reward=event.reward,
        name=event.name,
        kind=event.kind,
        value=event.value,
        order=event.order,
        points=event.points,
        ttl_seconds=event.ttl_seconds,
        version=version,
        state=State.RESERVING,
        requested_at=at,
        changed_at=at,
        position=position,
        pack=event.pack,
    )


def evolve(redemption: Redemption, event: RedemptionEvent, at: datetime) -> Redemption:
    """The redemption after `event`.

    Raises:
        InvariantBroken: the event can't come in this state.
    """
    if redemption.state not in TRANSITIONS.get(type(event), ()):
        raise InvariantBroken(f"{type(event).__name__} can't come in state {redemption.state}")
    match event:
        case RedemptionReserved(expires_at=expires_at):
            return replace(redemption, state=State.RESERVED, expires_at=expires_at, changed_at=at)
        case RedemptionRefused(code=code, detail=detail):
            return replace(redemption, state=State.REFUSED, code=code, detail=detail, changed_at=at)
        case CaptureRequested():
            state = State.CAPTURING
        case RedemptionCaptured():
            state = State.CAPTURED
        case CancellationRequested():
            state = State.CANCELLING
        case RedemptionCancelled(reason=reason):
            state = State.TIMED_OUT if reason == "timed_out" else State.CANCELLED
        case _:
            raise InvariantBroken(f"{type(event).__name__} is the first event of a redemption")
    return replace(redemption, state=state, changed_at=at)
