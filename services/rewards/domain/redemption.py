"""A redemption's life. Every step is recorded before the ledger is asked, so a crash leaves a step to finish.

    reserving -> reserved -> capturing  -> captured -> refunding -> captured   (some of it is left)
       |            |----> cancelling -> cancelled        |            |----> refunded
       |            `----> timed_out                      `-- the ledger refused the refund
       `-> refused

The ledger's clock times a redemption out (also out of capturing and cancelling), and the ledger may refuse a step for
good. `reserving`, `capturing`, `cancelling` and `refunding` wait for the ledger; the recovery loop drives them on.
One that takes neither points nor stored value has the same life without the ledger, and waits for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
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
from services.rewards.domain.payment import BasketLine, PayingVoucher
from services.rewards.domain.refund_events import (
    RedemptionRefunded,
    RefundedLine,
    RefundRefused,
    RefundRequested,
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
    REFUNDING = "refunding"
    REFUNDED = "refunded"


WAITING = frozenset({State.RESERVING, State.CAPTURING, State.CANCELLING, State.REFUNDING})
"""States in which the ledger's answer is awaited."""
PAID = frozenset({State.CAPTURED, State.REFUNDING, State.REFUNDED})
"""The hold was captured: nothing that the ledger says of the hold changes anything."""
UNPAID = frozenset({State.CANCELLED, State.TIMED_OUT, State.REFUSED})
"""It ended, and nothing was spent."""
RETURNED = UNPAID | {State.REFUNDED}
"""The member has nothing of it: it does not count against a limit."""

_HELD = (State.RESERVED, State.CAPTURING, State.CANCELLING)
TRANSITIONS: dict[type, tuple[State, ...]] = {
    RedemptionReserved: (State.RESERVING,),
    RedemptionRefused: (State.RESERVING, State.CAPTURING, State.CANCELLING),
    CaptureRequested: (State.RESERVED,),
    CancellationRequested: (State.RESERVED,),
    # Also without our asking: the hold may be captured or released at the ledger itself.
    RedemptionCaptured: _HELD,
    RedemptionCancelled: _HELD,
    RefundRequested: (State.CAPTURED,),
    RedemptionRefunded: (State.REFUNDING,),
    RefundRefused: (State.REFUNDING,),
}
"""The states that each event may come in."""


class RefundState(StrEnum):
    """Where a refund stands."""

    REQUESTED = "requested"
    REFUNDED = "refunded"
    REFUSED = "refused"


@dataclass(slots=True, frozen=True)
class Refund:
    """Some or all of what was paid, given back. `outside` and money are minor units."""

    id: str
    number: int
    points: int
    money: int
    outside: int
    lines: tuple[RefundedLine, ...]
    restock: bool
    state: RefundState = RefundState.REQUESTED
    code: str = ""
    detail: str = ""
    value: int = 0
    """Stored value that the reward was, taken back before."""


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
    currency: str = ""
    money: int = 0
    store: str = ""
    vouchers: tuple[PayingVoucher, ...] = ()
    """The member's own that pay."""
    outside: int = 0
    stocked: bool = False
    draw: str = ""
    tickets: int = 0
    days: int = 0
    lines: tuple[BasketLine, ...] = ()
    paying_points: int = 0
    worth: int = 0
    """Of the points those that pay for the order, and the minor units that they pay."""
    refunds: tuple[Refund, ...] = ()
    """In their order; at most the last is still requested."""

    @property
    def held_by_ledger(self) -> bool:
        """It takes points or stored value; else vouchers and money from outside pay for it alone."""
        return self.points + self.money > 0

    @property
    def discount(self) -> int:
        """What the vouchers take off, minor units."""
        return sum(paying.discount for paying in self.vouchers)

    @property
    def given_back(self) -> tuple[Refund, ...]:
        """The refunds that came about, or may."""
        return tuple(refund for refund in self.refunds if refund.state is not RefundState.REFUSED)

    @property
    def left(self) -> tuple[int, int, int]:
        """(points, money, outside) that no refund has given back or is to give back."""
        back = self.given_back
        return (
            self.points - sum(refund.points for refund in back),
            self.money - sum(refund.money for refund in back),
            self.outside - sum(refund.outside for refund in back),
        )

    @property
    def refunding(self) -> Refund:
        """The refund that the ledger is being asked for. Raises InvariantBroken."""
        if self.state is not State.REFUNDING:
            raise InvariantBroken(f"a redemption that is {self.state} gives nothing back")
        return self.refunds[-1]

    @property
    def takes_stock(self) -> bool:
        """One of the reward's stock is this redemption's."""
        put_back = any(r.restock and r.state is RefundState.REFUNDED for r in self.refunds)
        return self.stocked and self.state not in UNPAID and not put_back


_AS_REQUESTED = {field.name for field in fields(RedemptionRequested)} - {"redemption"}


def begin(
    program: str, member: str, version: str, event: RedemptionRequested, at: datetime, position: int
) -> Redemption:
    """The redemption that its first event makes."""
    return Redemption(
        id=event.redemption,
        program=program,
        member=member,
        version=version,
        state=State.RESERVING,
        requested_at=at,
        changed_at=at,
        position=position,
        **{name: getattr(event, name) for name in _AS_REQUESTED},
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
        case RefundRequested() | RedemptionRefunded() | RefundRefused():
            return replace(_refund(redemption, event), changed_at=at)
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


def _refund(
    redemption: Redemption, event: RefundRequested | RedemptionRefunded | RefundRefused
) -> Redemption:
    if isinstance(event, RefundRequested):
        asked = Refund(
            event.refund, event.number, event.points, event.money, event.outside, event.lines, event.restock,
            value=event.value,
        )  # fmt: skip
        return replace(redemption, state=State.REFUNDING, refunds=(*redemption.refunds, asked))
    *before, last = redemption.refunds
    if last.id != event.refund:
        raise InvariantBroken(f"refund {event.refund!r} ends, and {last.id!r} was asked for")
    if isinstance(event, RefundRefused):
        ended = replace(last, state=RefundState.REFUSED, code=event.code, detail=event.detail)
        state = State.CAPTURED
    else:
        ended = replace(last, state=RefundState.REFUNDED)
        state = State.REFUNDED if event.whole else State.CAPTURED
    return replace(redemption, state=state, refunds=(*before, ended))
