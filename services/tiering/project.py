"""Rows of the ledger's book become members' windows, tiers and history, and rows of our own journal.

The same code runs live and in `replay`: nothing in it reads a clock or depends on how the rows were cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import orjson

from services.common.codec import StreamRow, unseen
from services.common.db import Transaction
from services.common.errors import BeginAgain, InvariantBroken
from services.common.journal import Journal
from services.common.program_section import ProgramError
from services.tiering import history_store, merging, store
from services.tiering.domain import segments
from services.tiering.domain.decide import take, take_retired, take_reviews
from services.tiering.domain.events import (
    Decision,
    Fact,
    MemberAbsorbed,
    MembersMerged,
    ProgramActivated,
    ProgramRefused,
    SegmentChanged,
    TierChanged,
    Told,
)
from services.tiering.domain.state import ProgramState, State
from services.tiering.wire import POINTS_TYPES, fact_of, payload_of

REVIEWS_MAX = 1_000
"""Reviews that are loaded at once: a clock that moves on by a year can make a whole chain's members due."""
LEDGER = "tallybook/ledger"
LEDGER_TOPIC = "ledger.v1"
ALONE = (ProgramActivated, MembersMerged, MemberAbsorbed)
"""What stands alone among the facts of a batch."""
OWN = "tallybook/tiering"


async def apply_rows(
    tx: Transaction,
    chain: int,
    topic: str,
    rows: Sequence[StreamRow],
    recorded_at: datetime,
    alone: bool = False,
) -> tuple[int, int]:
    """Apply rows of the ledger's chain in the caller's transaction; rows applied before are passed over.

    Args:
        recorded_at: what our own journal rows say of when they were written; no decision depends on it.
        alone: a rebuild of this chain: what merges bring to it and take from it is told apart.

    Returns:
        (rows applied, rows of our own written).

    Raises:
        InvariantBroken: a row is missing or is on the wrong chain.
    """
    if any(row.chain != chain for row in rows):
        raise InvariantBroken(f"a row of another chain came on partition {chain}")
    # The head's lock comes first: whoever else would work on this chain waits here, and then reads what was committed.
    others = set() if alone else await merging.other_chains(tx, rows)
    journal = await Journal.lock(tx, {chain, *others}, payload_of)
    applied = {chain: await store.position(tx, chain, topic)}
    fresh = unseen(rows, applied)
    if not fresh:
        return 0, 0
    # Under this lock the programs are as they are read here until a row changes them.
    programs = await _programs(tx, chain, fresh)
    batch = Batch(tx, chain, journal, recorded_at, alone=alone, programs=programs)
    facts = [fact for row in _concerning(fresh, programs) if (fact := fact_of(row)) is not None]
    for segment in _segments(facts):
        await batch.take(segment)
    await journal.write(tx)
    await store.move_position(tx, chain, topic, applied[chain])
    return len(fresh), len(journal.entries)


async def apply_told(
    tx: Transaction,
    journal: Journal,
    chain: int,
    program: str,
    member: str,
    told: Told,
    occurred_at: datetime,
    recorded_at: datetime,
    cause: tuple[str, str, bytes | None],
    version: str,
) -> int:
    """Take what tiering itself is told: a row of our own journal, and what follows from it. Returns its position.

    The chain's head is locked by `journal`, and `told` names the last row of the ledger that was applied under that
    lock: so its place among the ledger's rows is written down, and `replay` puts it there again.
    """
    position = await tell(tx, journal, chain, program, member, told, occurred_at, recorded_at, cause, version)
    await journal.write(tx)
    return position


async def tell(
    tx: Transaction,
    journal: Journal,
    chain: int,
    program: str,
    member: str,
    told: Told,
    occurred_at: datetime,
    recorded_at: datetime,
    cause: tuple[str, str, bytes | None],
    version: str,
) -> int:
    """`apply_told` in a transaction that goes on: the journal is written by the caller."""
    position = journal.append(chain, program, member, told, occurred_at, recorded_at, cause, version)
    batch = Batch(tx, chain, journal, recorded_at, told_by=position)
    await batch.take([Fact(told.ledger_position, program, member, occurred_at, told)])
    return position


async def _programs(tx: Transaction, chain: int, rows: Sequence[StreamRow]) -> State | None:
    """The programs in force; None when the rows bring other versions."""
    if any(row.type == "ProgramActivated" for row in rows):
        return None
    return await store.load_programs(tx, chain, {row.program for row in rows if row.payload is not None})


def _concerning(rows: Sequence[StreamRow], programs: State | None) -> Sequence[StreamRow]:
    """The rows without those about points that no program counts: every purchase has points, and few programs do."""
    if programs is None:
        return rows
    counting = {name for name, program in programs.items() if "points" in program.rules.kinds}
    return [row for row in rows if row.type not in POINTS_TYPES or row.program in counting]


def _segments(facts: Sequence[Fact]) -> Iterator[list[Fact]]:
    """Runs of facts under the same rules; an activation stands alone, and so does a merge."""
    run: list[Fact] = []
    for fact in facts:
        if isinstance(fact.event, ALONE):
            if run:
                yield run
            yield [fact]
            run = []
        else:
            run.append(fact)
    if run:
        yield run


