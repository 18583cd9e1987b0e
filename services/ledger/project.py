"""The inline projections: which rows a batch's events touched, and their writing, in the batch's own transaction.

Replay uses the same `Changes` and `rows_of_*`, so that what it rebuilds has no second definition.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from services.common import arrays
from services.common.db import Transaction
from services.common.errors import InvariantBroken
from services.ledger import adjustments, identifiers, money_rows, project_holds, social_store
from services.ledger.domain import events as e
from services.ledger.domain.book import POINTS, Book
from services.ledger.domain.counters import as_text
from services.ledger.domain.evolve import settles
from services.ledger.domain.money import MoneyEvent
from services.ledger.domain.postings import postings_of
from services.ledger.member_rows import row_of
from services.ledger.project_merge import MergeEvent, note_merge
from services.ledger.project_profile import write_people
from services.ledger.project_settlements import write_settlements

MemberKey = tuple[str, str]

POSTING_COLUMNS = ("chain", "position", "seq", "program", "debit", "credit", "asset", "amount", "lot")
LOT_COLUMNS = (
    "chain", "program", "member", "lot", "amount", "remaining", "held", "earned_at", "expires_at", "purchase",
    "matures_at", "asset",
)  # fmt: skip

DELETE_MEMBERS = """
DELETE FROM members AS m USING unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
WHERE m.chain = k.chain AND m.program = k.program AND m.member = k.member
"""
UPSERT_ACCOUNTS = """
INSERT INTO accounts
SELECT * FROM unnest($1::text::smallint[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::bigint[],
                     $6::text::bigint[], $7::text::bigint[], $8::text::bigint[], $9::text::timestamptz[])
ON CONFLICT (chain, program, member, asset)
DO UPDATE SET posted = EXCLUDED.posted, held = EXCLUDED.held, debt = EXCLUDED.debt, pending = EXCLUDED.pending,
              lapses_at = EXCLUDED.lapses_at
"""
UPDATE_LOTS = """
UPDATE lots AS l SET remaining = k.remaining, held = k.held, matures_at = k.matures_at
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::timestamptz[])
    AS k (chain, program, member, lot, remaining, held, matures_at)
WHERE l.chain = k.chain AND l.program = k.program AND l.member = k.member AND l.lot = k.lot
"""
REINSTATE_LOTS = """
UPDATE lots AS l SET expires_at = k.expires_at
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[])
    AS k (chain, program, member, lot, expires_at)
