"""The rewards database in one transaction on one chain: what is loaded, what is recorded, what is written back.

The chain's head is locked first (`Journal.lock`), so that the streams, HTTP and the recovery loop take turns on a
chain and none of them decides on what another is changing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.common.chain import spread
from services.common.db import Transaction
from services.common.journal import Journal
from services.rewards.domain import ticket_sales, value_sales
from services.rewards.domain.consequences import follow, pack_of
from services.rewards.domain.events import ProgramRefused, RedemptionEvent
from services.rewards.domain.gifts import Gift, deliver
from services.rewards.domain.moving import Arrival, AwardMoved, PlayerMoved, RedemptionMoved, VoucherMoved
from services.rewards.domain.program import Program
from services.rewards.domain.redemption import WAITING, Redemption
from services.rewards.domain.voucher_events import VoucherStep
from services.rewards.domain.vouchers import Voucher
from services.rewards.project import project
from services.rewards.shelf import StockKey, count_stock, move_taken
from services.rewards.store_draws import Draws
from services.rewards.store_redemptions import Key, columns_of, find_redemptions, save_redemptions
from services.rewards.store_vouchers import Vouchers
from services.rewards.wire import payload_of, program_of

LEASE_SECONDS = 15.0
"""A step belongs to whoever took it for this long: longer than the ledger client waits for an answer."""

Cause = tuple[str, str, bytes | None]
"""(source, id, digest) of what led to an event; with a digest it counts once."""

FIND_PROGRAM = """
SELECT p.version, p.document, c.clock FROM programs AS p
LEFT JOIN program_clocks AS c ON c.chain = p.chain AND c.program = p.program
WHERE p.chain = $1 AND p.program = $2
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

    def __init__(self, chain: int, journal: Journal) -> None:
        self.chain = chain
        self.redemptions: dict[Key, Redemption] = {}
        self._journal = journal
        self._stock: dict[StockKey, int] = {}
        self._changed: dict[Key, Redemption] = {}
        self.vouchers = Vouchers(journal)
        self.draws = Draws(chain, journal)

    @classmethod
    async def load(cls, tx: Transaction, chain: int, keys: Iterable[Key] = ()) -> Book:
        """Lock the chain, then load the redemptions of `keys` that exist."""
        journal = await Journal.lock(tx, [chain], payload_of)
        book = cls(chain, journal)
        await book.load_more(tx, keys)
        return book

    async def load_more(self, tx: Transaction, keys: Iterable[Key]) -> None:
        """Load the redemptions of `keys` too, with the vouchers that pay for them and the players of their draws."""
        found = await find_redemptions(tx, self.chain, keys)
        self.redemptions |= found
        await self.vouchers.load(
            tx, self.chain, [(r.program, r.member, p.voucher) for r in found.values() for p in r.vouchers]
        )
        players = [(r.program, r.member, r.draw) for r in found.values() if r.tickets]
        await self.draws.state.load(tx, self.chain, players=players)

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
            before = self.redemptions.get(key)
            after = project(self.redemptions, key, version, event, occurred_at, position)
            self._changed[key] = after
            count_stock(self._stock, before, after)
            # The request is answered by this row: what comes behind it has no digest.
            behind = (*cause[:2], None)
            for step in follow(after, event, self._mine(after), occurred_at):
                self.vouchers.record(
                    self.chain, program, member, version, step, occurred_at, recorded_at, behind
                )
            for given in (*ticket_sales.follow(after, event), *value_sales.follow(after, event)):
                self.draws.record(program, member, version, given, occurred_at, recorded_at, behind)
        return position

    def arrive(
        self,
        program: str,
        member: str,
        version: str,
        event: Arrival,
        occurred_at: datetime,
        recorded_at: datetime,
        cause: Cause,
    ) -> None:
        """Put what came over by a merge behind the chain's head, and among what the member has.

        A player must be loaded. What was had of grants is the caller's to add up.
        """
        position = self._journal.append(
            self.chain, program, member, event, occurred_at, recorded_at, cause, version
        )
        match event:
            case VoucherMoved(voucher=voucher):
                self.vouchers.put(
                    self.chain, replace(voucher, program=program, member=member, position=position)
                )
            case RedemptionMoved(redemption=redemption):
                key = (program, member, redemption.id)
                came = replace(redemption, program=program, member=member, position=position)
                self.redemptions[key] = self._changed[key] = came
            case AwardMoved() | PlayerMoved():
                self.draws.state.arrive(program, member, event, position)

    def deliver(
        self,
        gifts: Sequence[Gift],
        program: str,
        member: str,
        version: str,
        source: tuple[str, str],
        occurred_at: datetime,
        recorded_at: datetime,
        cause: Cause,
    ) -> None:
        """Give a member gifts, behind the row that says so; `source` is (what kind of thing, which).

        The players of the draws that it gives tickets for must be loaded.
        """
        cause = (*cause[:2], None)
        for event in deliver(gifts, program, member, *source, occurred_at):
            if isinstance(event, VoucherStep):
                self.vouchers.record(
                    self.chain, program, member, version, event, occurred_at, recorded_at, cause
                )
            else:
                self.draws.record(program, member, version, event, occurred_at, recorded_at, cause)

    def _mine(self, redemption: Redemption) -> dict[str, Voucher]:
        """The vouchers of a redemption that are loaded."""
        ids = [*(paying.voucher for paying in redemption.vouchers), *pack_of(redemption)]
        found = ((id_, self.vouchers.found.get((redemption.program, redemption.member, id_))) for id_ in ids)
        return {id_: voucher for id_, voucher in found if voucher is not None}

    async def write(
        self, tx: Transaction, now: datetime, chains: int, lease_seconds: float = LEASE_SECONDS
    ) -> bool:
        """Write rows, redemptions, stock and steps; True when there was anything. `now` is when leases begin."""
        await self._journal.write(tx)
        await self.vouchers.write(tx)
        await self.draws.write(tx, now, now + timedelta(seconds=lease_seconds))
        if not self._changed:
            return bool(self._journal.entries)
        await save_redemptions(tx, self.chain, self._changed.values())
        waiting = [key for key, redemption in self._changed.items() if redemption.state in WAITING]
        settled = [key for key, redemption in self._changed.items() if redemption.state not in WAITING]
        if waiting:
            await tx.execute(
                BEGIN_STEPS, self.chain, *columns_of(waiting), now + timedelta(seconds=lease_seconds)
            )
        if settled:
            await tx.execute(END_STEPS, self.chain, *columns_of(settled))
        await move_taken(tx, self._stock, chains)
        return True


async def find_program(tx: Transaction, chain: int, program: str) -> tuple[Program, datetime | None] | None:
    """The version in force on the chain and the program's clock there; None for an unknown program."""
    row = await tx.fetchrow(FIND_PROGRAM, chain, program)
    return None if row is None else (program_of(row["document"], row["version"]), row["clock"])


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
