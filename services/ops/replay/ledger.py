"""Rebuilds the ledger's projections from its journal: decode, evolve, and write out what the book then is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from services.ledger import payloads, project
from services.ledger.domain.book import Book, Hold, Lot, Member
from services.ledger.domain.events import (
    ActivityParked,
    ActivityUnparked,
    Decided,
    IdentifiersLinked,
    MemberAbsorbed,
    MemberErased,
    ProgramActivated,
)
from services.ledger.domain.evolve import evolve
from services.ledger.project_profile import profile_rows
from services.ledger.tables import PROJECTIONS, metadata
from services.ops.replay.digest import Shape
from services.ops.verify.snapshot import BATCH_ROWS, Connection, batches

SHAPES = tuple(Shape(name, tuple(metadata.tables[name].primary_key.columns.keys())) for name in PROJECTIONS)
SPREAD = ("identifiers",)
"""Tables whose rows stand on other chains than the journal rows that made them."""
WITHOUT_TRACE = ("PurchaseRecorded", "ActivityRejected")
"""Types that leave the projections as they are (a test holds this): they need not be read again."""

JOURNAL = """
SELECT position, program, member, type, occurred_at, payload
FROM journal WHERE chain = $1 AND type <> ALL($2::text[]) ORDER BY position
"""


NOTED = (
    ProgramActivated | IdentifiersLinked | MemberAbsorbed | MemberErased | ActivityParked | ActivityUnparked
)


class ReplayedBook(Book):
    """A book that nothing is decided on: it keeps no list of what falls due."""

    def expect_lot(self, member: Member, lot: Lot) -> None:
        """Nobody will ask."""

    def expect_hold(self, member: Member, hold: Hold) -> None:
        """Nobody will ask."""

    def expect_lapse(self, member: Member) -> None:
        """Nobody will ask."""


async def rebuild(live: Connection, build: Connection, chain: int, chains: int) -> None:
    """Fill one chain's projections in the schema that `build` finds, from the journal as `live` sees it.

    Raises:
        InvariantBroken: the journal says what can't be.
    """
    book = ReplayedBook(keeps_purchases=False)
    changes = project.Changes()
    async for rows in batches(live, JOURNAL, chain, list(WITHOUT_TRACE)):
        for position, program, member, type_, occurred_at, payload in rows:
            decided = Decided(payloads.decode(type_, payload), member, occurred_at)
            evolve(book, chain, program, decided, position)
            if isinstance(decided.event, NOTED):
                # What the book does not keep in the form of the tables, the live code's own list does.
                changes.note(chain, program, decided.member, decided.event, position)
    await _write(build, book, changes, chains)


async def _write(build: Connection, book: Book, changes: project.Changes, chains: int) -> None:
    """Every row that the book stands for, by the functions that write the live tables."""
    members = book.members
    lots = ((*key, lot) for key, member in members.items() for lot in member.lots)
    holds = ((*key, hold) for key, member in members.items() for hold in member.holds)
    settled = ((*key, purchase) for key, member in members.items() for purchase in member.settlements)
    await build.copy_records_to_table(
        "members", records=project.member_rows(book, members), columns=project.MEMBER_COLUMNS
    )
    await build.copy_records_to_table("accounts", records=project.account_rows(book, members))
    await build.copy_records_to_table(
        "lots", records=_rows(lots, lambda keys: project.lot_rows(book, keys)), columns=project.LOT_COLUMNS
    )
    await build.copy_records_to_table(
        "holds",
        records=_rows(holds, lambda keys: project.hold_rows(book, keys)),
        columns=project.HOLD_COLUMNS,
    )
    await build.copy_records_to_table(
        "settlements",
        records=_rows(settled, lambda keys: project.settlement_rows(book, keys)),
        columns=project.SETTLEMENT_COLUMNS,
    )
    counted = ((*key, name) for key, member in members.items() for name in member.counters)
    await build.copy_records_to_table(
        "counters", records=_rows(counted, lambda keys: project.counter_rows(book, keys))
    )
    await build.copy_records_to_table(
        "identifiers", records=project.identifier_rows(changes.identifiers, chains)
    )
    await build.copy_records_to_table("profiles", records=profile_rows(book, members))
    await build.copy_records_to_table("parked", records=list(changes.parked.values()))
    await build.copy_records_to_table("programs", records=project.program_rows(book, book.programs))
    await build.executemany(
        "INSERT INTO program_versions VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING", changes.versions
    )


def _rows(keys: Iterable[Any], rows_of: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of many keys, a batch at a time, so that they are never all in memory."""
    keys = iter(keys)
    while some := list(islice(keys, BATCH_ROWS)):
        yield from rows_of(some)
