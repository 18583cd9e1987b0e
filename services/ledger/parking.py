"""Activities that wait for their member: found when somebody enrols by their reference, and taken like any other.

A reference is what the activity named: a member id, or `kind:hash` of an identifier. Whoever parks holds the lock of
the reference's chain, and so does whoever enrols by it: of two at once, the second sees what the first did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.common.chain import chain_of
from services.common.db import Transaction
from services.common.errors import BeginAgain, InvariantBroken
from services.ledger import payloads, wire
from services.ledger.domain.book import Book
from services.ledger.domain.commands import (
    ActivateProgram,
    Cause,
    Command,
    Enrol,
    RecordInteraction,
    RecordPurchase,
    RecordReferral,
    RecordReturn,
    RecordTopUp,
)
from services.ledger.domain.events import ActivityParked
from services.ledger.identifiers import find_identifiers
from tallybook.activities.v1 import activities_pb2 as activities

PARKED = "parked"
"""In the inbox, in the place of a refusal's code: what became of the request stands in the table `parked`."""

FIND_PARKED = """
SELECT p.chain, p.position, p.program, p.reference, j.payload, j.cause_source, j.cause_id, j.recorded_at
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, reference)
CROSS JOIN LATERAL (
    SELECT * FROM parked
    WHERE chain = k.chain AND program = k.program AND reference = k.reference AND member IS NULL OFFSET 0
) AS p
CROSS JOIN LATERAL (
    SELECT * FROM journal WHERE chain = p.chain AND position = p.position OFFSET 0
) AS j
"""
FIND_APPLIED = """
SELECT p.chain, p.position, p.member, p.applied_chain, p.applied_position, p.rejection
FROM unnest($1::smallint[], $2::bigint[]) AS k (chain, position)
JOIN parked AS p USING (chain, position) WHERE p.member IS NOT NULL
"""
FIND_APPLIED_PURCHASES = """
-- The rows of purchases that were parked at first.
SELECT j.chain, j.position, j.program, j.member, j.type, j.program_version, j.payload
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, source, event_id)
JOIN inbox AS i USING (chain, source, event_id)
JOIN parked AS p ON p.chain = i.journal_chain AND p.position = i.position
JOIN journal AS j ON j.chain = p.applied_chain
    AND j.position BETWEEN p.applied_position AND p.applied_position + 2
    AND j.cause_source = k.source AND j.cause_id = k.event_id
"""

JOINING = RecordPurchase | RecordReturn | RecordTopUp | RecordInteraction | RecordReferral
"""Commands that make a member of who is none, in programs with `enrolment: on_first_activity`."""
Activity = RecordPurchase | RecordReturn
Reference = tuple[str, str]
"""(program, reference)"""


@dataclass(slots=True)
class Parked:
    """An activity that waits, and where the row that keeps it stands."""

    chain: int
    position: int
    recorded_at: datetime
    command: Activity

    def of(self, joining: Command) -> Activity:
        """The activity as that of the member who has joined. Its digest stands where it was parked."""
        command = self.command
        told = (
            replace(command, purchase=copy(command.purchase))
            if isinstance(command, RecordPurchase)
            else replace(command, activity=copy(command.activity))
        )
        wire.rename(told, joining.member)
        told.chain, told.now = joining.chain, joining.now
        told.cause = Cause(command.cause.source, command.cause.id)
        return told


def widen(command: Command, parking: set[str], chains: int) -> None:
    """Let an enrolment concern the chains of all under whose name something may be parked."""
    if isinstance(command, Enrol) and command.program in parking:
        names = [command.member, *(f"{kind}:{digest.hex()}" for kind, digest in command.identifiers)]
        command.references = tuple((chain_of(name, chains), name) for name in names)


