"""Interactions, referrals and awards in a member's statement."""

from __future__ import annotations

from typing import Any

from services.ledger.domain import events as e

TYPES = (
    "InteractionRecorded", "PointsAwarded", "AwardWithheld", "ReferralRegistered", "ReferralTaskDone",
    "ReferralQualified", "ReferralRewarded",
)  # fmt: skip
WHAT_FOR = {
    "interaction": "interaction {}",
    "referrer": "referring somebody ({})",
    "referee": "being referred ({})",
}


def describe(event: e.Event) -> tuple[int, str, dict[str, Any]]:
    """(change of the posted balance, a sentence, what a program may want to know) of an event."""
    match event:
        case e.InteractionRecorded():
            about = f" of {event.content}" if event.content else ""
            details = {"interaction": event.interaction, "kind": event.kind, "content": event.content}
            return 0, f"{event.kind}{about}", details
        case e.PointsAwarded():
            why = WHAT_FOR[event.source].format(event.source_id)
            debt = f", {event.debt_repaid} of them repaid debt" if event.debt_repaid else ""
            given: dict[str, Any] = {
                event.source: event.source_id,
                "campaign": event.campaign,
                "expires_at": event.expires_at.isoformat() if event.expires_at else None,
                "debt_repaid": event.debt_repaid,
            }
            return event.points, f"{event.points} points for {why}{debt}", given
        case e.AwardWithheld():
            why = WHAT_FOR[event.source].format(event.source_id)
            missed = {event.source: event.source_id, "reason": event.reason, "points": str(event.points)}
            return 0, f"nothing for {why}: {event.reason.replace('_', ' ')}", missed
        case e.ReferralRegistered():
            return 0, f"referred by {event.referrer}", {"referral": event.referral}
        case e.ReferralTaskDone():
            return 0, f"task {event.task} done", {"referral": event.referral, "task": event.task}
        case e.ReferralQualified():
            return 0, f"referral qualified by {event.by} {event.cause}", {"referral": event.referral}
        case e.ReferralRewarded():
            sides = " and ".join(event.sides)
            return 0, f"referral settled with {sides}", {"referral": event.referral, "sides": event.sides}
    return 0, type(event).__name__, {}