class Batch:
    """One transaction's work on one chain. `told_by`: the row of our own journal that the fact is, if it is one."""

    def __init__(
        self,
        tx: Transaction,
        chain: int,
        journal: Journal,
        recorded_at: datetime,
        told_by: int | None = None,
        alone: bool = False,
        programs: State | None = None,
    ) -> None:
        self._tx = tx
        self._chain = chain
        self._journal = journal
        self._recorded_at = recorded_at
        self._told_by = told_by
        self._alone = alone
        self._programs = programs
        self._said: list[tuple[int, TierChanged]] = []

    async def take(self, facts: list[Fact]) -> None:
        """Load, decide, write: facts under the same rules, or one activation, or one row of a merge."""
        first = facts[0]
        if isinstance(first.event, ProgramActivated):
            await self._activate(first, first.event)
            return
        if isinstance(first.event, MemberAbsorbed) and first.member is not None:
            await self._let_go(first, first.member, first.event.into)
            return
        if isinstance(first.event, MembersMerged) and first.member is not None:
            await self._welcome(first, first.member, first.event.absorbed)
            return
        programs, self._programs = self._programs, None
        loaded = await store.load(self._tx, self._chain, facts, REVIEWS_MAX, programs)
        if loaded.more_due and len(facts) > 1:
            # Reviews come before the fact that makes them due, so the facts are parted until one of them is alone.
            middle = len(facts) // 2
            await self.take(facts[:middle])
            await self.take(facts[middle:])
            return
        while loaded.more_due:
            program_id, bound = loaded.more_due.popitem()
            self.record(
                loaded.state, take_reviews(loaded.state[program_id], bound, facts[0].position), facts[0]
            )
            await self.save(loaded.state)
            loaded = await store.load(self._tx, self._chain, facts, REVIEWS_MAX)
        for fact in facts:
            self.record(loaded.state, take(loaded.state, fact), fact)
            program = loaded.state.get(fact.program)
            if program is not None:
                for moved in segments.take(program, fact):
                    self._append(moved, moved.member, fact)
        await self.save(loaded.state)

    async def _activate(self, fact: Fact, event: ProgramActivated) -> None:
        """A new version; members whose tier it does not have are reviewed. A version that can't be used is refused."""
        try:
            rules = store.rules_of(event.document, event.version)
        except (ProgramError, orjson.JSONDecodeError) as error:
            refusal = ProgramRefused(fact.program, event.version, str(error), fact.occurred_at)
            self._append(refusal, None, fact)
            await self._save_program(fact, event, str(error))
            return
        await self._save_program(fact, event, None)
        if rules is None:
            return
        if rules.program != fact.program:
            raise InvariantBroken(f"the document of program {fact.program} says that it is {rules.program}")
        while True:
            program = (await store.load_programs(self._tx, self._chain, [fact.program]))[fact.program]
            at = program.clock or fact.occurred_at
            members = await store.load_retired(self._tx, self._chain, program, at, REVIEWS_MAX)
            if not members:
                return
            state = {fact.program: program}
            for member in members:
                self.record(state, take_retired(program, member, at, fact.position), fact)
            await self.save(state)

    async def _let_go(self, fact: Fact, member: str, into: str) -> None:
        """The member is absorbed: it leaves, and is handed over at once when the survivor's chain waits for it."""
        await merging.leave(self._tx, self._chain, fact.program, member, into, fact.position)
        if self._alone:
            return
        if await merging.awaited(self._tx, await merging.home_of(self._tx, into), fact.program, into, member):
            await self._hand_over(fact, self._chain, member, into)

    async def _welcome(self, fact: Fact, member: str, absorbed: str) -> None:
        """The survivor's row of a merge: what the other chain has let go already comes over at once."""
        await merging.awaits(self._tx, self._chain, fact.program, member, absorbed, fact.position)
        if not self._alone:
            await self._hand_over(fact, await merging.home_of(self._tx, absorbed), absorbed, member)

    async def _hand_over(self, fact: Fact, home: int, absorbed: str, into: str) -> None:
        """Tell the survivor's chain. Who was merged into another meanwhile is none any more: that other one is."""
        chain, member = await merging.survivor(self._tx, fact.program, into)
        if chain not in self._journal.heads:
            raise BeginAgain(f"{into} was merged into {member}, whose chain has to be locked too")
        here = chain == self._chain
        at_row = fact.position if here else await store.position(self._tx, chain, LEDGER_TOPIC)
        cause = (LEDGER, f"{self._chain}-{fact.position}", None)
        state = await store.load_programs(self._tx, chain, [fact.program])
        version = state[fact.program].rules.version if state else ""
        for told in await merging.left_behind(self._tx, home, fact.program, absorbed, at_row):
            await tell(
                self._tx, self._journal, chain, fact.program, member, told, fact.occurred_at, self._recorded_at,
                cause, version,
            )  # fmt: skip

    async def _save_program(self, fact: Fact, event: ProgramActivated, refusal: str | None) -> None:
        await store.save_program(
            self._tx, self._chain, fact.program, fact.position, event.version, event.document, refusal
        )

    async def save(self, state: State) -> None:
        """Write the state, the rows behind what was said, and the history; the journal's rows are written last."""
        await store.save(self._tx, self._chain, state)
        await history_store.find_positions(self._tx, self._chain, state, [event for _, event in self._said])
        await history_store.save_history(self._tx, self._chain, self._said)
        self._said = []

    def record(self, state: State, decided: Sequence[TierChanged], fact: Fact) -> None:
        """Our journal's rows; they are written once the ledger's rows behind them are found."""
        for event in decided:
            position = self._append(event, event.member, fact)
            program: ProgramState = state[event.program]
            program.members[event.member].changed_position = position
            self._said.append((position, event))

    def _append(self, event: Decision, member: str | None, fact: Fact) -> int:
        match event:
            case TierChanged():
                occurred_at = event.since
            case SegmentChanged():
                occurred_at = event.at
            case ProgramRefused():
                occurred_at = event.occurred_at
        source, row = (LEDGER, fact.position) if self._told_by is None else (OWN, self._told_by)
        return self._journal.append(
            self._chain, event.program, member, event, occurred_at, self._recorded_at,
            (source, f"{self._chain}-{row}", None), event.version,
        )  # fmt: skip
