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
    CategorySpend,
    ClockAdvanced,
    Decision,
    Fact,
    FactEvent,
    MemberEnrolled,
    ProgramActivated,
    PurchaseRecorded,
    ReturnRecorded,
    TierChanged,
)
from tallybook.ledger.v1 import events_pb2 as ledger_pb
from tallybook.tiering.v1 import events_pb2 as tiering_pb

LEDGER_TYPES: dict[str, type[Message]] = {
    "ProgramActivated": ledger_pb.ProgramActivated,
    "ClockAdvanced": ledger_pb.ClockAdvanced,
    "MemberEnrolled": ledger_pb.MemberEnrolled,
    "PurchaseRecorded": ledger_pb.PurchaseRecorded,
    "ReturnRecorded": ledger_pb.ReturnRecorded,
}
"""The rows of ledger.v1 that tiering reads; of the others only the position counts."""

NANOS_PER_MICRO = 1_000


def fact_of(row: StreamRow) -> Fact | None:
    """The fact in a row; None for a type that tiering has no use for."""
    if row.message is None:
        return None
    return Fact(row.position, row.program, row.member, row.occurred_at, _event(row.type, row.message))


def _event(type_: str, message: Any) -> FactEvent:
    match type_:
        case "PurchaseRecorded":
            return PurchaseRecorded(_spend(message.activity.lines))
        case "MemberEnrolled":
            return MemberEnrolled()
        case "ReturnRecorded":
            return ReturnRecorded(_spend(message.lines), time_of(message.purchased_at))
        case "ClockAdvanced":
            return ClockAdvanced(time_of(message.to))
        case "ProgramActivated":
            return ProgramActivated(message.version, message.document)
    raise InvariantBroken(f"no reader for {type_}")


def _spend(lines: Iterable[Any]) -> CategorySpend:
    return [(line.category, line.amount) for line in lines]


def payload_of(event: Decision) -> tuple[str, bytes]:
    """(type, payload) of our journal row; the same event always gives the same bytes."""
    message: Any
    if isinstance(event, TierChanged):
        message = tiering_pb.TierChanged(
            from_tier=event.from_tier,
            to_tier=event.to_tier,
            reason=event.reason,
            rule=event.rule,
            metric=event.metric,
            threshold=event.threshold,
            ledger_position=event.ledger_position,
        )
        _set_time(message.since, event.since)
        if event.until is not None:
            _set_time(message.until, event.until)
    else:
        message = tiering_pb.ProgramRefused(version=event.version, reason=event.reason)
    return type(event).__name__, message.SerializeToString(deterministic=True)


def _set_time(field: Any, time: datetime) -> None:
    """Exact: seconds and microseconds, no float on the way."""
    seconds, rest = divmod(micros(time), 1_000_000)
    field.seconds, field.nanos = seconds, rest * NANOS_PER_MICRO
