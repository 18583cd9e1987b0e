"""Rankings: the places among the best of all members, given and taken at the review of the tiers that ask for one.

A place is among the members of all chains, and each chain decides by itself. So a ranking (how it goes over all chains
is said in services/tiering/population.py) counts once over all chains how many of the best each has, and writes that
down with the ledger's rows that it had counted: the first so many of a chain are the same whenever they are looked for.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from math import ceil, lcm
from typing import Any

import orjson

from services.common.clock import utc_now
from services.common.db import Transaction, Writer
from services.common.errors import Refusal
from services.common.journal import Journal
from services.tiering import store
from services.tiering.domain.decide import take_ranking
from services.tiering.domain.events import Fact, TiersRanked, Top
from services.tiering.domain.metrics import Metric
from services.tiering.domain.months import EARLIEST
from services.tiering.domain.program import Rules
from services.tiering.domain.state import ProgramState
from services.tiering.population import (
    CHAINS,
    chain_after_chain,
    clock_of,
    find_program,
    keep_up,
    only_run,
    planned,
)
from services.tiering.project import LEDGER_TOPIC, Batch
from services.tiering.ranking_sql import BEFORE, BEST, HERE, MEMBERS, POSITIONS
from services.tiering.wire import payload_of, told_of

MEMBERS_AT_ONCE = 1_000
PERCENT = 100
DONE = """
SELECT r.chain, j.payload FROM tier_rankings AS r
JOIN journal AS j ON j.chain = r.chain AND j.position = r.position
WHERE r.program = $1 AND r.run = $2
"""
LAST_CLOCK = """
SELECT min(c.clock) FROM chain_heads AS h LEFT JOIN program_clocks AS c ON c.chain = h.chain AND c.program = $1
HAVING count(c.clock) = count(*)
"""
INSERT_RANKING = """
INSERT INTO tier_rankings (chain, program, run, position, ledger_position, cause, at, version, tops, members, changed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11)
"""


class Rankings:
    """Ranks the members of whole programs."""

    def __init__(self, writer: Writer, decided: Callable[[], None] = lambda: None) -> None:
        """`decided` is called after each commit: the relay has something to publish."""
        self._writer = writer
        self._decided = decided

    async def run(self, program: str, cause: str = "request") -> tuple[str, bool]:
        """Make the ranking that the program's clock has got to. Returns its name, and whether it had been made before.

        Raises:
            Refusal: unknown_program, not_tiered, not_ranked, no_clock, run_in_progress.
        """
        async with self._writer.session() as session:
            await only_run(session, "rankings", program)
            found = await find_program(session, program)
            if not found.rules.tops:
                raise Refusal("not_ranked", f"no tier of program {program!r} asks for a place among the best")
            now = await clock_reached(session, found)
            if now is None:
                raise Refusal("no_clock", f"nothing has happened yet in program {program!r}")
            at = found.rules.ranking_start(now)
            run = at.astimezone(found.rules.time_zone).date().isoformat()
            done = {row["chain"]: row["payload"] for row in await session.fetch(DONE, program, run)}
            left = [row["chain"] for row in await session.fetch(CHAINS) if row["chain"] not in done]
            if not left:
                return run, True
            if done:
                fact = told_of("TiersRanked", next(iter(done.values())))
                assert isinstance(fact, TiersRanked)  # noqa: S101 - that is what the row's type says
            else:
                async with session.transaction(isolation="repeatable_read", readonly=True), planned(session):
                    fact = await measure(session, found.rules, run, cause, at)

            async def rank(tx: Transaction, chain: int) -> None:
                await self._rank(tx, chain, program, fact)

            await chain_after_chain(self._writer, left, rank, self._decided)
        return run, False

    async def keep(self, stop: asyncio.Event) -> None:
        """Side task: each review has its ranking, soon after the program's clock has got to it."""
        await keep_up(self._writer, stop, "rankings", self.run_due)

    async def run_due(self, program: str) -> None:
        """Make the ranking of the program's last review, if it has one and that was not made."""
        async with self._writer.session() as session:
            try:
                found = await find_program(session, program)
            except Refusal:
                return
            if not found.rules.tops or await clock_reached(session, found) is None:
                return
        await self.run(program, "schedule")

    async def _rank(self, tx: Transaction, chain: int, program: str, fact: TiersRanked) -> None:
        journal = await Journal.lock(tx, [chain], payload_of)
        at_row = await store.position(tx, chain, LEDGER_TOPIC)
        told = TiersRanked(fact.run, fact.cause, fact.at, fact.tops, fact.members, fact.counted_to, at_row)
        found = (await store.load_programs(tx, chain, [program])).get(program)
        await apply_ranking(
            tx, journal, chain, program, told, utc_now(), found.rules.version if found else ""
        )


