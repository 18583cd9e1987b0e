"""Grants in the consumer's transaction: who gets what for a batch of rows, once, and within the budgets.

The rows are judged in their order, each under the program version in force at it. Budgets are rows that all chains
share: they are locked after the chain's head, in one order, and only when something may be given from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.common.chain import spread
from services.common.codec import StreamRow
from services.common.db import Transaction
from services.common.program_section import ProgramError
from services.rewards.domain.facts import ProgramActivated
from services.rewards.domain.gifts import TicketsGift
from services.rewards.domain.grant_events import GrantEvent, GrantGiven, GrantProgressed
from services.rewards.domain.grants import Grant, Occasion, Progress, decide_grant, fits, is_for, slot_of
from services.rewards.domain.moving import GrantMoved
from services.rewards.domain.program import Program
from services.rewards.project import Told, time_told
from services.rewards.standings import find_standings
from services.rewards.store import Book
from services.rewards.wire import occasion_of, program_of

SlotKey = tuple[str, str, str, str]
"""(program, member, grant, slot)"""

FIND_PROGRAMS = """
SELECT p.program, p.version, p.document, c.clock FROM programs AS p
LEFT JOIN program_clocks AS c ON c.chain = p.chain AND c.program = p.program
WHERE p.chain = $1 AND p.program = ANY($2::text[])
"""
FIND_SLOTS = """
-- LIMIT keeps it to one look into the primary key each: a plan made while the table was empty must stay good.
SELECT s.program, s.member, s.grant_id, s.slot, s.settled, s.purchases, s.amount
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS k (program, member, grant_id, slot)
CROSS JOIN LATERAL (
    SELECT * FROM member_grants WHERE chain = $1 AND program = k.program AND member = k.member
    AND grant_id = k.grant_id AND slot = k.slot LIMIT 1
) AS s
"""
SAVE_SLOTS = """
INSERT INTO member_grants (chain, program, member, grant_id, slot, settled, purchases, amount)
SELECT $1::smallint, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::bigint[],
                                   $8::bigint[])
ON CONFLICT (chain, program, member, grant_id, slot) DO UPDATE
SET settled = EXCLUDED.settled, purchases = EXCLUDED.purchases, amount = EXCLUDED.amount
"""
LOCK_BUDGETS = """
-- Made or found, each row is locked, in the order of the keys given: two transactions never wait in a ring.
INSERT INTO grant_budgets (chain, program, grant_id, given)
SELECT *, 0 FROM unnest($1::smallint[], $2::text[], $3::text[])
ON CONFLICT (chain, program, grant_id) DO UPDATE SET given = grant_budgets.given
RETURNING program, grant_id, given
"""
SPEND_BUDGETS = """
INSERT INTO grant_budgets (chain, program, grant_id, given)
SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[])
ON CONFLICT (chain, program, grant_id) DO UPDATE SET given = grant_budgets.given + EXCLUDED.given
"""
DROP_BUDGETS = """
DELETE FROM grant_budgets AS b USING unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, grant_id)
WHERE b.chain = k.chain AND b.program = k.program AND b.grant_id = k.grant_id AND b.given = 0
"""


@dataclass(slots=True, frozen=True)
class Slot:
    """What a member has had of a grant, or has reached of it."""

    settled: bool = False
    progress: Progress = field(default_factory=Progress)


@dataclass(slots=True, frozen=True)
class Candidate:
    """An occasion that fits a grant; `cause` is what its events name."""

    cause: tuple[str, str, None]
    program: Program
    grant: Grant
    occasion: Occasion
    key: SlotKey
    present: datetime

    @property
    def players(self) -> set[tuple[str, str, str]]:
        """Whom it may give tickets: (program, member, draw)."""
        program, member, _, _ = self.key
        return {(program, member, gift.draw) for gift in self.grant.give if isinstance(gift, TicketsGift)}


class Granting:
    """One batch's grants: `begin` before the batch changes programs and clocks, `give` after."""

    def __init__(self, programs: dict[str, tuple[Program, datetime | None]]) -> None:
        self._programs = programs

    @classmethod
    async def begin(cls, tx: Transaction, chain: int, rows: Sequence[StreamRow]) -> Granting:
        """Note what is in force before the batch."""
        found = await tx.fetch(FIND_PROGRAMS, chain, sorted({row.program for row in rows}))
        return cls({r["program"]: (program_of(r["document"], r["version"]), r["clock"]) for r in found})

    async def give(
        self, tx: Transaction, book: Book, chains: int, told: Sequence[Told], source: str, now: datetime
    ) -> None:
        """Give what the batch's rows come to."""
        await give(tx, book, chains, list(self._candidates(told, source, now)), now)

    def _candidates(self, told: Sequence[Told], source: str, now: datetime) -> Iterable[Candidate]:
        known = any(program.grants for program, _ in self._programs.values())
        if not known and not any(row.type == "ProgramActivated" for row, _ in told):
            return
        for row, fact in told:
            program, clock = self._programs.get(row.program, (None, None))
            if isinstance(fact, ProgramActivated):
                try:
                    program = program_of(fact.document.decode(), fact.version)
                except ProgramError:
                    continue  # It is refused, and the version before stays.
            elif (time := time_told(row, fact)) is not None:
                clock = max(clock or time, time)
            if program is None:
                continue
            self._programs[row.program] = (program, clock)
            occasion = occasion_of(row) if program.grants and row.member is not None else None
            if occasion is None:
                continue
            present = (clock or row.occurred_at) if program.runs_on_events else now
            for grant in program.grants:
                if fits(grant, occasion, program.zone):
                    slot = slot_of(grant, occasion, program.zone)
                    key = (row.program, row.member or "", grant.id, slot)
                    cause = (source, f"{row.chain}-{row.position}", None)
                    yield Candidate(cause, program, grant, occasion, key, present)


