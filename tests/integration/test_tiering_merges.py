"""Merges on real PostgreSQL: what was counted goes over, whichever chain hears of it first, and a rebuild of each chain
alone gives the same."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.common.chain import chain_of
from services.common.codec import StreamRow
from services.common.db import Writer
from services.tiering import merging
from services.tiering.handle import Grants
from services.tiering.segments import Segments
from tallybook.ledger.v1 import events_pb2 as pb
from tests.integration.test_tiering_everything import CARDS, METRICS, TIERS
from tests.integration.test_tiering_store import CHAINS, apply, history, writer
from tests.integration.tiering_rebuilt import WRONG_WINDOWS, assert_rebuilt_is_live
from tests.integration.tiering_rows import LedgerChain, day, document

pytestmark = pytest.mark.integration
__all__ = ["writer"]
ANN = "ann"
ELSEWHERE = next(
    name for name in ("bob", "bea", "ben", "bo") if chain_of(name, CHAINS) != chain_of(ANN, CHAINS)
)
NEXT_DOOR = next(
    name for name in (f"b{n}" for n in range(50)) if chain_of(name, CHAINS) == chain_of(ANN, CHAINS)
)
ORDERS = ("survivor_first", "absorbed_first")


class Book:
    """The ledger's chains; rows wait until their chain is told."""

    def __init__(self, program_document: dict[str, Any]) -> None:
        self.chains = {number: LedgerChain(chain=number) for number in range(CHAINS)}
        self.waiting: dict[int, list[StreamRow]] = {number: [] for number in range(CHAINS)}
        self.told: dict[int, list[StreamRow]] = {number: [] for number in range(CHAINS)}
        for number, chain in self.chains.items():
            self.waiting[number].append(chain.activated(day("2025-12-01"), program_document))

    def of(self, member: str) -> LedgerChain:
        return self.chains[chain_of(member, CHAINS)]

    def add(self, row: StreamRow) -> None:
        self.waiting[row.chain].append(row)

    def buys(self, member: str, at: datetime, amount: int, sku: str = "A", category: str = "food") -> str:
        row = self.of(member).bought(at, member, amount, category, sku)
        message: Any = row.message
        # Unique in the program, and not only on the chain: a purchase goes to another one.
        message.activity.id = f"p{row.chain}-{row.position}"
        self.add(row)
        return str(message.activity.id)

    def merges(self, survivor: str, absorbed: str, at: datetime) -> None:
        self.add(self.of(survivor).row(pb.MembersMerged(absorbed=absorbed), at, survivor))
        self.add(self.of(absorbed).row(pb.MemberAbsorbed(into=survivor), at, absorbed))

    def clock(self, to: datetime) -> None:
        for chain in self.chains.values():
            self.add(chain.clock(to))

    async def tell(self, writer: Writer, chain: int, at_once: int = 100) -> None:
        rows, self.waiting[chain] = self.waiting[chain], []
        self.told[chain] += rows
        for start in range(0, len(rows), at_once):
            await apply(writer, rows[start : start + at_once])

    async def tell_all(self, writer: Writer, order: str = ORDERS[0], at_once: int = 100) -> None:
        first = chain_of(ANN, CHAINS)
        chains = sorted(self.chains, key=lambda chain: (chain != first) == (order == ORDERS[0]))
        for chain in chains:
            await self.tell(writer, chain, at_once)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("other", [ELSEWHERE, NEXT_DOOR])
async def test_what_both_have_bought_earns_a_tier_together(writer: Writer, other: str, order: str) -> None:
    book = Book(document())
    book.buys(ANN, day("2026-01-05"), 60_00)
    book.buys(other, day("2026-01-06"), 50_00)
    book.merges(ANN, other, day("2026-02-01"))
    await book.tell_all(writer, order)
    assert await history(writer) == [(ANN, "silver", "upgrade", "2026-02-01")]
    async with writer.session() as session:
        (change,) = await session.fetch("SELECT * FROM tier_history")
        assert (change["metric"], change["threshold"]) == (110_00, 100_00)
        entries = await session.fetch("SELECT member, occurred_at, amount FROM entries ORDER BY occurred_at")
        assert [tuple(row) for row in entries] == [
            (ANN, day("2026-01-05"), 60_00),
            (ANN, day("2026-01-06"), 50_00),
        ]
        assert [row["member"] for row in await session.fetch("SELECT member FROM members")] == [ANN]
    # The window loses each on its own day.
    book.clock(day("2027-02-01"))
    await book.tell_all(writer)
    assert (await history(writer))[-1] == (ANN, "member", "downgrade", "2027-02-01")