async def clock_reached(session: Transaction, found: ProgramState) -> datetime | None:
    """How far the program's time has been read; None when it has not begun.

    On the wall's clock every chain is told the time each hour, so the last chain's says up to where all have been read,
    and after a standstill no ranking is made before that. On the clock of events, chains without any have no time.
    """
    if found.rules.runs_on_events:
        return await clock_of(session, found)
    clock: datetime | None = await session.fetchval(LAST_CLOCK, found.rules.program)
    return clock


async def measure(tx: Transaction, rules: Rules, run: str, cause: str, at: datetime) -> TiersRanked:
    """Where the best of all members are, at `at`, by what the snapshot of `tx` knows."""
    counted_to = [row["position"] for row in await tx.fetch(POSITIONS, LEDGER_TOPIC)]
    members = await tx.fetchval(MEMBERS, rules.program)
    tops = []
    for flag in rules.tops:
        places = ceil(flag.percent * members / PERCENT)
        here, threshold = [0] * len(counted_to), None
        for row in await tx.fetch(BEST, *_asked(rules, flag, at, counted_to), places):
            here[row["chain"]] = row["here"]
            threshold = row["threshold"] if threshold is None else min(threshold, row["threshold"])
        tops.append(Top(flag.of, flag.percent_text, sum(here), tuple(here), threshold or 0))
    return TiersRanked(run, cause, at, tuple(tops), members, tuple(counted_to), 0)


async def apply_ranking(
    tx: Transaction,
    journal: Journal,
    chain: int,
    program: str,
    fact: TiersRanked,
    recorded_at: datetime,
    version: str,
) -> None:
    """Give and take the places of one chain, whose head is locked by `journal`: the fact, and what follows from it."""
    cause = (f"{program}/tier_ranking", fact.run, None)
    position = journal.append(chain, program, None, fact, fact.at, recorded_at, cause, version)
    before = len(journal.entries)
    state = (await store.load_programs(tx, chain, [program])).get(program)
    if state is not None:
        await _give(tx, journal, chain, state, fact, position, recorded_at)
    changed = len(journal.entries) - before
    await journal.write(tx)
    tops = [{"metric": top.metric, "percent": top.percent, "places": top.places, "threshold": top.threshold}
            for top in fact.tops]  # fmt: skip
    await tx.execute(
        INSERT_RANKING, chain, program, fact.run, position, fact.ledger_position, fact.cause, fact.at, version,
        orjson.dumps(tops).decode(), fact.members, changed,
    )  # fmt: skip


async def _give(
    tx: Transaction,
    journal: Journal,
    chain: int,
    state: ProgramState,
    fact: TiersRanked,
    position: int,
    recorded_at: datetime,
) -> None:
    rules, program = state.rules, state.rules.program
    flags = {(flag.of, flag.percent_text): flag for flag in rules.tops}
    best: dict[str, dict[str, int]] = defaultdict(dict)
    thresholds: dict[str, int] = {}
    async with planned(tx):
        for top in fact.tops:
            # A version that came since may have other flags: what it does not ask for is given to nobody.
            flag = flags.get((top.metric, top.percent))
            if flag is None:
                continue
            thresholds[flag.name] = top.threshold
            if top.here[chain]:
                asked = _asked(rules, flag, fact.at, list(fact.counted_to))
                for row in await tx.fetch(HERE, *asked, top.here[chain], chain):
                    best[row["member"]][flag.name] = top.threshold
        names = sorted({*best, *(row["member"] for row in await tx.fetch(BEFORE, chain, program))})
    batch = Batch(tx, chain, journal, recorded_at, told_by=position)
    for start in range(0, len(names), MEMBERS_AT_ONCE):
        said = Fact(fact.ledger_position, program, None, fact.at, fact)
        for member in await store.load_members(
            tx, chain, state, names[start : start + MEMBERS_AT_ONCE], fact.at
        ):
            tops = best.get(member.member, {})
            missed = {name: value for name, value in thresholds.items() if name not in tops}
            decided = take_ranking(state, member, dict(tops), missed, fact.at, fact.ledger_position)
            batch.record({program: state}, decided, said)
        await batch.save({program: state})
        state = ProgramState(rules, state.clock, {})


def _asked(rules: Rules, flag: Metric, at: datetime, counted_to: list[int]) -> tuple[Any, ...]:
    """The first parameters of BEST and HERE."""
    base = rules.metrics[flag.of]
    parts = [(name, times) for name, times in base.parts if times] or [(base.name, Fraction(1))]
    over = lcm(*(times.denominator for _, times in parts))
    names = [name for name, _ in parts]
    # The window that is over when the review's moment is the first of the next; no window depends on the member.
    after = [rules.metrics[name].span.start(at, EARLIEST, closing=True) for name in names]
    return rules.program, names, after, [int(times * over) for _, times in parts], over, at, counted_to
