"""Points that live as long as their member is active: all of them lapse at once, on one day that activity puts off.

The day is the member's, not the lots': a purchase moves one date and touches no lot. It is a promise of the version in
force at the activity; the first activity under another version moves the member over to that version's rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from services.common.errors import InvariantBroken
from services.common.months import add_months
from services.ledger.domain.book import Book, Member
from services.ledger.domain.commands import Command, RecordInteraction, RecordPurchase
from services.ledger.domain.events import Decided, MemberActive, MemberLapsed
from services.ledger.domain.expiry import end_of_day
from services.ledger.domain.lots import pending_among
from services.ledger.domain.program import Program

FIRST_POINTS = "first_points"


def lapse_after(program: Program, at: datetime) -> datetime:
    """When points lapse if nothing follows on an activity at `at`: with the end of the day so many months on."""
    local = add_months(at.astimezone(program.time_zone), program.expiry_months or 0)
    return end_of_day(local.date(), program.time_zone)


def put_off(program: Program, member: Member, kind: str, at: datetime) -> Iterator[Decided]:
    """An activity puts off the lapse where it counts, and never brings it nearer: it may be told late."""
    activities = program.expiry.activities
    if not activities:
        if member.lapses_at is not None:
            yield Decided(MemberActive(kind, None), member.id, at)
    elif kind in activities:
        lapses_at = lapse_after(program, at)
        if member.lapses_at is None or lapses_at > member.lapses_at:
            yield Decided(MemberActive(kind, lapses_at), member.id, at)
    else:
        yield from begin(program, member, at)


def begin(program: Program | None, member: Member, at: datetime) -> Iterator[Decided]:
    """Points of a purchase at `at`, given to whom no day was set, begin the count, whatever counts as an activity.

    It counts from the purchase though they may be given later, so that what lapses does not depend on how late a tier
    was learnt.
    """
    if program is not None and program.expiry.activities and member.lapses_at is None:
        yield Decided(MemberActive(FIRST_POINTS, lapse_after(program, at)), member.id, at)


def lapsing_within(
    book: Book, commands: Iterable[Command], until: Mapping[tuple[int, str], datetime]
) -> Iterator[tuple[int, str, str]]:
    """(chain, program, member) of purchases and interactions told so late that, by them, points lapse before `until`,
    which is where the same commands move the clock of (chain, program)."""
    programs = {
        key: program for key in until if (program := book.program(*key)) and program.expiry.activities
    }
    if not programs:
        return
    for command in commands:
        key = (command.chain, command.program)
        if (
            key in programs
            and (at := _occurred_at(command)) is not None
            # What is told of a far future will be refused, and so many months on there may be no such time.
            and at < until[key]
            and lapse_after(programs[key], at) <= until[key]
        ):
            yield (*key, command.member)


def _occurred_at(command: Command) -> datetime | None:
    """When what may give first points happened."""
    if isinstance(command, RecordPurchase):
        return command.purchase.occurred_at
    return command.occurred_at if isinstance(command, RecordInteraction) else None


def lapse(member: Member) -> Decided:
    """What no hold protects goes to breakage. The caller knows that the day has come."""
    if member.lapses_at is None:
        raise InvariantBroken(f"{member.id} lapses on no day")
    # Lots are at hand in the order in which they were read, and the row must not hang on that.
    allocations = sorted((lot.id, lot.free) for lot in member.lots.values() if lot.free > 0)
    points = sum([part for _, part in allocations])
    event = MemberLapsed(points, allocations, pending_among(member, allocations))
    return Decided(event, member.id, member.lapses_at)
