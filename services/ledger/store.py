"""Loads the book for a batch of commands, one query a table, and writes what the batch did to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg

from services.common import arrays
from services.common.chain import chain_of
from services.common.db import Transaction
from services.common.errors import InvariantBroken
from services.common.journal import Journal
from services.common.program_document import load_json
from services.ledger import (
    adjustments,
    heirs,
    money_rows,
    parking,
    payloads,
    project,
    social_store,
    store_holds,
    store_parked,
)
from services.ledger.counting import find_behind, load_counters, load_counters_met
from services.ledger.domain.book import Book, Lot, Member, ProgramState, PurchaseFact
from services.ledger.domain.clock import new_day
from services.ledger.domain.commands import (
    BY_HAND,
    OF_MONEY,
    AdvanceClock,
    AssignTier,
    CaptureHold,
    Command,
    Enrol,
    EraseMember,
    MergeMembers,
    PlaceHold,
    RecordPurchase,
    RecordReferral,
    RecordReturn,
    RefundSpend,
    ReleaseHold,
    UnlinkIdentifiers,
)
from services.ledger.domain.events import PointsAccrued, PurchaseRecorded
from services.ledger.domain.inactivity import lapsing_within
from services.ledger.domain.program import Program, parse_program
from services.ledger.identifiers import find_identifiers, load_identifiers
from services.ledger.inbox import Seen, inbox_chain, load_inbox
from services.ledger.member_rows import member_of
from services.ledger.project_settlements import load_settlements

Key = tuple[int, str, str]
"""(chain, program, member)"""

SPENDING = (
    RecordReturn, PlaceHold, CaptureHold, ReleaseHold, AssignTier, RefundSpend, MergeMembers, *OF_MONEY, *BY_HAND,
)  # fmt: skip
"""Commands that need every lot of their member."""

# Tables that are empty when a statement is planned look as if reading them whole were cheap, and the plan stays.
# So where another order or index is thinkable, LATERAL with OFFSET 0, which no planner takes apart, says: key by key.
FIND_PROGRAMS = """
SELECT p.chain, p.program, p.version, p.clock_at, r.parked FROM programs AS p
CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS parked
    FROM (SELECT FROM parked_returns WHERE chain = p.chain AND program = p.program LIMIT 1) AS one
) AS r
WHERE p.chain = ANY($1::smallint[])
"""
FIND_VERSIONS = """
SELECT DISTINCT ON (version) version, document FROM program_versions
WHERE chain = ANY($1::smallint[]) AND NOT version = ANY($2::text[])
"""
FIND_DUE_LOTS = """
SELECT l.* FROM unnest($1::smallint[], $2::text[], $3::timestamptz[]) AS k (chain, program, until)
CROSS JOIN LATERAL (
    SELECT * FROM lots WHERE chain = k.chain AND program = k.program AND expires_at <= k.until AND remaining > held
    OFFSET 0
) AS l
UNION ALL
SELECT l.* FROM unnest($1::smallint[], $2::text[], $3::timestamptz[]) AS k (chain, program, until)
CROSS JOIN LATERAL (
    SELECT * FROM lots WHERE chain = k.chain AND program = k.program AND matures_at <= k.until AND remaining > 0
    OFFSET 0
) AS l
"""
FIND_DUE_HOLDS = """
SELECT h.* FROM unnest($1::smallint[], $2::text[], $3::timestamptz[]) AS k (chain, program, until)
CROSS JOIN LATERAL (
    SELECT chain, program, member FROM holds
    WHERE chain = k.chain AND program = k.program AND state = 'open' AND expires_at <= k.until OFFSET 0
) AS h
"""
FIND_LAPSING = """
SELECT a.* FROM unnest($1::smallint[], $2::text[], $3::timestamptz[]) AS k (chain, program, until)
CROSS JOIN LATERAL (
    SELECT chain, program, member FROM accounts
    WHERE chain = k.chain AND program = k.program AND lapses_at <= k.until OFFSET 0
) AS a
"""
FIND_MEMBERS = """
SELECT m.*, a.* FROM unnest($1::text::smallint[], $2::text::text[], $3::text::text[]) AS k (chain, program, member)
CROSS JOIN LATERAL (
    SELECT * FROM members WHERE chain = k.chain AND program = k.program AND member = k.member OFFSET 0
) AS m
CROSS JOIN LATERAL (
    SELECT posted, held, debt, pending, lapses_at FROM accounts
    WHERE chain = k.chain AND program = k.program AND member = k.member AND asset = 'points' OFFSET 0
) AS a
"""
FIND_LOTS = """
SELECT l.* FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
JOIN lots AS l USING (chain, program, member) WHERE l.remaining > 0
"""
FIND_PURCHASES = """
-- A purchase's rows stand together: perhaps the enrolment it caused, the fact, the accrual.
SELECT j.chain, j.position, j.program, j.member, j.type, j.program_version, j.payload
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, source, event_id)
JOIN inbox AS i USING (chain, source, event_id)
JOIN journal AS j ON j.chain = i.journal_chain AND j.position BETWEEN i.position AND i.position + 2
    AND j.cause_source = k.source AND j.cause_id = k.event_id
