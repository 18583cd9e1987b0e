"""A program with interactions, referrals and campaigns, and what members of it do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.ledger.domain.commands import Command, RecordInteraction, RecordReferral, RewardReferral
from services.ledger.domain.program import Program
from tests.unit import ledger_given as g
from tests.unit.ledger_given import CHAIN, NO_CAUSE, NOON, Given

REFERRALS: dict[str, Any] = {
    "qualified_by": "purchase",
    "minimum": 2_000,
    "referrer": {"points": 500},
    "referee": {"points": 200},
    "caps": {"month": 2, "ever": 3},
}
INTERACTIONS = [
    {"kind": "review", "points": 10, "once_per": "content", "caps": {"day": 2, "month": 3}},
    {"kind": "share", "points": 5, "once_per": "week"},
    {"kind": "like_it", "points": 1},
    {"kind": "photo", "points": 30, "campaign": "summer", "from": "2026-01-05", "to": "2026-01-31"},
    {"kind": "photo", "points": 3, "from": "2026-03-01"},
]
CAMPAIGNS = [{"id": "summer", "budget": 70}]


def program(version: str = "v1", **ledger: Any) -> Program:
    """The grocer's program with all of the above, parts of it replaced."""
    social = {"campaigns": CAMPAIGNS, "interactions": INTERACTIONS, "referrals": REFERRALS}
    return g.program(version, **{**social, **ledger})


def given(*commands: Command, **ledger: Any) -> Given:
    """A book of that program."""
    return Given(*commands, rules=program(**ledger))


def interaction(
    kind: str = "review",
    content: str = "c1",
    *,
    id_: str = "i1",
    at: datetime = NOON,
    member: str = "ann",
    program: str = "grocer",
    now: datetime | None = None,
) -> RecordInteraction:
    """Told when it happens, but for another `now`."""
    return RecordInteraction(program, member, CHAIN, NO_CAUSE, now or at, id_, at, kind, content, "app", "")


def referral(
    referrer: str = "ann",
    referee: str = "bob",
    *,
    id_: str = "f1",
    at: datetime = NOON,
    step: str = "registered",
    program: str = "grocer",
) -> RecordReferral:
    return RecordReferral(program, referee, CHAIN, NO_CAUSE, NOON, id_, at, referrer, CHAIN, step, "")


def task(
    name: str = "bind_phone",
    referee: str = "bob",
    *,
    at: datetime = NOON,
    program: str = "grocer",
) -> RecordReferral:
    return RecordReferral(program, referee, CHAIN, NO_CAUSE, NOON, f"t-{name}", at, "", CHAIN, "task", name)


def reward(referee: str = "bob", referrer: str = "ann", program: str = "grocer") -> RewardReferral:
    return RewardReferral(program, referee, CHAIN, NO_CAUSE, NOON, referrer, CHAIN)
