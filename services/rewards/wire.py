"""Between the domain and the messages on Kafka: facts out of rows that we read, rows for events that we decide."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from google.protobuf.message import DecodeError, Message

from services.common.codec import StreamRow, time_of
from services.common.errors import InvariantBroken
from services.common.program_document import load_json
from services.common.program_section import ProgramError
from services.rewards import wire_draws, wire_moving, wire_redemptions, wire_vouchers
from services.rewards.domain import events, facts, grant_events
from services.rewards.domain.award_events import AwardEvent
from services.rewards.domain.draw_events import DrawEvent
from services.rewards.domain.grants import Occasion
from services.rewards.domain.moving import (
    AnyEvent,
    AwardMoved,
    GrantMoved,
    HoldingsLeft,
    PlayerMoved,
    RedemptionMoved,
    VoucherMoved,
)
from services.rewards.domain.program import Program, parse_program
from services.rewards.money import MONEY_TYPES
from tallybook.ledger.v1 import events_pb2 as ledger
from tallybook.rewards.v1 import events_pb2 as rewards
from tallybook.tiering.v1 import events_pb2 as tiering

PROGRAMS_REMEMBERED = 64

LEDGER_TYPES: dict[str, type[Message]] = {
    cls.DESCRIPTOR.name: cls
    for cls in (
        ledger.ProgramActivated,
        ledger.ClockAdvanced,
        ledger.MemberEnrolled,
        ledger.PointsAccrued,
        ledger.PointsAwarded,
        ledger.PointsClawedBack,
        ledger.PointsExpired,
        ledger.PointsAdjusted,
        ledger.MemberClosed,
        ledger.PointsMatured,
        ledger.MemberLapsed,
        ledger.HoldPlaced,
        ledger.HoldCaptured,
        ledger.HoldReleased,
        ledger.MembersMerged,
        ledger.MemberAbsorbed,
        ledger.LotMoved,
        ledger.HoldMoved,
        ledger.SpendRefunded,
    )
}
"""Messages of ledger.v1 that rewards reads; of the other rows it needs the position and the time."""
OCCASION_TYPES: dict[str, type[Message]] = {"PurchaseRecorded": ledger.PurchaseRecorded}
"""What is read beside them for grants only."""
NO_FACT = OCCASION_TYPES.keys() | MONEY_TYPES.keys()
TIERS_TYPES: dict[str, type[Message]] = {
    cls.DESCRIPTOR.name: cls for cls in (tiering.TierChanged, tiering.SegmentChanged)
}


def fact_of(row: StreamRow) -> facts.Fact | None:
    """What a row tells a wallet or a redemption; None when nothing."""
    if row.payload is None or row.type in NO_FACT:
        return None
    message: Any = row.message
    match row.type:
        case "PointsAccrued":
            pending = message.points - message.debt_repaid if message.HasField("matures_at") else 0
            return facts.PointsMoved(message.points, pending)
        case "PointsClawedBack" | "PointsExpired" | "MemberLapsed":
            return facts.PointsMoved(-message.points, -message.pending)
        case "PointsAwarded":
            return facts.PointsMoved(message.points)
        case "PointsMatured":
            return facts.PointsMatured(message.points)
        case "SpendRefunded":
            return facts.SpendRefunded(message.refund, message.order, message.amount)
        case "PointsAdjusted":
            return facts.PointsMoved(message.points)
        case "MemberClosed":
            return facts.PointsMoved(message.debt - message.points, -message.pending)
        case "MemberEnrolled":
            return facts.MemberEnrolled()
        case "HoldPlaced":
            return facts.HoldPlaced(
                message.hold, message.order, message.amount, time_of(message.expires_at), message.money_amount
            )
        case "HoldCaptured":
            held = message.amount + sum(part.amount for part in message.released)
            return facts.HoldCaptured(
                message.hold,
                message.order,
                message.amount,
                held,
                final=message.left + message.money_left == 0,
            )
        case "HoldReleased":
            return facts.HoldReleased(
                message.hold, message.order, message.amount, message.reason == "expired"
            )
        case "MembersMerged":
            return facts.PointsMoved(-message.debt)
        case "LotMoved" if message.asset not in ("", "points"):
            return None
        case "LotMoved":
            return facts.PointsMoved(message.points, message.points if message.HasField("matures_at") else 0)
        case "HoldMoved":
            return facts.PointsHeld(sum(part.amount for part in message.allocations))
        case "MemberAbsorbed":
            return facts.MemberAbsorbed(message.into)
        case "TierChanged":
            return facts.TierChanged(message.to_tier, time_of(message.since))
        case "SegmentChanged":
            return facts.SegmentChanged(message.family, message.from_segment, message.to_segment)
        case "ProgramActivated":
            return facts.ProgramActivated(message.version, message.document)
        case "ClockAdvanced":
            return facts.ClockAdvanced(time_of(message.to))
    raise InvariantBroken(f"no fact for {row.type}")


def occasion_of(row: StreamRow) -> Occasion | None:
    """What a row tells a grant; None when nothing. A referral's sides come with the ledger's awards."""
    message: Any = row.message
    match row.type:
        case _ if message is None:
            return None
        case "MemberEnrolled":
            return Occasion("enrolled", "enrolment", row.occurred_at)
        case "PurchaseRecorded":
            amount = sum(line.amount for line in message.activity.lines)
            return Occasion("purchase", message.activity.id, row.occurred_at, amount=amount)
        case "TierChanged" if message.reason == "upgrade":
            return Occasion(
                "tier_reached", f"{row.chain}-{row.position}", row.occurred_at, tier=message.to_tier
            )
        case "SegmentChanged" if message.to_segment:
            where = f"{row.chain}-{row.position}"
            return Occasion(
                "segment_entered", where, row.occurred_at, family=message.family, segment=message.to_segment
            )
        case "PointsAwarded" if message.source in ("referrer", "referee"):
            return Occasion("referral_qualified", message.source_id, row.occurred_at, side=message.source)
    return None


@lru_cache(maxsize=PROGRAMS_REMEMBERED)
def program_of(document: str, version: str) -> Program:
    """The program in a document of the ledger's stream. Raises ProgramError."""
    try:
        return parse_program(load_json(document), version)
    except ProgramError:
        raise
    except ValueError as error:
        raise ProgramError("document", str(error)) from error


