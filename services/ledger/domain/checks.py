"""What every decision checks alike. Codes of refusals are stable; of several mistakes the caller learns the first.

The order of the checks of each command is a table in docs/refusals.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain.book import BEGINNING, CLOSED, SUSPENDED, Book, Member
from services.ledger.domain.commands import Command
from services.ledger.domain.program import Program

FUTURE_TOLERANCE = timedelta(hours=24)
"""A till's clock may be ahead by this much."""
LINES_MAX = 2_000
QUANTITY_MAX = 1_000_000_000
AMOUNT_MAX = 1_000_000_000_000
POINTS_MAX = 1_000_000_000_000_000
BALANCE_MAX = 1_000 * POINTS_MAX
"""What a member may have earned up to; far from what 64 bits hold, with room for what can't be refused."""
UNRESOLVED = ":"
"""A member reference with a colon is an identifier that nobody is known by."""


def active_program(book: Book, command: Command) -> Program:
    """The program in force. Raises Refusal("unknown_program")."""
    program = book.program(command.chain, command.program)
    if program is None:
        raise Refusal("unknown_program", f"no program {command.program!r} is active here")
    return program


def known_member(book: Book, command: Command) -> Member:
    """The command's member, closed or not. Raises Refusal("unknown_member")."""
    member = book.members.get((command.program, command.member))
    if member is None:
        raise Refusal("unknown_member", _unknown(command))
    if member.merged_into:
        raise InvariantBroken(f"{type(command).__name__} for {member.id}, who was merged into another")
    return member


def enrolled_member(book: Book, command: Command) -> Member:
    """The command's member, with its lots at hand. Raises Refusal("unknown_member" or "member_closed")."""
    member = known_member(book, command)
    check_not_closed(member)
    if not member.complete:
        raise InvariantBroken(f"the lots of {member.id} were not loaded for {type(command).__name__}")
    return member


def check_not_closed(member: Member) -> None:
    """Raises Refusal("member_closed")."""
    if member.status == CLOSED:
        raise Refusal("member_closed", f"member {member.id!r} was closed, for good: enrol under another id")


def spending_member(book: Book, command: Command) -> Member:
    """The command's member, who may spend. Raises Refusal as `enrolled_member` does, and "member_suspended"."""
    member = enrolled_member(book, command)
    if member.status == SUSPENDED:
        raise Refusal(
            "member_suspended", f"member {member.id!r} is suspended: earning goes on, spending waits for ops"
        )
    return member


def check_can_enrol(program: Program, command: Command) -> None:
    """A first activity may enrol whom it names. Raises Refusal("unknown_member")."""
    if UNRESOLVED in command.member or not program.enrols_on_first_activity:
        raise Refusal("unknown_member", _unknown(command))


def _unknown(command: Command) -> str:
    if UNRESOLVED in command.member:
        return f"nobody in the program is known by this {command.member.partition(UNRESOLVED)[0]}"
    return f"member {command.member!r} is not enrolled in the program"


def check_time(book: Book, command: Command, occurred_at: datetime) -> None:
    """An activity is neither of the future nor from before 1970. Raises Refusal."""
    if occurred_at > command.now:
        clock = book.programs[command.chain, command.program].clock
        latest = max(command.now, clock) + FUTURE_TOLERANCE
        if occurred_at > latest:
            raise Refusal(
                "occurred_in_future",
                f"occurred_at {occurred_at.isoformat()} is later than {latest.isoformat()}: check the till's clock",
            )
    if occurred_at < BEGINNING:
        raise Refusal("occurred_too_early", f"occurred_at {occurred_at.isoformat()} is before 1970")


def present(book: Book, command: Command, program: Program) -> datetime:
    """The program's present: its clock where it runs on events, else the wall's time (never behind its clock)."""
    clock = book.programs[command.chain, command.program].clock
    return clock if program.runs_on_events else max(command.now, clock)
