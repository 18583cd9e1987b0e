"""Merges: what was counted of an absorbed member goes over to the survivor, who may live on another chain.

The ledger says a merge on both chains: MembersMerged on the survivor's, MemberAbsorbed on the other, and the two
streams are read one without the other. Each chain notes its row, and whichever row is applied later hands everything
over, under the locks of both heads: as a fact in the journal of the survivor's chain (`FactsMoved`), behind the row of
the ledger that was the last one there. So the absorbed member's facts are whole, the survivor is known, and each chain
can be rebuilt alone: the one by the ledger's rows, the other by the fact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from services.common.chain import chain_of
from services.common.codec import StreamRow
from services.common.db import Transaction
from services.tiering.domain.events import FactsMoved
from services.tiering.wire import facts_moved, set_time
from tallybook.tiering.v1 import events_pb2 as pb

FACTS_AT_ONCE = 2_000
"""Entries, purchases and days of one row: some hundred kilobytes, for a record of Kafka has a limit."""
CHAINS = "SELECT count(*) FROM chain_heads"
MEMBER = """
SELECT tier, since, until, as_of, standing::text FROM members WHERE chain = $1 AND program = $2 AND member = $3
"""
ENTRIES = """
SELECT metric, occurred_at, sum(amount)::bigint AS amount FROM entries
WHERE chain = $1 AND program = $2 AND member = $3
GROUP BY metric, occurred_at HAVING sum(amount) <> 0 ORDER BY metric, occurred_at
"""
PURCHASES = """
-- Of one member there is no index: a merge is rare, and one more index would be written with every purchase.
SELECT purchase, occurred_at, amount_left, promoted_left, promoted_lines FROM purchases
WHERE chain = $1 AND program = $2 AND member = $3 ORDER BY purchase COLLATE "C"
"""
DAYS = """
SELECT metric, day, visits FROM visit_days
WHERE chain = $1 AND program = $2 AND member = $3 AND visits <> 0 ORDER BY metric, day
"""
TAGS = """
SELECT tag, since FROM tags WHERE chain = $1 AND program = $2 AND member = $3 ORDER BY tag COLLATE "C"
"""
LIFE = """
SELECT first_at, last_at, won_back_at FROM segments
WHERE chain = $1 AND program = $2 AND member = $3 AND first_at IS NOT NULL
"""
OF_A_MEMBER = ("members", "entries", "purchases", "visit_days", "segments", "tags")
FORGET = "DELETE FROM {} WHERE chain = $1 AND program = $2 AND member = $3"
LEFT = "SELECT facts FROM absorbed_members WHERE chain = $1 AND program = $2 AND member = $3"
INTO = "SELECT into_member FROM absorbed_members WHERE chain = $1 AND program = $2 AND member = $3"
LEAVE = """
INSERT INTO absorbed_members (chain, program, member, into_member, position, facts) VALUES ($1, $2, $3, $4, $5, $6)
"""
AWAITED = "SELECT true FROM merges WHERE chain = $1 AND program = $2 AND member = $3 AND absorbed = $4"
AWAIT = "INSERT INTO merges (chain, program, member, absorbed, position) VALUES ($1, $2, $3, $4, $5)"


async def other_chains(tx: Transaction, rows: Iterable[StreamRow]) -> set[int]:
    """The chains that a batch with merges needs besides its own."""
    found = set()
    for row in rows:
        if row.type == "MemberAbsorbed":
            message: Any = row.message
            found.add((await survivor(tx, row.program, message.into))[0])
        elif row.type == "MembersMerged":
            message = row.message
            found.add(await home_of(tx, message.absorbed))
    return found


async def home_of(tx: Transaction, member: str) -> int:
    """The chain of a member."""
    return chain_of(member, await tx.fetchval(CHAINS))


async def survivor(tx: Transaction, program: str, member: str) -> tuple[int, str]:
    """(chain, member) of who answers for a member now: of the last one, where survivors were merged in their turn."""
    while True:
        chain = await home_of(tx, member)
        into = await tx.fetchval(INTO, chain, program, member)
        if into is None:
            return chain, member
        member = into


async def leave(tx: Transaction, chain: int, program: str, member: str, into: str, position: int) -> None:
    """Take everything of the member out of this chain's tables, and keep it for the survivor's."""
    key = (chain, program, member)
    row = await tx.fetchrow(MEMBER, *key)
    messages = [] if row is None else await _facts(tx, key, row)
    facts = [message.SerializeToString(deterministic=True) for message in messages]
    for table in OF_A_MEMBER:
        await tx.execute(FORGET.format(table), *key)
    await tx.execute(LEAVE, *key, into, position, facts)


async def awaits(
    tx: Transaction, chain: int, program: str, member: str, absorbed: str, position: int
) -> None:
    """Note that the survivor's chain has got to its row of the merge."""
    await tx.execute(AWAIT, chain, program, member, absorbed, position)


async def awaited(tx: Transaction, chain: int, program: str, member: str, absorbed: str) -> bool:
    """Whether the survivor's chain has got to its row of the merge."""
    return bool(await tx.fetchval(AWAITED, chain, program, member, absorbed))


async def left_behind(
    tx: Transaction, chain: int, program: str, absorbed: str, ledger_position: int
) -> list[FactsMoved]:
    """What the absorbed member's chain has let go, to be told behind a row of the survivor's; none when it has not yet,
    or had nothing."""
    told = []
    for payload in await tx.fetchval(LEFT, chain, program, absorbed) or []:
        message = pb.FactsMoved.FromString(payload)
        message.ledger_position = ledger_position
        told.append(facts_moved(message))
    return told


async def _facts(tx: Transaction, key: tuple[int, str, str], row: Any) -> list[pb.FactsMoved]:
    facts: list[Any] = []
    for metric, at, amount in await tx.fetch(ENTRIES, *key):
        facts.append(entry := pb.MovedEntry(metric=metric, amount=amount))
        set_time(entry.at, at)
    for purchase, at, left, promoted, lines in await tx.fetch(PURCHASES, *key):
        facts.append(
            bought := pb.MovedPurchase(
                purchase=purchase, amount_left=left, promoted_left=promoted, promoted_lines=lines
            )
        )
        set_time(bought.at, at)
    for metric, day, visits in await tx.fetch(DAYS, *key):
        facts.append(pb.MovedDay(metric=metric, day=day.isoformat(), visits=visits))
    parts: Sequence[Sequence[Any]] = [
        facts[start : start + FACTS_AT_ONCE] for start in range(0, len(facts), FACTS_AT_ONCE)
    ] or [()]
    messages = [_part(key[2], row["as_of"], part) for part in parts]
    last = messages[-1]
    last.last = True
    last.tier, last.standing = row["tier"] or "", row["standing"] or ""
    set_time(last.since, row["since"])
    if row["until"] is not None:
        set_time(last.until, row["until"])
    for tag, since in await tx.fetch(TAGS, *key):
        set_time(last.tags.add(tag=tag).since, since)
    life = await tx.fetchrow(LIFE, *key)
    if life is not None:
        for name, at in life.items():
            if at is not None:
                set_time(getattr(last.life, name), at)
    return messages


def _part(absorbed: str, as_of: datetime, facts: Sequence[Any]) -> pb.FactsMoved:
    message = pb.FactsMoved(
        absorbed=absorbed,
        entries=[fact for fact in facts if isinstance(fact, pb.MovedEntry)],
        purchases=[fact for fact in facts if isinstance(fact, pb.MovedPurchase)],
        days=[fact for fact in facts if isinstance(fact, pb.MovedDay)],
    )
    set_time(message.as_of, as_of)
    return message
