"""Runs of segments: a program's whole population sorted, on demand and on the program's own clock.

How a run goes over all chains is said in services/tiering/population.py; what is measured here are the bounds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import orjson

from services.common.clock import utc_now
from services.common.db import Transaction, Writer
from services.common.errors import Refusal
from services.common.journal import Journal
from services.tiering import store
from services.tiering.domain.events import Bounds, SegmentChanged, SegmentsRun
from services.tiering.domain.program_segments import Rules
from services.tiering.domain.segments import Cuts, days_before, rule_of
from services.tiering.domain.state import ProgramState
from services.tiering.population import (
    CHAINS,
    NEWEST,
    chain_after_chain,
    clock_of,
    find_program,
    keep_up,
    ms_since,
    only_run,
    planned,
)
from services.tiering.project import LEDGER_TOPIC
from services.tiering.segment_sql import COUNT, MEASURE, SORT
from services.tiering.wire import Encoded, encoded, payload_of, told_of

OWN = "tallybook/tiering"
NOBODY = 2**63 - 1
"""A bound that no value reaches."""
DONE = """
SELECT r.chain, j.payload FROM segment_runs AS r
JOIN journal AS j ON j.chain = r.chain AND j.position = r.position
WHERE r.program = $1 AND r.run = $2
"""
INSERT_RUN = """
INSERT INTO segment_runs (chain, program, run, position, ledger_position, cause, at, version, parameters, bounds,
    population, measured_ms, took_ms, members, changed, counts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10::jsonb, $11, $12, $13, $14, $15, $16::jsonb)
"""


class Segments:
    """Runs the segments of whole programs."""

    def __init__(self, writer: Writer, decided: Callable[[], None] = lambda: None) -> None:
        """`decided` is called after each commit: the relay has something to publish."""
        self._writer = writer
        self._decided = decided

    async def run(self, program: str, run: str, cause: str = "request") -> bool:
        """Sort everybody; `run` names it. True when it had been done before.

        Raises:
            Refusal: unknown_program, not_tiered, not_segmented, no_clock, run_in_progress.
        """
        began = time.monotonic()
        async with self._writer.session() as session:
            await only_run(session, "segments", program)
            found = await find_segmented(session, program)
            fact, left = await self._begun(session, found, program, run)
            if not left:
                return True
            if fact is None:
                fact = await self._measured(session, found, program, run, cause)
            told = fact

            async def sort(tx: Transaction, chain: int) -> None:
                await self._sort(tx, chain, program, told, began)

            await chain_after_chain(self._writer, left, sort, self._decided)
        return False

    async def keep(self, stop: asyncio.Event) -> None:
        """Side task: each day or month of a program with a schedule has its run, soon after it has begun."""
        await keep_up(self._writer, stop, "segments", self.run_due)

    async def run_due(self, program: str) -> None:
        """Make the run of the period that the program's clock is in, if it has a schedule and that was not made."""
        async with self._writer.session() as session:
            chain = await session.fetchval(NEWEST, program)
            found = (await store.load_programs(session, chain, [program])).get(program)
            if found is None or found.rules.segments is None or found.rules.segments.every == "never":
                return
            now = await clock_of(session, found)
        start = None if now is None else found.rules.segments.period_start(now)
        if start is not None:
            local = start.astimezone(found.rules.time_zone)
            await self.run(program, f"{found.rules.segments.every}-{local.date().isoformat()}", "schedule")

    async def _begun(
        self, session: Transaction, found: ProgramState, program: str, run: str
    ) -> tuple[SegmentsRun | None, list[int]]:
        """What was written down of the run, and the chains that it still lacks."""
        done = {row["chain"]: row["payload"] for row in await session.fetch(DONE, program, run)}
        left = [row["chain"] for row in await session.fetch(CHAINS) if row["chain"] not in done]
        if not done:
            return None, left
        fact = told_of("SegmentsRun", next(iter(done.values())))
        return (fact if isinstance(fact, SegmentsRun) else None), left

    async def _measured(
        self, session: Transaction, found: ProgramState, program: str, run: str, cause: str
    ) -> SegmentsRun:
        rules = found.rules.segments
        at = await clock_of(session, found)
        if rules is None or at is None:
            raise Refusal("no_clock", f"nothing has happened yet in program {program!r}")
        began = time.monotonic()
        async with session.transaction(isolation="repeatable_read", readonly=True), planned(session):
            bounds, population = await measure(session, program, rules, at)
        return SegmentsRun(run, cause, at, bounds, population, ms_since(began), 0, 0)

    async def _sort(self, tx: Transaction, chain: int, program: str, fact: SegmentsRun, began: float) -> None:
        journal = await Journal.lock(tx, [chain], payload_of)
        at_row = await store.position(tx, chain, LEDGER_TOPIC)
        told = SegmentsRun(
            fact.run, fact.cause, fact.at, fact.bounds, fact.population, fact.measured_ms, 0, at_row
        )
        found = (await store.load_programs(tx, chain, [program])).get(program)
        version = found.rules.version if found else ""
        await apply_run(tx, journal, chain, program, told, utc_now(), version, began)


