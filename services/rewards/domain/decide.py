"""Decides the steps of redemptions: what a checkout asks, and what the ledger answers, against where one stands.

How one begins is in `reservation`.

The checks of each command are in order, each with its own code; the first that fails is the refusal.
Whoever calls has answered a repeated request before (`same_request`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.common.errors import Refusal
from services.rewards.domain.events import (
    CancellationRequested,
    CaptureRequested,
    RedemptionCancelled,
    RedemptionCaptured,
    RedemptionEvent,
    RedemptionRefused,
    RedemptionReserved,
)
from services.rewards.domain.facts import HoldCaptured, HoldFact, HoldPlaced, HoldReleased, SpendRefunded
from services.rewards.domain.redemption import PAID, UNPAID, Redemption, State
from services.rewards.domain.refunds import from_ledger_key, settle_refund

Step = Literal["capture", "cancel"]
Asked = Literal["reserve", "capture", "cancel"]


@dataclass(slots=True, frozen=True)
class RefundStands:
    """The ledger has given back what a refund asked for."""

    number: int


HoldState = Literal["open", "captured", "released", "expired"]


@dataclass(slots=True, frozen=True)
class HoldStands:
    """How the hold of a redemption stands in the ledger, by its answer or by its stream."""

    state: HoldState
    expires_at: datetime | None = None
    """Given with an open hold."""


@dataclass(slots=True, frozen=True)
class LedgerRefused:
    """The ledger refused a step, and would again."""

    code: str
    detail: str


LedgerAnswer = HoldStands | RefundStands | LedgerRefused

HOLD_ENDED: dict[str, HoldState] = {
    "hold_already_captured": "captured",
    "hold_already_released": "released",
    "hold_expired": "expired",
}
"""Refusals of the ledger that tell how the hold ended, though not by this step."""

WHERE_IT_STANDS: dict[State, tuple[str, str]] = {
    State.RESERVING: (
        "redemption_not_reserved",
        "the ledger has not confirmed the points yet: send the reservation again, or try again in a moment",
    ),
    State.CAPTURING: (
        "redemption_being_captured",
        "another request is capturing it: read it again in a moment",
    ),
    State.CANCELLING: (
        "redemption_being_cancelled",
        "another request is cancelling it: read it again in a moment",
    ),
    State.CAPTURED: ("already_captured", "its points are spent"),
    State.CANCELLED: ("already_cancelled", "its points are free again: make a new redemption"),
    State.TIMED_OUT: (
        "redemption_timed_out",
        "its time was over and its points are free again: make a new redemption",
    ),
    State.REFUSED: ("redemption_refused", "it was refused and holds no points: make a new redemption"),
    State.REFUNDING: ("redemption_being_refunded", "it was captured, and some of it is being given back"),
    State.REFUNDED: ("already_refunded", "it was captured, and all of it was given back"),
}
"""Why a redemption that is not `reserved` can be neither captured nor cancelled."""


def same_request(seen: bytes, digest: bytes, key: str) -> None:
    """A repeated key must come with the same content. Raises Refusal("id_reused")."""
    if seen != digest:
        raise Refusal(
            "id_reused",
            f"Idempotency-Key {key!r} was used for another request: take a new key for new content",
        )


def take_step(redemption: Redemption | None, redemption_id: str, step: Step) -> list[RedemptionEvent]:
    """Begin a capture or a cancellation. Refusals: unknown_redemption, then `WHERE_IT_STANDS`."""
    if redemption is None:
        raise Refusal("unknown_redemption", f"the member has no redemption {redemption_id!r}")
    if redemption.state is not State.RESERVED:
        code, detail = WHERE_IT_STANDS[redemption.state]
        raise Refusal(code, detail)
    return [CaptureRequested(redemption.id)] if step == "capture" else [CancellationRequested(redemption.id)]


def without_ledger(redemption: Redemption, at: datetime) -> HoldStands | None:
    """What the ledger would say at `at`, the program's present, of a hold of nothing; None: it is the ledger's to say.

    Reserved it lives for its time, captured and cancelled it is as soon as that is asked for.
    """
    if redemption.held_by_ledger:
        return None
    if redemption.state is State.RESERVING:
        return HoldStands("open", at + timedelta(seconds=redemption.ttl_seconds))
    if redemption.expires_at is not None and redemption.expires_at <= at:
        return HoldStands("expired")
    match redemption.state:
        case State.RESERVED:
            return HoldStands("open", redemption.expires_at)
        case State.CAPTURING:
            return HoldStands("captured")
        case State.CANCELLING:
            return HoldStands("released")
    return None


def settle(redemption: Redemption, answer: LedgerAnswer) -> list[RedemptionEvent]:
    """What follows from the ledger's answer. Empty when it tells nothing new: answers and stream say it twice."""
    if isinstance(answer, RefundStands):
        return list(settle_refund(redemption, answer.number, None))
    if redemption.state is State.REFUNDING and isinstance(answer, LedgerRefused):
        return list(settle_refund(redemption, redemption.refunding.number, (answer.code, answer.detail)))
    if redemption.state in UNPAID | PAID:
        return []
    if isinstance(answer, LedgerRefused):
        return _refused(redemption, answer)
    events: list[RedemptionEvent] = []
    if redemption.state is State.RESERVING:
        if answer.expires_at is None:
            return []
        events.append(RedemptionReserved(redemption.id, answer.expires_at))
    if answer.state == "captured":
        events.append(RedemptionCaptured(redemption.id))
    elif answer.state == "released":
        events.append(RedemptionCancelled(redemption.id, "cancelled"))
    elif answer.state == "expired":
        events.append(RedemptionCancelled(redemption.id, "timed_out"))
    return events


