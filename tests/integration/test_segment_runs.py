"""Runs of segments on real PostgreSQL: scores with ties, the eight groups, the seven classes, and that a rebuild gives
the same."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.common.chain import chain_of
from services.common.codec import StreamRow
from services.common.db import Writer
from services.common.errors import Refusal
from services.tiering.domain.segments import CLASSES, GROUPS, LIFECYCLE
from services.tiering.handle import Grants
from services.tiering.segments import Segments
from tallybook.ledger.v1 import events_pb2 as pb
from tallybook.tiering.v1 import events_pb2 as tiering_pb
from tests.integration.test_tiering_store import CHAINS, apply, content, cut, writer
from tests.integration.tiering_rebuilt import assert_rebuilt_is_live
from tests.integration.tiering_rows import LedgerChain, day, document

pytestmark = pytest.mark.integration
__all__ = ["writer"]
NOW = day("2027-01-01")


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


@dataclass
class Shop:
    """The ledger's rows of a whole program, on every chain, in order of time when they are told."""

    segments: dict[str, Any]
    events: list[tuple[datetime, str, str, Any]] = field(default_factory=list)

    def buys(self, member: str, days_ago: float, amount: int, promoted: int = 0) -> str:
        """A purchase, `promoted` of it in a promotion. Returns its id."""
        purchase = f"p{len(self.events)}"
        self.events.append((ago(days_ago), member, purchase, (amount - promoted, promoted)))
        return purchase

    def returns(self, member: str, days_ago: float, purchase: str, amount: int, line: int = 1) -> None:
        bought_at = next(at for at, _, id_, _ in self.events if id_ == purchase)
        self.events.append((ago(days_ago), member, "", (bought_at, purchase, amount, line)))

    def joins(self, member: str, days_ago: float) -> None:
        self.events.append((ago(days_ago), member, "", None))

    def rows(self) -> Iterable[StreamRow]:
        chains = [LedgerChain(chain=number) for number in range(CHAINS)]
        for chain in chains:
            yield chain.activated(ago(5000), document(segments=self.segments))
        for at, member, purchase, what in sorted(self.events, key=lambda event: event[0]):
            chain = chains[chain_of(member, CHAINS)]
            if what is None:
                yield chain.enrolled(at, member)
            elif purchase:
                message = pb.PurchaseRecorded()
                message.activity.id = purchase
                message.activity.lines.add(id=1, category="food", quantity=1, amount=what[0])
                if what[1]:
                    message.activity.lines.add(id=2, category="food", quantity=1, amount=what[1], discount=1)
                yield chain.row(message, at, member)
            else:
                bought_at, of, amount, line = what
                back = pb.ReturnRecorded()
                back.activity.of = of
                back.lines.add(line=line, category="food", quantity=1, amount=amount)
                back.purchased_at.FromDatetime(bought_at)
                yield chain.row(back, at, member)
        for chain in chains:
            yield chain.clock(NOW)


async def tell(writer: Writer, rows: Iterable[StreamRow], at_once: int = 200) -> None:
    by_chain: dict[int, list[StreamRow]] = defaultdict(list)
    for row in rows:
        by_chain[row.chain].append(row)
    for of_chain in by_chain.values():
        for start in range(0, len(of_chain), at_once):
            await apply(writer, of_chain[start : start + at_once])


async def sorted_members(writer: Writer, run: str = "r1") -> dict[str, Any]:
    """Everybody after a run, by id."""
    assert not await Segments(writer).run("grocer", run)
    async with writer.session() as session:
        return {row["member"]: row for row in await session.fetch("SELECT * FROM segments")}


def score(values: dict[str, Any], of: str) -> int:
    """The quintile, counted out: how many fifths of all have less."""
    less = sum(value < values[of] for value in values.values())
    return 1 + 5 * less // len(values)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_quintiles_and_groups_are_those_that_one_counts_out(writer: Writer, seed: int) -> None:
    rng = random.Random(seed)
    shop = Shop({})
    last: dict[str, datetime] = {}
    visits: Counter[str] = Counter()
    spend: Counter[str] = Counter()
    for number in range(rng.choice([3, 47, 60])):
        member = f"m{number}"
        for _ in range(rng.choice([1, 1, 2, 3, 5])):
            days, amount = rng.choice([1, 2, 30, 200, 364]), rng.choice([1_00, 5_00, 5_00, 80_00])
            purchase = shop.buys(member, days, amount)
            kept = amount
            if rng.random() < 0.3:
                back = rng.choice([amount, 1_00])
                shop.returns(member, days - 0.5, purchase, back)
                kept -= back
            if kept > 0:
                last[member] = max(last.get(member, ago(days)), ago(days))
                visits[member] += 1
                spend[member] += kept
        shop.buys(member, 500, 9_000_00)  # outside the window of 12 months
    await tell(writer, shop.rows())
    found = await sorted_members(writer)
    scores = {m: (score(last, m), score(visits, m), score(spend, m)) for m in last}
    averages = [sum(each[n] for each in scores.values()) / len(scores) for n in range(3)]
    for member, row in found.items():
        if member not in scores:
            assert (row["rfm"], row["recency"]) == ("", None)
            continue
        assert (row["recency"], row["frequency"], row["monetary"]) == scores[member]
        high = tuple(scores[member][n] > averages[n] for n in range(3))
        assert row["rfm"] == GROUPS[high]  # type: ignore[index]


