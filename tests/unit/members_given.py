"""Commands about who a member is, and about points given or taken by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.ledger.domain.commands import (
    Adjust,
    ApproveAdjustment,
    CloseMember,
    DeclineAdjustment,
    ReactivateMember,
    SuspendMember,
    UnlinkIdentifiers,
)
from services.ledger.domain.program import Program
from tests.unit import ledger_given as g
from tests.unit.ledger_given import CHAIN, NO_CAUSE, NOON

ADJUSTMENTS = {"reasons": ["goodwill", "correction"], "limit": 100}


def adjusting(**ledger: Any) -> Program:
    """The grocer's program, where points up to 100 may be given or taken by hand by one person."""
    return g.program(**{"adjustments": ADJUSTMENTS, **ledger})


def adjust(
    points: int,
    id_: str = "a1",
    *,
    reason: str = "goodwill",
    by: str = "carol",
    member: str = "ann",
    program: str = "grocer",
    now: datetime = NOON,
) -> Adjust:
    return Adjust(program, member, CHAIN, NO_CAUSE, now, id_, points, reason, "a note", by)


def approve(
    id_: str = "a1", *, by: str = "dave", member: str = "ann", program: str = "grocer", now: datetime = NOON
) -> ApproveAdjustment:
    return ApproveAdjustment(program, member, CHAIN, NO_CAUSE, now, id_, by)


def decline(
    id_: str = "a1", *, by: str = "dave", member: str = "ann", program: str = "grocer"
) -> DeclineAdjustment:
    return DeclineAdjustment(program, member, CHAIN, NO_CAUSE, NOON, id_, "no", by)


def unlink(
    *identifiers: tuple[str, bytes], member: str = "ann", program: str = "grocer"
) -> UnlinkIdentifiers:
    return UnlinkIdentifiers(program, member, CHAIN, NO_CAUSE, NOON, list(identifiers))


def suspend(*, member: str = "ann", program: str = "grocer") -> SuspendMember:
    return SuspendMember(program, member, CHAIN, NO_CAUSE, NOON, "fraud?", "carol")


def reactivate(*, member: str = "ann", program: str = "grocer") -> ReactivateMember:
    return ReactivateMember(program, member, CHAIN, NO_CAUSE, NOON, "no fraud", "carol")


def close(*, member: str = "ann", program: str = "grocer") -> CloseMember:
    return CloseMember(program, member, CHAIN, NO_CAUSE, NOON, "as asked", "carol")
