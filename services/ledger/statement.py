"""What an event says to the member whose statement it stands in, and to auditors."""

from __future__ import annotations

from typing import Any

from services.ledger import money_views, people_views, social_views
from services.ledger.domain import events as e
from services.ledger.domain.money import MoneyEvent

STATEMENT_TYPES = (
    "MemberEnrolled", "PurchaseRecorded", "PointsAccrued", "ReturnRecorded", "PointsClawedBack", "HoldPlaced",
    "HoldCaptured", "HoldReleased", "PointsExpired", "PointsMatured", "MemberLapsed", "TierAssigned",
    "IdentifiersLinked", "SpendRefunded", "LotsReinstated", "ReturnParked", "ParkedReturnRefused",
    "IdentifiersUnlinked", "PointsAdjusted", "AdjustmentRequested", "AdjustmentDeclined", "MemberSuspended",
    "MemberReactivated", "MemberClosed", *people_views.TYPES, *social_views.TYPES,
    *money_views.STATEMENT_TYPES,
)  # fmt: skip
ACCRUED = {"purchase": "earned by purchase", "top_up": "given on top of top-up"}
CLAWED_BACK = {"return": "return", "top_up": "reversal"}


def describe(event: e.Event) -> tuple[int, str, dict[str, Any]]:
    """(change of the posted balance, a sentence, what a program may want to know) of an event."""
    match event:
        case e.PurchaseRecorded():
            p = event.purchase
            amount = sum(line.amount for line in p.lines)
            return (
                0,
                f"purchase {p.id} of {amount} {p.currency} minor units",
                {"purchase": p.id, "amount": amount},
            )
        case e.PointsAccrued():
            why = ACCRUED.get(event.reason, "added by the tier for purchase")
            debt = f", {event.debt_repaid} of them repaid debt" if event.debt_repaid else ""
            expires_at = event.expires_at.isoformat() if event.expires_at else None
            details = {
                "purchase": event.purchase,
                "tier": event.tier,
                "version": event.version,
                "expires_at": expires_at,
                "matures_at": event.matures_at.isoformat() if event.matures_at else None,
                "debt_repaid": event.debt_repaid,
            }
            return event.points, f"{event.points} points {why} {event.purchase}{debt}", details
        case e.ReturnRecorded():
            amount = sum(line.amount for line in event.lines)
            a = event.activity
            return (
                0,
                f"return {a.id} of purchase {a.of}, {amount} minor units",
                {"return": a.id, "purchase": a.of, "amount": amount},
            )
        case e.PointsClawedBack():
            of = "top-up" if event.reason == "top_up" else "purchase"
            why = CLAWED_BACK.get(event.reason, "tier")
            text = f"{event.points} points of {of} {event.purchase} taken back by the {why}"
            text += f", {event.debt} of them as debt" if event.debt else ""
            text += f", {event.forgiven} more forgiven" if event.forgiven else ""
            details = {"purchase": event.purchase, "debt": event.debt, "forgiven": event.forgiven}
            return -event.points, text, details
        case e.ReturnParked():
            a = event.activity
            text = f"return {a.id} waits for purchase {a.of}"
            return 0, text, {"return": a.id, "purchase": a.of}
        case e.ParkedReturnRefused():
            text = f"return {event.id} does not fit purchase {event.of}: {event.detail}"
            return 0, text, {"return": event.id, "purchase": event.of, "code": event.code}
        case e.HoldPlaced():
            return (
                0,
                f"{money_views.and_points(event.amount, event)} held for order {event.order}",
                {"hold": event.hold, "order": event.order},
            )
        case e.HoldCaptured():
            return (
                -event.amount,
                f"{money_views.and_points(event.amount, event)} spent on order {event.order}",
                {"hold": event.hold, "order": event.order},
            )
        case e.HoldReleased():
            text = f"hold of {money_views.and_points(event.amount, event)} for order {event.order} {event.reason}"
            return 0, text, {"hold": event.hold, "order": event.order, "reason": event.reason}
        case e.SpendRefunded():
            text = f"{money_views.and_points(event.amount, event)} spent on order {event.order} given back"
            text += f", {event.debt_repaid} of them repaid debt" if event.debt_repaid else ""
            return event.amount, text, {"refund": event.refund, "order": event.order, "left": event.left}
        case e.LotsReinstated():
            until = event.until.isoformat()
            return 0, f"what was past its day lives on until {until}", {"lots": event.lots, "until": until}
        case e.PointsExpired():
            return -event.points, f"{event.points} points expired", {"lot": event.lot}
        case e.PointsMatured():
            return 0, f"{event.points} points can be spent from now on", {"lot": event.lot}
        case e.MemberLapsed():
            return -event.points, f"{event.points} points expired after long inactivity", {}
        case e.TierAssigned():
            of = f" of what {event.of} bought" if event.of else ""
            return 0, f"tier {event.tier} since {event.since.isoformat()}{of}", {"tier": event.tier}
        case e.MemberEnrolled():
            return 0, f"enrolled by {event.by.replace('_', ' ')}", {"by": event.by}
        case e.IdentifiersLinked():
            kinds = [kind for kind, _ in event.identifiers]
            return 0, f"known by {', '.join(kinds)}", {"kinds": kinds}
        case e.IdentifiersUnlinked():
            kinds = [kind for kind, _ in event.identifiers]
            return 0, f"no longer known by {', '.join(kinds)}", {"kinds": kinds}
        case e.PointsAdjusted():
            details = {"adjustment": event.adjustment, "reason": event.reason, "note": event.note}
            details["expires_at"] = event.expires_at.isoformat() if event.expires_at else None
            done = "given" if event.points > 0 else "taken"
            return event.points, f"{abs(event.points)} points {done} by hand: {event.reason}", details
        case e.AdjustmentRequested():
            text = f"{event.points} points by hand asked for: {event.reason}"
            return 0, text, {"adjustment": event.adjustment, "reason": event.reason, "note": event.note}
        case e.AdjustmentDeclined():
            return 0, "points by hand declined", {"adjustment": event.adjustment, "note": event.note}
        case e.MemberSuspended():
            return 0, f"suspended: {event.reason}", {"reason": event.reason}
        case e.MemberReactivated():
            return 0, f"reactivated: {event.reason}", {"reason": event.reason}
        case e.MemberClosed():
            text = f"closed: {event.reason}; {event.points} points forfeited"
            return event.debt - event.points, text, {"reason": event.reason, "debt": event.debt}
    if isinstance(event, people_views.PeopleEvent):
        return people_views.describe(event)
    if isinstance(event, MoneyEvent):
        return 0, *money_views.describe(event)
    text = _beside(event)
    return (0, text, {}) if text else social_views.describe(event)


