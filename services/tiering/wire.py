"""Between protobuf payloads and the domain: the ledger's rows in, our own rows out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from operator import attrgetter
from typing import Any, NamedTuple

from google.protobuf.message import Message

from services.common.chain import micros
from services.common.codec import StreamRow, time_of
from services.common.errors import InvariantBroken
from services.tiering.domain.events import (
    Bounds,
    ClockAdvanced,
    Fact,
    FactEvent,
    FactsMoved,
    Lines,
    MemberAbsorbed,
    MemberClosed,
    MemberEnrolled,
    MembersMerged,
    MemberTagged,
    PointsMoved,
    ProgramActivated,
    ProgramRefused,
    PurchaseRecorded,
    Recorded,
    ReturnRecorded,
    SegmentChanged,
    SegmentsRun,
    TierChanged,
    TierGranted,
    TierGrantRevoked,
    TiersRanked,
    Told,
    Top,
    ToppedUp,
    TopUpReversed,
)
from services.tiering.member_row import came_over
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
    "TopUpReversed": ledger_pb.TopUpReversed,
    "MemberClosed": ledger_pb.MemberClosed,
    "MembersMerged": ledger_pb.MembersMerged,
    "MemberAbsorbed": ledger_pb.MemberAbsorbed,
}
"""The rows of ledger.v1 that tiering reads; of the others only the position counts."""
POINTS_TYPES = ("PointsAccrued", "PointsClawedBack")
OWN_TYPES: dict[str, type[Message]] = {
    "TierGranted": tiering_pb.TierGranted,
    "TierGrantRevoked": tiering_pb.TierGrantRevoked,
    "MemberTagged": tiering_pb.MemberTagged,
    "SegmentsRun": tiering_pb.SegmentsRun,
    "TiersRanked": tiering_pb.TiersRanked,
    "FactsMoved": tiering_pb.FactsMoved,
}
"""The rows of our own journal that are facts: a replay reads them."""

NANOS_PER_MICRO = 1_000


_line = attrgetter("category", "amount", "quantity", "sku")
_discount = attrgetter("discount")


def fact_of(row: StreamRow) -> Fact | None:
    """The fact in a row; None for a type that tiering has no use for."""
    if row.payload is None:
        return None
    return Fact(row.position, row.program, row.member, row.occurred_at, _event(row.type, row.message))


def _event(type_: str, message: Any) -> FactEvent:
    match type_:
        case "PurchaseRecorded":
            told = message.activity.lines
            promoted: frozenset[int] = frozenset()
            if any(map(_discount, told)):
                promoted = frozenset([line.id for line in told if line.discount > 0])
            return PurchaseRecorded(
                _lines(told),
                message.activity.id,
                tuple(line.id for line in told) if promoted else (),
                promoted,
            )
        case "PointsAccrued":
            return PointsMoved(message.purchase, message.points)
        case "MemberEnrolled":
            return MemberEnrolled()
        case "ReturnRecorded":
            ids = tuple(line.line for line in message.lines)
            return ReturnRecorded(
                _lines(message.lines), time_of(message.purchased_at), message.activity.of, ids
            )
        case "PointsClawedBack":
            # What the program lets the member keep was not earned all the same: the units came back.
            return PointsMoved(message.purchase, -(message.points + message.forgiven))
        case "TopUpRecorded":
            return ToppedUp(message.activity.amount, message.activity.id)
        case "TopUpReversed":
            # What stands for bonus that was spent is not handed back: it stays loaded.
            handed = sum(part.amount for part in message.paid_out)
            return TopUpReversed(handed, message.activity.of)
        case "MemberClosed":
            return MemberClosed()
        case "MembersMerged":
            return MembersMerged(message.absorbed)
        case "MemberAbsorbed":
            return MemberAbsorbed(message.into)
        case "ClockAdvanced":
            return ClockAdvanced(time_of(message.to))
        case "ProgramActivated":
            return ProgramActivated(message.version, message.document)
    raise InvariantBroken(f"no reader for {type_}")


def _lines(lines: Iterable[Any]) -> Lines:
    return list(map(_line, lines))


def told_of(type_: str, payload: bytes) -> Told | SegmentsRun | TiersRanked:
    """What a row of our own journal says that we were told. Raises DecodeError."""
    message: Any = OWN_TYPES[type_].FromString(payload)
    if type_ == "TierGranted":
        until = time_of(message.until)
        return TierGranted(message.grant, message.tier, until, message.reason, message.ledger_position)
    if type_ == "MemberTagged":
        return MemberTagged(
            message.request, message.tag, message.set, message.reason, message.ledger_position
        )
    if type_ == "SegmentsRun":
        return _run_of(message)
    if type_ == "TiersRanked":
        return _ranking_of(message)
    if type_ == "FactsMoved":
        return facts_moved(message)
    return TierGrantRevoked(message.grant, message.reason, message.ledger_position)


def _run_of(message: Any) -> SegmentsRun:
    told = message.bounds
    bounds = Bounds(
        recency=tuple(time_of(time) for time in told.recency),
        frequency=tuple(told.frequency),
        monetary=tuple(told.monetary),
        high=(told.recency_high, told.frequency_high, told.monetary_high),
        high_spend=told.high_spend,
        high_ticket=told.high_ticket,
        bargain_hunter=told.bargain_hunter,
        loyal=told.loyal,
    )
    return SegmentsRun(
        message.run, message.cause, time_of(message.at), bounds, message.population, message.measured_ms,
        message.took_ms, message.ledger_position,
    )  # fmt: skip


def _ranking_of(message: Any) -> TiersRanked:
    tops = tuple(
        Top(top.metric, top.percent, top.places, tuple(top.here), top.threshold) for top in message.tops
    )
    return TiersRanked(
        message.run, message.cause, time_of(message.at), tops, message.members, tuple(message.counted_to),
        message.ledger_position,
    )  # fmt: skip


def facts_moved(message: Any) -> FactsMoved:
    """What came over by a merge; our journal has it as the message that it was."""
    as_of = time_of(message.as_of)
    until = time_of(message.until) if message.HasField("until") else None
    since = time_of(message.since)
    came = came_over(message.absorbed, message.tier or None, since, until, as_of, message.standing)
    life = None
    if message.HasField("life"):
        told = message.life
        first, last, won_back = (
            time_of(getattr(told, name)) if told.HasField(name) else None
            for name in ("first_at", "last_at", "won_back_at")
        )
        life = (first, last, won_back)
    return FactsMoved(
        message.absorbed,
        message.ledger_position,
        message.last,
        as_of,
        [(entry.metric, time_of(entry.at), entry.amount) for entry in message.entries],
        [
            (p.purchase, time_of(p.at), p.amount_left, p.promoted_left, tuple(p.promoted_lines))
            for p in message.purchases
        ],
        [(day.metric, date.fromisoformat(day.day), day.visits) for day in message.days],
        [(tag.tag, time_of(tag.since)) for tag in message.tags],
        life,
        came,
        message,
    )


class Encoded(NamedTuple):
    """An event as it is written: of many members at once, for no payload names its member."""

    type: str
    payload: bytes


def encoded(event: Recorded) -> Encoded:
    """The event, encoded once for all members to whom it happens."""
    return Encoded(*payload_of(event))


def payload_of(event: Recorded | Encoded) -> tuple[str, bytes]:
    """(type, payload) of our journal row; the same event always gives the same bytes."""
    if isinstance(event, Encoded):
        return event
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
            set_time(message.since, event.since)
            if event.until is not None:
                set_time(message.until, event.until)
            for measure in event.measures:
                added = message.measures.add(
                    metric=measure.metric, value=measure.value, threshold=measure.threshold
                )
                set_time(added.after, measure.after)
                set_time(added.up_to, measure.up_to)
        case TierGranted():
            message = tiering_pb.TierGranted(
                grant=event.grant,
                tier=event.tier,
                reason=event.reason,
                ledger_position=event.ledger_position,
            )
            set_time(message.until, event.until)
        case FactsMoved():
            message = event.told
        case TierGrantRevoked():
            message = tiering_pb.TierGrantRevoked(
                grant=event.grant, reason=event.reason, ledger_position=event.ledger_position
            )
        case SegmentChanged():
            message = tiering_pb.SegmentChanged(
                family=event.family,
                from_segment=event.from_segment,
                to_segment=event.to_segment,
                rule=event.rule,
                run=event.run,
                ledger_position=event.ledger_position,
            )
            set_time(message.at, event.at)
        case MemberTagged():
            message = tiering_pb.MemberTagged(
                request=event.request,
                tag=event.tag,
                set=event.set,
                reason=event.reason,
                ledger_position=event.ledger_position,
            )
        case SegmentsRun():
            message = _run_message(event)
        case TiersRanked():
            message = _ranking_message(event)
        case ProgramRefused():
            message = tiering_pb.ProgramRefused(version=event.version, reason=event.reason)
    return type(event).__name__, message.SerializeToString(deterministic=True)


def _run_message(event: SegmentsRun) -> tiering_pb.SegmentsRun:
    bounds = event.bounds
    recency_high, frequency_high, monetary_high = bounds.high
    message = tiering_pb.SegmentsRun(
        run=event.run,
        cause=event.cause,
        bounds=tiering_pb.SegmentBounds(
            frequency=bounds.frequency,
            monetary=bounds.monetary,
            recency_high=recency_high,
            frequency_high=frequency_high,
            monetary_high=monetary_high,
            high_spend=bounds.high_spend,
            high_ticket=bounds.high_ticket,
            bargain_hunter=bounds.bargain_hunter,
            loyal=bounds.loyal,
        ),
        population=event.population,
        measured_ms=event.measured_ms,
        took_ms=event.took_ms,
        ledger_position=event.ledger_position,
    )
    set_time(message.at, event.at)
    for time in bounds.recency:
        set_time(message.bounds.recency.add(), time)
    return message


def _ranking_message(event: TiersRanked) -> tiering_pb.TiersRanked:
    message = tiering_pb.TiersRanked(
        run=event.run,
        cause=event.cause,
        members=event.members,
        counted_to=event.counted_to,
        ledger_position=event.ledger_position,
    )
    set_time(message.at, event.at)
    for top in event.tops:
        message.tops.add(
            metric=top.metric, percent=top.percent, places=top.places, here=top.here, threshold=top.threshold
        )
    return message


def set_time(field: Any, time: datetime) -> None:
    """Exact: seconds and microseconds, no float on the way."""
    seconds, rest = divmod(micros(time), 1_000_000)
    field.seconds, field.nanos = seconds, rest * NANOS_PER_MICRO
