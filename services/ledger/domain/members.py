"""Who belongs to a program, by which identifiers, in which tier."""

from __future__ import annotations

from collections.abc import Iterator

from services.common.errors import Refusal
from services.ledger.domain.book import Book
from services.ledger.domain.checks import UNRESOLVED, active_program, check_time, enrolled_member
from services.ledger.domain.commands import AssignTier, Enrol
from services.ledger.domain.events import (
    Decided,
    IdentifiersLinked,
    MemberEnrolled,
    ProfileChanged,
    TierAssigned,
)
from services.ledger.domain.returns import settle

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
    new = []
    for kind, digest in command.identifiers:
        owner = book.identifiers.get((command.program, digest))
        if owner is not None and owner != command.member:
            raise Refusal("identifier_taken", f"the {kind} belongs to another member")
        if owner is None and (kind, digest) not in new:
            new.append((kind, digest))
    known = (command.program, command.member) in book.members
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
    clock = book.programs[command.chain, command.program].clock
    for purchase in sorted(member.purchases.values(), key=lambda fact: fact.position):
        if purchase.buyer == command.of and purchase.occurred_at > command.since:
            yield from settle(book, member, purchase, "tier_change", max(clock, purchase.occurred_at))
