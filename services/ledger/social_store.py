"""What interactions and referrals are decided on, and what they leave behind: award counts, budgets, referrals.

A program without interactions and referrals costs nothing here; referrals cost a batch of purchases one query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from services.common.chain import chain_of, spread
from services.common.db import Transaction
from services.ledger import heirs
from services.ledger.domain.awards import slots_of
from services.ledger.domain.book import Book, Referral
from services.ledger.domain.commands import (
    ActivateProgram,
    Command,
    MergeMembers,
    RecordInteraction,
    RecordPurchase,
    RecordReferral,
    RewardReferral,
)
from services.ledger.domain.interactions import counts_as
from services.ledger.domain.program import Program
from services.ledger.domain.referrals import ANCESTORS_MAX

MemberKey = tuple[str, str]
"""(program, member)"""
SlotKey = tuple[str, str, str]
"""(program, member, slot)"""

OPEN_BUDGETS = """
INSERT INTO budgets (chain, program, campaign, given)
SELECT chain, program, campaign, 0 FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, campaign)
ON CONFLICT (chain, program, campaign) DO NOTHING
"""
LOCK_BUDGETS = """
-- After the chain heads, and in one order: two transactions never wait for each other in a ring. Chain by chain, a
-- campaign's awards come one after another from here on, which is what keeps them within the budget.
SELECT b.program, b.campaign, b.given
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, campaign)
JOIN budgets AS b USING (chain, program, campaign) ORDER BY b.chain, b.program, b.campaign FOR UPDATE OF b
"""
SPEND_BUDGETS = """
UPDATE budgets AS b SET given = k.given
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[]) AS k (chain, program, campaign, given)
WHERE b.chain = k.chain AND b.program = k.program AND b.campaign = k.campaign
"""
FIND_REFERRALS = """
SELECT r.* FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
JOIN referrals AS r USING (chain, program, member)
"""
DELETE_REFERRALS = """
DELETE FROM referrals AS r USING unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
WHERE r.chain = k.chain AND r.program = k.program AND r.member = k.member
"""
FIND_FIRST_PURCHASES = """
SELECT k.program, k.member, j.occurred_at
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
CROSS JOIN LATERAL (
    SELECT min(occurred_at) AS occurred_at FROM journal
    WHERE chain = k.chain AND program = k.program AND member = k.member AND type = 'PurchaseRecorded' OFFSET 0
) AS j
"""
FIND_AWARD_COUNTS = """
SELECT c.program, c.member, c.slot, c.awards
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (chain, program, member, slot)
JOIN award_counts AS c USING (chain, program, member, slot)
"""
FIND_AWARD_COUNTS_OF = """
SELECT c.program, c.member, c.slot, c.awards
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, member)
JOIN award_counts AS c USING (chain, program, member)
"""
UPSERT_AWARD_COUNTS = """
INSERT INTO award_counts
SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[])
ON CONFLICT (chain, program, member, slot) DO UPDATE SET awards = EXCLUDED.awards
"""
REFERRAL_COLUMNS = (
    "chain", "program", "member", "referral", "referrer", "registered_at", "qualified_at", "tasks", "owed_sides",
    "owed_since",
)  # fmt: skip


def budget_chain(program: str, campaign: str, chains: int) -> int:
    """Where a campaign's budget stands: by its own key, for all chains draw on it."""
    return spread(f"{program}/{campaign}".encode(), chains)


async def load(tx: Transaction, book: Book, commands: Sequence[Command], chains: int) -> None:
    """Put what these commands need into the book; the heads of their chains are locked, their programs loaded."""
    in_force = _possible(book, commands)
    if not in_force:
        return
    mine = [(c, in_force[c.chain, c.program]) for c in commands if (c.chain, c.program) in in_force]
    await _lock_budgets(tx, book, mine, chains)
    await _load_referrals(tx, book, mine, chains)
    slots = [
        key for command, programs in mine for program in programs for key in _slots(book, command, program)
    ]
    if slots:
        columns = _columns([(chain_of(key[1], chains), *key) for key in dict.fromkeys(slots)])
        for row in await tx.fetch(FIND_AWARD_COUNTS, *columns):
            member = book.members.get((row["program"], row["member"]))
            if member is not None:
                member.awards[row["slot"]] = row["awards"]


