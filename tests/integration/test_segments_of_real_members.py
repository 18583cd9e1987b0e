"""Segments of real years: RFM of Online Retail beside pandas, the life cycle of Complete Journey's households."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.common.chain import chain_of
from services.common.codec import time_of
from services.common.db import Writer
from services.ops.importing.account import RowAccount
from services.ops.importing.complete_journey import packaged_transactions
from services.ops.importing.errors import DataMissingError
from services.ops.importing.money import minor_units
from services.ops.importing.online_retail import UNKNOWN_PURCHASE, read_activities
from services.tiering.domain.segments import CLASSES, LIFECYCLE
from services.tiering.segments import Segments
from tallybook.activities.v1.activities_pb2 import Purchase
from tallybook.ledger.v1 import events_pb2 as pb
from tests.integration.test_tiering_store import CHAINS, apply, writer
from tests.integration.tiering_rows import LedgerChain, day, document

ONLINE_RETAIL = (
    Path(__file__).parents[2] / ".." / "shared" / "data" / "online_retail" / "online_retail.parquet"
)
ROWS_AT_ONCE = 2_000
HOUSEHOLDS = int(os.environ.get("TALLY_TEST_HOUSEHOLDS", "2469"))
"""How many of the households are followed: all of them, which takes a minute and a half on a quiet machine."""
pytestmark = [pytest.mark.integration, pytest.mark.slow]
__all__ = ["writer"]


class Book:
    """The ledger's rows of a year on every chain, told in batches."""

    def __init__(self, writer: Writer, segments: dict[str, Any]) -> None:
        self._writer = writer
        self.chains = [LedgerChain(chain=number) for number in range(CHAINS)]
        program = document(segments=segments, exclude_categories=[])
        self._waiting = [[chain.activated(day("2009-01-01"), program)] for chain in self.chains]

    async def add(self, member: str, at: datetime, message: Any) -> None:
        """A row of a member."""
        number = chain_of(member, CHAINS)
        self._waiting[number].append(self.chains[number].row(message, at, member))
        if len(self._waiting[number]) >= ROWS_AT_ONCE:
            await self._tell(number)

    async def clock(self, to: datetime) -> None:
        """The program's clock moves; everything is told up to there."""
        for number, chain in enumerate(self.chains):
            self._waiting[number].append(chain.clock(to))
            await self._tell(number)

    async def _tell(self, number: int) -> None:
        rows, self._waiting[number] = self._waiting[number], []
        await apply(self._writer, rows)


def recorded(purchase: Purchase) -> pb.PurchaseRecorded:
    """The purchase in the book, its lines as one: that is all that segments look at."""
    message = pb.PurchaseRecorded()
    message.activity.id = purchase.id
    message.activity.lines.add(id=1, quantity=1, amount=sum(line.amount for line in purchase.lines))
    return message


def baskets(file: Path) -> list[tuple[datetime, str, str, int]]:
    """(time, basket, household, cents) of the year, in order of time."""
    columns = ["household_id", "basket_id", "sales_value", "transaction_timestamp"]
    rows = pq.read_table(file, columns=columns).group_by(columns[:2])
    found = rows.aggregate([("sales_value", "sum"), ("transaction_timestamp", "max")])
    times = found.column("transaction_timestamp_max").cast(pa.timestamp("us", "UTC"))
    cents = (minor_units(value) for value in found.column("sales_value_sum").to_pylist())
    names = (
        [str(value) for value in found.column(name).to_pylist()] for name in ("basket_id", "household_id")
    )
    return sorted(zip(times.to_pylist(), *names, cents, strict=True))


