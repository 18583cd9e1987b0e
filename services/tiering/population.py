"""What runs over all members of a program have in common: one at a time, over all chains, then chain after chain.

A run has two steps. What compares members of different chains is measured at one moment, without a lock. Then each
chain is taken in a transaction of its own under its head's lock, behind a row of our journal that says what was
measured and which row of the ledger came before: so a rebuild of one chain does it again without the others. A run that
was cut off is carried on with what its first chain has written down.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from services.common.clock import utc_now
from services.common.db import PASSING_FAULTS, Transaction, Writer
from services.common.errors import Refusal
from services.common.service import look_until_stopped
from services.tiering import store
from services.tiering.domain.state import ProgramState

CHAINS_AT_ONCE = 2
"""PostgreSQL sorts one chain while the journal rows of another are made."""
POLL_SECONDS = 5.0
"""How often the clock of programs with a schedule is looked at."""
NOT_NOW: tuple[type[Exception], ...] = (Refusal, *PASSING_FAULTS)
SETTINGS = {
    # The write path looks rows up by key (services.common.db); this reads whole tables.
    "enable_seqscan": "on",
    "enable_hashjoin": "on",
    "enable_mergejoin": "on",
    "plan_cache_mode": "force_custom_plan",
    "work_mem": "128MB",
    "statement_timeout": "600000",
}
SETTING = "SELECT current_setting($1)"
SET = "SELECT set_config($1, $2, true)"
TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1 || '/' || $2, 0))"
"""One run of a kind and a program at a time; the lock goes with the session."""
PROGRAMS = "SELECT DISTINCT program FROM programs WHERE refusal IS NULL ORDER BY program"
NEWEST = """
-- The version that the chain which is furthest on has.
SELECT chain FROM programs WHERE program = $1 AND refusal IS NULL ORDER BY position DESC, chain LIMIT 1
"""
CLOCK = "SELECT max(clock) FROM program_clocks WHERE program = $1"
CHAINS = "SELECT chain FROM chain_heads ORDER BY chain"
OPEN = "(m.standing ? 'closed') IS NOT TRUE"
"""In SQL, that a row m of members is no closed account."""
log = structlog.get_logger()


async def only_run(session: Transaction, kind: str, program: str) -> None:
    """Be the only run of that kind until the session ends. Raises Refusal run_in_progress."""
    if not await session.fetchval(TRY_LOCK, kind, program):
        raise Refusal(
            "run_in_progress", f"{kind} of program {program!r} are being made: ask again when it is done"
        )


async def find_program(session: Transaction, program: str) -> ProgramState:
    """The program by its newest version. Raises Refusal unknown_program or not_tiered."""
    chain = await session.fetchval(NEWEST, program)
    if chain is None:
        raise Refusal(
            "unknown_program", f"no program {program!r} is active here; activate it at the ledger first"
        )
    found = (await store.load_programs(session, chain, [program])).get(program)
    if found is None:
        raise Refusal("not_tiered", f"program {program!r} has no tiers")
    return found


async def clock_of(session: Transaction, found: ProgramState) -> datetime | None:
    """The program's time: of its chain that is furthest on, or the wall's."""
    clock: datetime | None = await session.fetchval(CLOCK, found.rules.program)
    if found.rules.runs_on_events:
        return clock
    return max(clock, utc_now()) if clock else utc_now()


async def chain_after_chain(
    writer: Writer,
    chains: list[int],
    take: Callable[[Transaction, int], Awaitable[None]],
    taken: Callable[[], None],
) -> None:
    """`take` each chain in a transaction of its own; `taken` after each commit."""
    limit = asyncio.Semaphore(CHAINS_AT_ONCE)

    async def one(chain: int) -> None:
        async with limit, writer.transaction() as tx:
            await take(tx, chain)
        taken()

    try:
        async with asyncio.TaskGroup() as group:
            for chain in chains:
                group.create_task(one(chain))
    except ExceptionGroup as several:
        raise several.exceptions[0] from several


async def keep_up(
    writer: Writer, stop: asyncio.Event, what: str, run_due: Callable[[str], Awaitable[None]]
) -> None:
    """Side task: give each program what is due by its clock, soon after it is."""

    async def look() -> None:
        async with writer.session() as session:
            programs = [row["program"] for row in await session.fetch(PROGRAMS)]
        for program in programs:
            try:
                await run_due(program)
            except NOT_NOW as fault:
                # Somebody else's run, a restart of the database: the next look sees what is left to do.
                log.warning("run put off", what=what, reason=repr(fault))

    await look_until_stopped(look, stop, POLL_SECONDS)


@asynccontextmanager
async def planned(tx: Transaction) -> AsyncIterator[None]:
    """Plans for whole tables inside the block, in a transaction that goes on with its own settings."""
    before = {name: await tx.fetchval(SETTING, name) for name in SETTINGS}
    for name, value in SETTINGS.items():
        await tx.execute(SET, name, value)
    yield
    for name, value in before.items():
        await tx.execute(SET, name, value)


def ms_since(began: float) -> int:
    """Milliseconds since `began` of time.monotonic."""
    return round((time.monotonic() - began) * 1000)