async def test_fixed_scores_reach_all_eight_groups(writer: Writer) -> None:
    shop = Shop({
        "scores": {"recency_days": [90, 30], "frequency": [2, 4], "monetary": [50_00, 100_00]},
        "high": {"recency": 3, "frequency": 2, "monetary": 2},
    })  # fmt: skip
    for (recent, often, much), name in GROUPS.items():
        for visit in range(2 if often else 1):
            shop.buys(name, (30 if recent else 60) + visit, (25_00 if much else 10_00) * (1 if often else 2))
    # Exactly on a bound counts; a moment or a penny less does not.
    shop.buys("a moment late", 30 + 1e-9 * 864, 50_00)
    shop.buys("a penny short", 30, 49_99)
    await tell(writer, shop.rows())
    found = await sorted_members(writer)
    assert {name: found[name]["rfm"] for name in GROUPS.values()} == {name: name for name in GROUPS.values()}
    assert (found["a moment late"]["recency"], found["a moment late"]["monetary"]) == (2, 2)
    assert (found["a penny short"]["recency"], found["a penny short"]["monetary"]) == (3, 1)


CLASS_RULES = {"classes": {"high_spend_percent": 10, "high_ticket_percent": 15, "bargain_percent": 20}}


async def test_each_class_has_its_member_and_the_first_that_fits_wins(writer: Writer) -> None:
    shop = Shop(CLASS_RULES)
    for visit in range(10):
        shop.buys("high_spend", 5 + 30 * visit, 900_00)
        shop.buys("both", 5 + 30 * visit, 80_00)
        shop.buys("loyal", 5 + 50 * (visit % 7) + 0.1 * visit, 60_00)
        shop.buys("rare", 5 + 35 * visit if visit < 5 else 240 + 5 * visit, 60_00)
        shop.buys("hunter", 5 + 65 * (visit % 5) + 0.1 * visit, 20_00, promoted=15_00)
        # Ten in the year before, one in the last half-year: under a half of the usual five.
        shop.buys("churning", 190 + 30 * visit, 900_00)
    shop.buys("churning", 60, 900_00)
    shop.buys("high_ticket", 5, 500_00)
    for n in range(9):
        shop.buys(f"low{n}", 5, 5_00 + n)
    shop.buys("dormant", 365, 9_000_00)
    shop.buys("awake", 365 - 1e-6, 1_00)
    shop.joins("never", 20)
    shop.joins("never_long", 400)
    await tell(writer, shop.rows())
    found = await sorted_members(writer)
    classes = {name: row["class"] for name, row in found.items()}
    assert classes["high_spend"] == "high_spend"
    assert classes["high_ticket"] == "high_ticket"
    assert classes["loyal"] == classes["both"] == "loyal"
    assert classes["rare"] == "low_low"  # upper half, but more than 60 days apart
    assert classes["hunter"] == "bargain_hunter"
    assert classes["churning"] == "churning"  # though nobody but one spends more
    assert classes["awake"] == "churning"  # not yet dormant
    assert classes["low0"] == classes["never"] == "low_low"
    assert classes["dormant"] == classes["never_long"] == "dormant"
    assert set(classes.values()) == set(CLASSES)
    assert sum(Counter(classes.values()).values()) == len(found)


async def test_what_is_brought_back_was_no_bargain(writer: Writer) -> None:
    shop = Shop({})
    purchase = shop.buys("ann", 10, 50_00, promoted=20_00)
    shop.returns("ann", 9, purchase, 5_00, line=2)
    shop.returns("ann", 8, purchase, 30_00, line=1)
    await tell(writer, shop.rows(), at_once=2)
    async with writer.session() as session:
        row = await session.fetchrow("SELECT amount_left, promoted_left, promoted_lines FROM purchases")
    assert tuple(row) == (15_00, 15_00, [2])


async def said(writer: Writer, family: str) -> list[tuple[str, str, str]]:
    """(from, to, run) of what was published of a family, on all chains."""
    async with writer.session() as session:
        rows = await session.fetch(
            "SELECT payload FROM journal WHERE type = 'SegmentChanged' ORDER BY chain, position"
        )
    events = [tiering_pb.SegmentChanged.FromString(row["payload"]) for row in rows]
    return [(e.from_segment, e.to_segment, e.run) for e in events if e.family == family]


