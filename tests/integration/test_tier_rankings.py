"""Rankings on real PostgreSQL: exactly so many of all members, ties broken the same way, and that a rebuild gives the
same."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import Any

import pytest

from services.common.chain import chain_of
from services.common.codec import StreamRow
from services.common.db import Writer
from services.common.errors import Refusal
from services.tiering import ranking
from services.tiering.ranking import Rankings
from tallybook.ledger.v1 import events_pb2 as pb
from tests.integration.test_segment_runs import tell
from tests.integration.test_tiering_store import CHAINS, apply, content, writer
from tests.integration.tiering_rebuilt import assert_rebuilt_is_live
from tests.integration.tiering_rows import LedgerChain, day, document
from tests.poll import eventually

pytestmark = pytest.mark.integration
__all__ = ["writer"]
MONTHLY = {"at": "first_of_month"}
TEN = [{"name": "member"}, {"name": "black", "top_percent": 10}]


class Club:
    """The ledger's chains of one program, and what every member would be worth."""

    def __init__(self, **tiering: Any) -> None:
        self.chains = [LedgerChain(chain=number) for number in range(CHAINS)]
        self.document = document(**({"tiers": TEN, "review": MONTHLY} | tiering))
        self.rows: list[StreamRow] = [one.activated(day("2025-12-01"), self.document) for one in self.chains]

    def joins(self, member: str, at: datetime) -> None:
        self.rows.append(self.chains[chain_of(member, CHAINS)].enrolled(at, member))

    def buys(self, member: str, at: datetime, amount: int) -> str:
        """A purchase. Returns its id."""
        chain = self.chains[chain_of(member, CHAINS)]
        self.rows.append(chain.bought(at, member, amount))
        return f"p{chain.position}"

    def returns(
        self, member: str, at: datetime, amount: int, bought_at: datetime, purchase: str = ""
    ) -> None:
        self.rows.append(
            self.chains[chain_of(member, CHAINS)].returned(at, member, amount, bought_at, purchase)
        )

    def closes(self, member: str, at: datetime) -> None:
        chain = self.chains[chain_of(member, CHAINS)]
        self.rows.append(chain.row(pb.MemberClosed(reason="asked for it"), at, member))

    def clock(self, to: datetime) -> None:
        self.rows += [one.clock(to) for one in self.chains]

    def take(self) -> list[StreamRow]:
        rows, self.rows = self.rows, []
        return rows


async def black(writer: Writer, tier: str = "black") -> set[str]:
    """Who has the tier."""
    async with writer.session() as session:
        return {
            row["member"] for row in await session.fetch("SELECT member FROM members WHERE tier = $1", tier)
        }


@pytest.mark.parametrize(
    ("members", "percent"), [(1, 10), (10, 10), (11, 10), (73, 10), (40, "2.5"), (41, "2.5"), (7, 100)]
)
async def test_exactly_so_many_percent_of_all_members_rounded_up(
    writer: Writer, members: int, percent: Any
) -> None:
    club = Club(tiers=[TEN[0], {"name": "black", "top_percent": percent}])
    for number in range(members):
        club.buys(f"m{number}", day("2026-01-05") + timedelta(minutes=number), 100 + number % 3)
    club.clock(day("2026-02-01"))
    await tell(writer, club.take())
    assert await Rankings(writer).run("grocer") == ("2026-02-01", False)
    # Most first, then who had it earlier.
    order = sorted(range(members), key=lambda number: (-(number % 3), number))
    places = ceil(Fraction(str(percent)) * members / 100)
    assert await black(writer) == {f"m{number}" for number in order[:places]}
    assert await Rankings(writer).run("grocer") == ("2026-02-01", True)


async def test_who_has_the_same_since_the_same_moment_goes_by_the_member_id(writer: Writer) -> None:
    club = Club()
    names = ["b", "a", "B", "c1", "c", "_", "9", "-"]
    for name in names:
        club.buys(name, day("2026-01-05"), 100)
    club.clock(day("2026-02-01"))
    await tell(writer, club.take())
    await Rankings(writer).run("grocer")
    assert await black(writer) == {"-"}


