"""Brings the projections up to facts and events: in the live transaction, and again by `replay`.

Nothing here knows a schema's name: tables are found by the connection's search_path, so that a replay fills tables
beside the live ones with the same code. The three inputs touch different columns (points by ledger.v1, tier and
segments by tiers.v1, redemptions by our own journal), so the order between them does not matter; within one it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.common import arrays
from services.common.codec import StreamRow
from services.common.db import Transaction
from services.common.errors import InvariantBroken
from services.common.program_section import ProgramError
from services.rewards.domain.events import RedemptionEvent, RedemptionRequested
from services.rewards.domain.facts import (
    ClockAdvanced,
    Fact,
    MemberAbsorbed,
    ProgramActivated,
    SegmentChanged,
    TiersFact,
)
from services.rewards.domain.program import Program
from services.rewards.domain.redemption import Redemption, begin
from services.rewards.domain.redemption import evolve as evolve_redemption
from services.rewards.domain.wallet import Wallet, evolve
from services.rewards.money import apply_money
from services.rewards.standings import apply_segments
from services.rewards.wire import program_of

Told = tuple[StreamRow, Fact | None]
"""A row of another service's stream, and what it tells us."""

REFUSAL = "ActivityRejected"

FIND_WALLETS = """
-- LIMIT keeps it to one look into the primary key each: a plan made while the table was empty must stay good.
SELECT w.program, w.member, w.posted, w.held, w.tier, w.tier_since, w.pending
FROM unnest($2::text::text[], $3::text::text[]) AS k (program, member)
CROSS JOIN LATERAL (
    SELECT * FROM wallets WHERE chain = $1 AND program = k.program AND member = k.member LIMIT 1
) AS w
"""
SAVE_WALLETS = """
INSERT INTO wallets (chain, program, member, posted, held, tier, tier_since, pending)
SELECT $1::smallint, * FROM unnest(
    $2::text::text[], $3::text::text[], $4::text::bigint[], $5::text::bigint[], $6::text::text[],
    $7::text::timestamptz[], $8::text::bigint[]
)
ON CONFLICT (chain, program, member) DO UPDATE
SET posted = EXCLUDED.posted, held = EXCLUDED.held, tier = EXCLUDED.tier, tier_since = EXCLUDED.tier_since,
    pending = EXCLUDED.pending
"""
SAVE_PROGRAM = """
INSERT INTO programs (chain, program, version, runs_on_events, document, activated_at, position)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (chain, program) DO UPDATE
SET version = EXCLUDED.version, runs_on_events = EXCLUDED.runs_on_events, document = EXCLUDED.document,
    activated_at = EXCLUDED.activated_at, position = EXCLUDED.position
"""
SAVE_HEIRS = """
INSERT INTO heirs (chain, program, member, into_member)
SELECT $1::smallint, * FROM unnest($2::text[], $3::text[], $4::text[])
"""
SAVE_CLOCKS = """
INSERT INTO program_clocks (chain, program, clock)
SELECT $1::smallint, * FROM unnest($2::text[], $3::timestamptz[])
ON CONFLICT (chain, program) DO UPDATE SET clock = greatest(program_clocks.clock, EXCLUDED.clock)
"""


async def apply_told(
    tx: Transaction, chain: int, told: Sequence[Told]
) -> list[tuple[StreamRow, ProgramError]]:
    """Bring wallets, programs and clocks up to a batch of rows. Returns the program versions that can't be used."""
    await _apply_wallets(tx, chain, told)
    await apply_segments(tx, chain, told)
    await apply_money(tx, chain, [row for row, _ in told])
    await _apply_clocks(tx, chain, told)
    await _apply_heirs(tx, chain, told)
    refused: list[tuple[StreamRow, ProgramError]] = []
    for row, fact in told:
        if isinstance(fact, ProgramActivated):
            document = fact.document.decode()
            try:
                program = program_of(document, fact.version)
            except ProgramError as error:
                refused.append((row, error))
                continue
            await _save_program(tx, chain, row, program, document)
    return refused


