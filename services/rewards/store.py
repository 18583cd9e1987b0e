"""The rewards database in one transaction on one chain: what is loaded, what is recorded, what is written back.

The chain's head is locked first (`Journal.lock`), so that the streams, HTTP and the recovery loop take turns on a
chain and none of them decides on what another is changing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from services.common.chain import spread
from services.common.db import Transaction
from services.common.journal import Journal
from services.rewards.domain.events import ProgramRefused, RedemptionCaptured, RedemptionEvent
from services.rewards.domain.program import Program
from services.rewards.domain.redemption import WAITING, Redemption, State
from services.rewards.domain.vouchers import issued
from services.rewards.project import project
from services.rewards.store_vouchers import Vouchers
from services.rewards.wire import payload_of, program_of
from services.rewards.wire_vouchers import pack_bytes, pack_of_bytes

LEASE_SECONDS = 15.0
"""A step belongs to whoever took it for this long: longer than the ledger client waits for an answer."""

Key = tuple[str, str, str]
"""(program, member, redemption id)"""
Cause = tuple[str, str, bytes | None]
"""(source, id, digest) of what led to an event; with a digest it counts once."""

FIND_PROGRAM = """
SELECT p.version, p.document, c.clock FROM programs AS p
LEFT JOIN program_clocks AS c ON c.chain = p.chain AND c.program = p.program
WHERE p.chain = $1 AND p.program = $2
"""
FIND_REDEMPTIONS = """
-- LIMIT keeps it to one look into the primary key each: a plan made while the table was empty must stay good.
SELECT r.program, r.member, r.redemption AS id, r.reward, r.name, r.kind, r.value, r.order_id AS "order", r.points,
       r.ttl_seconds, r.version, r.state, r.requested_at, r.changed_at, r.first_position AS position, r.expires_at,
       r.code, r.detail, r.pack
FROM unnest($2::text[], $3::text[], $4::text[]) AS k (program, member, redemption)
CROSS JOIN LATERAL (
    SELECT * FROM redemptions
    WHERE chain = $1 AND program = k.program AND member = k.member AND redemption = k.redemption LIMIT 1
) AS r
"""
SAVE_REDEMPTIONS = """
INSERT INTO redemptions (chain, program, member, redemption, reward, name, kind, value, order_id, points, ttl_seconds,
                         version, state, requested_at, changed_at, first_position, expires_at, code, detail, pack)
SELECT $1::smallint, * FROM unnest(
    $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::bigint[],
    $11::integer[], $12::text[], $13::text[], $14::timestamptz[], $15::timestamptz[], $16::bigint[],
    $17::timestamptz[], $18::text[], $19::text[], $20::bytea[])
ON CONFLICT (chain, program, member, redemption) DO UPDATE
SET state = EXCLUDED.state, changed_at = EXCLUDED.changed_at, expires_at = EXCLUDED.expires_at,
    code = EXCLUDED.code, detail = EXCLUDED.detail
"""
BEGIN_STEPS = """
INSERT INTO redemption_steps (chain, program, member, redemption, due_at, attempts)
SELECT $1::smallint, *, $5::timestamptz, 0 FROM unnest($2::text[], $3::text[], $4::text[])
ON CONFLICT (chain, program, member, redemption) DO UPDATE SET due_at = EXCLUDED.due_at, attempts = 0
"""
END_STEPS = """
DELETE FROM redemption_steps AS s USING unnest($2::text[], $3::text[], $4::text[]) AS k (program, member, redemption)
WHERE s.chain = $1 AND s.program = k.program AND s.member = k.member AND s.redemption = k.redemption
"""
SEEN = "SELECT digest FROM inbox WHERE chain = $1 AND source = $2 AND event_id = $3"
REMEMBER = """
INSERT INTO inbox (chain, source, event_id, digest, journal_chain, position, member) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


