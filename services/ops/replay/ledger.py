"""Rebuilds the ledger's projections from its journal: decode, evolve, and write out what the book then is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from services.ledger import (
    adjustments,
    identifiers,
    money_rows,
    payloads,
    project,
    project_holds,
    project_settlements,
    social_store,
)
from services.ledger.domain.book import Book, Hold, Lot, Member
from services.ledger.domain.events import (
    ActivityParked,
    ActivityUnparked,
    Decided,
    IdentifiersLinked,
    IdentifiersUnlinked,
    MemberAbsorbed,
    MemberErased,
    ProgramActivated,
)
from services.ledger.domain.evolve import evolve
from services.ledger.project_profile import profile_rows
from services.ledger.store import Programs
from services.ledger.tables import PROJECTIONS, metadata
from services.ops.replay.digest import Shape
from services.ops.verify.snapshot import BATCH_ROWS, Connection, batches

SHAPES = tuple(Shape(name, tuple(metadata.tables[name].primary_key.columns.keys())) for name in PROJECTIONS)
SPREAD = ("identifiers", "budgets")
"""Tables whose rows stand on other chains than the journal rows that made them."""
WITHOUT_TRACE = ("PurchaseRecorded", "ActivityRejected")
"""Types that leave the projections as they are (a test holds this): they need not be read again."""

JOURNAL = """
SELECT position, program, member, type, occurred_at, payload
FROM journal WHERE chain = $1 AND type <> ALL($2::text[]) ORDER BY position
"""
ADD_TO_BUDGET = """
INSERT INTO budgets AS b VALUES ($1, $2, $3, $4)
ON CONFLICT (chain, program, campaign) DO UPDATE SET given = b.given + EXCLUDED.given
"""


NOTED = (
    ProgramActivated
    | IdentifiersLinked
    | IdentifiersUnlinked
    | MemberAbsorbed
    | MemberErased
    | ActivityParked
    | ActivityUnparked
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
    book, programs = ReplayedBook(keeps_purchases=False), Programs()
    book.versions = programs.versions
    changes = project.Changes()
    async for rows in batches(live, JOURNAL, chain, list(WITHOUT_TRACE)):
        for position, program, member, type_, occurred_at, payload in rows:
            decided = Decided(payloads.decode(type_, payload), member, occurred_at)
            if isinstance(decided.event, ProgramActivated):
                programs.parsed(decided.event.version, decided.event.document)
            evolve(book, chain, program, decided, position)
            if isinstance(decided.event, NOTED):
                # What the book does not keep in the form of the tables, the live code's own list does.
                changes.note(chain, program, decided.member, decided.event, position)
    await _write(build, book, changes, chains)


async def _write(build: Connection, book: Book, changes: project.Changes, chains: int) -> None:
    """Every row that the book stands for, by the functions that write the live tables."""
    members = book.members
    lots = ((*key, lot) for key, member in members.items() for lot in (*member.lots, *member.money))
    holds = ((*key, hold) for key, member in members.items() for hold in member.holds)
    settled = ((*key, purchase) for key, member in members.items() for purchase in member.settlements)
    await build.copy_records_to_table(
        "members", records=project.member_rows(book, members), columns=project.MEMBER_COLUMNS
    )
    money = {(*key, lot.asset): None for key, member in members.items() for lot in member.money.values()}
    top_ups = ((*key, top_up) for key, member in members.items() for top_up in member.top_ups)
    await build.copy_records_to_table("accounts", records=project.account_rows(book, members))
    await build.copy_records_to_table("accounts", records=money_rows.account_rows(book, money))
    await build.copy_records_to_table(
        "top_ups",
        records=_rows(top_ups, lambda keys: money_rows.top_up_rows(book, keys)),
        columns=money_rows.TOP_UP_COLUMNS,
    )
    await build.copy_records_to_table(
        "lots", records=_rows(lots, lambda keys: project.lot_rows(book, keys)), columns=project.LOT_COLUMNS
    )
    await build.copy_records_to_table(
        "holds",
        records=_rows(holds, lambda keys: project_holds.hold_rows(book, keys)),
        columns=project_holds.HOLD_COLUMNS,
    )
    await build.copy_records_to_table(
        "settlements",
        records=_rows(settled, lambda keys: project_settlements.settlement_rows(book, keys)),
        columns=project_settlements.SETTLEMENT_COLUMNS,
    )
    adjusted = ((*key, id_) for key, member in members.items() for id_ in member.adjustments)
    await build.copy_records_to_table(
        "adjustments", records=_rows(adjusted, lambda keys: adjustments.rows(book, keys))
    )
    parked = (
        (*key, purchase, waits.activity.id)
        for key, member in members.items() for purchase, all_ in member.parked.items() for waits in all_
    )  # fmt: skip
    await build.copy_records_to_table(
        "parked_returns",
        records=project_holds.parked_rows(book, parked),
        columns=project_holds.PARKED_COLUMNS,
    )
    counted = ((*key, name) for key, member in members.items() for name in member.counters)
    await build.copy_records_to_table(
        "counters", records=_rows(counted, lambda keys: project.counter_rows(book, keys))
    )
    await build.copy_records_to_table("identifiers", records=identifiers.rows(changes.identifiers, chains))
    counted = ((*key, slot) for key, member in members.items() for slot in member.awards)
    await build.copy_records_to_table(
        "award_counts", records=_rows(counted, lambda keys: social_store.award_count_rows(book, keys))
    )
    await build.copy_records_to_table("profiles", records=profile_rows(book, members))
    await build.copy_records_to_table("parked", records=list(changes.waiting.values()))
    await build.copy_records_to_table(
        "referrals",
        records=social_store.referral_rows(book, book.referrals),
        columns=social_store.REFERRAL_COLUMNS,
    )
    # Every chain has given some of it. In one order, so that two chains rebuilt at once don't wait in a ring.
    await build.executemany(ADD_TO_BUDGET, social_store.budget_rows(book, book.budgets, chains))
    await build.copy_records_to_table("programs", records=project.program_rows(book, book.programs))
    await build.executemany(
        "INSERT INTO program_versions VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING", changes.versions
    )


def _rows(keys: Iterable[Any], rows_of: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of many keys, a batch at a time, so that they are never all in memory."""
    keys = iter(keys)
    while some := list(islice(keys, BATCH_ROWS)):
        yield from rows_of(some)
