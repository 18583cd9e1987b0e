"""Rebuilds the ledger's projections from its journal: decode, evolve, and write out what the book then is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from services.common.chain import chain_of
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
from services.ledger.project_profile import APPLY, profile_rows
from services.ledger.store import Programs
from services.ledger.tables import PROJECTIONS, metadata
from services.ops.replay import ledger_members
from services.ops.replay.digest import Shape
from services.ops.replay.sources import Stretch
from services.ops.verify.snapshot import BATCH_ROWS, Connection

SHAPES = tuple(Shape(name, tuple(metadata.tables[name].primary_key.columns.keys())) for name in PROJECTIONS)
TABLES = tuple(PROJECTIONS)
SPREAD = ("identifiers", "budgets")
"""Tables whose rows stand on other chains than the journal rows that made them."""
WITHOUT_TRACE = ("PurchaseRecorded", "ActivityRejected")
"""Types that leave the projections as they are (a test holds this): they need not be read again."""

STREAM = "ledger.v1"
LINK_IDENTIFIERS = """
-- Of an identifier that went from one chain's member to another's, the chains may be folded in either order.
INSERT INTO identifiers SELECT * FROM unnest($1::smallint[], $2::text[], $3::bytea[], $4::text[], $5::text[])
ON CONFLICT (chain, program, hash) DO UPDATE SET kind = EXCLUDED.kind, member = EXCLUDED.member
"""
ROWS_AT_ONCE = 50_000
"""Rows, and their members, that are in memory while a rebuild goes on from where it stood."""
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


async def rebuild(stretch: Stretch) -> None:
    """Fold a stretch of one chain into the projections in the schema that is filled.

    From the first row on the book is kept for the whole chain, and written once; behind a row, the members concerned
    are loaded and written anew, so many rows at a time.

    Raises:
        InvariantBroken: the journal says what can't be.
    """
    if stretch.after[STREAM] == 0:
        fold = _Fold(stretch)
        async for rows in stretch.rows(STREAM, without=WITHOUT_TRACE):
            fold.take(rows)
        await fold.write()
        return
    rows_at_once: list[Any] = []
    async for rows in stretch.rows(STREAM, without=WITHOUT_TRACE):
        rows_at_once += rows
        if len(rows_at_once) >= ROWS_AT_ONCE:
            await _go_on(stretch, rows_at_once)
            rows_at_once = []
    if rows_at_once:
        await _go_on(stretch, rows_at_once)


async def _go_on(stretch: Stretch, rows: Sequence[Mapping[str, Any]]) -> None:
    fold = _Fold(stretch)
    members = sorted({(row["program"], row["member"]) for row in rows if row["member"]})
    await ledger_members.load(stretch.build, stretch.live, fold.book, stretch.chain, members)
    fold.take(rows)
    await ledger_members.forget(stretch.build, stretch.chain, members)
    await fold.write()


class _Fold:
    """A book that rows are folded into, and what it does not keep in the form of the tables."""

    def __init__(self, stretch: Stretch) -> None:
        self._stretch = stretch
        self.book = ReplayedBook(keeps_purchases=False)
        self._programs = Programs()
        self.book.versions = self._programs.versions
        self._changes = project.Changes()

    def take(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Fold rows of the journal in, in order."""
        book, chain = self.book, self._stretch.chain
        for row in rows:
            program, position = row["program"], row["position"]
            event = payloads.decode(row["type"], row["payload"])
            decided = Decided(event, row["member"], row["occurred_at"])
            if isinstance(event, ProgramActivated):
                self._programs.parsed(event.version, event.document)
            evolve(book, chain, program, decided, position)
            if isinstance(event, NOTED):
                # What the book does not keep in the form of the tables, the live code's own list does.
                self._changes.note(chain, program, decided.member, event, position)

    async def write(self) -> None:
        """Every row that the book stands for, by the functions that write the live tables."""
        build, book, changes = self._stretch.build, self.book, self._changes
        await _write_members(build, book)
        # Those that wait, and those that wait no longer, of an earlier stretch.
        await build.copy_records_to_table("parked", records=list(changes.waiting.values()))
        await build.execute(APPLY, *([row[n] for row in changes.applied] for n in range(6)))
        await build.execute("DELETE FROM programs WHERE chain = $1", self._stretch.chain)
        await build.copy_records_to_table("programs", records=project.program_rows(book, book.programs))
        await build.executemany(
            "INSERT INTO program_versions VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            changes.versions,
        )
        if self._stretch.spread:
            await _write_spread(build, book, changes, self._stretch.chain, self._stretch.chains)


async def _write_spread(
    build: Connection, book: Book, changes: project.Changes, chain: int, chains: int
) -> None:
    """What other chains write to as well: in one order, so that two chains rebuilt at once don't wait in a ring."""
    gone = await identifiers.find_identifiers(build, changes.unlinked, chains)
    ours = [key for key, member in gone.items() if chain_of(member, chains) == chain]
    await identifiers.write(build, {}, sorted(ours), chains)
    linked = sorted(identifiers.rows(changes.identifiers, chains))
    await build.execute(LINK_IDENTIFIERS, *([row[n] for row in linked] for n in range(5)))
    await build.executemany(ADD_TO_BUDGET, social_store.budget_rows(book, book.budgets, chains))


async def _write_members(build: Connection, book: Book) -> None:
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
    counted = ((*key, slot) for key, member in members.items() for slot in member.awards)
    await build.copy_records_to_table(
        "award_counts", records=_rows(counted, lambda keys: social_store.award_count_rows(book, keys))
    )
    await build.copy_records_to_table("profiles", records=profile_rows(book, members))
    await build.copy_records_to_table(
        "referrals",
        records=social_store.referral_rows(book, book.referrals),
        columns=social_store.REFERRAL_COLUMNS,
    )


def _rows(keys: Iterable[Any], rows_of: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of many keys, a batch at a time, so that they are never all in memory."""
    keys = iter(keys)
    while some := list(islice(keys, BATCH_ROWS)):
        yield from rows_of(some)