def payload_of(event: AnyEvent) -> tuple[str, bytes]:
    """(type, payload) of our journal row, the exact bytes that go onto rewards.v1 too."""
    message: Message
    match event:
        case (
            HoldingsLeft() | VoucherMoved() | RedemptionMoved() | AwardMoved() | GrantMoved() | PlayerMoved()
        ):
            message = wire_moving.message_of(event)
        case events.ProgramRefused():
            message = rewards.ProgramRefused(version=event.version, reason=event.reason)
        case grant_events.GrantProgressed():
            message = rewards.GrantProgressed(
                grant=event.grant, slot=event.slot, occasion=event.occasion, purchases=event.purchases,
                amount=event.amount,
            )  # fmt: skip
        case grant_events.GrantGiven():
            message = rewards.GrantGiven(
                grant=event.grant, slot=event.slot, occasion=event.occasion, vouchers=event.vouchers,
                budgeted=event.budgeted, points=event.points, tickets=event.tickets, money=event.money,
            )  # fmt: skip
        case grant_events.GrantWithheld():
            message = rewards.GrantWithheld(
                grant=event.grant, slot=event.slot, occasion=event.occasion, reason=event.reason
            )
        case _ if isinstance(event, AwardEvent | DrawEvent):
            message = wire_draws.message_of(event)
        case _ if isinstance(event, events.RedemptionEvent):
            message = wire_redemptions.message_of(event)
        case _:
            message = wire_vouchers.message_of(event)
    return type(event).__name__, message.SerializeToString(deterministic=True)


def event_of(type_: str, payload: bytes) -> AnyEvent:
    """The event in a row of our own journal.

    Raises:
        InvariantBroken: our own journal holds what we can't have written.
    """
    try:
        message: Any = getattr(rewards, type_).FromString(payload)
    except (AttributeError, DecodeError) as error:
        raise InvariantBroken(f"a row of our own journal can't be read: {type_}") from error
    match type_:
        case "ProgramRefused":
            return events.ProgramRefused(message.version, message.reason)
        case "GrantProgressed":
            return grant_events.GrantProgressed(
                message.grant, message.slot, message.occasion, message.purchases, message.amount
            )
        case "GrantGiven":
            return grant_events.GrantGiven(
                message.grant, message.slot, message.occasion, message.vouchers, message.budgeted, message.points,
                message.tickets, message.money,
            )  # fmt: skip
        case "GrantWithheld":
            return grant_events.GrantWithheld(message.grant, message.slot, message.occasion, message.reason)
    event: AnyEvent | None = (
        wire_moving.event_of(type_, message)
        or wire_redemptions.event_of(type_, message)
        or wire_draws.event_of(type_, message)
        or wire_vouchers.event_of(type_, message)
    )
    if event is None:
        raise InvariantBroken(f"no event for {type_}")
    return event
