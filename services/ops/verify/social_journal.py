"""The rows of interactions, referrals and awards, read for what they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from services.ops.verify.journal_chain import EPOCH
from services.ops.verify.ledger_state import LedgerState, LotRead, MemberKey, MemberRead, ReferralRead

POINTS = "points"
Posting = tuple[str, str, str, str, int, int | None]
Reader = Callable[[Any, Any], Sequence[Posting]]
FindMember = Callable[[Any], tuple[MemberKey, MemberRead | None]]
Wrong = Callable[[str, Any, str], None]


def readers(state: LedgerState, member_of: FindMember, wrong: Wrong) -> dict[str, Reader]:
    """By type of row; `member_of` finds whose row it is, `wrong` takes what is not as it must be."""
    social = _SocialJournal(state, member_of, wrong)
    return {
        "InteractionRecorded": social.nothing,
        "PointsAwarded": social.awarded,
        "AwardWithheld": social.nothing,
        "ReferralRegistered": social.registered,
        "ReferralTaskDone": social.task_done,
        "ReferralQualified": social.qualified,
        "ReferralRewarded": social.rewarded,
    }


def open_budgets(state: LedgerState, program: str, document: bytes) -> None:
    """A document's campaigns have their rows from its activation on."""
    try:
        campaigns = json.loads(document)["ledger"].get("campaigns", [])
        for campaign in campaigns:
            state.budgets.setdefault((program, campaign["id"]), 0)
    except (ValueError, LookupError, TypeError, AttributeError):
        # No document of a program: its hash is checked elsewhere, and it has no campaigns.
        return


class _SocialJournal:
    def __init__(self, state: LedgerState, member_of: FindMember, wrong: Wrong) -> None:
        self._state = state
        self._member = member_of
        self._wrong = wrong

    def nothing(self, row: Any, message: Any) -> Sequence[Posting]:
        """A fact, or a decision to give nothing."""
        self._member(row)
        return ()

    def awarded(self, row: Any, message: Any) -> Sequence[Posting]:
        """Points given, within what the budget had left."""
        key, member = self._member(row)
        if member is None:
            return ()
        repaid, opened = message.debt_repaid, message.points - message.debt_repaid
        if message.points < 1 or not 0 <= repaid <= member.debt or opened < 0:
            self._wrong("L2", row, f"{message.points} points repay {repaid} of a debt of {member.debt}")
        member.posted += message.points
        member.debt -= repaid
        for slot in message.counted:
            name = (*key, slot)
            self._state.awards[name] = self._state.awards.get(name, 0) + 1
        if message.campaign:
            if message.points > message.budget_left:
                what = f"gives {message.points} points, {message.campaign} had {message.budget_left} left"
                self._wrong("budgets", row, what)
            campaign = (key[0], message.campaign)
            self._state.budgets[campaign] = self._state.budgets.get(campaign, 0) + message.points
        if opened:
            expires_at = _time(message.expires_at) if message.HasField("expires_at") else None
            self._state.lots[row["position"]] = LotRead(
                key, opened, opened, 0, row["occurred_at"], expires_at, ""
            )
        account = f"member/{key[1]}"
        parts = [(opened, row["position"]), (repaid, None)]
        return [(key[0], "issued", account, POINTS, amount, lot) for amount, lot in parts if amount]

    def registered(self, row: Any, message: Any) -> Sequence[Posting]:
        """One referral a member, and of another."""
        key, member = self._member(row)
        if member is not None:
            if key in self._state.referrals:
                self._wrong("tables", row, f"{key[1]} was referred before")
            if message.referrer == key[1]:
                self._wrong("tables", row, f"{key[1]} refers itself")
            self._state.referrals[key] = ReferralRead(message.referral, message.referrer, row["occurred_at"])
        return ()

    def task_done(self, row: Any, message: Any) -> Sequence[Posting]:
        """A task, once."""
        referral = self._referral(row)
        if referral is not None:
            if message.task in referral.tasks:
                self._wrong("tables", row, f"task {message.task} was done before")
            referral.tasks.append(message.task)
            referral.owed += [(side, row["occurred_at"]) for side in message.owed]
        return ()

    def qualified(self, row: Any, message: Any) -> Sequence[Posting]:
        """Once a referral."""
        referral = self._referral(row)
        if referral is not None:
            if referral.qualified_at is not None:
                self._wrong("tables", row, f"referral {referral.referral} qualified before")
            referral.qualified_at = row["occurred_at"]
            referral.owed += [(side, row["occurred_at"]) for side in message.owed]
        return ()

    def rewarded(self, row: Any, message: Any) -> Sequence[Posting]:
        """Only what is owed is settled, so each side is rewarded once."""
        referral = self._referral(row)
        if referral is not None:
            owed = [side for side, _ in referral.owed]
            if not set(message.sides) <= set(owed):
                self._wrong("tables", row, f"rewards {list(message.sides)}, owed is {owed}")
            referral.owed = [(side, at) for side, at in referral.owed if side not in message.sides]
        return ()

    def _referral(self, row: Any) -> ReferralRead | None:
        key, member = self._member(row)
        referral = self._state.referrals.get(key)
        if member is not None and referral is None:
            self._wrong("tables", row, f"nobody has referred {key[1]}")
        return referral


def _time(stamp: Any) -> Any:
    return EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1_000)
