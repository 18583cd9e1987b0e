"""Who belongs to a program, by which identifiers, in which tier; who may spend, and who has left."""

from __future__ import annotations

from collections.abc import Iterator

from services.common.errors import Refusal
from services.ledger.domain.book import ACTIVE, CLOSED, SUSPENDED, Book, Member
from services.ledger.domain.checks import (
    UNRESOLVED,
    active_program,
    check_not_closed,
    check_time,
    enrolled_member,
    known_member,
    present,
)
from services.ledger.domain.commands import (
    AssignTier,
    CloseMember,
    Enrol,
    ReactivateMember,
    SuspendMember,
    UnlinkIdentifiers,
)
from services.ledger.domain.events import (
    Decided,
    IdentifiersLinked,
    IdentifiersUnlinked,
    MemberClosed,
    MemberEnrolled,
    MemberReactivated,
    MemberSuspended,
    ProfileChanged,
    TierAssigned,
)
from services.ledger.domain.lots import pending_among
from services.ledger.domain.settling import settle_since

IDENTIFIERS_MAX = 20


def enrol(book: Book, command: Enrol) -> Iterator[Decided]:
    """Somebody becomes a member, or a member gets more identifiers."""
    active_program(book, command)
    check_time(book, command, command.occurred_at)
    if UNRESOLVED in command.member:
        raise Refusal(
            "member_id_invalid",
            "a member id is 1 to 64 of A-Z, a-z, 0-9, _, . and -; identifiers go in `identifiers`",
        )
    if len(command.identifiers) > IDENTIFIERS_MAX:
        raise Refusal(
            "identifiers_out_of_range", f"{len(command.identifiers)} identifiers; at most {IDENTIFIERS_MAX}"
        )
    if (member := book.members.get((command.program, command.member))) is not None:
        check_not_closed(member)
    new = []
    for kind, digest in command.identifiers:
        owner = book.identifiers.get((command.program, digest))
        if owner is not None and owner != command.member:
            raise Refusal("identifier_taken", f"the {kind} belongs to another member")
        if owner is None and (kind, digest) not in new:
            new.append((kind, digest))
    known = member is not None
    if known and not new and command.profile is None:
        raise Refusal("already_enrolled", f"member {command.member!r} is enrolled and has these identifiers")

    if not known:
        yield Decided(MemberEnrolled("enrolment"), command.member, command.occurred_at)
    if new:
        yield Decided(IdentifiersLinked(new), command.member, command.occurred_at)
    if command.profile is not None:
        yield Decided(ProfileChanged(command.profile.sealed), command.member, command.occurred_at)


def assign_tier(book: Book, command: AssignTier) -> Iterator[Decided]:
    """Purchases that were made after `since` and booked before this was known are settled again by the right tier."""
    active_program(book, command)
    member = enrolled_member(book, command)

    yield Decided(
        TierAssigned(command.tier, command.since, command.tiering_position, command.of),
        member.id,
        command.since,
    )
    yield from settle_since(book, member, command.of, command.since)


def unlink(book: Book, command: UnlinkIdentifiers) -> Iterator[Decided]:
    """A card is lost, a number is somebody else's now: it no longer leads to the member. A closed member's too."""
    program = active_program(book, command)
    member = known_member(book, command)
    for kind, digest in command.identifiers:
        if book.identifiers.get((command.program, digest)) != member.id:
            raise Refusal("identifier_unknown", f"the member is not known by this {kind}")

    yield Decided(IdentifiersUnlinked(command.identifiers), member.id, present(book, command, program))


def suspend(book: Book, command: SuspendMember) -> Iterator[Decided]:
    """From here on the member earns and spends nothing; what was held can be released, not captured."""
    program = active_program(book, command)
    member = enrolled_member(book, command)
    if member.status == SUSPENDED:
        raise Refusal("member_already_suspended", f"member {member.id!r} is suspended")

    yield Decided(MemberSuspended(command.reason, command.by), member.id, present(book, command, program))


def reactivate(book: Book, command: ReactivateMember) -> Iterator[Decided]:
    """The member may spend again."""
    program = active_program(book, command)
    member = enrolled_member(book, command)
    if member.status != SUSPENDED:
        raise Refusal("member_not_suspended", f"member {member.id!r} is not suspended")

    yield Decided(MemberReactivated(command.reason, command.by), member.id, present(book, command, program))


def close(book: Book, command: CloseMember) -> Iterator[Decided]:
    """What is left goes to breakage, what is owed is forgiven, and nothing is taken from the member any more."""
    program = active_program(book, command)
    member = enrolled_member(book, command)
    waiting = sorted(hold.id for hold in member.holds.values() if hold.state == "open")
    if waiting:
        raise Refusal(
            "holds_open",
            f"{len(waiting)} open holds, the first {waiting[0]!r}: capture or release them, or let them time out",
        )
    money = sum(lot.remaining for lot in member.money.values())
    if money:
        # Points are the program's promise and may be forfeited; money is the member's.
        raise Refusal(
            "stored_value_left",
            f"the member has {money} minor units: reverse the top-ups, or give it to another member first",
        )

    forfeited = sorted((lot.id, lot.remaining) for lot in member.lots.values() if lot.remaining)
    points = sum(part for _, part in forfeited)
    pending = pending_among(member, forfeited)
    closed = MemberClosed(command.reason, command.by, points, forfeited, member.debt, pending)
    yield Decided(closed, member.id, present(book, command, program))


def has_changed(
    book: Book,
    member: Member,
    event: IdentifiersUnlinked | MemberSuspended | MemberReactivated | MemberClosed,
) -> None:
    """What the events of this page do to the book, but for the lots of who is closed."""
    match event:
        case IdentifiersUnlinked():
            for _, digest in event.identifiers:
                book.identifiers.pop((member.program, digest), None)
        case MemberSuspended():
            member.status = SUSPENDED
        case MemberReactivated():
            member.status = ACTIVE
        case MemberClosed():
            member.status = CLOSED
            member.lapses_at = None
            member.posted -= event.points - event.debt
            member.debt -= event.debt