@pytest.mark.parametrize("order", ORDERS)
async def test_the_better_tier_comes_over_with_its_time_and_grants_run_on(writer: Writer, order: str) -> None:
    book = Book(document(cards=[{"name": "plus", "tier": "gold", "months": 3, "sku": "PLUS"}]))
    book.buys(ANN, day("2026-06-05"), 1_00)
    book.buys(ELSEWHERE, day("2026-01-05"), 100_00)
    book.buys(ELSEWHERE, day("2026-06-06"), 1_00, "PLUS")
    book.clock(day("2026-06-10"))
    await book.tell_all(writer)
    assert not await Grants(writer, CHAINS).grant(
        "grocer", ELSEWHERE, "g1", "silver", day("2028-01-01"), "a guest"
    )
    book.merges(ANN, ELSEWHERE, day("2026-07-01"))
    await book.tell_all(writer, order)
    async with writer.session() as session:
        member = await session.fetchrow("SELECT tier, until FROM members WHERE member = $1", ANN)
        assert tuple(member) == ("gold", day("2026-09-06"))
    book.clock(day("2026-10-01"))
    await book.tell_all(writer)
    # What the metrics gave is silver until 2027-01-05; the grant by hand gives it for longer.
    assert (await history(writer))[-1] == (ANN, "silver", "card_ended", "2026-09-06")
    async with writer.session() as session:
        member = await session.fetchrow("SELECT tier, until FROM members WHERE member = $1", ANN)
        assert tuple(member) == ("silver", day("2028-01-01"))
    assert not await Grants(writer, CHAINS).revoke("grocer", ANN, "g1", "r1", "a mistake")


async def test_returns_and_points_of_what_the_absorbed_one_bought_are_the_survivors(writer: Writer) -> None:
    kinds = {"orders": "visits", "came": "days", "stars": "points"}
    metrics = [{"name": name, "counts": counts} for name, counts in kinds.items()]
    tiers = [
        {"name": "member"},
        {"name": "silver", "all_of": [{"metric": "orders", "from": 2}, {"metric": "came", "from": 1}]},
        {"name": "gold", "metric": "stars", "from": 100},
    ]
    book = Book(document(metrics=metrics, tiers=tiers, returns="at_once"))
    book.buys(ANN, day("2026-01-05T10:00"), 10_00)
    bought = book.buys(ELSEWHERE, day("2026-01-05T18:00"), 10_00)
    book.add(book.of(ELSEWHERE).accrued(day("2026-01-05T18:00"), ELSEWHERE, 60, bought))
    book.merges(ANN, ELSEWHERE, day("2026-02-01"))
    await book.tell_all(writer)
    assert await history(writer) == [(ANN, "silver", "upgrade", "2026-02-01")]
    async with writer.session() as session:
        # One day of one person.
        assert await session.fetchval("SELECT sum(amount) FROM entries WHERE metric = 'came'") == 1
    book.add(book.of(ANN).accrued(day("2026-02-02"), ANN, 40, bought))
    book.add(book.of(ANN).returned(day("2026-02-03"), ANN, 10_00, day("2026-01-05T18:00"), bought))
    await book.tell_all(writer)
    assert (await history(writer))[1:] == [(ANN, "gold", "upgrade", "2026-02-01")]
    async with writer.session() as session:
        sums = await session.fetch("SELECT metric, sum(amount) FROM entries GROUP BY metric ORDER BY metric")
        assert {row[0]: int(row[1]) for row in sums} == {"orders": 1, "came": 1, "stars": 100, "spend": 10_00}