def project(
    redemptions: dict[tuple[str, str, str], Redemption],
    key: tuple[str, str, str],
    version: str,
    event: RedemptionEvent,
    occurred_at: datetime,
    position: int,
) -> Redemption:
    """Bring the redemption of `key` up to an event of our own journal, in `redemptions`, and return it.

    Raises:
        InvariantBroken: the event can't come where the redemption stands.
    """
    if isinstance(event, RedemptionRequested):
        if key in redemptions:
            raise InvariantBroken(f"redemption {key} begins twice")
        redemptions[key] = begin(key[0], key[1], version, event, occurred_at, position)
    elif key not in redemptions:
        raise InvariantBroken(f"{type(event).__name__} of a redemption that never began: {key}")
    else:
        redemptions[key] = evolve_redemption(redemptions[key], event, occurred_at)
    return redemptions[key]


async def _apply_wallets(tx: Transaction, chain: int, told: Sequence[Told]) -> None:
    mine = [
        (row, fact)
        for row, fact in told
        if fact is not None and row.member is not None and not isinstance(fact, SegmentChanged)
    ]
    if not mine:
        return
    keys = sorted({(row.program, row.member or "") for row, _ in mine})
    whose = arrays.texts(program for program, _ in keys), arrays.texts(member for _, member in keys)
    found = await tx.fetch(FIND_WALLETS, chain, *whose)
    wallets = {key: Wallet() for key in keys}
    for r in found:
        wallets[r["program"], r["member"]] = Wallet(
            r["posted"], r["held"], r["tier"], r["tier_since"], r["pending"]
        )
    for row, fact in mine:
        evolve(wallets[row.program, row.member or ""], fact)
    moved = [wallets[key] for key in keys]
    await tx.execute(
        SAVE_WALLETS,
        chain,
        *whose,
        arrays.numbers(wallet.posted for wallet in moved),
        arrays.numbers(wallet.held for wallet in moved),
        arrays.texts_or_none(wallet.tier for wallet in moved),
        arrays.times(wallet.tier_since for wallet in moved),
        arrays.numbers(wallet.pending for wallet in moved),
    )


def time_told(row: StreamRow, fact: Fact | None) -> datetime | None:
    """How far a row moves its program's clock; None: not at all. A refusal has the time at which it was asked."""
    if isinstance(fact, ClockAdvanced):
        return fact.to
    if row.member is None or isinstance(fact, TiersFact) or row.type == REFUSAL:
        return None
    return row.occurred_at


async def _apply_clocks(tx: Transaction, chain: int, told: Sequence[Told]) -> None:
    """A program's clock is the latest time of its members' rows in the ledger, or where ops moved it."""
    clocks: dict[str, datetime] = {}
    for row, fact in told:
        time = time_told(row, fact)
        if time is None:
            continue
        if row.program not in clocks or clocks[row.program] < time:
            clocks[row.program] = time
    if clocks:
        names = sorted(clocks)
        await tx.execute(SAVE_CLOCKS, chain, names, [clocks[name] for name in names])


async def _apply_heirs(tx: Transaction, chain: int, told: Sequence[Told]) -> None:
    """Who answers for members that were merged."""
    merged = [(row.program, row.member, fact.into) for row, fact in told if isinstance(fact, MemberAbsorbed)]
    if merged:
        await tx.execute(SAVE_HEIRS, chain, *([key[i] for key in merged] for i in range(3)))


async def _save_program(tx: Transaction, chain: int, row: StreamRow, program: Program, document: str) -> None:
    """One statement a new version, which is rare."""
    await tx.execute(
        SAVE_PROGRAM, chain, row.program, program.version, program.runs_on_events, document,
        row.occurred_at, row.position,
    )  # fmt: skip
