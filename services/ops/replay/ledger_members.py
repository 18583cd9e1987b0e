"""Whole members out of the ledger's rebuilt tables and into a book, to go on with; and their rows away again.

The store loads what a batch of commands is decided on; here it is every row that a member has, for events may touch
any of them.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from typing import Any

from services.common import arrays
from services.common.errors import InvariantBroken
from services.ledger import adjustments, money_rows, social_store, store, store_holds, store_parked
from services.ledger.domain.book import Book, ProgramState
from services.ledger.domain.counters import Counted
from services.ledger.member_rows import member_of
from services.ledger.project_settlements import load_settlements
from services.ops.verify.snapshot import Connection

MemberKey = tuple[str, str]
"""(program, member)"""

OF_A_MEMBER = (
    "members", "accounts", "lots", "holds", "settlements", "adjustments", "top_ups", "parked_returns", "counters",
    "profiles", "award_counts", "referrals",
)  # fmt: skip
"""Tables whose rows are one member's."""
ROWS = """
SELECT t.* FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
JOIN {} AS t USING (chain, program, member)
"""
FORGET = """
DELETE FROM {} AS t USING unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
WHERE t.chain = k.chain AND t.program = k.program AND t.member = k.member
"""
PROGRAMS = "SELECT program, version, clock_at FROM programs WHERE chain = $1"
PARKED = """
SELECT position, type, payload FROM journal WHERE chain = $1 AND position = ANY($2::bigint[]) ORDER BY position
"""


async def load(
    build: Connection, live: Connection, book: Book, chain: int, members: Collection[MemberKey]
) -> None:
    """The chain's programs, and those of `members` who are in the tables that `build` finds.

    What a return that waits is about stands in the journal only, which `live` reads.
    """
    for program, version, clock in await build.fetch(PROGRAMS, chain):
        book.programs[chain, program] = ProgramState(version, clock)
    columns = _columns(chain, members)
    on_chains, programs, ids = columns
    of_members = arrays.numbers(on_chains), arrays.texts(programs), arrays.texts(ids)
    for row in await build.fetch(store.FIND_MEMBERS, *of_members):
        member = book.members[row["program"], row["member"]] = member_of(row)
        member.complete = True

    async def rows(table: str) -> list[Any]:
        found: list[Any] = await build.fetch(ROWS.format(table), *columns)
        return found

    for row in await rows("lots"):
        store.add_lot(book, book.members[row["program"], row["member"]], row)
    for row in await rows("holds"):
        book.members[row["program"], row["member"]].holds[row["hold"]] = store_holds.hold_of(row)
    await load_settlements(build, book, columns)
    for row in await rows("adjustments"):
        adjustments.put(book, row)
    for row in await rows("top_ups"):
        money_rows.put_top_up(book, row)
    for row in await rows("counters"):
        member = book.members[row["program"], row["member"]]
        member.counters[row["counter"]] = Counted(Fraction(row["value"]), row["position"])
    for row in await rows("profiles"):
        book.members[row["program"], row["member"]].profile = row["sealed"]
    for row in await rows("award_counts"):
        book.members[row["program"], row["member"]].awards[row["slot"]] = row["awards"]
    for row in await rows("referrals"):
        social_store.put_referral(book, row)
    await _load_parked(live, book, chain, await rows("parked_returns"))


async def _load_parked(live: Connection, book: Book, chain: int, rows: list[Any]) -> None:
    if not rows:
        return
    waiting = {row["position"]: row for row in rows}
    told = await live.fetch(PARKED, chain, sorted(waiting))
    if len(told) != len(waiting):
        raise InvariantBroken(f"chain {chain}: a return waits by a row that is not in the journal")
    store_parked.put_parked(book, [{"chain": chain, **waiting[row["position"]], **row} for row in told])


async def forget(build: Connection, chain: int, members: Collection[MemberKey]) -> None:
    """Take every row of `members` out of the tables that `build` finds: they are about to be written anew."""
    columns = _columns(chain, members)
    for table in OF_A_MEMBER:
        await build.execute(FORGET.format(table), *columns)


def _columns(chain: int, members: Collection[MemberKey]) -> tuple[list[int], list[str], list[str]]:
    return [chain] * len(members), [program for program, _ in members], [member for _, member in members]
