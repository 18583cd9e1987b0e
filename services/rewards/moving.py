"""Merges: what rewards keeps of a member goes over to the survivor, who may live on another chain.

The ledger's stream says on the absorbed member's chain that it was merged, and into whom: that is noted (`heirs`), and
a step is begun. The step moves everything in one transaction under the locks of both heads, as rows of both journals,
so that each chain can be rebuilt alone. Requests find the survivor under the lock of their member's chain.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from services.common.chain import chain_of
from services.common.codec import StreamRow
from services.common.db import Transaction
from services.common.errors import InvariantBroken, Refusal
from services.common.journal import Journal
from services.rewards.domain.awards import Award
from services.rewards.domain.draws import Player
from services.rewards.domain.grants import Progress
from services.rewards.domain.moving import (
    Arrival,
    AwardMoved,
    GrantMoved,
    HoldingsLeft,
    PlayerMoved,
    RedemptionMoved,
    VoucherMoved,
)
from services.rewards.granting import Slot, after, find_slots, save_slots
from services.rewards.store import Book, find_program
from services.rewards.store_awards import begin_steps, end_steps, find_awards_of
from services.rewards.store_draws import player_of
from services.rewards.store_redemptions import redemption_of
from services.rewards.store_vouchers import find_vouchers_of
from services.rewards.wire import payload_of

HOPS_MAX = 100
MOVED_MAX = 1_000
"""Of each kind in one transaction; the next round takes the rest."""
STEP = "merge"

T = TypeVar("T")
Key = tuple[str, str, str]
"""(program, member, id)"""
Held = list[tuple[str, Arrival]]
"""(id, what it is) of one kind."""

HEIR = "SELECT into_member FROM heirs WHERE chain = $1 AND program = $2 AND member = $3"
HEIR_AND_STEP = """
SELECT into_member, EXISTS (
    SELECT FROM ledger_steps WHERE chain = $1 AND program = $2 AND member = $3 AND kind = $4
) AS moving
FROM heirs WHERE chain = $1 AND program = $2 AND member = $3
"""
PAYING = """
SELECT count(*) FROM draw_turns WHERE chain = $1 AND program = $2 AND member = $3 AND state = 'paying'
"""
REDEMPTIONS_OF = """
SELECT * FROM redemptions WHERE chain = $1 AND program = $2 AND member = $3 ORDER BY first_position, redemption LIMIT $4
"""
PLAYERS_OF = """
SELECT * FROM draw_players WHERE chain = $1 AND program = $2 AND member = $3 ORDER BY draw_id LIMIT $4
"""
SLOTS_OF = """
SELECT * FROM member_grants WHERE chain = $1 AND program = $2 AND member = $3 ORDER BY grant_id, slot LIMIT $4
"""
FORGET = (
    "DELETE FROM vouchers WHERE chain = $1 AND program = $2 AND member = $3 AND voucher = ANY($4::text[])",
    "DELETE FROM redemptions WHERE chain = $1 AND program = $2 AND member = $3 AND redemption = ANY($4::text[])",
    "DELETE FROM awards WHERE chain = $1 AND program = $2 AND member = $3 AND award = ANY($4::text[])",
    "DELETE FROM draw_players WHERE chain = $1 AND program = $2 AND member = $3 AND draw_id = ANY($4::text[])",
)
"""In the order of `HoldingsLeft`."""
FORGET_SLOTS = """
DELETE FROM member_grants AS s USING unnest($4::text[], $5::text[]) AS k (grant_id, slot)
WHERE (s.chain, s.program, s.member) = ($1, $2, $3) AND (s.grant_id, s.slot) = (k.grant_id, k.slot)
"""
END_REDEMPTION_STEPS = """
DELETE FROM redemption_steps WHERE chain = $1 AND program = $2 AND member = $3 AND redemption = ANY($4::text[])
"""


class Absorbed(Exception):
    """The member was merged into another: begin again with `into`."""

    def __init__(self, into: str) -> None:
        super().__init__(into)
        self.into = into


async def must_be_home(tx: Transaction, chain: int, program: str, member: str) -> None:
    """Under the lock of the member's chain.

    Raises:
        Absorbed: somebody else answers for the member.
        Refusal: temporarily_unavailable while what the member had has not gone over.
    """
    row = await tx.fetchrow(HEIR_AND_STEP, chain, program, member, STEP)
    if row is not None and row["moving"]:
        raise on_its_way()
    if row is not None:
        raise Absorbed(row["into_member"])


async def at_home(key: Key, run: Callable[[Key], Awaitable[T]]) -> T:
    """Run what may raise Absorbed, with the key of whoever answers for the member now."""
    for _ in range(HOPS_MAX):
        try:
            return await run(key)
        except Absorbed as absorbed:
            key = (key[0], absorbed.into, key[2])
    raise InvariantBroken(f"{key[1]} was merged {HOPS_MAX} times over, or in a ring")


async def heir_of(session: Any, program: str, member: str, chains: int) -> str:
    """Who answers for a member now: the member, or the last one in the line of those that it was merged into."""
    for _ in range(HOPS_MAX):
        into = await session.fetchval(HEIR, chain_of(member, chains), program, member)
        if into is None:
            return member
        member = into
    raise InvariantBroken(f"{member} was merged {HOPS_MAX} times over, or in a ring")


def on_its_way() -> Refusal:
    """What was had under the old name has not come over yet."""
    return Refusal("temporarily_unavailable", "the member is being merged: send the same request again")


async def begin_merges(tx: Transaction, chain: int, rows: Sequence[StreamRow], now: datetime) -> None:
    """Note that what those who were merged have is to go over."""
    merged = sorted({(row.program, row.member or "") for row in rows if row.type == "MemberAbsorbed"})
    await begin_steps(tx, chain, [(*key, STEP, "") for key in merged], now)


async def hand_over(tx: Transaction, program: str, member: str, chains: int, now: datetime) -> bool:
    """Move what rewards keeps of a member to the survivor; False: there is more to come, so come again.

    What a turn that waits for the ledger will give is not there yet, and neither can its draw's counts be moved.
    """
    into = await heir_of(tx, program, member, chains)
    here, there = chain_of(member, chains), chain_of(into, chains)
    journal = await Journal.lock(tx, [here, there], payload_of)
    paying = await tx.fetchval(PAYING, here, program, member) > 0
    vouchers, redemptions, awards, players, slots = kinds = await _held(tx, here, program, member)
    if paying:
        players.clear()
    if any(kinds):
        found = await find_program(tx, there, program)
        version = found[0].version if found else ""
        clock = found[1] if found and found[0].runs_on_events else None
        at = clock or now
        cause = ("tallybook/ledger", f"merge/{member}", None)
        names = [tuple(id_ for id_, _ in kind) for kind in (vouchers, redemptions, awards, players)]
        had = tuple((event.grant, event.slot) for _, event in slots if isinstance(event, GrantMoved))
        left = HoldingsLeft(into, names[0], names[1], names[2], names[3], had)
        journal.append(here, program, member, left, at, now, cause, version)
        await forget(tx, here, program, member, left)
        await tx.execute(END_REDEMPTION_STEPS, here, program, member, list(left.redemptions))
        await end_steps(tx, here, [(program, member, "award", award) for award in left.awards])
        book = Book(there, journal)
        await book.draws.state.load(tx, there, players=[(program, into, draw) for draw in left.draws])
        for _, event in (one for kind in kinds for one in kind):
            book.arrive(program, into, version, event, at, now, cause)
        await arrive_slots(tx, there, program, into, [event for _, event in slots])
        await book.write(tx, now, chains)
    rest = paying or any(len(kind) == MOVED_MAX for kind in kinds)
    if not rest:
        await end_steps(tx, here, [(program, member, STEP, "")])
    return not rest


async def forget(tx: Transaction, chain: int, program: str, member: str, left: HoldingsLeft) -> None:
    """Take what left out of the projections of the member's chain."""
    for query, ids in zip(FORGET, (left.vouchers, left.redemptions, left.awards, left.draws), strict=True):
        if ids:
            await tx.execute(query, chain, program, member, list(ids))
    if left.grants:
        columns = [list(column) for column in zip(*left.grants, strict=True)]
        await tx.execute(FORGET_SLOTS, chain, program, member, *columns)