WHERE i.rejection IS NULL
"""
FIND_PURCHASES_SINCE = """
SELECT j.chain, j.position, j.program, j.member, j.type, j.program_version, j.payload
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::timestamptz[]) AS k (chain, program, member, since)
JOIN journal AS j USING (chain, program, member)
WHERE j.type IN ('PurchaseRecorded', 'PointsAccrued') AND j.occurred_at > k.since
"""
INBOX_COLUMNS = ("chain", "source", "event_id", "digest", "journal_chain", "position", "member", "rejection")


@dataclass(slots=True)
class Loaded:
    """All that one batch of commands is decided on."""

    book: Book
    journal: Journal
    seen: dict[tuple[str, str], Seen]
    chains: int
    changes: project.Changes = field(default_factory=project.Changes)
    inbox_rows: list[tuple[object, ...]] = field(default_factory=list)
    waiting: dict[parking.Reference, list[parking.Parked]] = field(default_factory=dict)


class Programs:
    """Parsed program versions. They never change, so a process keeps them."""

    def __init__(self) -> None:
        self.versions: dict[str, Program] = {}
        self.heirs: heirs.Heirs = {}
        """Merges that were met: they are never undone either."""
        self.parking: set[str] = set()
        """Programs that have a version by which activities are parked."""

    def parsed(self, version: str, document: bytes) -> Program:
        """The version's program, parsed once."""
        program = self.versions.get(version)
        if program is None:
            program = self.versions[version] = parse_program(load_json(document), version)
            if program.parks:
                self.parking.add(program.id)
        return program