def _beside(event: e.Event) -> str:
    """A sentence for a row that stands in no statement; empty for all others."""
    match event:
        case e.ProgramActivated():
            by = f", activated by key {event.by}" if event.by else ""
            return f"version {event.version} of the program in force{by}"
        case e.ClockAdvanced():
            return f"the clock comes to {event.to.isoformat()}"
        case e.ActivityRejected():
            return f"{event.kind.replace('_', ' ')} refused, {event.code}: {event.detail}"
        case e.ActivityParked():
            return f"{event.kind} waits for {event.reference} to enrol"
        case e.ActivityUnparked():
            became = (
                f"refused, {event.rejection}" if event.rejection else f"at {event.chain}:{event.position}"
            )
            return f"what waited at {event.parked} was taken for {event.member}: {became}"
        case e.PurchaseRecounted():
            counted = ", ".join(f"{name} {before} -> {after}" for name, before, after in event.counters)
            return f"purchase {event.purchase} counted again ({event.reason.replace('_', ' ')}): {counted}"
        case e.MemberActive():
            until = event.lapses_at.isoformat() if event.lapses_at else "for good"
            return f"points live on by a {event.kind.replace('_', ' ')}: {until}"
        case e.TopUpMoved():
            return f"top-up {event.top_up} came over"
        case e.SettlementMoved():
            return f"what became of purchase {event.purchase} came over"
        case e.CountersMoved():
            counted = ", ".join(f"{name} {before} -> {after}" for name, before, after in event.counters)
            return f"counters came over: {counted}"
        case e.AwardsMoved():
            return f"{len(event.counts)} counts of awards came over"
        case e.ReferralMoved():
            return f"referral {event.referral} by {event.referrer} came over"
    return ""
