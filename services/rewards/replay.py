"""Rebuilds the projections of rewards in whatever schema the search_path names (L7).

There are three inputs: ledger.v1 (points, programs, clocks), tiers.v1 (tiers), and our own journal (redemptions,
vouchers). The journal is an input and not decided again: half of it is what the ledger answered. `redemption_steps` and
`code_guesses` are work and no projections, so they are not rebuilt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from services.common.codec import StreamRow, unseen
from services.common.db import Transaction
from services.common.errors import InvariantBroken
from services.rewards.consume import TYPES
from services.rewards.domain.events import Event, RedemptionEvent
from services.rewards.domain.grant_events import GrantEvent, GrantGiven
from services.rewards.domain.voucher_events import VoucherGifted, VoucherStep
from services.rewards.granting import Slot, after, find_slots, save_slots, spend_budgets
from services.rewards.project import apply_told, project
from services.rewards.store import find_redemptions, save_redemptions
from services.rewards.store_vouchers import find_vouchers, project_voucher, save_codes, save_vouchers
from services.rewards.wire import event_of, fact_of

PROJECTIONS: dict[str, tuple[str, ...]] = {
    "programs": ("chain", "program"),
    "program_clocks": ("chain", "program"),
    "wallets": ("chain", "program", "member"),
    "redemptions": ("chain", "program", "member", "redemption"),
    "vouchers": ("chain", "program", "member", "voucher"),
    "voucher_codes": ("chain", "program", "code_sha256"),
    "member_grants": ("chain", "program", "member", "grant_id", "slot"),
    "grant_budgets": ("chain", "program", "grant_id"),
}
"""What a rebuild fills, and the key of each: rows in this order give the digest."""
SPREAD = ("voucher_codes", "grant_budgets")
"""Tables whose rows stand on other chains than the journal rows that made them."""

_Row = tuple[Mapping[str, Any], Event]
"""A row of our own journal, and its event."""


def stream_row(topic: str, record: Mapping[str, Any]) -> StreamRow:
    """A row of another service's journal table, as its stream (`ledger.v1`, `tiers.v1`) would bring it.

    `record` has the journal's columns by name.
    """
    cls = TYPES[topic].get(record["type"])
    try:
        message = None if cls is None else cls.FromString(record["payload"])
    except DecodeError as error:
        raise InvariantBroken(f"{topic} row {record['chain']}-{record['position']} can't be read") from error
    return StreamRow(
        record["chain"], record["position"], record["program"], record["member"], record["type"],
        record["occurred_at"], record["recorded_at"], message,
    )  # fmt: skip


async def rebuild_stream(tx: Transaction, chain: int, batches: AsyncIterable[Sequence[StreamRow]]) -> int:
    """Apply one stream's chain from its first row up to what the live `stream_positions` say. Returns the rows.

    Once for ledger.v1 and once for tiers.v1, in either order, on tables that are empty at the start.
    """
    applied: dict[int, int] = {}
    count = 0
    async for batch in batches:
        fresh = unseen(batch, applied)
        await apply_told(tx, chain, [(row, fact_of(row)) for row in fresh])
        count += len(fresh)
    return count


async def rebuild_own(
    tx: Transaction, chain: int, chains: int, batches: AsyncIterable[Sequence[Mapping[str, Any]]]
) -> int:
    """Apply our own journal's chain from its first row on; `batches` have the journal's columns. Returns the rows."""
    count = 0
    spent: dict[tuple[str, str], int] = defaultdict(int)
    async for batch in batches:
        events = [(row, event_of(row["type"], row["payload"])) for row in batch]
        await _rebuild_redemptions(tx, chain, events)
        await _rebuild_vouchers(tx, chain, chains, events)
        await _rebuild_grants(tx, chain, events, spent)
        count += len(batch)
    # Every chain has given some of it. Last and in one order, so that chains rebuilt at once don't wait in a ring.
    await spend_budgets(tx, spent, chains)
    return count


async def _rebuild_redemptions(tx: Transaction, chain: int, events: Sequence[_Row]) -> None:
    steps = [
        (row, event, (row["program"], row["member"], event.redemption))
        for row, event in events
        if isinstance(event, RedemptionEvent)
    ]
    redemptions = await find_redemptions(tx, chain, [key for _, _, key in steps])
    for row, event, key in steps:
        project(redemptions, key, row["program_version"], event, row["occurred_at"], row["position"])
    await save_redemptions(tx, chain, redemptions.values())


async def _rebuild_grants(
    tx: Transaction, chain: int, events: Sequence[_Row], spent: dict[tuple[str, str], int]
) -> None:
    steps = [
        (event, (row["program"], row["member"], event.grant, event.slot))
        for row, event in events
        if isinstance(event, GrantEvent)
    ]
    slots = await find_slots(tx, chain, [key for _, key in steps])
    for event, key in steps:
        slots[key] = after(slots.get(key, Slot()), event)
        if isinstance(event, GrantGiven) and event.budgeted:
            spent[key[0], event.grant] += event.vouchers
    await save_slots(tx, chain, slots)


async def _rebuild_vouchers(tx: Transaction, chain: int, chains: int, events: Sequence[_Row]) -> None:
    steps = [
        (row, event, (row["program"], row["member"], event.voucher))
        for row, event in events
        if isinstance(event, VoucherStep)
    ]
    vouchers = await find_vouchers(tx, chain, [key for _, _, key in steps])
    for row, event, key in steps:
        project_voucher(vouchers, key, event, row["occurred_at"], row["position"])
    await save_vouchers(tx, chain, vouchers.values())
    codes = [(key, event.code_sha256) for _, event, key in steps if isinstance(event, VoucherGifted)]
    await save_codes(tx, codes, chains)