async def give(tx: Transaction, book: Book, chains: int, fitting: list[Candidate], now: datetime) -> None:
    """Decide what candidates come to, in their order, record it in `book`, and write the slots and budgets."""
    candidates = await _aimed_at(tx, book.chain, fitting)
    if not candidates:
        return
    await book.draws.state.load(tx, book.chain, players={k for c in candidates for k in c.players})
    slots = await find_slots(tx, book.chain, {c.key for c in candidates})
    drawn = {(c.key[0], c.grant.id) for c in candidates if c.grant.budget is not None}
    given = await _lock_budgets(tx, drawn, chains)
    changed: dict[SlotKey, Slot] = {}
    spent: dict[tuple[str, str], int] = {}
    for c in candidates:
        slot = slots.get(c.key, Slot())
        budget = (c.key[0], c.grant.id)
        total = given.get(budget, 0) + spent.get(budget, 0)
        events = decide_grant(c.grant, c.occasion, c.key[3], slot.settled, slot.progress, total)
        for event in events:
            _record(book, c, event, now)
            slots[c.key] = changed[c.key] = after(slots.get(c.key, Slot()), event)
            if isinstance(event, GrantGiven) and event.budgeted:
                spent[budget] = spent.get(budget, 0) + event.size
    await save_slots(tx, book.chain, changed)
    await spend_budgets(tx, spent, chains)
    untouched = {budget for budget, count in given.items() if count == 0} - spent.keys()
    await _drop_budgets(tx, untouched, chains)


def _record(book: Book, c: Candidate, event: GrantEvent, now: datetime) -> None:
    """A grant's event, and what it gives behind it."""
    program, member, grant, slot = c.key
    version = c.program.version
    book.vouchers.note(book.chain, program, member, version, event, c.present, now, c.cause)
    if isinstance(event, GrantGiven):
        why = ("grant", f"{grant}/{slot}")
        book.deliver(c.grant.give, program, member, version, why, c.present, now, c.cause)


async def _aimed_at(tx: Transaction, chain: int, candidates: list[Candidate]) -> list[Candidate]:
    """Those whose member the grant is for, as far as tiering has told."""
    asked = {c.key[:2] for c in candidates if c.grant.is_aimed}
    standings = await find_standings(tx, chain, asked)
    return [
        c
        for c in candidates
        if not c.grant.is_aimed or is_for(c.grant, standings[c.key[:2]], c.program.lowest_tier)
    ]


def after(slot: Slot, event: GrantEvent | GrantMoved) -> Slot:
    """The slot after an event of our own journal."""
    if isinstance(event, GrantMoved):
        came = event.progress
        progress = Progress(slot.progress.purchases + came.purchases, slot.progress.amount + came.amount)
        return Slot(slot.settled or event.settled, progress)
    if isinstance(event, GrantProgressed):
        return Slot(slot.settled, Progress(event.purchases, event.amount))
    return Slot(True, slot.progress)


async def find_slots(tx: Transaction, chain: int, keys: Iterable[SlotKey]) -> dict[SlotKey, Slot]:
    """The slots of `keys` that exist, by one query."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    return {
        (r["program"], r["member"], r["grant_id"], r["slot"]): Slot(
            r["settled"], Progress(r["purchases"], r["amount"])
        )
        for r in await tx.fetch(FIND_SLOTS, chain, *(list(column) for column in zip(*wanted, strict=True)))
    }


async def save_slots(tx: Transaction, chain: int, slots: Mapping[SlotKey, Slot]) -> None:
    """Write slots as they now are, by one statement."""
    if slots:
        keys = sorted(slots)
        await tx.execute(
            SAVE_SLOTS,
            chain,
            *(list(column) for column in zip(*keys, strict=True)),
            [slots[key].settled for key in keys],
            [slots[key].progress.purchases for key in keys],
            [slots[key].progress.amount for key in keys],
        )


async def spend_budgets(tx: Transaction, spent: Mapping[tuple[str, str], int], chains: int) -> None:
    """Count vouchers against budgets, in the order in which they are locked."""
    if spent:
        columns = _budget_columns(spent, chains)
        await tx.execute(
            SPEND_BUDGETS, *columns, [spent[key] for key in zip(columns[1], columns[2], strict=True)]
        )


async def _drop_budgets(tx: Transaction, budgets: Iterable[tuple[str, str]], chains: int) -> None:
    """Rows that were made to be locked and count nothing: a rebuild would not have them."""
    columns = _budget_columns(budgets, chains)
    if columns[0]:
        await tx.execute(DROP_BUDGETS, *columns)


async def _lock_budgets(
    tx: Transaction, budgets: Iterable[tuple[str, str]], chains: int
) -> dict[tuple[str, str], int]:
    """How many vouchers each has given; nobody else gives any until this transaction ends."""
    columns = _budget_columns(budgets, chains)
    if not columns[0]:
        return {}
    return {(r["program"], r["grant_id"]): r["given"] for r in await tx.fetch(LOCK_BUDGETS, *columns)}


def _budget_columns(
    budgets: Iterable[tuple[str, str]], chains: int
) -> tuple[list[int], list[str], list[str]]:
    rows = sorted(
        (spread(f"{program}/{grant}".encode(), chains), program, grant) for program, grant in budgets
    )
    return [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]