async def test_rfm_of_online_retail_is_what_pandas_says(writer: Writer) -> None:
    pandas = pytest.importorskip("pandas")
    if not ONLINE_RETAIL.exists():
        pytest.skip("the Online Retail file is not beside this checkout (../shared/data/online_retail)")
    end = datetime(2011, 12, 10, tzinfo=UTC)
    book = Book(writer, {})
    lines: list[tuple[str, str, datetime, int]] = []
    """(member, purchase, its time, minor units: negative for what came back)"""
    bought: dict[str, Purchase] = {}
    returned: Counter[tuple[str, int]] = Counter()
    for activity in read_activities(ONLINE_RETAIL, "grocer", RowAccount()):
        if isinstance(activity, Purchase):
            at = time_of(activity.occurred_at)
            bought[activity.id] = activity
            lines += [(activity.member, activity.id, at, line.amount) for line in activity.lines]
            await book.add(activity.member, at, recorded(activity))
            continue
        if activity.of == UNKNOWN_PURCHASE:
            continue  # the ledger refuses it
        original = bought[activity.of]
        at, back = time_of(original.occurred_at), pb.ReturnRecorded()
        back.activity.of = original.id
        back.purchased_at.CopyFrom(original.occurred_at)
        by_id = {line.id: line for line in original.lines}
        for part in activity.lines:
            line, before = by_id[part.line], returned[original.id, part.line]
            returned[original.id, part.line] += part.quantity
            upto = line.amount * (before + part.quantity) // line.quantity
            amount = upto - line.amount * before // line.quantity
            back.lines.add(line=1, quantity=1, amount=amount)
            lines.append((activity.member, original.id, at, -amount))
        await book.add(activity.member, time_of(activity.occurred_at), back)
    await book.clock(end)
    assert not await Segments(writer).run("grocer", "r1")
    async with writer.session() as session:
        found = {row["member"]: row for row in await session.fetch("SELECT * FROM segments")}

    frame = pandas.DataFrame(lines, columns=["member", "purchase", "at", "amount"])
    kept = frame.groupby(["member", "purchase", "at"], as_index=False)["amount"].sum()
    # A year back from the run, and nothing that came back whole.
    start = datetime(2010, 12, 10, tzinfo=UTC)
    kept = kept[(kept["amount"] > 0) & (kept["at"] > start) & (kept["at"] <= end)]
    of = kept.groupby("member").agg(r=("at", "max"), f=("purchase", "count"), m=("amount", "sum"))
    scores = of.rank(method="min").sub(1).mul(5).floordiv(len(of)).add(1).astype(int)
    high = scores > scores.mean()
    named = {
        (1, 1, 1): "important_value", (1, 0, 1): "important_develop", (0, 1, 1): "important_keep",
        (0, 0, 1): "important_retain", (1, 1, 0): "general_value", (1, 0, 0): "general_develop",
        (0, 1, 0): "general_keep", (0, 0, 0): "general_retain",
    }  # fmt: skip
    expected = {
        member: (*scores.loc[member], named[tuple(int(each) for each in high.loc[member])])
        for member in of.index
    }
    actual = {
        member: (row["recency"], row["frequency"], row["monetary"], row["rfm"])
        for member, row in found.items()
        if row["rfm"]
    }
    assert actual == expected
    groups = Counter(row[3] for row in actual.values())
    assert set(groups) == set(named.values())
    assert len(found) > len(actual) > 4000


async def test_the_life_cycle_of_households_adds_up_at_every_month_end(writer: Writer) -> None:
    try:
        file = packaged_transactions()
    except DataMissingError as missing:
        pytest.skip(str(missing))
    book = Book(writer, {"lifecycle": {"new_days": 30, "dormant_days": 45, "lost_days": 120}})
    days: dict[str, list[datetime]] = defaultdict(list)
    ends = [datetime(2017 + month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(1, 13)]
    run = Segments(writer)
    totals: list[Counter[str]] = []

    async def at_the_end(end: datetime) -> None:
        await book.clock(end)
        await run.run("grocer", end.date().isoformat())
        async with writer.session() as session:
            rows = await session.fetch("SELECT member, lifecycle, class FROM segments")
        assert {row["member"] for row in rows} == set(days)
        assert {row["class"] for row in rows} <= set(CLASSES)
        of_month = Counter(row["lifecycle"] for row in rows)
        assert sum(of_month.values()) == len(days)
        assert {row["member"]: row["lifecycle"] for row in rows} == {
            m: naive(each, end) for m, each in days.items()
        }
        totals.append(of_month)

    def naive(purchases: list[datetime], end: datetime) -> str:
        """The documented rule, from all purchases in their order."""
        away = [end - purchases[-1], end - purchases[0]]
        backs = [b for a, b in pairwise(purchases) if b - a >= timedelta(days=45)]
        if away[0] >= timedelta(days=120):
            return "lost"
        if away[0] >= timedelta(days=45):
            return "dormant"
        if backs and end - backs[-1] < timedelta(days=30):
            return "won_back"
        return "new" if away[1] < timedelta(days=30) else "active"

    for at, basket, household, cents in baskets(file):
        if household not in days and len(days) == HOUSEHOLDS:
            continue
        while ends and at >= ends[0]:
            await at_the_end(ends.pop(0))
        days[household].append(at)
        bought = pb.PurchaseRecorded()
        bought.activity.id = basket
        bought.activity.lines.add(id=1, quantity=1, amount=cents)
        await book.add(household, at, bought)
    while ends:
        await at_the_end(ends.pop(0))
    assert len(totals) == 12
    assert len(days) == min(HOUSEHOLDS, 2_469)
    assert set().union(*totals) == set(LIFECYCLE)