def _refused(redemption: Redemption, answer: LedgerRefused) -> list[RedemptionEvent]:
    if redemption.state is State.RESERVED:
        return []
    if redemption.state is not State.RESERVING and (ended := HOLD_ENDED.get(answer.code)) is not None:
        return settle(redemption, HoldStands(ended))
    return [RedemptionRefused(redemption.id, answer.code, answer.detail)]


def hear(redemption: Redemption, fact: HoldFact | SpendRefunded) -> list[RedemptionEvent]:
    """What follows from the ledger's stream: it finishes what a crash left open, and times out.

    A hold of the same name for another order or amount was not placed for this redemption and changes nothing.
    """
    if fact.order != redemption.order or not redemption.held_by_ledger:
        return []
    match fact:
        case HoldPlaced():
            if (fact.amount, fact.money) != (redemption.points, redemption.money):
                return []
            return settle(redemption, HoldStands("open", fact.expires_at))
        case HoldCaptured(final=final):
            return settle(redemption, HoldStands("captured")) if final else []
        case HoldReleased():
            return settle(redemption, HoldStands("expired" if fact.expired else "released"))
        case SpendRefunded(refund=refund):
            ours = from_ledger_key(refund)
            return settle(redemption, RefundStands(ours[1])) if ours is not None else []


def outcome(asked: Asked, redemption: Redemption) -> Redemption:
    """What to tell whoever asked, once and again: the redemption, or the refusal that it came to.

    Raises:
        Refusal: the ledger's own code for a refused reservation or step; `temporarily_unavailable` while the
            ledger has not answered; else why the redemption is not what was asked for.
    """
    state = redemption.state
    if state is State.REFUSED:
        raise Refusal(redemption.code or "redemption_refused", redemption.detail or WHERE_IT_STANDS[state][1])
    waited_for = {"reserve": State.RESERVING, "capture": State.CAPTURING, "cancel": State.CANCELLING}[asked]
    if state is waited_for:
        raise Refusal(
            "temporarily_unavailable",
            f"the ledger has not answered; the redemption is {state} and will be driven on: "
            "send the same request again, with the same Idempotency-Key",
        )
    if asked == "reserve" or state in {"capture": PAID, "cancel": {State.CANCELLED}}[asked]:
        return redemption
    code, detail = WHERE_IT_STANDS[state]
    raise Refusal(code, detail)
