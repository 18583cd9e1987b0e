"""Birthdays: learnt from the ledger as month and day, kept where they can be forgotten, and given their grants.

A profile is sealed in the ledger's stream, so the stream only says that there is one. Whoever finds that noted asks the
ledger for month and day, if the program gives anything for a birthday; nobody asks otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import structlog

from services.common.clock import utc_now
from services.common.codec import StreamRow
from services.common.db import Transaction, Writer
from services.common.service import look_until_stopped
from services.rewards.domain.birthdays import begins_on, open_on, window_on
from services.rewards.domain.grants import Occasion, fits
from services.rewards.domain.program import Program
from services.rewards.granting import Candidate, give
from services.rewards.handle import present_of
from services.rewards.ledger_client import LedgerClient, LedgerUnavailable
from services.rewards.store import LEASE_SECONDS, Book
from services.rewards.wire import program_of

log = structlog.get_logger("birthdays")

PAUSE_SECONDS = 0.5
ASKED_MAX = 64
"""Birthdays of one place asked for in one round."""
AT_ONCE = 8
DAYS_MAX = 366
"""Days that are made up for; of a longer gap the last year."""
CAUSE = "tallybook/rewards"
TOLD, FORGOTTEN = "ProfileChanged", ("MemberErased", "MemberAbsorbed")
NOTED = {TOLD, *FORGOTTEN}

NOTE_PROFILES = """
-- What was known until now was replaced with the profile.
INSERT INTO member_birthdays (chain, program, member, position, due_at)
SELECT $1::smallint, *, $5::timestamptz FROM unnest($2::text[], $3::text[], $4::bigint[])
ON CONFLICT (chain, program, member) DO UPDATE
SET position = EXCLUDED.position, due_at = EXCLUDED.due_at, month = NULL, day = NULL
"""
FORGET = """
DELETE FROM member_birthdays AS b USING unnest($2::text[], $3::text[]) AS k (program, member)
WHERE b.chain = $1 AND b.program = k.program AND b.member = k.member
"""
FIND_PLACES = """
SELECT p.chain, p.program, p.version, c.clock, d.version AS seen_version, d.day AS seen_day
FROM programs AS p
LEFT JOIN program_clocks AS c ON c.chain = p.chain AND c.program = p.program
LEFT JOIN birthday_days AS d ON d.chain = p.chain AND d.program = p.program
ORDER BY p.chain, p.program
"""
FIND_DOCUMENT = "SELECT document FROM programs WHERE chain = $1 AND program = $2 AND version = $3"
TAKE_OVER = """
-- Several processes look for the same work: SKIP LOCKED gives each member to one of them, the new due_at is its lease.
UPDATE member_birthdays AS b SET due_at = $4
FROM (
    SELECT member FROM member_birthdays WHERE chain = $1 AND program = $2 AND due_at <= $3
    ORDER BY due_at LIMIT $5 FOR UPDATE SKIP LOCKED
) AS due
WHERE b.chain = $1 AND b.program = $2 AND b.member = due.member
RETURNING b.member, b.position
"""
LEARN = """
-- Unless a newer profile was told meanwhile.
UPDATE member_birthdays SET due_at = NULL, month = $5, day = $6
WHERE chain = $1 AND program = $2 AND member = $3 AND position = $4
RETURNING true
"""
FIND_BORN = """
SELECT b.member, b.month, b.day FROM member_birthdays AS b
JOIN unnest($3::smallint[], $4::smallint[]) AS k (month, day) ON b.month = k.month AND b.day = k.day
WHERE b.chain = $1 AND b.program = $2 ORDER BY b.member
"""
SEEN_DAY = "SELECT version, day FROM birthday_days WHERE chain = $1 AND program = $2"
SAVE_DAY = """
INSERT INTO birthday_days (chain, program, version, day) VALUES ($1, $2, $3, $4)
ON CONFLICT (chain, program) DO UPDATE SET version = EXCLUDED.version, day = EXCLUDED.day
"""
COUNT_DUE = "SELECT count(*) FROM member_birthdays WHERE chain = $1 AND program = $2 AND due_at IS NOT NULL"

Born = tuple[str, int, int]
"""(member, month, day)"""


@dataclass(slots=True, frozen=True)
class _Place:
    """A program on a chain that gives something for birthdays."""

    chain: int
    program: Program
    present: datetime
    seen: date | None
    """Up to which day it was looked under this version."""

    @property
    def today(self) -> date:
        return self.present.astimezone(self.program.zone).date()

    def midnight(self, day: date) -> datetime:
        """The first moment of a day where the program is."""
        return datetime.combine(day, time.min, tzinfo=self.program.zone)


async def note_profiles(tx: Transaction, chain: int, rows: Sequence[StreamRow], now: datetime) -> None:
    """Note whose profile was told, and forget whose must be forgotten; in the consumer's transaction."""
    last = {(row.program, row.member): row for row in rows if row.type in NOTED and row.member is not None}
    told = [row for _, row in sorted(last.items()) if row.type == TOLD]
    gone = [row for _, row in sorted(last.items()) if row.type != TOLD]
    if told:
        await tx.execute(
            NOTE_PROFILES,
            chain,
            [row.program for row in told],
            [row.member for row in told],
            [row.position for row in told],
            now,
        )
    if gone:
        await tx.execute(FORGET, chain, [row.program for row in gone], [row.member for row in gone])