WHERE l.chain = k.chain AND l.program = k.program AND l.member = k.member AND l.lot = k.lot
"""
MEMBER_COLUMNS = (
    "chain", "program", "member", "enrolled_at", "tier_since", "tier_names", "tier_of", "merged_into", "absorbed",
    "status",
)  # fmt: skip
UPSERT_PROGRAMS = """
INSERT INTO programs SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::timestamptz[])
ON CONFLICT (chain, program) DO UPDATE SET version = EXCLUDED.version, clock_at = EXCLUDED.clock_at
"""
UPSERT_COUNTERS = """
INSERT INTO counters
SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::bigint[])
ON CONFLICT (chain, program, member, counter) DO UPDATE SET value = EXCLUDED.value, position = EXCLUDED.position
"""


class Changes:
    """What the events of a batch touched. Sets are dicts, so that rows are written in the order of the events."""

    def __init__(self) -> None:
        self.postings: list[tuple[Any, ...]] = []
        self.new_lots: dict[tuple[str, str, int], None] = {}
        self.lots: dict[tuple[str, str, int], None] = {}
        self.reinstated: dict[tuple[str, str, int], None] = {}
        """Lots with another expiry."""
        self.accounts: dict[MemberKey, None] = {}
        self.members: dict[MemberKey, bool] = {}
        """True: the member is in the table already."""
        self.holds: dict[tuple[str, str, str], bool] = {}
        """True: the hold is in the table already."""
        self.settlements: dict[tuple[str, str, str], None] = {}
        self.money: dict[tuple[str, str, str], None] = {}
        """Accounts of money, by (program, member, asset)."""
        self.top_ups: dict[tuple[str, str, str], None] = {}
        self.ran_out: list[tuple[str, str, int]] = []
        """Lots of money of which something expired."""
        self.parked: dict[tuple[str, str, str, str], None] = {}
        """Returns (program, member, purchase, return) that begin to wait."""
        self.unparked: dict[tuple[str, str, str, str], None] = {}
        """Those that wait no longer, and are in the table."""
        self.counters: dict[tuple[str, str, str], None] = {}
        self.programs: dict[tuple[int, str], None] = {}
        self.versions: list[tuple[Any, ...]] = []
        self.award_counts: dict[tuple[str, str, str], None] = {}
        self.budgets: dict[tuple[str, str], None] = {}
        self.referrals: dict[MemberKey, None] = {}
        self.adjustments: dict[tuple[str, str, str], None] = {}
        self.identifiers: dict[tuple[str, bytes], tuple[str, str]] = {}
        """(kind, member) by (program, hash)."""
        self.unlinked: dict[tuple[str, bytes], None] = {}
        """Identifiers that led to somebody before, or for a while."""
        self.profiles: dict[MemberKey, bytes | None] = {}
        """None: it is gone, and its key with it."""
        self.profile_keys: dict[bytes, bytes] = {}
        """The (encrypted) key of each sealed profile."""
        self.waiting: dict[tuple[int, int], tuple[Any, ...]] = {}
        self.applied: list[tuple[Any, ...]] = []
        """Activities parked before this batch: (chain, position, member, applied chain and position, rejection)."""

    def note(self, chain: int, program: str, member: str | None, event: e.Event, position: int) -> None:
        """One event was appended at `position`."""
        if isinstance(event, e.PurchaseRecorded):
            # Half of all rows, and what they change is in the accrual behind them.
            return
        member = member or ""
        key = (program, member)
        for seq, (debit, credit, asset, amount, lot) in enumerate(postings_of(event, member, position)):
            self.postings.append((chain, position, seq, program, debit, credit, asset, amount, lot))
        match event:
            case e.PointsAccrued():
                self.accounts[key] = None
                if event.points > event.debt_repaid:
                    self.new_lots[program, member, position] = None
                if settles(event):
                    self.settlements[program, member, event.purchase] = None
                    return
                for counter in event.counters:
                    self.counters[program, member, counter.name] = None
            case e.PurchaseRecounted():
                self.settlements[program, member, event.purchase] = None
                self.counters |= {(program, member, counter.name): None for counter in event.moved}
            case e.MemberEnrolled():
                self.members[key] = False
                self.accounts[key] = None
            case e.ClockAdvanced():
                self.programs[chain, program] = None
            case e.TierAssigned():
                self.members.setdefault(key, True)
            case e.ReturnRecorded():
                if event.activity.of:
                    self.settlements[program, member, event.activity.of] = None
                if event.parked:
                    self.unpark(program, member, event.activity.of, event.activity.id)
            case e.ReturnParked():
                self.parked[program, member, event.activity.of, event.activity.id] = None
            case e.ParkedReturnRefused():
                self.unpark(program, member, event.of, event.id)
            case e.PointsClawedBack():
                self.accounts[key] = None
                if settles(event):
                    self.settlements[program, member, event.purchase] = None
                self.touch(program, member, event.allocations)
            case e.PointsExpired():
                self.accounts[key] = None
                self.touch(program, member, [(event.lot, event.points)])
            case e.PointsMatured():
                self.accounts[key] = None
                self.touch(program, member, [(event.lot, event.points)])
            case e.MemberActive():
                self.accounts[key] = None
            case e.MemberLapsed():
                self.accounts[key] = None
                self.touch(program, member, event.allocations)
            case e.HoldPlaced() | e.HoldCaptured() | e.HoldReleased() | e.SpendRefunded():
                project_holds.note(self, program, member, event)
            case e.LotsReinstated():
                for lot in event.lots:
                    if (program, member, lot) not in self.new_lots:
                        self.reinstated[program, member, lot] = None
            case e.ProgramActivated():
                self.programs[chain, program] = None
                self.versions.append((chain, program, event.version, event.document, position))
            case e.IdentifiersLinked():
                self.identifiers.update(
                    {(program, digest): (kind, member) for kind, digest in event.identifiers}
                )
            case e.IdentifiersUnlinked():
                self.unlink(program, [digest for _, digest in event.identifiers])
            case e.PointsAdjusted():
                self.accounts[key] = None
                self.adjustments[program, member, event.adjustment] = None
                if event.points > event.debt_repaid:
                    self.new_lots[program, member, position] = None
                self.touch(program, member, event.allocations)
            case e.AdjustmentRequested() | e.AdjustmentDeclined():
                self.adjustments[program, member, event.adjustment] = None
            case e.MemberSuspended() | e.MemberReactivated():
                self.members.setdefault(key, True)
            case e.MemberClosed():
                self.members.setdefault(key, True)
                self.accounts[key] = None
                self.touch(program, member, event.allocations)
            case _ if isinstance(event, MoneyEvent):
                money_rows.note(self, program, member, event, position)
            case e.PointsAwarded():
                self.accounts[key] = None
                if event.points > event.debt_repaid:
                    self.new_lots[program, member, position] = None
                self.award_counts.update({(program, member, slot): None for slot in event.counted})
                if event.campaign:
                    self.budgets[program, event.campaign] = None
            case e.ReferralRegistered() | e.ReferralTaskDone() | e.ReferralQualified() | e.ReferralRewarded():
                self.referrals[key] = None
            case e.ProfileChanged():
                self.profiles[key] = event.sealed
            case e.MemberErased():
                self.profiles[key] = None
                self.unlink(program, [digest for _, digest in event.identifiers])
            case e.ActivityParked():
                none = (None,) * 4
                self.waiting[chain, position] = (chain, position, program, event.reference, *none)
            case e.ActivityUnparked():
                self._apply(chain, program, event)
            case _ if isinstance(event, MergeEvent):
                note_merge(self, key, event, position)

    def unlink(self, program: str, digests: Iterable[bytes]) -> None:
        """Nobody is known by these any more, until they are linked again."""
        gone = {(program, digest): None for digest in digests}
        if gone:
            for key in gone:
                self.identifiers.pop(key, None)
            self.unlinked |= gone

    def _apply(self, chain: int, program: str, event: e.ActivityUnparked) -> None:
        became = (event.member, event.chain, event.position, event.rejection)
        row = self.waiting.get((chain, event.parked))
        if row is not None:
            self.waiting[chain, event.parked] = (*row[:4], *became)
        else:
            self.applied.append((chain, event.parked, *became))

    def unpark(self, program: str, member: str, purchase: str, return_id: str) -> None:
        """A return waits no longer."""
        key = (program, member, purchase, return_id)
        if key in self.parked:
            del self.parked[key]
        else:
            self.unparked[key] = None

    def touch(self, program: str, member: str, allocations: e.Allocations) -> None:
        """Lots that were there before."""
        for lot, _ in allocations:
            if (program, member, lot) not in self.new_lots:
                self.lots[program, member, lot] = None


async def write(tx: Transaction, book: Book, changes: Changes, chains: int) -> None:
    """Write what changed, a statement a table."""
    if changes.postings:
        await tx.copy_records_to_table("postings", records=changes.postings, columns=POSTING_COLUMNS)
    if changes.new_lots:
        await tx.copy_records_to_table("lots", records=lot_rows(book, changes.new_lots), columns=LOT_COLUMNS)
    if changes.lots:
        rows = lot_rows(book, changes.lots)
        await tx.execute(UPDATE_LOTS, *([row[i] for row in rows] for i in (0, 1, 2, 3, 5, 6, 10)))
    if changes.reinstated:
        rows = lot_rows(book, changes.reinstated)
        await tx.execute(REINSTATE_LOTS, *([row[i] for row in rows] for i in (0, 1, 2, 3, 8)))
    if changes.members:
        there = [key for key, is_there in changes.members.items() if is_there]
        if there:
            await tx.execute(DELETE_MEMBERS, *_transposed([row[:3] for row in member_rows(book, there)]))
        await tx.copy_records_to_table(
            "members", records=member_rows(book, changes.members), columns=MEMBER_COLUMNS
        )
    if changes.accounts or changes.money:
        rows = account_rows(book, changes.accounts) + money_rows.account_rows(book, changes.money)
        # In one order everywhere, so that two transactions never wait for each other in a ring.
        rows.sort(key=lambda row: row[:4])
        chains_, programs, members, assets, *amounts, lapses = zip(*rows, strict=True)
        await tx.execute(
            UPSERT_ACCOUNTS,
            arrays.numbers(chains_), arrays.texts(programs), arrays.texts(members), arrays.texts(assets),
            *map(arrays.numbers, amounts), arrays.times(lapses),
        )  # fmt: skip
    if changes.holds:
        await project_holds.write_holds(tx, book, changes.holds)
    if changes.settlements:
        await write_settlements(tx, book, changes.settlements)
    await money_rows.write_top_ups(tx, book, changes)
    if changes.parked or changes.unparked:
        await project_holds.write_parked(tx, book, changes.parked, changes.unparked)
    if changes.adjustments:
        await tx.execute(adjustments.UPSERT, *_transposed(adjustments.rows(book, changes.adjustments)))
    if changes.counters:
        await tx.execute(UPSERT_COUNTERS, *_transposed(sorted(counter_rows(book, changes.counters))))
    if changes.identifiers or changes.unlinked:
        await identifiers.write(tx, changes.identifiers, changes.unlinked, chains)
    await write_people(tx, book, changes)
    if changes.versions:
        await tx.executemany(
            "INSERT INTO program_versions VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            changes.versions,
        )
    if changes.programs:
        await tx.execute(UPSERT_PROGRAMS, *_transposed(program_rows(book, changes.programs)))
    await social_store.write(tx, book, chains, changes.award_counts, changes.budgets, changes.referrals)


def lot_rows(book: Book, keys: Iterable[tuple[str, str, int]]) -> list[tuple[Any, ...]]:
    """Rows of `lots` as they are now."""
    rows = []
    for program, member_id, lot_id in keys:
        member = book.members[program, member_id]
        lot = member.lots.get(lot_id) or member.money[lot_id]
        rows.append(
            (
                member.chain,
                program,
                member_id,
                lot.id,
                lot.amount,
                lot.remaining,
                lot.held,
                lot.earned_at,
                lot.expires_at,
                lot.purchase,
                lot.matures_at,
                lot.asset,
            )
        )
    return rows


def account_rows(book: Book, keys: Iterable[MemberKey]) -> list[tuple[Any, ...]]:
    """Rows of `accounts` as they are now; L2 is checked where all lots are at hand."""
    rows = []
    for key in keys:
        member = book.members[key]
        if (
            member.complete
            and member.posted != sum([lot.remaining for lot in member.lots.values()]) - member.debt
        ):
            raise InvariantBroken(
                f"L2: {member.id} of {member.program}: posted {member.posted} is not lots less debt {member.debt}"
            )
        if member.complete and member.pending != sum(
            [lot.remaining for lot in member.lots.values() if lot.matures_at is not None]
        ):
            raise InvariantBroken(
                f"L3: {member.id} of {member.program}: pending {member.pending} is not its lots"
            )
        rows.append(
            (
                member.chain,
                *key,
                POINTS,
                member.posted,
                member.held,
                member.debt,
                member.pending,
                member.lapses_at,
            )
        )
    return rows


def member_rows(book: Book, keys: Iterable[MemberKey]) -> list[tuple[Any, ...]]:
    """Rows of `members` as they are now."""
    return [row_of(book.members[key]) for key in keys]


def counter_rows(book: Book, keys: Iterable[tuple[str, str, str]]) -> list[tuple[Any, ...]]:
    """Rows of `counters` as they are now."""
    rows = []
    for program, member_id, name in keys:
        member = book.members[program, member_id]
        value, position = member.counters[name]
        rows.append((member.chain, program, member_id, name, Decimal(as_text(value)), position))
    return rows


def program_rows(book: Book, keys: Iterable[tuple[int, str]]) -> list[tuple[Any, ...]]:
    """Rows of `programs` as they are now."""
    return [(*key, book.programs[key].version, book.programs[key].clock) for key in keys]


def _transposed(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
