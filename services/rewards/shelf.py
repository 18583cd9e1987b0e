"""What a reward is judged by, out of the database: its stock, and what the member has had of it.

Stock is a row that all chains share. Whoever takes or gives back locks the chain's head first and the stock after it,
by key in ascending order, so that two transactions never wait in a ring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from services.common.chain import spread
from services.common.db import Transaction
from services.rewards.domain.catalogue import Limit, Looked, Reward
from services.rewards.domain.program import Program
from services.rewards.domain.redemption import RETURNED, Redemption
from services.rewards.domain.standing import EVERYBODY, NOT_TOLD
from services.rewards.standings import find_standings

StockKey = tuple[str, str]
"""(program, reward)"""

FIND_TAKEN = """
SELECT s.program, s.reward, s.taken
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (chain, program, reward)
CROSS JOIN LATERAL (
    SELECT * FROM reward_stock WHERE chain = k.chain AND program = k.program AND reward = k.reward LIMIT 1
) AS s
"""
LOCK_TAKEN = """
-- Made or found, each row is locked, in the order of the keys given: nobody else takes or gives back until this
-- transaction ends.
INSERT INTO reward_stock (chain, program, reward, taken)
SELECT *, 0 FROM unnest($1::smallint[], $2::text[], $3::text[])
ON CONFLICT (chain, program, reward) DO UPDATE SET taken = reward_stock.taken
RETURNING program, reward, taken
"""
MOVE_TAKEN = """
UPDATE reward_stock AS s SET taken = s.taken + k.moved
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[]) AS k (chain, program, reward, moved)
WHERE (s.chain, s.program, s.reward) = (k.chain, k.program, k.reward)
"""
COUNT_HAD = """
-- The member's redemptions are few, and only rewards with a limit ask. Under the chain's head it can't change.
SELECT count(*) FROM redemptions
WHERE chain = $1 AND program = $2 AND member = $3 AND reward = $4 AND state <> ALL($5::text[])
AND ($6::timestamptz IS NULL OR requested_at >= $6)
"""
NO_ZONE = ZoneInfo("UTC")
RETURNED_STATES = sorted(map(str, RETURNED))


async def look(
    tx: Transaction,
    chain: int,
    chains: int,
    program: Program | None,
    member: str,
    reward: Reward | None,
    store: str,
    at: datetime,
) -> Looked:
    """What `reward` is judged by for a member on a locked chain; its stock is locked where there is some left.

    Each thing is looked for only where the reward asks for it.
    """
    if program is None or reward is None:
        return Looked(at, program.zone_of(store) if program else NO_ZONE)
    standing = NOT_TOLD
    if reward.audience != EVERYBODY:
        key = (program.id, member)
        standing = (await find_standings(tx, chain, [key]))[key]
    had = await _had(tx, chain, program, member, reward.id, reward.limit, at) if reward.limit else 0
    taken = 0
    if reward.stock is not None:
        stock = (program.id, reward.id)
        taken = (await find_taken(tx, [stock], chains)).get(stock, 0)
        # What is sold out is not locked: the many who come too late don't wait for each other.
        if taken < reward.stock:
            taken = (await tx.fetchrow(LOCK_TAKEN, *_columns([stock], chains)))["taken"]
    return Looked(at, program.zone_of(store), standing, had, taken)


def count_stock(moves: dict[StockKey, int], before: Redemption | None, after: Redemption) -> None:
    """Add to `moves` what a step of a redemption takes of a reward's stock, or puts back."""
    if after.stocked:
        key = (after.program, after.reward)
        moved = after.takes_stock - (before is not None and before.takes_stock)
        if moved:
            moves[key] = moves.get(key, 0) + moved


async def find_taken(tx: Transaction, stocks: Iterable[StockKey], chains: int) -> dict[StockKey, int]:
    """How many of each are taken; nothing for one of which none ever was."""
    rows = await tx.fetch(FIND_TAKEN, *_columns(stocks, chains))
    return {(row["program"], row["reward"]): row["taken"] for row in rows}


async def move_taken(tx: Transaction, moves: Mapping[StockKey, int], chains: int) -> None:
    """Count what was taken (above zero) and given back (below), in the order in which rows are locked."""
    if moves:
        columns = _columns(moves, chains)
        await tx.fetch(LOCK_TAKEN, *columns)
        await tx.execute(
            MOVE_TAKEN, *columns, [moves[key] for key in zip(columns[1], columns[2], strict=True)]
        )


async def _had(
    tx: Transaction, chain: int, program: Program, member: str, reward: str, limit: Limit, at: datetime
) -> int:
    since = limit.since(at, program.zone)
    had: int = await tx.fetchval(COUNT_HAD, chain, program.id, member, reward, RETURNED_STATES, since)
    return had


def stock_chain(key: StockKey, chains: int) -> int:
    """Where the row of a stock is."""
    return spread("/".join(key).encode(), chains)


def _columns(keys: Iterable[StockKey], chains: int) -> tuple[list[int], list[str], list[str]]:
    rows = sorted((stock_chain(key, chains), *key) for key in keys)
    return [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]
