"""Segments of a real year: the life cycle of Complete Journey's households at every month's end."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.common.chain import chain_of
from services.common.db import Writer
from services.ops.importing.money import minor_units
from services.tiering.domain.segments import CLASSES, LIFECYCLE
from services.tiering.segments import Segments
from tallybook.ledger.v1 import events_pb2 as pb
from tests.integration.real_years import HOUSEHOLDS, some_households
from tests.integration.test_tiering_store import CHAINS, apply, writer
from tests.integration.tiering_rows import LedgerChain, day, document

ROWS_AT_ONCE = 2_000
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


async def test_the_life_cycle_of_households_adds_up_at_every_month_end(
    writer: Writer, tmp_path: Path
) -> None:
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

    for at, basket, household, cents in baskets(some_households(tmp_path)):
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
    assert len(days) == HOUSEHOLDS
    assert set().union(*totals) == set(LIFECYCLE)