async def check(tx: Transaction, commands: Sequence[Command], programs: set[str], chains: int) -> None:
    """Behind the locks: nobody is parked who is known by now, and who enrols has locked what may wait.

    Raises:
        BeginAgain: not so.
    """
    named = [
        (c.program, bytes.fromhex(c.member.partition(":")[2]))
        for c in commands
        if isinstance(c, (RecordPurchase, RecordReturn)) and c.program in programs and ":" in c.member
    ]
    if await find_identifiers(tx, named, chains):
        raise BeginAgain("an identifier was linked meanwhile")
    if any(isinstance(c, Enrol) and c.program in programs and not c.references for c in commands):
        raise BeginAgain("the program parks activities")


async def learn(tx: Transaction, seen: Iterable[Any]) -> None:
    """Let what was `seen` (store.Seen) and parked at first say what became of it."""
    waiting = {(each.chain, each.position): each for each in seen if each.rejection == PARKED}
    if not waiting:
        return
    for row in await tx.fetch(FIND_APPLIED, [key[0] for key in waiting], [key[1] for key in waiting]):
        first = waiting[row["chain"], row["position"]]
        first.member, first.rejection = row["member"], row["rejection"] or None
        first.chain, first.position = row["applied_chain"], row["applied_position"]


def references(command: Command) -> tuple[tuple[int, str], ...]:
    """(chain, reference) of what may wait: all that an enrolment brings, and the id of whoever may join by another."""
    if isinstance(command, Enrol):
        return command.references
    joins = isinstance(command, JOINING) and ":" not in command.member
    return ((command.chain, command.member),) if joins else ()


async def load(
    tx: Transaction, book: Book, commands: Sequence[Command], programs: set[str]
) -> dict[Reference, list[Parked]]:
    """What waits for those who enrol, or may join by an activity, by reference, the first first."""
    changing = {c.program for c in commands if isinstance(c, ActivateProgram)}
    keys = sorted(
        {
            (chain, c.program, name)
            for c in commands
            if c.program in programs and (isinstance(c, Enrol) or c.program in changing or _joins(book, c))
            for chain, name in references(c)
        }
    )
    if not keys:
        return {}
    waiting: dict[Reference, list[Parked]] = {}
    for row in await tx.fetch(FIND_PARKED, *([key[n] for key in keys] for n in range(3))):
        event = payloads.decode("ActivityParked", row["payload"])
        if not isinstance(event, ActivityParked):
            raise InvariantBroken(f"no parked activity at {row['chain']}-{row['position']}")
        cause = Cause(row["cause_source"], row["cause_id"])
        command = _command(row["program"], row["chain"], cause, event)
        parked = Parked(row["chain"], row["position"], row["recorded_at"], command)
        waiting.setdefault((row["program"], row["reference"]), []).append(parked)
    return waiting


def _joins(book: Book, command: Command) -> bool:
    """The program in force lets people join by an activity."""
    program = book.program(command.chain, command.program)
    return program is not None and not program.parks


def waiting_for(command: Command, waiting: dict[Reference, list[Parked]]) -> list[Parked]:
    """What an enrolment sets free, or whoever joins by an activity, in the order in which it came."""
    found = [parked for _, name in references(command) for parked in waiting.get((command.program, name), ())]
    return sorted(found, key=lambda parked: (parked.recorded_at, parked.chain, parked.position))


def prospects(commands: Sequence[Command], waiting: dict[Reference, list[Parked]]) -> list[Command]:
    """The activities that may be taken beside the commands, as those of who joins: their state is loaded too."""
    taken = {
        (parked.chain, parked.position, command.member): (parked, command)
        for command in commands
        for parked in waiting_for(command, waiting)
    }
    return [parked.of(command) for parked, command in taken.values()]


def _command(program: str, chain: int, cause: Cause, event: ActivityParked) -> Activity:
    # `now` is when it is taken (Parked.of); until then an activity has only its own time.
    if event.kind == "purchase":
        purchase = wire.purchase_of(activities.Purchase.FromString(event.activity), event.activity)
        return RecordPurchase(program, event.reference, chain, cause, purchase.occurred_at, purchase)
    told = wire.return_of(activities.Return.FromString(event.activity), event.activity)
    return RecordReturn(program, event.reference, chain, cause, told.occurred_at, told)
