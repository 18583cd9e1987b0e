"""Rebuilds the projections of rewards in whatever schema the search_path names (L7).

There are three inputs: ledger.v1 (points, money, programs, clocks), tiers.v1 (tiers, segments), and our own journal
(redemptions, stock, vouchers, draws). The journal is an input and not decided again: half of it is what the ledger
answered. But what a seed says is said again. `redemption_steps`, `ledger_steps` and `code_guesses` are work and no
projections, so they are not rebuilt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.common.codec import StreamRow, journal_row, unseen
from services.common.db import Transaction
from services.common.errors import InvariantBroken
from services.rewards.consume import TYPES
from services.rewards.domain.award_events import AwardEvent
from services.rewards.domain.draw_events import DrawEvent, DrawMade, TurnEvent
from services.rewards.domain.draws import draw_of, drawn_again
from services.rewards.domain.events import RedemptionEvent
from services.rewards.domain.grant_events import GrantEvent, GrantGiven
from services.rewards.domain.moving import (
    AnyEvent,
    AwardMoved,
    GrantMoved,
    HoldingsLeft,
    PlayerMoved,
    RedemptionMoved,
    VoucherMoved,
)
from services.rewards.domain.voucher_events import VoucherGifted, VoucherStep
from services.rewards.granting import Slot, after, find_slots, save_slots, spend_budgets
from services.rewards.moving import forget
from services.rewards.project import apply_told, project
from services.rewards.shelf import StockKey, count_stock, move_taken
from services.rewards.store_draws import CounterKey, DrawState, spend_counters
from services.rewards.store_redemptions import find_redemptions, save_redemptions
from services.rewards.store_vouchers import find_vouchers, project_voucher, save_codes, save_vouchers
from services.rewards.wire import event_of, fact_of

PROJECTIONS: dict[str, tuple[str, ...]] = {
    "programs": ("chain", "program"),
    "program_clocks": ("chain", "program"),
    "wallets": ("chain", "program", "member"),
    "member_segments": ("chain", "program", "member"),
    "redemptions": ("chain", "program", "member", "redemption"),
    "vouchers": ("chain", "program", "member", "voucher"),
    "voucher_codes": ("chain", "program", "code_sha256"),
    "member_grants": ("chain", "program", "member", "grant_id", "slot"),
    "grant_budgets": ("chain", "program", "grant_id"),
    "reward_stock": ("chain", "program", "reward"),
    "member_money": ("chain", "program", "member", "currency"),
    "awards": ("chain", "program", "member", "award"),
    "draw_players": ("chain", "program", "member", "draw_id"),
    "draw_turns": ("chain", "program", "member", "turn"),
    "draw_counters": ("chain", "program", "draw_id", "counter"),
    "heirs": ("chain", "program", "member"),
}
"""What a rebuild fills, and the key of each: rows in this order give the digest."""
SPREAD = ("voucher_codes", "grant_budgets", "reward_stock", "draw_counters")
"""Tables whose rows stand on other chains than the journal rows that made them."""

_Row = tuple[Mapping[str, Any], AnyEvent]
"""A row of our own journal, and its event."""


def stream_row(topic: str, record: Mapping[str, Any]) -> StreamRow:
    """A row of another service's journal table, as its stream (`ledger.v1`, `tiers.v1`) would bring it.

    `record` has the journal's columns by name.
    """
    return journal_row(record, TYPES[topic])


async def rebuild_stream(
    tx: Transaction, chain: int, batches: AsyncIterable[Sequence[StreamRow]], after: int = 0
) -> int:
    """Apply one stream's chain from the row behind `after` to what the live `stream_positions` say. Returns the rows.

    Once for ledger.v1 and once for tiers.v1, in either order, on tables that stand at `after`.
    """
    applied = {chain: after}
    count = 0
    async for batch in batches:
        fresh = unseen(batch, applied)
        await apply_told(tx, chain, [(row, fact_of(row)) for row in fresh])
        count += len(fresh)
    return count


async def rebuild_own(
    tx: Transaction,
    chain: int,
    chains: int,
    batches: AsyncIterable[Sequence[Mapping[str, Any]]],
    *,
    spread: bool = True,
) -> int:
    """Apply our own journal's chain; `batches` have the journal's columns. Returns the rows.

    Without `spread` the tables of SPREAD are left as they are.
    """
    count = 0
    spent: dict[tuple[str, str], int] = defaultdict(int)
    counted: dict[CounterKey, int] = defaultdict(int)
    taken: dict[StockKey, int] = {}
    async for batch in batches:
        events: list[_Row] = []
        for row in batch:
            event = event_of(row["type"], row["payload"])
            if not isinstance(event, HoldingsLeft):
                events.append((row, event))
                continue
            # What left is gone from every table before what comes after it.
            await _rebuild_events(tx, chain, chains, events, taken, spent, counted, spread)
            events = []
            await forget(tx, chain, row["program"], row["member"], event)
        await _rebuild_events(tx, chain, chains, events, taken, spent, counted, spread)
        count += len(batch)
    if not spread:
        return count
    # Every chain has a part in these. Last and in one order, so that chains rebuilt at once don't wait in a ring.
    await spend_budgets(tx, spent, chains)
    await spend_counters(tx, counted, chains)
    await move_taken(tx, taken, chains)
    return count


async def _rebuild_events(
    tx: Transaction,
    chain: int,
    chains: int,
    events: Sequence[_Row],
    taken: dict[StockKey, int],
    spent: dict[tuple[str, str], int],
    counted: dict[CounterKey, int],
    spread: bool,
) -> None:
    await _rebuild_redemptions(tx, chain, events, taken)
    await _rebuild_vouchers(tx, chain, chains, events, spread)
    await _rebuild_grants(tx, chain, events, spent)
    await _rebuild_draws(tx, chain, events, counted)


async def _rebuild_redemptions(
    tx: Transaction, chain: int, events: Sequence[_Row], taken: dict[StockKey, int]
) -> None:
    steps = [
        (row, event, (row["program"], row["member"], redemption_id(event)))
        for row, event in events
        if isinstance(event, RedemptionEvent | RedemptionMoved)
    ]
    redemptions = await find_redemptions(tx, chain, [key for _, _, key in steps])
    for row, event, key in steps:
        if isinstance(event, RedemptionMoved):
            # It takes of a stock what it took before: that is counted already.
            redemptions[key] = replace(
                event.redemption, program=key[0], member=key[1], position=row["position"]
            )
            continue
        before = redemptions.get(key)
        step = project(redemptions, key, row["program_version"], event, row["occurred_at"], row["position"])
        count_stock(taken, before, step)
    await save_redemptions(tx, chain, redemptions.values())


async def _rebuild_grants(
    tx: Transaction, chain: int, events: Sequence[_Row], spent: dict[tuple[str, str], int]
) -> None:
    steps = [
        (event, (row["program"], row["member"], event.grant, event.slot))
        for row, event in events
        if isinstance(event, GrantEvent | GrantMoved)
    ]
    slots = await find_slots(tx, chain, [key for _, key in steps])
    for event, key in steps:
        slots[key] = after(slots.get(key, Slot()), event)
        if isinstance(event, GrantGiven) and event.budgeted:
            spent[key[0], event.grant] += event.size
    await save_slots(tx, chain, slots)


async def _rebuild_vouchers(
    tx: Transaction, chain: int, chains: int, events: Sequence[_Row], spread: bool
) -> None:
    steps = [
        (row, event, (row["program"], row["member"], voucher_id(event)))
        for row, event in events
        if isinstance(event, VoucherStep | VoucherMoved)
    ]
    vouchers = await find_vouchers(tx, chain, [key for _, _, key in steps])
    for row, event, key in steps:
        if isinstance(event, VoucherMoved):
            vouchers[key] = replace(event.voucher, program=key[0], member=key[1], position=row["position"])
            continue
        project_voucher(vouchers, key, event, row["occurred_at"], row["position"])
    await save_vouchers(tx, chain, vouchers.values())
    if spread:
        codes = [(key, event.code_sha256) for _, event, key in steps if isinstance(event, VoucherGifted)]
        await save_codes(tx, codes, chains)


async def _rebuild_draws(
    tx: Transaction, chain: int, events: Sequence[_Row], counted: dict[CounterKey, int]
) -> None:
    """Points, tickets and turns. Every draw is drawn again by its own seed, and must say the same."""
    state = DrawState()
    told = [
        (row, event)
        for row, event in events
        if isinstance(event, AwardEvent | DrawEvent | AwardMoved | PlayerMoved)
    ]
    mine = [((row["program"], row["member"]), event) for row, event in told]
    await state.load(
        tx,
        chain,
        awards=[(*who, event.award) for who, event in mine if isinstance(event, AwardEvent)],
        players=[
            (*who, event.draw if isinstance(event, PlayerMoved) else draw_of(event))
            for who, event in mine
            if isinstance(event, DrawEvent | PlayerMoved)
        ],
        turns=[(*who, event.turn) for who, event in mine if isinstance(event, TurnEvent)],
    )
    for row, event in told:
        if isinstance(event, DrawMade):
            if not drawn_again(event):
                raise InvariantBroken(f"turn {event.turn} says another prize when it is drawn again")
            for count in event.counts:
                counted[row["program"], event.draw, count.counter] += count.added
        if isinstance(event, AwardMoved | PlayerMoved):
            state.arrive(row["program"], row["member"], event, row["position"])
            continue
        state.apply(row["program"], row["member"], event, row["occurred_at"], row["position"])
    await state.save(tx, chain)


def redemption_id(event: RedemptionEvent | RedemptionMoved) -> str:
    """Of which redemption it is."""
    return event.redemption.id if isinstance(event, RedemptionMoved) else event.redemption


def voucher_id(event: VoucherStep | VoucherMoved) -> str:
    """Of which voucher it is."""
    return event.voucher.id if isinstance(event, VoucherMoved) else event.voucher