async def apply_run(
    tx: Transaction,
    journal: Journal,
    chain: int,
    program: str,
    fact: SegmentsRun,
    recorded_at: datetime,
    version: str,
    began: float | None = None,
) -> None:
    """Sort one chain, whose head is locked by `journal`: the fact, what follows from it, and the run's row.

    `began`: when the run did, for a fact that does not know yet how long it takes.
    """
    cause = (f"{program}/segment_run", fact.run, None)
    position = journal.append(chain, program, None, fact, fact.at, recorded_at, cause, version)
    state = (await store.load_programs(tx, chain, [program])).get(program)
    rules = state.rules.segments if state else None
    changed = 0
    counts: dict[str, dict[str, int]] = {"lifecycle": {}, "class": {}, "rfm": {}}
    if rules is not None:
        async with planned(tx):
            moved = await tx.fetch(SORT, chain, program, *asked(rules, fact.at, fact.bounds))
            for row in await tx.fetch(COUNT, chain, program):
                family = next(name for name in counts if row[name] is not None)
                counts[family][row[family]] = row["members"]
        own = (OWN, f"{chain}-{position}", None)

        @cache
        def said(family: str, before: str, after: str) -> Encoded:
            rule = rule_of(rules, family, after)
            row = fact.ledger_position
            return encoded(
                SegmentChanged(program, "", family, before, after, fact.at, rule, fact.run, row, version)
            )

        for member, *both in moved:
            for move in (("lifecycle", *both[:2]), ("class", *both[2:])):
                if move[1] != move[2]:
                    journal.append(chain, program, member, said(*move), fact.at, recorded_at, own, version)
                    changed += 1
    if began is not None:
        fact.took_ms = ms_since(began)
    await journal.write(tx)
    await tx.execute(
        INSERT_RUN, chain, program, fact.run, position, fact.ledger_position, fact.cause, fact.at, version,
        _json(asdict(rules) if rules else {}), _json(asdict(fact.bounds)), fact.population, fact.measured_ms,
        fact.took_ms, sum(counts["lifecycle"].values()), changed, _json(counts),
    )  # fmt: skip


async def measure(tx: Transaction, program: str, rules: Rules, at: datetime) -> tuple[Bounds, int]:
    """The bounds of a run at `at`, and how many members have bought in its window."""
    scores, classes = rules.scores, rules.classes
    fixed: tuple[Any, ...] = (None, None, None)
    if scores.recency_days:
        recency = [days_before(at, days) for days in scores.recency_days]
        fixed = (recency, list(scores.frequency), list(scores.monetary))
    row = await tx.fetchrow(
        MEASURE, program, rules.window_start(at), at, *fixed, classes.high_spend_percent,
        classes.high_ticket_percent, classes.bargain_percent,
    )  # fmt: skip
    if row is None:
        return Bounds((), (), (), (1, 1, 1), NOBODY, NOBODY, NOBODY, NOBODY), 0
    high = rules.high or (row["recency_high"], row["frequency_high"], row["monetary_high"])
    hunter = NOBODY if row["bargain_hunter"] is None else row["bargain_hunter"]
    bounds = Bounds(
        tuple(row["recency"]), tuple(row["frequency"]), tuple(row["monetary"]),
        (int(high[0]), int(high[1]), int(high[2])), row["high_spend"], row["high_ticket"], hunter, row["loyal"],
    )  # fmt: skip
    return bounds, row["n"]


def asked(rules: Rules, at: datetime, bounds: Bounds) -> tuple[Any, ...]:
    """SORT's parameters from $3 on."""
    cuts = Cuts.at(rules, at)
    return (
        at, cuts.window, cuts.lost, cuts.dormant, cuts.won_back, cuts.new, cuts.class_dormant, cuts.half_year,
        cuts.usual, list(bounds.recency), list(bounds.frequency), list(bounds.monetary), *bounds.high,
        bounds.high_spend, bounds.high_ticket, bounds.bargain_hunter, bounds.loyal,
        timedelta(days=rules.classes.loyal_gap_days),
    )  # fmt: skip


async def find_segmented(session: Transaction, program: str) -> ProgramState:
    """The program by its newest version. Raises Refusal unknown_program, not_tiered or not_segmented."""
    found = await find_program(session, program)
    if found.rules.segments is None:
        raise Refusal("not_segmented", f"program {program!r} has no segments: tiering.segments is missing")
    return found


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value, default=str).decode()