class Birthdays:
    """Looks for what is to be learnt and given. Any number of processes may: the chain's head makes them take turns."""

    def __init__(
        self,
        writer: Writer,
        ledger: LedgerClient,
        wake_relay: Callable[[], None],
        chains: int,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._writer = writer
        self._ledger = ledger
        self._wake_relay = wake_relay
        self._chains = chains
        self._lease = timedelta(seconds=lease_seconds)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._known: dict[tuple[str, str], Program | None] = {}
        """(program, version) -> the program, when it gives something for birthdays."""

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set; faults that last are raised."""
        await look_until_stopped(lambda: self.round(utc_now()), stop, PAUSE_SECONDS)

    async def round(self, now: datetime) -> None:
        """Learn what is due, then give what begins by the programs' present."""
        async with self._writer.session() as session:
            places = await self._places(session, now)
        for place in places:
            await self._learn(place, now)
            if place.seen is None or place.seen < place.today:
                await self._sweep(place, now)

    async def owed(self, session: Transaction, now: datetime) -> int:
        """How much a round would find: birthdays to be asked for, and places with a day to be looked at."""
        count = 0
        for place in await self._places(session, now):
            count += await session.fetchval(COUNT_DUE, place.chain, place.program.id)
            count += place.seen is None or place.seen < place.today
        return count

    async def _places(self, session: Transaction, now: datetime) -> list[_Place]:
        found = []
        for row in await session.fetch(FIND_PLACES):
            program = await self._program(session, row)
            if program is not None and not (program.runs_on_events and row["clock"] is None):
                seen = row["seen_day"] if row["seen_version"] == program.version else None
                found.append(_Place(row["chain"], program, present_of(program, row["clock"], now), seen))
        return found

    async def _program(self, session: Transaction, row: Any) -> Program | None:
        key = (row["program"], row["version"])
        if key not in self._known:
            document = await session.fetchval(FIND_DOCUMENT, row["chain"], *key)
            if document is None:
                return None  # Another version since: the next round sees it.
            program = program_of(document, row["version"])
            gives = any(grant.on == "birthday" for grant in program.grants)
            self._known[key] = program if gives else None
        return self._known[key]

    async def _learn(self, place: _Place, now: datetime) -> None:
        async with self._writer.transaction() as tx:
            due = await tx.fetch(TAKE_OVER, place.chain, place.program.id, now, now + self._lease, ASKED_MAX)
        results = await asyncio.gather(
            *(self._ask(place, row["member"], row["position"], now) for row in due), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _ask(self, place: _Place, member: str, position: int, now: datetime) -> None:
        async with self._slots:
            try:
                born = await self._ledger.birthday(place.program.id, member)
            except LedgerUnavailable as error:
                log.warning("still waiting for the ledger", why=str(error))
                return
            key = (place.chain, place.program.id)
            async with self._writer.transaction() as tx:
                book = await Book.load(tx, place.chain)
                if await tx.fetchval(LEARN, *key, member, position, *(born or (None, None))) and born:
                    # Told in the days in which it is kept: it is given at once.
                    await self._give(tx, book, place, [(member, *born)], place.today, place.present, now)
                await book.write(tx, now, self._chains)
            self._wake_relay()

    async def _sweep(self, place: _Place, now: datetime) -> None:
        """Day by day, each in a transaction of its own."""
        day = place.today if place.seen is None else place.seen + timedelta(days=1)
        day = max(day, place.today - timedelta(days=DAYS_MAX))
        while day <= place.today:
            await self._sweep_day(place, day, now)
            day += timedelta(days=1)
        self._wake_relay()

    async def _sweep_day(self, place: _Place, day: date, now: datetime) -> None:
        chain, program = place.chain, place.program
        async with self._writer.transaction() as tx:
            book = await Book.load(tx, chain)
            seen = await tx.fetchrow(SEEN_DAY, chain, program.id)
            known = seen is not None and seen["version"] == program.version
            if known and seen["day"] >= day:
                return  # Another process was faster.
            spans = {grant.span for grant in program.grants if grant.on == "birthday"}
            # Where a version is new, the windows that are open are for its grants too.
            days = sorted({pair for span in spans for pair in (begins_on if known else open_on)(day, span)})
            found = await tx.fetch(
                FIND_BORN, chain, program.id, [month for month, _ in days], [number for _, number in days]
            )
            born = [(row["member"], row["month"], row["day"]) for row in found]
            at = place.midnight(day) if known else place.present
            await self._give(tx, book, place, born, day, at, now)
            await tx.execute(SAVE_DAY, chain, program.id, program.version, day)
            await book.write(tx, now, self._chains)

    async def _give(
        self, tx: Transaction, book: Book, place: _Place, born: Iterable[Born], on: date, at: datetime, now: datetime
    ) -> None:  # fmt: skip
        """What the program gives on a day to whom these birthdays are, each of a year once."""
        occasion = Occasion("birthday", "birthday", at)
        candidates = []
        for member, month, day in born:
            for grant in place.program.grants:
                window = window_on(on, month, day, grant.span)
                if window is not None and fits(grant, occasion, place.program.zone):
                    key = (place.program.id, member, grant.id, str(window.year))
                    cause = (CAUSE, f"birthday/{window.year}", None)
                    candidates.append(Candidate(cause, place.program, grant, occasion, key, at))
        await give(tx, book, self._chains, candidates, now)
