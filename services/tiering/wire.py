"""Between protobuf payloads and the domain: the ledger's rows in, our own rows out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from google.protobuf.message import Message

from services.common.chain import micros
from services.common.codec import StreamRow, time_of
from services.common.errors import InvariantBroken
from services.tiering.domain.events import (
    ClockAdvanced,
    Fact,
    FactEvent,
    Lines,
    MemberEnrolled,
    PointsMoved,
    ProgramActivated,
    ProgramRefused,
    PurchaseRecorded,
    Recorded,
    ReturnRecorded,
    TierChanged,
    TierGranted,
    TierGrantRevoked,
    Told,
    ToppedUp,
)
from tallybook.ledger.v1 import events_pb2 as ledger_pb
from tallybook.tiering.v1 import events_pb2 as tiering_pb

LEDGER_TYPES: dict[str, type[Message]] = {
    "ProgramActivated": ledger_pb.ProgramActivated,
    "ClockAdvanced": ledger_pb.ClockAdvanced,
    "MemberEnrolled": ledger_pb.MemberEnrolled,
    "PurchaseRecorded": ledger_pb.PurchaseRecorded,
    "ReturnRecorded": ledger_pb.ReturnRecorded,
    "PointsAccrued": ledger_pb.PointsAccrued,
    "PointsClawedBack": ledger_pb.PointsClawedBack,
    "TopUpRecorded": ledger_pb.TopUpRecorded,
}
"""The rows of ledger.v1 that tiering reads; of the others only the position counts."""
POINTS_TYPES = ("PointsAccrued", "PointsClawedBack")
OWN_TYPES: dict[str, type[Message]] = {
    "TierGranted": tiering_pb.TierGranted,
    "TierGrantRevoked": tiering_pb.TierGrantRevoked,
}
"""The rows of our own journal that are facts: a replay reads them."""

NANOS_PER_MICRO = 1_000


def fact_of(row: StreamRow) -> Fact | None:
    """The fact in a row; None for a type that tiering has no use for."""
    if row.message is None:
        return None
    return Fact(row.position, row.program, row.member, row.occurred_at, _event(row.type, row.message))


def _event(type_: str, message: Any) -> FactEvent:
    match type_:
        case "PurchaseRecorded":
            return PurchaseRecorded(_lines(message.activity.lines), message.activity.id)
        case "PointsAccrued":
            return PointsMoved(message.purchase, message.points)
        case "MemberEnrolled":
            return MemberEnrolled()
        case "ReturnRecorded":
            return ReturnRecorded(_lines(message.lines), time_of(message.purchased_at), message.activity.of)
        case "PointsClawedBack":
            # What the program lets the member keep was not earned all the same: the units came back.
            return PointsMoved(message.purchase, -(message.points + message.forgiven))
        case "TopUpRecorded":
            return ToppedUp(message.activity.amount)
        case "ClockAdvanced":
            return ClockAdvanced(time_of(message.to))
        case "ProgramActivated":
            return ProgramActivated(message.version, message.document)
    raise InvariantBroken(f"no reader for {type_}")


def _lines(lines: Iterable[Any]) -> Lines:
    return [(line.category, line.amount, line.quantity, line.sku) for line in lines]


def told_of(type_: str, payload: bytes) -> Told:
    """What a row of our own journal says that we were told. Raises DecodeError."""
    message: Any = OWN_TYPES[type_].FromString(payload)
    if type_ == "TierGranted":
        until = time_of(message.until)
        return TierGranted(message.grant, message.tier, until, message.reason, message.ledger_position)
    return TierGrantRevoked(message.grant, message.reason, message.ledger_position)


def payload_of(event: Recorded) -> tuple[str, bytes]:
    """(type, payload) of our journal row; the same event always gives the same bytes."""
    message: Any
    match event:
        case TierChanged():
            message = tiering_pb.TierChanged(
                from_tier=event.from_tier,
                to_tier=event.to_tier,
                reason=event.reason,
                rule=event.rule,
                metric=event.metric,
                threshold=event.threshold,
                ledger_position=event.ledger_position,
                positions=event.positions,
                grant=event.grant,
            )
            _set_time(message.since, event.since)
            if event.until is not None:
                _set_time(message.until, event.until)
            for measure in event.measures:
                added = message.measures.add(
                    metric=measure.metric, value=measure.value, threshold=measure.threshold
                )
                _set_time(added.after, measure.after)
                _set_time(added.up_to, measure.up_to)
        case TierGranted():
            message = tiering_pb.TierGranted(
                grant=event.grant,
                tier=event.tier,
                reason=event.reason,
                ledger_position=event.ledger_position,
            )
            _set_time(message.until, event.until)
        case TierGrantRevoked():
            message = tiering_pb.TierGrantRevoked(
                grant=event.grant, reason=event.reason, ledger_position=event.ledger_position
            )
        case ProgramRefused():
            message = tiering_pb.ProgramRefused(version=event.version, reason=event.reason)
    return type(event).__name__, message.SerializeToString(deterministic=True)


def _set_time(field: Any, time: datetime) -> None:
    """Exact: seconds and microseconds, no float on the way."""
    seconds, rest = divmod(micros(time), 1_000_000)
    field.seconds, field.nanos = seconds, rest * NANOS_PER_MICRO