async def load_merging(tx: Transaction, book: Book, commands: Sequence[MergeMembers], chains: int) -> None:
    """All that was counted of who is merged, and how they came, whatever their program says by now."""
    members = {(c.program, member) for c in commands for _, member in c.places()}
    columns = _member_columns(members, chains)
    for row in await tx.fetch(FIND_AWARD_COUNTS_OF, *columns):
        member = book.members.get((row["program"], row["member"]))
        if member is not None:
            member.awards[row["slot"]] = row["awards"]
    await _load_lines(tx, book, members, chains)


def put_referral(book: Book, row: Any) -> None:
    """The referral in a row of `referrals`, to the book."""
    book.referrals[row["program"], row["member"]] = Referral(
        row["referral"], row["member"], row["referrer"], row["registered_at"], row["qualified_at"],
        list(row["tasks"]), list(zip(row["owed_sides"], row["owed_since"], strict=True)),
    )  # fmt: skip


def _possible(book: Book, commands: Sequence[Command]) -> dict[tuple[int, str], list[Program]]:
    """Programs with such rules by (chain, program): the version in force, and those that the batch activates."""
    possible = {key: [book.versions[state.version]] for key, state in book.programs.items()}
    for command in commands:
        if isinstance(command, ActivateProgram):
            activated = book.versions[command.version]
            possible.setdefault((command.chain, command.program), []).append(activated)
    return {
        key: programs
        for key, programs in possible.items()
        if any(p.social or p.social.budgets for p in programs)
    }


async def _lock_budgets(
    tx: Transaction, book: Book, mine: list[tuple[Command, list[Program]]], chains: int
) -> None:
    opened, drawn = set[MemberKey](), set[MemberKey]()
    for command, programs in mine:
        if isinstance(command, ActivateProgram):
            opened |= {(command.program, name) for name in book.versions[command.version].social.budgets}
        for program in programs:
            drawn |= {(command.program, name) for name in _campaigns(command, program) if name}
    if opened:
        # The rows are there before anybody can draw on them, so that there is always something to lock.
        await tx.execute(OPEN_BUDGETS, *_budget_columns(opened, chains))
    if drawn:
        for row in await tx.fetch(LOCK_BUDGETS, *_budget_columns(drawn, chains)):
            book.budgets[row["program"], row["campaign"]] = row["given"]


def _campaigns(command: Command, program: Program) -> Iterable[str]:
    """The campaigns that may have to pay for a command; empty names for none."""
    if isinstance(command, RecordInteraction):
        return [rule.campaign for rule in program.social.interactions.get(command.kind, ())]
    if isinstance(command, RewardReferral) and program.social.referrals is not None:
        return [program.social.referrals.campaign]
    return ()


async def _load_referrals(
    tx: Transaction, book: Book, mine: list[tuple[Command, list[Program]]], chains: int
) -> None:
    wanted = {
        (command.program, command.member)
        for command, programs in mine
        if isinstance(command, (RecordReferral, RewardReferral))
        or (isinstance(command, RecordPurchase) and any(p.social.referrals for p in programs))
    }
    registering = [c for c, _ in mine if isinstance(c, RecordReferral) and c.referrer]
    if not registering:
        if wanted:
            await _load_level(tx, book, wanted, chains)
        return
    await _load_lines(tx, book, wanted | {(c.program, c.referrer) for c in registering}, chains)
    referees = {
        (c.program, name): (c.program, c.member)
        for c in registering
        for name in heirs.names_of(book, c.program, c.member)
    }
    for row in await tx.fetch(FIND_FIRST_PURCHASES, *_member_columns(referees, chains)):
        member = book.members.get(referees[row["program"], row["member"]])
        first = row["occurred_at"]
        if member is not None and first is not None:
            member.bought_before = min(first, member.bought_before or first)