async def test_the_clock_moves_members_at_a_run_and_a_purchase_at_once(writer: Writer) -> None:
    chain = LedgerChain(chain=chain_of("ann", CHAINS))
    activated = chain.activated(ago(400), document(segments={}))
    await apply(writer, [activated, chain.bought(ago(200), "ann", 5_00), chain.clock(ago(100))])
    assert not await Segments(writer).run("grocer", "first")
    assert await said(writer, "lifecycle") == [("new", "dormant", "first")]
    await apply(writer, [chain.bought(ago(99), "ann", 5_00)])
    assert (await said(writer, "lifecycle"))[1:] == [("dormant", "won_back", "")]
    assert await Segments(writer).run("grocer", "first")
    await apply(writer, [chain.clock(ago(60))])
    await Segments(writer).run("grocer", "second")
    await Segments(writer).run("grocer", "third")
    assert (await said(writer, "lifecycle"))[2:] == [("won_back", "active", "second")]
    await apply(writer, [chain.clock(NOW + timedelta(days=400))])
    await Segments(writer).run("grocer", "fourth")
    assert (await said(writer, "lifecycle"))[3:] == [("active", "lost", "fourth")]
    assert await said(writer, "class") == [
        ("low_low", "high_spend", "first"), ("high_spend", "dormant", "fourth")
    ]  # fmt: skip


async def test_a_run_that_was_cut_off_is_carried_on_with_its_bounds(writer: Writer) -> None:
    shop = Shop({})
    for n in range(20):
        shop.buys(f"m{n}", n, 100 * n + 1)
    await tell(writer, shop.rows())
    whole = await sorted_members(writer)
    async with writer.transaction() as tx:
        await tx.execute("DELETE FROM segment_runs WHERE chain > 1")
        await tx.execute("DELETE FROM segments WHERE chain > 1")
        await tx.execute("UPDATE purchases SET amount_left = 9 WHERE chain <= 1")
    assert not await Segments(writer).run("grocer", "r1")
    assert await Segments(writer).run("grocer", "r1")
    async with writer.session() as session:
        again = {row["member"]: row for row in await session.fetch("SELECT * FROM segments")}
    assert {m: r["rfm"] for m, r in again.items()} == {m: r["rfm"] for m, r in whole.items()}


async def test_one_run_of_a_program_at_a_time(writer: Writer) -> None:
    await tell(writer, Shop({}).rows())
    async with writer.session() as session:
        await session.fetchval("SELECT pg_advisory_lock(hashtextextended('segments/grocer', 0))")
        with pytest.raises(Refusal) as refused:
            await Segments(writer).run("grocer", "r1")
    assert refused.value.code == "run_in_progress"
    assert not await Segments(writer).run("grocer", "r1")  # nobody there, and that is all right


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_rebuild_gives_the_same_with_runs_and_tags_in_their_places(
    writer: Writer, database: str, seed: int
) -> None:
    rng = random.Random(seed)
    names = [f"m{n}" for n in range(24)]
    shop = Shop({"tags": ["vip", "press"]})
    for _ in range(400):
        member, days = rng.choice(names), rng.uniform(1, 900)
        purchase = shop.buys(member, days, rng.choice([1_00, 7_00, 90_00]) + 5, rng.choice([0, 0, 5]))
        if rng.random() < 0.2:
            shop.returns(member, days - rng.uniform(0, 1), purchase, 1_00)
    rows: dict[int, list[StreamRow]] = defaultdict(list)
    for row in shop.rows():
        rows[row.chain].append(row)
    batches = {chain: list(cut(of_chain, rng, most=30)) for chain, of_chain in rows.items()}
    segments, grants, step = Segments(writer), Grants(writer, CHAINS), 0
    while any(batches.values()):
        chain = rng.choice([chain for chain, left in batches.items() if left])
        await apply(writer, batches[chain].pop(0))
        step += 1
        if rng.random() < 0.3:
            await segments.run("grocer", f"run{step}")
        if rng.random() < 0.4:
            try:
                tag, set_ = rng.choice(["vip", "press"]), rng.random() < 0.6
                await grants.tag("grocer", rng.choice(names), f"t{step}", tag, set_, "a test")
            except Refusal as refusal:
                assert refusal.code in ("unknown_member", "unknown_program")
    await segments.run("grocer", "last")
    live = await content(writer)
    assert live["tags"] and len(live["segment_runs"]) > CHAINS

    await assert_rebuilt_is_live(writer, database, rows, 7)
    assert {row[3] for row in live["segments"]} <= set(LIFECYCLE)