async def test_a_ranking_that_comes_after_new_year_asks_the_year_that_is_over(writer: Writer) -> None:
    both = [TEN[0], {"name": "black", "all_of": [{"top_percent": 100}, {"from": 100_00}]}]
    club = Club(tiers=both, window={"period": "calendar_year"}, review={"at": "end_of_next_year"})
    for member, first, second in (("ann", 100_00, 0), ("bob", 60_00, 60_00), ("cat", 1, 100_00)):
        club.buys(member, day("2026-05-05"), first)
        club.buys(member, day("2027-01-01T00:00:01"), second)
    club.clock(day("2027-01-02"))
    await tell(writer, club.take(), at_once=1)
    await Rankings(writer).run("grocer")
    # 60 and 60 of two years are no 120 of one; cat has earned it in the new one.
    assert await black(writer) == {"ann", "cat"}
    club.clock(day("2028-01-02"))
    await tell(writer, club.take())
    await Rankings(writer).run("grocer")
    assert await black(writer) == {"cat"}


async def test_a_formula_of_very_small_and_very_large_parts_is_ranked(writer: Writer) -> None:
    parts = [{"metric": "spend", "times": 1_000_000}, {"metric": "visits", "times": "0.000000001"}]
    growth = {"name": "growth", "counts": "formula", "sum": parts}
    club = Club(metrics=[growth], tiers=[TEN[0], {"name": "black", "top_percent": 50, "metric": "growth"}])
    for member, amount in (("ann", 100_000_00), ("bob", 100_000_01)):
        club.buys(member, day("2026-01-05"), amount)
    club.clock(day("2026-02-01"))
    await tell(writer, club.take())
    await Rankings(writer).run("grocer")
    assert await black(writer) == {"bob"}


async def test_what_was_reached_by_a_purchase_that_came_back_was_not_reached(writer: Writer) -> None:
    club = Club()
    club.buys("ann", day("2026-01-05"), 100)
    club.buys("bob", day("2026-01-06"), 100)
    club.buys("ann", day("2026-01-09"), 70)
    club.returns("ann", day("2026-01-10"), 70, day("2026-01-09"))
    club.clock(day("2026-02-01"))
    await tell(writer, club.take())
    await Rankings(writer).run("grocer")
    assert await black(writer) == {"ann"}


async def test_nobody_is_among_the_best_with_nothing_and_all_members_are_counted(writer: Writer) -> None:
    club = Club()
    for number in range(25):
        club.joins(f"m{number}", day("2026-01-05"))
    for number in range(2):
        club.buys(f"m{number}", day("2026-01-06"), 100)
    club.buys("late", day("2026-02-01"), 900)  # the first moment of February is not in January
    club.clock(day("2026-02-02"))
    await tell(writer, club.take())
    await Rankings(writer).run("grocer")
    assert await black(writer) == {"m0", "m1"}
    async with writer.session() as session:
        for row in await session.fetch("SELECT * FROM tier_rankings"):
            assert (row["members"], '"places": 2' in row["tops"]) == (26, True)


async def test_closed_accounts_are_neither_counted_nor_ranked(writer: Writer) -> None:
    club = Club()
    for number in range(11):
        club.buys(f"m{number}", day("2026-01-05") + timedelta(hours=number), 100 + number)
    club.closes("m10", day("2026-01-20"))
    club.clock(day("2026-02-01"))
    await tell(writer, club.take())
    await Rankings(writer).run("grocer")
    assert await black(writer) == {"m9"}


async def test_programs_without_places_are_not_ranked(writer: Writer) -> None:
    club = Club(tiers=[{"name": "member"}, {"name": "gold", "from": 100}])
    await tell(writer, club.take())
    await Rankings(writer).run_due("grocer")
    with pytest.raises(Refusal, match="no tier of program 'grocer' asks"):
        await Rankings(writer).run("grocer")
    with pytest.raises(Refusal, match="no program 'nobody'"):
        await Rankings(writer).run("nobody")


