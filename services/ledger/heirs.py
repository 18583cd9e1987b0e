"""Who answers for a merged member: found without a query where nothing was merged, and for ever once it was met.

A command that names a merged member is noticed by the row that is loaded anyway, behind the lock of its chain. The
process then learns who has everything now, and the transaction begins again with that member's chain locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from services.common.chain import chain_of
from services.common.db import Transaction
from services.common.errors import BeginAgain, InvariantBroken
from services.ledger import wire
from services.ledger.domain.book import Book, Member
from services.ledger.domain.commands import (
    AssignTier,
    CaptureHold,
    Command,
    PlaceHold,
    RecordReferral,
    ReleaseHold,
    RewardReferral,
    SendGift,
)

Heirs = dict[tuple[str, str], str]
"""(program, absorbed member) -> the member whom it was merged into. Merges are never undone."""

HEIRS_MAX = 100_000
"""Merges that a process remembers."""
HOPS_MAX = 1_000
"""Merges of merges that are followed."""

FIND_HEIRS = """
SELECT m.program, m.member, m.merged_into
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
JOIN members AS m USING (chain, program, member) WHERE m.merged_into <> ''
"""


def follow(command: Command, heirs: Mapping[tuple[str, str], str], chains: int) -> None:
    """Give a command that names a merged member the one who has everything now, and that one's chain."""
    if isinstance(command, RecordReferral | RewardReferral) and command.referrer:
        command.referrer = _last(heirs, command.program, command.referrer)
        if ":" not in command.referrer:
            command.referrer_chain = chain_of(command.referrer, chains)
    if isinstance(command, SendGift):
        command.receiver = _last(heirs, command.program, command.receiver)
        command.receiver_chain = chain_of(command.receiver, chains)
    named = command.member
    member = _last(heirs, command.program, named)
    if member == named:
        return
    if isinstance(command, AssignTier):
        # Tiering speaks of what the absorbed member bought: the survivor's own purchases don't earn by it.
        command.of = command.of or named
    wire.rename(command, member)
    command.chain = chain_of(member, chains)


def _last(heirs: Mapping[tuple[str, str], str], program: str, member: str) -> str:
    while (program, member) in heirs:
        member = heirs[program, member]
    return member


def _named(command: Command) -> Iterator[str]:
    """The members whom a command is about. Not who is merged by it: that is refused where it was merged before."""
    yield command.member
    if isinstance(command, RecordReferral | RewardReferral):
        yield command.referrer
    if isinstance(command, SendGift):
        yield command.receiver


async def check(
    tx: Transaction, heirs: Heirs, merged: Sequence[Member], commands: Iterable[Command], chains: int
) -> None:
    """Raises BeginAgain when a command names one of `merged`, with what it must be begun with learnt."""
    named = {(command.program, member) for command in commands for member in _named(command)}
    if any((member.program, member.id) in named for member in merged):
        await learn(tx, heirs, merged, chains)
        raise BeginAgain(f"{len(merged)} members were merged into others")


async def learn(tx: Transaction, heirs: Heirs, merged: Sequence[Member], chains: int) -> None:
    """Remember whom members were merged into, to the end of the line."""
    if len(heirs) > HEIRS_MAX:
        heirs.clear()
    heirs.update({(member.program, member.id): member.merged_into for member in merged})
    await look_up(tx, heirs, [(member.program, member.merged_into) for member in merged], chains)


async def look_up(tx: Transaction, heirs: Heirs, members: Iterable[tuple[str, str]], chains: int) -> None:
    """Put into `heirs` whom these (program, member) were merged into, if they were, to the end of the line."""
    for _ in range(HOPS_MAX):
        following = sorted(set(members) - heirs.keys())
        if not following:
            return
        places = [chain_of(member, chains) for _, member in following]
        rows = await tx.fetch(FIND_HEIRS, places, [k[0] for k in following], [k[1] for k in following])
        heirs.update({(row["program"], row["member"]): row["merged_into"] for row in rows})
        members = [(row["program"], row["merged_into"]) for row in rows]
    raise InvariantBroken(f"members were merged {HOPS_MAX} times over, or in a ring")


def names_of(book: Book, program: str, member_id: str) -> tuple[str, ...]:
    """A member's id and those of all who were merged into it: its history stands under each."""
    member = book.members.get((program, member_id))
    return (member_id,) if member is None else (member_id, *member.absorbed)


def survivors(book: Book) -> dict[tuple[str, str], Member]:
    """The members of the book by those whom they absorbed."""
    return {
        (member.program, absorbed): member for member in book.members.values() for absorbed in member.absorbed
    }


def holds_named(
    book: Book, commands: Iterable[Command], chains: int
) -> dict[tuple[int, str, str, str], None]:
    """(chain, program, member, hold) of holds that commands name, under every member who may have had them."""
    named: dict[tuple[int, str, str, str], None] = {}
    for c in commands:
        if isinstance(c, CaptureHold | ReleaseHold | PlaceHold):
            named[c.chain, c.program, c.member, c.hold] = None
            # Holds that were over before a merge have stayed where they were.
            member = book.members.get((c.program, c.member))
            for absorbed in () if member is None else member.absorbed:
                named[chain_of(absorbed, chains), c.program, absorbed, c.hold] = None
    return named
