"""What a member tells of themselves, sealed before it comes here; and its erasure, which leaves the book as it is."""

from __future__ import annotations

from collections.abc import Iterator

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain.book import Book, Member
from services.ledger.domain.checks import active_program, check_not_closed, present
from services.ledger.domain.commands import Command, EraseMember, SetProfile
from services.ledger.domain.events import Decided, MemberErased, ProfileChanged
from services.ledger.domain.merge import identifiers_of


def set_profile(book: Book, command: SetProfile) -> Iterator[Decided]:
    """The whole profile is replaced."""
    program = active_program(book, command)
    member = _member(book, command)
    check_not_closed(member)
    yield Decided(ProfileChanged(command.profile.sealed), member.id, present(book, command, program))


def erase_member(book: Book, command: EraseMember) -> Iterator[Decided]:
    """Nothing is left that leads from the member's rows to a person; points and history stay."""
    program = active_program(book, command)
    member = _member(book, command)
    yield Decided(MemberErased(identifiers_of(book, member)), member.id, present(book, command, program))


def erase(book: Book, member: Member, event: MemberErased) -> None:
    """The member is known by nothing but the id, and has no profile."""
    for _, digest in event.identifiers:
        book.identifiers.pop((member.program, digest), None)
        book.kinds.pop((member.program, digest), None)
    member.profile = b""


def _member(book: Book, command: Command) -> Member:
    member = book.members.get((command.program, command.member))
    if member is None:
        raise Refusal("unknown_member", f"member {command.member!r} is not enrolled in the program")
    if member.merged_into:
        raise InvariantBroken(f"{type(command).__name__} for {member.id}, who was merged into another")
    return member
