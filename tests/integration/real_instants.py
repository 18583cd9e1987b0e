"""What members of a real book had at random instants, held against a replay of its rows up to there."""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.common.as_of import By
from services.common.db import Reader
from services.common.errors import InvariantBroken, Refusal
from services.ledger import as_of, payloads
from services.ledger.domain.book import POINTS, Book
from services.ledger.domain.events import Decided, ProgramActivated
from services.ledger.domain.evolve import evolve
from services.ledger.store import Programs
from services.ops.replay.ledger import WITHOUT_TRACE, ReplayedBook
from services.tiering import as_of as tiers_as_of
from tests.integration.real_years import RealBook

INSTANTS = 100
MEMBERS_EACH = 4
SUMS_EVERY = 10
"""At one instant of so many, the sum over all members is compared too: it reads every posting."""
TIMES = "SELECT chain, position, recorded_at FROM journal ORDER BY recorded_at"
HISTORY = "SELECT * FROM tier_history WHERE program = $1 ORDER BY chain, position"
ROWS = """
SELECT chain, position, program, member, type, occurred_at, recorded_at, payload FROM journal
WHERE program = $1 AND type <> ALL($2::text[]) ORDER BY chain, position
"""


async def by_recorded_time(book: RealBook, reader: Reader, program: str) -> None:
    """One replay of the whole program that stops at each instant, in order."""
    draw = random.Random(program)
    rows = await book.rows("ledger", ROWS, program, list(WITHOUT_TRACE))
    assert {"PointsAccrued", "PointsExpired", "TierAssigned", "PointsAdjusted"} <= {
        row["type"] for row in rows
    }
    everybody = members_of(rows)
    # By rows and not by the clock, so that instants lie where something happened; just before, at and behind a row.
    about = (draw.choice(rows)["recorded_at"] for _ in range(INSTANTS))
    instants = sorted(at + timedelta(microseconds=draw.randint(-1, 1)) for at in about)
    waiting: dict[int, deque[Any]] = defaultdict(deque)
    for row in rows:
        waiting[row["chain"]].append(row)
    then, programs = ReplayedBook(keeps_purchases=False), Programs()
    then.versions = programs.versions
    found = 0
    for number, (at, ends) in enumerate(ends_at(instants, await book.rows("ledger", TIMES))):
        for chain, end in ends.items():
            while waiting[chain] and waiting[chain][0]["position"] <= end:
                put(then, waiting[chain].popleft(), programs)
        async with reader.snapshot() as connection:
            for chain, member in draw.sample(everybody, MEMBERS_EACH):
                place = (chain, program, member)
                had = then.members.get((program, member))
                if had is None:
                    with pytest.raises(Refusal, match="was not enrolled"):
                        await as_of.member(connection, place, at, By.RECORDED)
                    continue
                told = await as_of.member(connection, place, at, By.RECORDED)
                expected = as_of.shown(had)
                assert {key: told[key] for key in expected} == expected, (member, at)
                found += 1
            if number % SUMS_EVERY == 0:
                accounts = await as_of.accounts(connection, book.chains, program, at, By.RECORDED)
                sums = {row["account"]: row["balance"] for row in accounts if row["asset"] == POINTS}
                assert sum(sums.values()) == 0
                assert sums.get(as_of.MEMBERS, 0) == sum(each.posted for each in then.members.values())
    assert found > INSTANTS


async def tiers_by_recorded_time(book: RealBook, reader: Reader, program: str) -> None:
    """Tiering's answers (`reader` is of its database) are the changes of the tier that had been decided by then."""
    draw = random.Random(program)
    changes: dict[str, list[Any]] = defaultdict(list)
    for row in await book.rows("tiering", HISTORY, program):
        changes[row["member"]].append(row)
    times = await book.rows("tiering", TIMES)
    instants = sorted(draw.choice(times)["recorded_at"] for _ in range(INSTANTS))
    reasons: Counter[str] = Counter()
    for at, ends in ends_at(instants, times):
        async with reader.snapshot() as connection:
            for member in draw.sample(sorted(changes), MEMBERS_EACH):
                told = await tiers_as_of.member(connection, book.chains, program, member, at, By.RECORDED)
                known = [row for row in changes[member] if row["position"] <= ends.get(row["chain"], 0)]
                said = (told.tier, told.reason, told.until, told.ledger_position)
                if known:
                    last = known[-1]
                    assert said == (last["to_tier"], last["reason"], last["until"], last["ledger_position"])
                    assert (told.since, told.rule) == (last["since"], last["rule"])
                else:
                    assert said == (changes[member][0]["from_tier"], "enrolment", None, None)
                reasons[told.reason] += 1
    assert set(reasons) >= {"enrolment", "upgrade"}


def ends_at(instants: list[datetime], times: list[Any]) -> Iterator[tuple[datetime, dict[int, int]]]:
    """For each of `instants`, in order, the last position of each chain that was recorded by then."""
    ends: dict[int, int] = {}
    coming = deque(times)
    for at in instants:
        while coming and coming[0]["recorded_at"] <= at:
            row = coming.popleft()
            ends[row["chain"]] = max(ends.get(row["chain"], 0), row["position"])
        yield at, ends


async def by_business_time(book: RealBook, reader: Reader, program: str) -> None:
    """A replay of those of a member's rows that are dated by an instant, in the order in which they were booked."""
    draw = random.Random(program)
    rows = await book.rows("ledger", ROWS, program, list(WITHOUT_TRACE))
    everybody = members_of(rows)
    mine: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        mine[row["member"]].append(row)
    # Activations are dated by the wall's clock.
    dated = [row["occurred_at"] for row in rows if row["member"] is not None]
    first, last = min(dated), max(dated)
    found = 0
    for _ in range(INSTANTS):
        at = first + (last - first) * draw.random()
        for chain, member in draw.sample(everybody, MEMBERS_EACH):
            then = Book(keeps_purchases=False)
            try:
                for row in mine[member]:
                    if row["occurred_at"] <= at:
                        put(then, row)
            except (InvariantBroken, KeyError):
                continue  # dated before a row that it builds on: no replay tells of then
            if (program, member) not in then.members:
                continue
            async with reader.snapshot() as connection:
                told = await as_of.member(connection, (chain, program, member), at, By.BUSINESS)
            expected = as_of.shown(then.members[program, member])
            assert {key: told[key] for key in expected} == expected, (member, at)
            found += 1
    assert found > INSTANTS


def members_of(rows: list[Any]) -> list[tuple[int, str]]:
    """(chain, member) of all that rows tell of, in order."""
    return sorted({(row["chain"], row["member"]) for row in rows if row["member"] is not None})


def put(book: Book, row: Any, programs: Programs | None = None) -> None:
    """A row into a book. `programs` learn the versions, of a replay that sees activations."""
    event = payloads.decode(row["type"], row["payload"])
    if programs is not None and isinstance(event, ProgramActivated):
        programs.parsed(event.version, event.document)
    evolve(
        book, row["chain"], row["program"], Decided(event, row["member"], row["occurred_at"]), row["position"]
    )