async def _load_lines(tx: Transaction, book: Book, members: set[MemberKey], chains: int) -> None:
    """Who referred these, and so on up: of who was merged, the survivor's referrer."""
    asked, wanted = set[MemberKey](), members
    for _ in range(ANCESTORS_MAX):
        asked |= wanted
        named = await _load_level(tx, book, wanted, chains)
        await heirs.look_up(tx, book.heirs, named, chains)
        wanted = {(program, book.heir(program, referrer)) for program, referrer in named} - asked
        if not wanted:
            return


async def _load_level(
    tx: Transaction, book: Book, members: Iterable[MemberKey], chains: int
) -> set[MemberKey]:
    """Their referrals; returns the referrers."""
    rows = await tx.fetch(FIND_REFERRALS, *_member_columns(members, chains))
    for row in rows:
        put_referral(book, row)
    return {(row["program"], row["referrer"]) for row in rows}


def _slots(book: Book, command: Command, program: Program) -> Iterable[SlotKey]:
    """What the awards of a command would count against."""
    if isinstance(command, RecordInteraction):
        named = slots_of(program, counts_as(command.kind), command.occurred_at, command.content)
        return [(command.program, command.member, slot) for slot in named.values()]
    referral = book.referrals.get((command.program, command.member))
    if isinstance(command, RewardReferral) and referral is not None:
        sides: list[tuple[str, str, datetime]] = [
            (command.member if side == "referee" else command.referrer, side, at)
            for side, at in referral.owed
        ]
        return [
            (command.program, member, slot)
            for member, side, at in sides
            for slot in slots_of(program, side, at).values()
        ]
    return ()


async def write(
    tx: Transaction,
    book: Book,
    chains: int,
    counted: Iterable[SlotKey],
    budgets: Iterable[tuple[str, str]],
    referrals: Iterable[MemberKey],
) -> None:
    """Write the rows of what a batch touched, a statement a table."""
    if counts := award_count_rows(book, counted):
        await tx.execute(UPSERT_AWARD_COUNTS, *_columns(counts))
    if spent := budget_rows(book, budgets, chains):
        await tx.execute(SPEND_BUDGETS, *_columns(spent))
    if changed := referral_rows(book, referrals):
        await tx.execute(DELETE_REFERRALS, *_columns([row[:3] for row in changed]))
        await tx.copy_records_to_table("referrals", records=changed, columns=REFERRAL_COLUMNS)


def award_count_rows(book: Book, keys: Iterable[SlotKey]) -> list[tuple[Any, ...]]:
    """Rows of `award_counts` as they are now."""
    found = [(book.members[program, member], slot) for program, member, slot in keys]
    return [(member.chain, member.program, member.id, slot, member.awards[slot]) for member, slot in found]


def budget_rows(book: Book, keys: Iterable[tuple[str, str]], chains: int) -> list[tuple[Any, ...]]:
    """Rows of `budgets` as they are now, in the order in which they are locked."""
    return sorted((budget_chain(*key, chains), *key, book.budgets[key]) for key in keys)


def referral_rows(book: Book, keys: Iterable[MemberKey]) -> list[tuple[Any, ...]]:
    """Rows of `referrals` as they are now."""
    return [
        (book.members[key].chain, *key, r.id, r.referrer, r.registered_at, r.qualified_at, list(r.tasks),
         [side for side, _ in r.owed], [since for _, since in r.owed])
        for key, r in ((key, book.referrals[key]) for key in keys)
    ]  # fmt: skip


def _budget_columns(keys: Iterable[tuple[str, str]], chains: int) -> list[list[Any]]:
    return _columns(sorted((budget_chain(*key, chains), *key) for key in keys))


def _member_columns(keys: Iterable[MemberKey], chains: int) -> list[list[Any]]:
    return _columns([(chain_of(member, chains), program, member) for program, member in keys])


def _columns(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