class Book:
    """What one transaction has locked and loaded of one chain, and what it is about to write."""

    def __init__(self, chain: int, journal: Journal, redemptions: dict[Key, Redemption]) -> None:
        self.chain = chain
        self.redemptions = redemptions
        self._journal = journal
        self._changed: dict[Key, Redemption] = {}
        self.vouchers = Vouchers(journal)

    @classmethod
    async def load(cls, tx: Transaction, chain: int, keys: Iterable[Key] = ()) -> Book:
        """Lock the chain, then load the redemptions of `keys` that exist."""
        journal = await Journal.lock(tx, [chain], payload_of)
        book = cls(chain, journal, {})
        await book.load_more(tx, keys)
        return book

    async def load_more(self, tx: Transaction, keys: Iterable[Key]) -> None:
        """Load the redemptions of `keys` too."""
        self.redemptions |= await find_redemptions(tx, self.chain, keys)

    def record(
        self,
        program: str,
        member: str | None,
        version: str,
        event: RedemptionEvent | ProgramRefused,
        occurred_at: datetime,
        recorded_at: datetime,
        cause: Cause,
    ) -> int:
        """Put an event behind the chain's head and bring its redemption up to it. Returns its position."""
        position = self._journal.append(
            self.chain, program, member, event, occurred_at, recorded_at, cause, version,
        )  # fmt: skip
        if member is not None and not isinstance(event, ProgramRefused):
            key = (program, member, event.redemption)
            redemption = project(self.redemptions, key, version, event, occurred_at, position)
            self._changed[key] = redemption
            if isinstance(event, RedemptionCaptured) and redemption.pack is not None:
                # Here, so that it comes with the capture whoever heard of it: the client, the stream or the recovery.
                for step in issued(
                    redemption.pack, program, member, "redemption", redemption.id, occurred_at
                ):
                    self.vouchers.record(
                        self.chain, program, member, version, step, occurred_at, recorded_at, cause
                    )
        return position

    async def write(self, tx: Transaction, now: datetime, lease_seconds: float = LEASE_SECONDS) -> bool:
        """Write rows, redemptions and steps; True when there was anything. `now` is when the leases begin."""
        await self._journal.write(tx)
        await self.vouchers.write(tx)
        if not self._changed:
            return bool(self._journal.entries)
        await save_redemptions(tx, self.chain, self._changed.values())
        waiting = [key for key, redemption in self._changed.items() if redemption.state in WAITING]
        settled = [key for key, redemption in self._changed.items() if redemption.state not in WAITING]
        if waiting:
            await tx.execute(
                BEGIN_STEPS, self.chain, *_unzip(waiting), now + timedelta(seconds=lease_seconds)
            )
        if settled:
            await tx.execute(END_STEPS, self.chain, *_unzip(settled))
        return True


async def find_program(tx: Transaction, chain: int, program: str) -> tuple[Program, datetime | None] | None:
    """The version in force on the chain and the program's clock there; None for an unknown program."""
    row = await tx.fetchrow(FIND_PROGRAM, chain, program)
    return None if row is None else (program_of(row["document"], row["version"]), row["clock"])


async def find_redemptions(tx: Transaction, chain: int, keys: Iterable[Key]) -> dict[Key, Redemption]:
    """The redemptions of `keys` that exist, by one query."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    found: dict[Key, Redemption] = {}
    for row in await tx.fetch(FIND_REDEMPTIONS, chain, *_unzip(wanted)):
        values = dict(row)
        values["state"] = State(values["state"])
        values["pack"] = pack_of_bytes(values["pack"])
        found[row["program"], row["member"], row["id"]] = Redemption(**values)
    return found


async def save_redemptions(tx: Transaction, chain: int, redemptions: Iterable[Redemption]) -> None:
    """Write redemptions as they now are, by one statement."""
    rows = sorted(redemptions, key=lambda r: (r.program, r.member, r.id))
    if rows:
        await tx.execute(
            SAVE_REDEMPTIONS,
            chain,
            [r.program for r in rows],
            [r.member for r in rows],
            [r.id for r in rows],
            [r.reward for r in rows],
            [r.name for r in rows],
            [r.kind for r in rows],
            [r.value for r in rows],
            [r.order for r in rows],
            [r.points for r in rows],
            [r.ttl_seconds for r in rows],
            [r.version for r in rows],
            [str(r.state) for r in rows],
            [r.requested_at for r in rows],
            [r.changed_at for r in rows],
            [r.position for r in rows],
            [r.expires_at for r in rows],
            [r.code for r in rows],
            [r.detail for r in rows],
            [pack_bytes(r.pack) for r in rows],
        )


async def seen(tx: Transaction, cause: Cause, chains: int) -> bytes | None:
    """The digest under which a request with this source and id was taken before, whoever it was for."""
    digest: bytes | None = await tx.fetchval(SEEN, _inbox_chain(cause, chains), cause[0], cause[1])
    return digest


async def remember(
    tx: Transaction, cause: Cause, chains: int, member: str, journal_chain: int, position: int
) -> None:
    """Note that a request was taken, and the row it led to.

    Raises:
        asyncpg.UniqueViolationError: another transaction took a request with this id at the same moment.
    """
    source, id_, digest = cause
    await tx.execute(
        REMEMBER, _inbox_chain(cause, chains), source, id_, digest, journal_chain, position, member
    )


def _inbox_chain(cause: Cause, chains: int) -> int:
    """By the request's own key, so that the same id for another member is seen too."""
    return spread(f"{cause[0]}/{cause[1]}".encode(), chains)


def _unzip(keys: list[Key]) -> tuple[list[str], list[str], list[str]]:
    return [k[0] for k in keys], [k[1] for k in keys], [k[2] for k in keys]
