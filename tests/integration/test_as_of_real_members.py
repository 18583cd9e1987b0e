"""As-of at 100 random instants of two real years equals a replay up to there; a part of the members, to be quick."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from services.common.as_of import By
from services.common.codec import time_of
from services.common.db import Reader
from services.common.errors import InvariantBroken, Refusal
from services.ledger import as_of, payloads
from services.ledger.domain.book import Book
from services.ledger.domain.events import Decided, ProgramActivated
from services.ledger.domain.evolve import evolve
from services.ledger.store import Programs
from services.ops.importing.account import RowAccount
from services.ops.importing.errors import DataMissingError
from services.ops.importing.publish import Activity
from services.ops.importing.sources import COMPLETE_JOURNEY, open_source
from services.ops.local.postgres import LocalPostgres
from services.ops.programs import find_program, load_program
from services.ops.replay.ledger import ReplayedBook
from services.ops.verify.snapshot import connect
from tests.databases import service_database
from tests.integration.ledger_rows import Ledger

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ONLINE_RETAIL = (
    Path(__file__).parents[2] / ".." / "shared" / "data" / "online_retail" / "online_retail.parquet"
)
ACTIVITIES_MAX = 40_000
ONE_MEMBER_IN = 30
BATCH = 100
INSTANTS = 100
MEMBERS_EACH = 4
ROWS = "SELECT chain, position, program, member, type, occurred_at, recorded_at, payload FROM journal"


def activities(named: str) -> Iterator[Activity]:
    """All activities of some of the members, among the first of a source."""
    try:
        source = open_source(named)
    except DataMissingError as missing:
        pytest.skip(str(missing))
    for activity in islice(source.read(source.file, source.program, RowAccount()), ACTIVITIES_MAX):
        if crc32(activity.member.encode()) % ONE_MEMBER_IN == 0:
            yield activity


async def imported(ledger: Ledger, named: str, program: str) -> None:
    """Put them into the book; then a year goes by, so that points expire."""
    await ledger.activate(load_program(find_program(program)).data)
    told = list(activities(named))
    for first in range(0, len(told), BATCH):
        await ledger.take(*(ledger.activity(activity) for activity in told[first : first + BATCH]))
    last = max(time_of(activity.occurred_at) for activity in told)
    await ledger.advance(last.replace(year=last.year + 2), program)


@pytest.mark.parametrize(
    ("named", "program"), [(str(ONLINE_RETAIL), "online_retail"), (COMPLETE_JOURNEY, "grocer")]
)
async def test_as_of_at_100_random_instants_equals_a_replay_up_to_there(
    postgres: LocalPostgres, named: str, program: str
) -> None:
    if named != COMPLETE_JOURNEY and not ONLINE_RETAIL.exists():
        pytest.skip("the Online Retail file is not beside this checkout (../shared/data/online_retail)")
    async with service_database(postgres.url, "ledger") as (url, service_url):
        async with Ledger.open(service_url) as ledger:
            await imported(ledger, named, program)
        owner, reader = await connect(url), Reader.connect(url)
        try:
            rows = await owner.fetch(f"{ROWS} ORDER BY chain, position")
            assert {"PointsAccrued", "PointsExpired"} <= {row["type"] for row in rows}
            await by_recorded_time(reader, rows, program)
            await by_business_time(reader, rows, program)
        finally:
            await reader.close()
            await owner.close()


async def by_recorded_time(reader: Reader, rows: list[Any], program: str) -> None:
    """One replay of the whole book that stops at each instant, in order."""
    draw = random.Random(program)
    everybody = sorted({(row["chain"], row["member"]) for row in rows if row["member"] is not None})
    # By rows and not by the clock, so that instants lie where something happened; just before, at and behind a row.
    about = (draw.choice(rows)["recorded_at"] for _ in range(INSTANTS))
    instants = sorted(at + timedelta(microseconds=draw.randint(-1, 1)) for at in about)
    book, programs = ReplayedBook(keeps_purchases=False), Programs()
    book.versions = programs.versions
    waiting = list(rows)
    found = 0
    for at in instants:
        # Up to the last row of each chain that was recorded by then.
        ends = {row["chain"]: row["position"] for row in waiting if row["recorded_at"] <= at}
        now = [row for row in waiting if row["position"] <= ends.get(row["chain"], 0)]
        waiting = [row for row in waiting if row["position"] > ends.get(row["chain"], 0)]
        for row in now:
            event = payloads.decode(row["type"], row["payload"])
            if isinstance(event, ProgramActivated):
                programs.parsed(event.version, event.document)
            decided = Decided(event, row["member"], row["occurred_at"])
            evolve(book, row["chain"], row["program"], decided, row["position"])
        async with reader.snapshot() as connection:
            for chain, member in draw.sample(everybody, MEMBERS_EACH):
                place = (chain, program, member)
                then = book.members.get((program, member))
                if then is None:
                    with pytest.raises(Refusal, match="was not enrolled"):
                        await as_of.member(connection, place, at, By.RECORDED)
                    continue
                told = await as_of.member(connection, place, at, By.RECORDED)
                expected = as_of.shown(then)
                assert {key: told[key] for key in expected} == expected, (member, at)
                found += 1
    assert found > INSTANTS


async def by_business_time(reader: Reader, rows: list[Any], program: str) -> None:
    """A replay of those of a member's rows that are dated by an instant, in the order in which they were booked."""
    draw = random.Random(program)
    everybody = sorted({(row["chain"], row["member"]) for row in rows if row["member"] is not None})
    mine: dict[str, list[Any]] = {}
    for row in rows:
        mine.setdefault(row["member"], []).append(row)
    first, last = (edge(row["occurred_at"] for row in rows) for edge in (min, max))
    found = 0
    for _ in range(INSTANTS):
        at = first + (last - first) * draw.random()
        for chain, member in draw.sample(everybody, MEMBERS_EACH):
            book = Book(keeps_purchases=False)
            try:
                for row in mine[member]:
                    if row["occurred_at"] <= at:
                        decided = Decided(
                            payloads.decode(row["type"], row["payload"]), member, row["occurred_at"]
                        )
                        evolve(book, chain, program, decided, row["position"])
            except (InvariantBroken, KeyError):
                continue
            if (program, member) not in book.members:
                continue
            async with reader.snapshot() as connection:
                told = await as_of.member(connection, (chain, program, member), at, By.BUSINESS)
            expected = as_of.shown(book.members[program, member])
            assert {key: told[key] for key in expected} == expected, (member, at)
            found += 1
    assert found > INSTANTS
