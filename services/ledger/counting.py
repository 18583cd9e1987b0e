"""Reads the members' counters that a batch of purchases needs: none where no program at hand counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction

import asyncpg

from services.common.db import Transaction
from services.ledger.domain.book import BEGINNING, Book
from services.ledger.domain.checks import FUTURE_TOLERANCE
from services.ledger.domain.clock import CLOCK_MAX
from services.ledger.domain.commands import ActivateProgram, Command, MergeMembers, RecordPurchase
from services.ledger.domain.counters import VISITS, Counted, Counting
from services.ledger.domain.program import Program

FIND_COUNTERS = """
SELECT c.program, c.member, c.counter, c.value, c.position
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (chain, program, member, counter)
JOIN counters AS c USING (chain, program, member, counter)
"""
FIND_ALL_COUNTERS = """
SELECT c.program, c.member, c.counter, c.value, c.position
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
JOIN counters AS c USING (chain, program, member)
"""
FIND_BEHIND = """
-- What was booked behind the first purchase made after a time, though it was made before: under caps it is settled too.
SELECT j.chain, j.position, j.program, j.member, j.type, j.program_version, j.payload
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[])
    AS k (chain, program, member, since, first)
CROSS JOIN LATERAL (
    SELECT * FROM journal
    WHERE chain = k.chain AND program = k.program AND member = k.member AND position > k.first
        AND type IN ('PurchaseRecorded', 'PointsAccrued') AND occurred_at <= k.since OFFSET 0
) AS j
"""
FIND_UNCOUNTED = """
-- Purchases since a member's visits were last written: those from before the program counted, and in between.
SELECT k.program, k.member, j.purchases
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[]) AS k (chain, program, member, position)
CROSS JOIN LATERAL (
    SELECT count(*) AS purchases FROM journal
    WHERE chain = k.chain AND program = k.program AND member = k.member AND position > k.position
        AND type = 'PurchaseRecorded'
) AS j
"""


async def load_counters(tx: Transaction, book: Book, commands: Sequence[Command]) -> None:
    """Put into `book` the counters that the purchases of its members may look at, and all of those who are merged."""
    await _load_all(tx, book, [command for command in commands if isinstance(command, MergeMembers)])
    counting = _counting(book, commands)
    if not counting:
        return
    wanted: dict[tuple[int, str, str, str], None] = {}
    for command in commands:
        if not isinstance(command, RecordPurchase) or (command.program, command.member) not in book.members:
            continue
        at = command.purchase.occurred_at
        if not BEGINNING <= at <= CLOCK_MAX + FUTURE_TOLERANCE:
            # It will be refused, and is no time in every zone.
            continue
        for each in counting.get((command.chain, command.program), ()):
            for name in each.names(at):
                wanted[command.chain, command.program, command.member, name] = None
    if not wanted:
        return
    for row in await tx.fetch(FIND_COUNTERS, *([key[i] for key in wanted] for i in range(4))):
        member = book.members[row["program"], row["member"]]
        member.counters[row["counter"]] = Counted(Fraction(row["value"]), row["position"])
    visits = [
        (*key[:3], 0 if counted is None else counted.position)
        for key in wanted
        if key[3] == VISITS
        for counted in [book.members[key[1], key[2]].counters.get(VISITS)]
    ]
    if visits:
        for row in await tx.fetch(FIND_UNCOUNTED, *([key[i] for key in visits] for i in range(4))):
            book.members[row["program"], row["member"]].uncounted = row["purchases"]


async def _load_all(tx: Transaction, book: Book, merges: Sequence[MergeMembers]) -> None:
    keys = [
        (chain, c.program, m) for c in merges for chain, m in c.places() if (c.program, m) in book.members
    ]
    if not keys:
        return
    for row in await tx.fetch(FIND_ALL_COUNTERS, *([key[i] for key in keys] for i in range(3))):
        member = book.members[row["program"], row["member"]]
        member.counters[row["counter"]] = Counted(Fraction(row["value"]), row["position"])
    members = [book.members[key[1], key[2]] for key in keys]
    since = [member.counters[VISITS].position if VISITS in member.counters else 0 for member in members]
    columns = [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]
    for row in await tx.fetch(FIND_UNCOUNTED, *columns, since):
        book.members[row["program"], row["member"]].uncounted = row["purchases"]


async def find_behind(
    tx: Transaction,
    rows: Sequence[asyncpg.Record],
    retiered: Sequence[tuple[int, str, str, datetime]],
    versions: Mapping[str, Program],
) -> list[asyncpg.Record]:
    """Rows of purchases that a tier learnt late concerns only by what it leaves of a cap.

    `rows` are those of the purchases made after it, in order; `retiered` are (chain, program, member, since).
    """
    first: dict[tuple[int, str, str], int] = {}
    for row in rows:
        counting = versions[row["program_version"]].counting
        if counting is not None and counting.caps:
            first.setdefault((row["chain"], row["program"], row["member"]), row["position"])
    places = [(*tier, first[tier[:3]]) for tier in retiered if tier[:3] in first]
    if not places:
        return []
    found: list[asyncpg.Record] = await tx.fetch(
        FIND_BEHIND, *([place[i] for place in places] for i in range(5))
    )
    return found


async def load_counters_met(tx: Transaction, book: Book) -> None:
    """Put into `book` the counters that its purchases met, as they are today: settling a purchase again moves them."""
    wanted = {
        (member.chain, member.program, member.id, name): None
        for member in book.members.values()
        for purchase in member.purchases.values()
        for name, _, _ in purchase.counters
        if name != VISITS and name not in member.counters
    }
    if wanted:
        for row in await tx.fetch(FIND_COUNTERS, *([key[i] for key in wanted] for i in range(4))):
            member = book.members[row["program"], row["member"]]
            member.counters[row["counter"]] = Counted(Fraction(row["value"]), row["position"])


def _counting(book: Book, commands: Sequence[Command]) -> dict[tuple[int, str], list[Counting]]:
    """What is counted by the programs in force, and by those that this batch puts in force."""
    found: dict[tuple[int, str], list[Counting]] = {}
    versions = [(key, state.version) for key, state in book.programs.items()]
    versions += [((c.chain, c.program), c.version) for c in commands if isinstance(c, ActivateProgram)]
    for key, version in versions:
        counting = book.versions[version].counting
        if counting is not None:
            found.setdefault(key, []).append(counting)
    return found