class Naive:
    """The ranking by a formula of spend and visits, counted out member by member."""

    def __init__(self) -> None:
        self.entries: dict[str, list[tuple[datetime, Fraction]]] = {}

    def counts(self, member: str, at: datetime, worth: Fraction) -> None:
        self.entries.setdefault(member, []).append((at, worth))

    def best(self, percent: int, after: datetime, before: datetime) -> set[str]:
        ranked = []
        for member, entries in self.entries.items():
            inside: Counter[datetime] = Counter()
            for at, worth in entries:
                if after < at < before:
                    inside[at] += worth  # type: ignore[assignment]
            value = int(sum(inside.values()))
            if value > 0:
                ranked.append((-value, max(at for at, worth in inside.items() if worth > 0), member))
        places = ceil(Fraction(percent * len(self.entries), 100))
        return {member for _, _, member in sorted(ranked)[:places]}


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_monthly_rankings_are_those_that_one_counts_out_and_a_rebuild_gives_the_same(
    writer: Writer, database: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "MEMBERS_AT_ONCE", 3)
    rng = random.Random(seed)
    growth = {
        "name": "growth",
        "counts": "formula",
        "sum": [{"metric": "spend", "times": "0.01"}, {"metric": "visits", "times": "1.5"}],
    }
    tiers = [
        {"name": "member"},
        {
            "name": "gold",
            "any_of": [{"metric": "growth", "from": 60}, {"metric": "growth", "top_percent": 30}],
        },
        {"name": "black", "top_percent": 10, "metric": "growth"},
    ]
    club, naive = Club(metrics=[growth], tiers=tiers, window={"months": 3}), Naive()
    told: list[StreamRow] = []
    now = day("2026-01-01")
    for month in range(2, 9):
        for _ in range(60):
            now += timedelta(minutes=rng.randrange(1, 700))
            member = f"m{rng.randrange(35)}"
            at = now - timedelta(days=rng.choice([0, 0, 0, 20]))
            amount = rng.choice([1_00, 5_00, 5_00, 12_00])
            purchase = club.buys(member, at, amount)
            naive.counts(member, at, Fraction(amount, 100) + Fraction(3, 2))
            if rng.random() < 0.2:
                club.returns(member, now, 1_00, at, purchase)
                naive.counts(member, at, Fraction(-1) - (Fraction(3, 2) if amount == 1_00 else 0))
        now = max(now, day(f"2026-0{month}-01"))
        club.clock(now)
        rows = club.take()
        told += rows
        await tell(writer, rows, at_once=13)
        await Rankings(writer).run_due("grocer")
        start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        after = (
            start.replace(month=start.month - 3)
            if start.month > 3
            else start.replace(year=start.year - 1, month=start.month + 9)
        )
        assert await black(writer) == naive.best(10, after, start), start
        if start.month > month:
            break
    before = await content(writer)
    assert {row[9] for row in before["tier_history"]} >= {"upgrade", "downgrade", "renewal"}

    of_chains = {chain: [row for row in told if row.chain == chain] for chain in range(CHAINS)}
    await assert_rebuilt_is_live(writer, database, of_chains, 37)


async def test_a_ranking_that_was_cut_off_is_carried_on_with_the_places_it_had(writer: Writer) -> None:
    club = Club()
    for number in range(40):
        club.buys(f"m{number}", day("2026-01-05") + timedelta(hours=number), 100 + number)
    club.clock(day("2026-02-01"))
    await tell(writer, club.take())

    async def begun() -> bool:
        async with writer.session() as session:
            rows = await session.fetch("SELECT DISTINCT chain FROM journal WHERE type = 'TiersRanked'")
        return {row["chain"] for row in rows} == {0, 1}

    async with writer.transaction() as other:
        await other.execute("SELECT FROM chain_heads WHERE chain > 1 FOR UPDATE")
        run = asyncio.create_task(Rankings(writer).run("grocer"))
        await eventually(begun, "the ranking of the first two chains")
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    # What comes in between is told of another day's ranking.
    club.buys("m0", day("2026-01-31"), 9_000)
    await apply(writer, club.take())
    assert await Rankings(writer).run("grocer") == ("2026-02-01", False)
    assert await black(writer) == {"m36", "m37", "m38", "m39"}


async def test_on_the_walls_clock_a_ranking_waits_for_every_chain(writer: Writer) -> None:
    club = Club()
    wall = {**club.document, "clock": "wall"}
    await tell(writer, [*club.take(), *(one.activated(day("2025-12-02"), wall, "v2") for one in club.chains)])
    club.buys("ann", day("2026-01-05"), 100)
    await tell(writer, club.take())
    *most, last = club.chains
    for one in most:
        await apply(writer, [one.clock(day("2026-02-01T01:00"))])
    await Rankings(writer).run_due("grocer")
    assert await black(writer) == set()
    await apply(writer, [last.clock(day("2026-02-01T01:00"))])
    await Rankings(writer).run_due("grocer")
    assert await black(writer) == {"ann"}