async def load(tx: Transaction, commands: Sequence[Command], programs: Programs, chains: int) -> Loaded:
    """Lock the chains of `commands` and read what they need."""
    keys = _places(commands)
    journal = await Journal.lock(tx, {chain for chain, _, _ in keys}, payloads.encode)
    book = Book()
    book.versions = programs.versions
    seen = await load_inbox(tx, commands, chains)
    await parking.learn(tx, seen.values())
    with_returns = await _load_programs(tx, book, programs, list(journal.heads))
    waiting = {}
    asked, commands = commands, list(commands)
    if programs.parking:
        await parking.check(tx, asked, programs.parking, chains)
        waiting = await parking.load(tx, book, asked, programs.parking)
        commands += (prospects := parking.prospects(asked, waiting))
        keys |= _places(prospects)
    # Purchases are most of what comes, and need nothing of what is looked for from here on.
    others = [command for command in commands if not isinstance(command, RecordPurchase)]
    parked = await store_parked.find_parked(tx, commands, with_returns)
    merges = [command for command in others if isinstance(command, MergeMembers)]
    if merges and len(commands) > 1:
        raise InvariantBroken(
            "a merge shares its transaction with what may name a member who is another by then"
        )
    due = book.horizon = _due_until(book, commands)
    spenders = _places(
        c for c in others if isinstance(c, SPENDING) or (isinstance(c, Enrol) and c.references)
    )
    spenders.update({(row["chain"], row["program"], row["member"]): None for row in parked})
    due_lots = []
    if due:
        places = ([k[0] for k in due], [k[1] for k in due], list(due.values()))
        due_lots = await tx.fetch(FIND_DUE_LOTS, *places)
        keys.update({(row["chain"], row["program"], row["member"]): None for row in due_lots})
        ending = await tx.fetch(FIND_DUE_HOLDS, *places) + await tx.fetch(FIND_LAPSING, *places)
        whole = {(row["chain"], row["program"], row["member"]): None for row in ending}
        whole.update(dict.fromkeys(lapsing_within(book, commands, due)))
        keys.update(whole)
        spenders.update(whole)
        # An account of money is the sum of its lots, and so needs them all.
        spenders.update(money_rows.owners(due_lots))
    merged = []
    on_chains, of_programs, ids = _columns(key for key in keys if key[2])
    columns = arrays.numbers(on_chains), arrays.texts(of_programs), arrays.texts(ids)
    for row in await tx.fetch(FIND_MEMBERS, *columns):
        member = book.members[row["program"], row["member"]] = member_of(row)
        book.expect_lapse(member)
        if member.merged_into:
            merged.append(member)
    if merged:
        await heirs.check(tx, programs.heirs, merged, commands, chains)
    store_parked.put_parked(book, parked)
    await load_counters(tx, book, commands)
    if spenders:
        await _load_spenders(tx, book, commands, spenders, chains)
    if any(
        isinstance(command, (RecordReturn, AssignTier, RecordReferral, MergeMembers)) for command in others
    ):
        await _load_purchases(tx, book, commands, programs, chains)
    for row in due_lots:
        member = book.members[row["program"], row["member"]]
        if member.lot(row["lot"]) is None:
            add_lot(book, member, row)
    named = [
        (c.program, digest)
        for c in others
        if isinstance(c, Enrol | UnlinkIdentifiers)
        for _, digest in c.identifiers
    ]
    book.identifiers = await find_identifiers(tx, named, chains)
    losing = [(c.program, c.absorbed) for c in merges]
    losing += [(c.program, c.member) for c in others if isinstance(c, EraseMember)]
    await load_identifiers(tx, book, losing)
    await social_store.load(tx, book, commands, chains)
    if merges:
        await social_store.load_merging(tx, book, merges, chains)
    return Loaded(book, journal, seen, chains, waiting=waiting)


async def save(tx: Transaction, loaded: Loaded) -> None:
    """Write the journal, postings, inbox and projections of a batch. The commit is the caller's."""
    await loaded.journal.write(tx)
    if loaded.inbox_rows:
        await tx.copy_records_to_table("inbox", records=loaded.inbox_rows, columns=INBOX_COLUMNS)
    await project.write(tx, loaded.book, loaded.changes, loaded.chains)


async def _load_programs(
    tx: Transaction, book: Book, programs: Programs, chains: list[int]
) -> set[tuple[int, str]]:
    """Returns the (chain, program) where returns wait for their purchases."""
    rows = await tx.fetch(FIND_PROGRAMS, chains)
    await load_versions(tx, programs, {row["version"] for row in rows}, chains)
    for row in rows:
        book.programs[row["chain"], row["program"]] = ProgramState(row["version"], row["clock_at"])
    return {(row["chain"], row["program"]) for row in rows if row["parked"]}


async def load_versions(tx: Transaction, programs: Programs, wanted: set[str], chains: list[int]) -> None:
    """Parse the versions in `wanted` that this process has not met; all others of `chains` come along."""
    if wanted - programs.versions.keys():
        for row in await tx.fetch(FIND_VERSIONS, chains, list(programs.versions)):
            programs.parsed(row["version"], row["document"])


def _due_until(book: Book, commands: Sequence[Command]) -> dict[tuple[int, str], datetime]:
    """How far this batch will move which clocks."""
    until: dict[tuple[int, str], datetime] = {}
    for command in commands:
        to = command.to if isinstance(command, AdvanceClock) else new_day(book, command)
        if to is not None:
            key = (command.chain, command.program)
            until[key] = max(to, until.get(key, to))
    return until


async def _load_spenders(
    tx: Transaction,
    book: Book,
    commands: Sequence[Command],
    spenders: dict[Key, None],
    chains: int,
) -> None:
    columns = _columns(spenders)
    for row in await tx.fetch(FIND_LOTS, *columns):
        add_lot(book, book.members[row["program"], row["member"]], row)
    await store_holds.load_holds(tx, book, commands, columns, chains)
    if any(isinstance(command, RefundSpend | MergeMembers) for command in commands):
        for row in await store_holds.load_spent(tx, book, commands):
            member = book.members[row["program"], row["member"]]
            if member.lot(row["lot"]) is None:
                add_lot(book, member, row)
    for _, program, member_id in spenders:
        if (program, member_id) in book.members:
            book.members[program, member_id].complete = True
    await adjustments.load(tx, book, commands)
    await money_rows.load_top_ups(tx, book, commands, spenders)
    if any(isinstance(command, (RecordReturn, AssignTier, MergeMembers, Enrol)) for command in commands):
        await load_settlements(tx, book, columns)


