"""Time passes, and versions change: what a program's own commands do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from services.common.errors import Refusal
from services.ledger.domain.book import (
    BEGINNING,
    LOT_MATURES,
    MEMBER_LAPSES,
    POINTS,
    Book,
    Hold,
    Lot,
    Member,
)
from services.ledger.domain.checks import FUTURE_TOLERANCE, active_program
from services.ledger.domain.commands import (
    ActivateProgram,
    AdvanceClock,
    Cause,
    Command,
    RecordInteraction,
    RecordPurchase,
    RecordReferral,
    RecordReturn,
    RecordTopUp,
    ReverseTopUp,
)
from services.ledger.domain.events import (
    ClockAdvanced,
    Decided,
    MoneyExpired,
    PointsExpired,
    PointsMatured,
    ProgramActivated,
)
from services.ledger.domain.holds import released
from services.ledger.domain.inactivity import lapse
from services.ledger.domain.lots import pending_among

CLOCK_MAX = datetime(9000, 1, 1, tzinfo=UTC)
"""No clock goes further: what expires a hundred years on must still be a date."""


def tick_before(book: Book, command: Command) -> AdvanceClock | None:
    """The command that moves the clock to this one's day, if `new_day` says so."""
    day = new_day(book, command)
    if day is None:
        return None
    return AdvanceClock(command.program, "", command.chain, Cause("clock", day.isoformat()), command.now, day)


def new_day(book: Book, command: Command) -> datetime | None:
    """For a program that runs on its events: the day of this command, if the clock has not reached it.

    Days (in UTC) and not instants, so that a year of purchases moves a clock 365 times; and by the order of the
    stream alone, so that every run of the same stream moves it at the same places.
    """
    if isinstance(command, RecordPurchase):
        occurred_at = command.purchase.occurred_at
    elif isinstance(command, RecordReturn | RecordTopUp | ReverseTopUp):
        occurred_at = command.activity.occurred_at
    elif isinstance(command, (RecordInteraction, RecordReferral)):
        occurred_at = command.occurred_at
    else:
        return None
    state = book.programs.get((command.chain, command.program))
    if state is None or occurred_at.date() <= state.clock.date():
        return None
    if not book.versions[state.version].runs_on_events:
        return None
    if not BEGINNING <= occurred_at <= max(command.now, state.clock) + FUTURE_TOLERANCE:
        return None
    return occurred_at.replace(hour=0, minute=0, second=0, microsecond=0)


def advance_clock(book: Book, command: AdvanceClock) -> Iterator[Decided]:
    """Time passes here and nowhere else: holds time out, lots mature, expire and lapse, each at its own instant."""
    active_program(book, command)
    if command.to > CLOCK_MAX:
        raise Refusal("clock_out_of_range", f"{command.to.isoformat()} is later than {CLOCK_MAX.date()}")
    if command.to <= book.programs[command.chain, command.program].clock:
        return
    yield Decided(ClockAdvanced(command.to), None, command.to)
    while (due := book.next_due(command.chain, command.program, command.to)) is not None:
        kind, member, what = due
        if kind == MEMBER_LAPSES:
            yield lapse(member)
        elif isinstance(what, Hold):
            yield Decided(released(member, what, "expired"), member.id, what.expires_at)
        elif isinstance(what, Lot) and kind == LOT_MATURES and what.matures_at is not None:
            yield Decided(PointsMatured(what.id, what.remaining), member.id, what.matures_at)
        elif isinstance(what, Lot) and what.expires_at is not None:
            yield Decided(expired(member, what), member.id, what.expires_at)


def expired(member: Member, lot: Lot) -> PointsExpired | MoneyExpired:
    """What is free of a lot goes to breakage."""
    if lot.asset == POINTS:
        return PointsExpired(lot.id, lot.free, pending_among(member, [(lot.id, lot.free)]))
    return MoneyExpired(lot.id, lot.asset, lot.free)


def activate_program(book: Book, command: ActivateProgram) -> Iterator[Decided]:
    """From here on this chain decides under another version."""
    state = book.programs.get((command.chain, command.program))
    if state is not None and state.version == command.version:
        return
    yield Decided(ProgramActivated(command.version, command.document, command.by), None, command.now)
