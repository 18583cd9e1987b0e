"""The command that recorded rows answer, made again from what they hold.

Facts stand in the journal as they were told, and decisions name what was asked for; so nearly every command can be made
again. What can't is a command that was refused: of it the journal keeps kind, code and detail.
"""

from __future__ import annotations

from datetime import datetime

from services.common.chain import chain_of
from services.common.errors import InvariantBroken
from services.ledger import payloads, wire
from services.ledger.domain import commands as c
from services.ledger.domain import events as e
from services.ledger.domain.book import Book
from services.ops.recorded.rows import Recorded, Row
from tallybook.activities.v1 import activities_pb2 as activities

UNTOLD = ("ActivityRejected", "ActivityUnparked")
"""Rows that no command can be made from: a refusal, and the note of where a parked activity went."""


def lead_of(recorded: Recorded) -> Row:
    """The row that tells what was asked for: the first, but for an enrolment by a first activity."""
    first, *rest = recorded.rows
    if (
        first.type == "MemberEnrolled"
        and rest
        and rest[0].type not in ("IdentifiersLinked", "ProfileChanged")
    ):
        return rest[0]
    return first


def command_of(recorded: Recorded, book: Book, chains: int) -> c.Command | None:
    """The command again; None where the rows don't tell it (`UNTOLD`).

    `now` is the rows' own time where they are dated by it, and else when they were recorded.

    Raises:
        InvariantBroken: rows that no command leads to.
    """
    lead = lead_of(recorded)
    if lead.type in UNTOLD:
        return None
    event = payloads.decode(lead.type, lead.payload)
    return _activity(lead, event) or _of_a_member(recorded, lead, event) or _dated(lead, event, book, chains)


def _common(lead: Row, now: datetime) -> tuple[str, str, int, c.Cause, datetime]:
    return lead.program, lead.member or "", lead.chain, c.Cause(lead.source, lead.cause), now


def _activity(lead: Row, event: e.Event) -> c.Command | None:
    """What a till, a shop or an app told of."""
    common = _common(lead, lead.recorded_at)
    match event:
        case e.PurchaseRecorded():
            return c.RecordPurchase(*common, event.purchase)
        case e.ReturnRecorded() | e.ReturnParked():
            return c.RecordReturn(*common, event.activity)
        case e.ActivityParked():
            return _parked(lead, event)
        case e.TopUpRecorded():
            return c.RecordTopUp(*common, event.activity)
        case e.TopUpReversed():
            return c.ReverseTopUp(*common, event.activity)
        case e.InteractionRecorded():
            return c.RecordInteraction(
                *common, event.interaction, lead.occurred_at, event.kind, event.content, event.channel,
                event.store,
            )  # fmt: skip
        case e.ReferralTaskDone():
            return c.RecordReferral(*common, event.referral, lead.occurred_at, "", 0, "task", event.task)
    return None


def _parked(lead: Row, event: e.ActivityParked) -> c.Command:
    common = (lead.program, event.reference, *_common(lead, lead.recorded_at)[2:])
    if event.kind == "purchase":
        message = activities.Purchase.FromString(event.activity)
        return c.RecordPurchase(*common, wire.purchase_of(message, event.activity))
    told = activities.Return.FromString(event.activity)
    return c.RecordReturn(*common, wire.return_of(told, event.activity))


def _of_a_member(recorded: Recorded, lead: Row, event: e.Event) -> c.Command | None:
    """Who joins, what they tell of themselves, and what is done to them by hand."""
    common = _common(lead, lead.occurred_at)
    match event:
        case e.ProfileChanged() if lead.source == f"{lead.program}/profile":
            return c.SetProfile(*common, c.Profile(event.sealed, b""))
        case e.MemberEnrolled() | e.IdentifiersLinked() | e.ProfileChanged():
            return _enrolment(recorded, lead)
        case e.MemberErased():
            return c.EraseMember(*common)
        case e.IdentifiersUnlinked():
            return c.UnlinkIdentifiers(*common, event.identifiers)
        case e.MemberSuspended():
            return c.SuspendMember(*common, event.reason, event.by)
        case e.MemberReactivated():
            return c.ReactivateMember(*common, event.reason, event.by)
        case e.MemberClosed():
            return c.CloseMember(*common, event.reason, event.by)
        case e.PointsAdjusted() if event.approved_by:
            return c.ApproveAdjustment(*common, event.adjustment, event.approved_by)
        case e.PointsAdjusted() | e.AdjustmentRequested():
            return c.Adjust(
                *common, event.adjustment, event.points, event.reason, event.note, event.requested_by
            )
        case e.AdjustmentDeclined():
            return c.DeclineAdjustment(*common, event.adjustment, event.note, event.declined_by)
    return None


def _enrolment(recorded: Recorded, lead: Row) -> c.Command:
    identifiers: list[tuple[str, bytes]] = []
    profile = None
    for row in recorded.rows:
        event = payloads.decode(row.type, row.payload)
        if isinstance(event, e.IdentifiersLinked):
            identifiers += event.identifiers
        elif isinstance(event, e.ProfileChanged):
            # The key that opens it is no part of the book.
            profile = c.Profile(event.sealed, b"")
    return c.Enrol(*_common(lead, lead.recorded_at), lead.occurred_at, identifiers, profile)


def _dated(lead: Row, event: e.Event, book: Book, chains: int) -> c.Command:
    """What is dated by the present, and what concerns a program or two members."""
    common = _common(lead, lead.occurred_at)
    match event:
        case e.HoldPlaced():
            ttl = int((event.expires_at - lead.occurred_at).total_seconds())
            return c.PlaceHold(*common, event.hold, event.order, event.amount, ttl, _money(event))
        case e.HoldCaptured():
            final = event.left + event.money_left == 0
            return c.CaptureHold(*common, event.hold, event.amount, final, _money(event))
        case e.HoldReleased():
            return c.ReleaseHold(*common, event.hold)
        case e.SpendRefunded():
            return c.RefundSpend(*common, event.refund, event.order, event.amount, _money(event))
        case e.GiftSent():
            there = chain_of(event.receiver, chains)
            return c.SendGift(*common, event.gift, event.receiver, there, event.currency, event.amount)
        case e.MoneyCredited() if event.reason == "reward":
            return c.AwardMoney(*common, event.top_up, _currency(event.asset), event.amount)
        case e.MoneyTakenBack():
            amount = sum(part for _, part in event.allocations)
            return c.TakeBackMoney(*common, event.award, _currency(event.asset), amount)
        case e.TierAssigned():
            return c.AssignTier(*common, event.tier, event.since, event.tiering_position, event.of)
        case e.MembersMerged():
            return c.MergeMembers(*common, event.absorbed, chain_of(event.absorbed, chains))
        case e.ReferralRegistered():
            return c.RecordReferral(
                *_common(lead, lead.recorded_at), event.referral, lead.occurred_at, event.referrer,
                chain_of(event.referrer, chains), "registered", "",
            )  # fmt: skip
        case e.ReferralRewarded():
            referrer = book.heir(lead.program, event.referrer)
            return c.RewardReferral(*common, referrer, chain_of(referrer, chains))
        case e.ClockAdvanced():
            return c.AdvanceClock(*common, event.to)
        case e.ProgramActivated():
            return c.ActivateProgram(*common, event.version, event.document, event.by)
    raise InvariantBroken(f"no command begins with {lead.type}")


def _money(event: e.HoldPlaced | e.HoldCaptured | e.SpendRefunded) -> c.Money | None:
    return c.Money(event.money_currency, event.money_amount) if event.money_amount else None


def _currency(asset: str) -> str:
    return asset.partition(".")[0]