async def _load_purchases(
    tx: Transaction, book: Book, commands: Sequence[Command], programs: Programs, chains: int
) -> None:
    """The facts of purchases that are returned, whose tier turns out to be another, or that a referral comes after."""
    rows = []
    returns = [(purchase_source(c.program), c.activity.of) for c in commands if isinstance(c, RecordReturn)]
    # A return of one of two members may have waited for a purchase of the other.
    returns += [
        (purchase_source(c.program), of)
        for c in commands
        if isinstance(c, MergeMembers)
        for _, name in c.places()
        if (member := book.members.get((c.program, name))) is not None
        for of in member.parked
    ]
    if returns:
        places = [inbox_chain(source, id_, chains) for source, id_ in returns]
        keys = (places, [r[0] for r in returns], [r[1] for r in returns])
        rows += await tx.fetch(FIND_PURCHASES, *keys)
        if programs.parking:
            rows += await tx.fetch(parking.FIND_APPLIED_PURCHASES, *keys)
    since = [
        (chain_of(c.of, chains) if c.of else c.chain, c.program, c.of or c.member, c.since)
        for c in commands
        if isinstance(c, AssignTier)
    ]
    retiered = list(since)
    since += [
        # One made at that very time counts for the referral.
        (chain_of(name, chains), c.program, name, c.occurred_at - timedelta(microseconds=1))
        for c in commands
        if isinstance(c, RecordReferral) and c.referrer
        for name in heirs.names_of(book, c.program, c.member)
    ]
    if since:
        rows += await tx.fetch(FIND_PURCHASES_SINCE, *([s[i] for s in since] for i in range(4)))
    rows.sort(key=lambda row: (row["chain"], row["position"]))
    # A purchase is settled by the version it was booked under; another process may have brought and replaced it.
    versions = {row["program_version"] for row in rows}
    await load_versions(tx, programs, versions, sorted({row["chain"] for row in rows}))
    if behind := await find_behind(tx, rows, retiered, programs.versions):
        rows = sorted(rows + behind, key=lambda row: (row["chain"], row["position"]))
        versions = {row["program_version"] for row in behind}
        await load_versions(tx, programs, versions, sorted({row["chain"] for row in behind}))
    survivors = heirs.survivors(book)
    for row in rows:
        key = (row["program"], row["member"])
        member = survivors.get(key) or book.members.get(key)
        if member is None:
            continue
        buyer = row["member"] if row["member"] != member.id else ""
        event = payloads.decode(row["type"], row["payload"])
        if isinstance(event, PurchaseRecorded):
            fact = PurchaseFact(event.purchase, row["position"], row["program_version"], buyer=buyer)
            member.purchases.setdefault(fact.id, fact)
        elif (
            isinstance(event, PointsAccrued)
            and event.reason == "purchase"
            and event.purchase in member.purchases
        ):
            member.purchases[event.purchase].accrued = event.points
            member.purchases[event.purchase].counters = event.counters
    await load_counters_met(tx, book)


def purchase_source(program: str) -> str:
    """The inbox source of a program's purchases: the same for every road a purchase can come by."""
    return f"{program}/purchase"


def add_lot(book: Book, member: Member, row: asyncpg.Record) -> None:
    """The lot in a row of `lots`, to its member in the book."""
    # After the key, the columns are the lot's fields in their order.
    lot = Lot(*[row[column] for column in project.LOT_COLUMNS[3:]])
    member.lots_of(lot.asset)[lot.id] = lot
    book.expect_lot(member, lot)


def _places(commands: Iterable[Command]) -> dict[Key, None]:
    """All whom the commands concern; a program's own commands concern nobody."""
    return {(chain, c.program, member): None for c in commands for chain, member in c.places()}


def _columns(keys: Iterable[Key]) -> tuple[list[int], list[str], list[str]]:
    keys = list(keys)
    return [k[0] for k in keys], [k[1] for k in keys], [k[2] for k in keys]
