"""Points given or taken by hand: with a reason of the program's, and over its limit with a second person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain import earning, inactivity, lots
from services.ledger.domain.book import Adjustment, Book, Lot, Member
from services.ledger.domain.checks import POINTS_MAX, active_program, enrolled_member, present
from services.ledger.domain.commands import Adjust, ApproveAdjustment, DeclineAdjustment
from services.ledger.domain.events import (
    AdjustmentDeclined,
    AdjustmentRequested,
    Decided,
    PointsAdjusted,
)
from services.ledger.domain.program import Program


def adjust(book: Book, command: Adjust) -> Iterator[Decided]:
    """Up to the program's limit the points move at once; over it they wait for a second person."""
    program = active_program(book, command)
    if not 1 <= abs(command.points) <= POINTS_MAX:
        raise Refusal(
            "amount_out_of_range",
            f"{command.points} points: give 1 to {POINTS_MAX}, or take them (below zero)",
        )
    if command.reason not in program.adjustment_reasons:
        known = ", ".join(sorted(program.adjustment_reasons)) or "none (`ledger.adjustments.reasons`)"
        raise Refusal("reason_unknown", f"the program has no reason {command.reason!r}; it has {known}")
    member = enrolled_member(book, command)
    now = present(book, command, program)
    _check_available(member, command.points, now)

    asked = Adjustment(
        command.adjustment, command.points, command.reason, command.note, "requested", command.by, now
    )
    if abs(command.points) > program.adjustment_limit:
        request = AdjustmentRequested(asked.id, asked.points, asked.reason, asked.note, asked.requested_by)
        yield Decided(request, member.id, now)
    else:
        yield from _adjusted(program, member, asked, "", now)


def approve(book: Book, command: ApproveAdjustment) -> Iterator[Decided]:
    """Another person than the one who asked says yes: now the points move."""
    program = active_program(book, command)
    member = enrolled_member(book, command)
    asked = _waiting(member, command.adjustment)
    if asked.requested_by == command.by:
        raise Refusal("second_person_needed", "whoever asked can't approve: another person's API key must")
    now = present(book, command, program)
    _check_available(member, asked.points, now)

    yield from _adjusted(program, member, asked, command.by, now)


def decline(book: Book, command: DeclineAdjustment) -> Iterator[Decided]:
    """A second person says no, or whoever asked thinks better of it."""
    program = active_program(book, command)
    member = enrolled_member(book, command)
    asked = _waiting(member, command.adjustment)

    declined = AdjustmentDeclined(asked.id, command.note, command.by)
    yield Decided(declined, member.id, present(book, command, program))


def _waiting(member: Member, id_: str) -> Adjustment:
    asked = member.adjustments.get(id_)
    if asked is None:
        raise Refusal("adjustment_unknown", f"the member has no adjustment {id_!r}")
    if asked.state == "applied":
        raise Refusal(
            "adjustment_already_applied", f"adjustment {id_!r} was made: make another to correct it"
        )
    if asked.state == "declined":
        raise Refusal("adjustment_already_declined", f"adjustment {id_!r} was declined: ask for a new one")
    return asked


def _check_available(member: Member, points: int, now: datetime) -> None:
    if points < 0 and -points > (spendable := lots.spendable(member, now)):
        raise Refusal("insufficient_points", f"{-points} points to be taken, {spendable} available")


def _adjusted(
    program: Program, member: Member, asked: Adjustment, approved_by: str, now: datetime
) -> Iterator[Decided]:
    """What is given opens a lot, after debt is repaid, and expires as what is earned now; it can be spent at once,
    for nobody brings it back to a till. What is taken is unspent and mature."""
    given = asked.points > 0
    adjusted = PointsAdjusted(
        asked.id,
        asked.points,
        asked.reason,
        asked.note,
        asked.requested_by,
        approved_by,
        earning.expiry_of(program, now) if given else None,
        min(asked.points, member.debt) if given else 0,
        [] if given else lots.allocate(member, -asked.points, now, program.spend_first),
    )
    yield Decided(adjusted, member.id, now)
    if given:
        yield from inactivity.begin(program, member, now)


def has_asked(member: Member, event: AdjustmentRequested, at: datetime) -> None:
    """An adjustment waits for a second person."""
    member.adjustments[event.adjustment] = Adjustment(
        event.adjustment, event.points, event.reason, event.note, "requested", event.requested_by, at
    )


def has_declined(member: Member, event: AdjustmentDeclined) -> None:
    """An adjustment waits no more."""
    asked = member.adjustments.get(event.adjustment)
    if asked is None or asked.state != "requested":
        raise InvariantBroken(f"adjustment {event.adjustment} of {member.id} is not waiting")
    asked.state = "declined"
    asked.decided_by = event.declined_by


def has_adjusted(book: Book, member: Member, event: PointsAdjusted, at: datetime, position: int) -> None:
    """Points were given or taken; the lots that gave them are the caller's."""
    asked = member.adjustments.get(event.adjustment)
    if asked is not None and (asked.state, asked.points) != ("requested", event.points):
        raise InvariantBroken(f"adjustment {event.adjustment} of {member.id} is not waiting")
    member.adjustments[event.adjustment] = Adjustment(
        event.adjustment, event.points, event.reason, event.note, "applied", event.requested_by,
        at if asked is None else asked.requested_at, event.approved_by,
    )  # fmt: skip
    member.posted += event.points
    member.debt -= event.debt_repaid
    amount = event.points - event.debt_repaid
    if amount > 0:
        lot = Lot(position, amount, amount, 0, at, event.expires_at, "")
        member.lots[position] = lot
        book.expect_lot(member, lot)
        # The day on which all points lapse may have passed while holds protected some.
        book.expect_lapse(member)