async def arrive_slots(
    tx: Transaction, chain: int, program: str, member: str, events: Sequence[Arrival]
) -> None:
    """Add to what the survivor has had of grants."""
    came = [event for event in events if isinstance(event, GrantMoved)]
    slots = await find_slots(tx, chain, [(program, member, event.grant, event.slot) for event in came])
    changed: dict[tuple[str, str, str, str], Slot] = {}
    for event in came:
        key = (program, member, event.grant, event.slot)
        changed[key] = after(slots.get(key, Slot()), event)
    await save_slots(tx, chain, changed)


async def _held(
    tx: Transaction, chain: int, program: str, member: str
) -> tuple[Held, Held, Held, Held, Held]:
    """(vouchers, redemptions, awards, players, slots) of a member. What was given to another member stays behind."""
    key = (chain, program, member, MOVED_MAX)
    awards: Sequence[Award] = await find_awards_of(tx, *key)
    return (
        [(voucher.id, VoucherMoved(member, voucher)) for voucher in await find_vouchers_of(tx, *key)],
        [
            (row["redemption"], RedemptionMoved(member, redemption_of(row)))
            for row in await tx.fetch(REDEMPTIONS_OF, *key)
        ],
        [(award.id, AwardMoved(member, award)) for award in awards],
        [
            (row["draw_id"], PlayerMoved(member, row["draw_id"], player_of(row)))
            for row in await tx.fetch(PLAYERS_OF, *key)
            if player_of(row) != Player()
        ],
        [
            ("", GrantMoved(
                member, row["grant_id"], row["slot"], row["settled"], Progress(row["purchases"], row["amount"])
            ))
            for row in await tx.fetch(SLOTS_OF, *key)
        ],
    )  # fmt: skip