@pytest.mark.parametrize("order", ORDERS)
async def test_segments_facts_and_tags_go_over(writer: Writer, order: str) -> None:
    book = Book(document(segments={"tags": ["vip", "press"], "lifecycle": {"new_days": 30}}))
    book.buys(ANN, day("2026-05-30"), 10_00)
    book.buys(ELSEWHERE, day("2026-01-05"), 10_00)
    book.clock(day("2026-06-01"))
    await book.tell_all(writer)
    grants = Grants(writer, CHAINS)
    assert not await grants.tag("grocer", ELSEWHERE, "t1", "vip", True, "a test")
    assert not await grants.tag("grocer", ANN, "t2", "press", True, "a test")
    book.merges(ANN, ELSEWHERE, day("2026-06-02"))
    await book.tell_all(writer, order)
    async with writer.session() as session:
        life = await session.fetchrow("SELECT * FROM segments")
        assert (life["member"], life["lifecycle"], life["first_at"]) == (ANN, "active", day("2026-01-05"))
        tags = await session.fetch("SELECT member, tag FROM tags ORDER BY tag")
        assert [tuple(row) for row in tags] == [(ANN, "press"), (ANN, "vip")]
    assert not await Segments(writer).run("grocer", "r1")
    async with writer.session() as session:
        assert await session.fetchval("SELECT sum(members) FROM segment_runs") == 1
        assert await session.fetchval("SELECT frequency IS NOT NULL FROM segments") is True


def an_hour(rng: random.Random, book: Book, now: datetime, members: list[str]) -> datetime:
    """Something happens to a member."""
    member, kind = rng.choice(members), rng.random()
    now += timedelta(hours=rng.choice([1, 5, 90]), microseconds=rng.randrange(1000))
    if kind < 0.75:
        at = now - timedelta(days=rng.choice([0, 0, 0, 40, 400]))
        amount = rng.choice([1, 30_00, 99_99, 180_00])
        category, sku = rng.choice([("food", "A"), ("FUEL", "F"), ("CARD", "PLUS")])
        purchase = book.buys(member, at, amount, sku, category)
        book.add(book.of(member).accrued(at, member, amount // 100, purchase))
        if rng.random() < 0.2:
            book.add(book.of(member).returned(now, member, amount // 2, at, purchase, category, sku))
    elif kind < 0.9:
        now += timedelta(days=rng.choice([3, 30, 100]))
        book.clock(now)
    return now


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_a_rebuild_of_each_chain_alone_gives_the_same(
    writer: Writer, database: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "FACTS_AT_ONCE", 7)
    rng = random.Random(seed)
    segments = {"tags": ["vip"], "every": "never"}
    policies: list[dict[str, Any]] = [
        {"review": {"at": "first_of_month"}, "returns": "at_once"},
        {"review": {"months": 4}},
    ]
    policy = rng.choice(policies)
    book = Book(document(metrics=METRICS, tiers=TIERS, cards=CARDS, segments=segments, **policy))
    members = [f"m{number}" for number in range(14)]
    now = day("2026-01-01")
    while len(members) > 5:
        for _ in range(25):
            now = an_hour(rng, book, now, members)
            if rng.random() < 0.1:
                await book.tell(writer, rng.randrange(CHAINS), at_once=rng.choice([1, 9, 100]))
        survivor, absorbed = rng.sample(members, 2)
        members.remove(absorbed)
        book.merges(survivor, absorbed, now)
    for chain in rng.sample(range(CHAINS), CHAINS):
        await book.tell(writer, chain, at_once=rng.choice([1, 9, 100]))
    async with writer.session() as session:
        wrong = await session.fetch(WRONG_WINDOWS)
        assert wrong == []
        known = {row["member"] for row in await session.fetch("SELECT member FROM members")}
        assert known <= set(members)
        told = await session.fetchval("SELECT count(*) FROM journal WHERE type = 'FactsMoved'")
        assert told > 9

    told_by_chain = {chain: book.told[chain] for chain in range(CHAINS)}
    await assert_rebuilt_is_live(writer, database, told_by_chain, 37)
