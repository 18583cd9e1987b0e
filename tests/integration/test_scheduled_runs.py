"""Runs of segments and rankings on a program's own clock: each period has one, soon after it has begun."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.common.chain import chain_of
from services.common.db import Writer
from services.tiering import population
from services.tiering.ranking import Rankings
from services.tiering.segments import Segments
from tests.integration.test_tier_rankings import Club, black
from tests.integration.test_tiering_store import CHAINS, apply, writer
from tests.integration.tiering_rows import LedgerChain, day, document
from tests.poll import eventually

pytestmark = pytest.mark.integration
__all__ = ["writer"]


class Shop:
    """A program with a schedule, on all chains."""

    def __init__(self, every: str, zone: str = "UTC", **head: Any) -> None:
        self.chains = [LedgerChain(chain=number) for number in range(CHAINS)]
        self.document = {**document(segments={"every": every}), "time_zone": zone, **head}

    async def opens(self, writer: Writer, at: str) -> None:
        for chain in self.chains:
            await apply(writer, [chain.activated(day(at), self.document)])

    async def sells(self, writer: Writer, at: str, member: str = "ann") -> None:
        await apply(writer, [self.chains[chain_of(member, CHAINS)].bought(day(at), member, 10_00)])

    async def clock(self, writer: Writer, to: str) -> None:
        for chain in self.chains:
            await apply(writer, [chain.clock(day(to))])


async def runs(writer: Writer) -> list[tuple[str, str, datetime]]:
    """(run, cause, at) of the runs that are over."""
    async with writer.session() as session:
        rows = await session.fetch(
            """
            SELECT run, min(cause) AS cause, min(at) AS at FROM segment_runs
            GROUP BY run HAVING count(*) = $1 ORDER BY min(position), run
            """,
            CHAINS,
        )
    return [tuple(row) for row in rows]


async def test_each_month_of_the_programs_clock_has_one_run(writer: Writer) -> None:
    shop, segments = Shop("month"), Segments(writer)
    await shop.opens(writer, "2026-01-01")
    await segments.run_due("grocer")
    assert await runs(writer) == []  # the clock has not begun
    await shop.sells(writer, "2026-01-05T10:00")
    for _ in range(3):
        await segments.run_due("grocer")
    assert await runs(writer) == [("month-2026-01-01", "schedule", day("2026-01-05T10:00"))]
    await shop.clock(writer, "2026-01-31T23:59:59.999999")
    await segments.run_due("grocer")
    assert len(await runs(writer)) == 1
    await shop.clock(writer, "2026-02-01")
    await segments.run_due("grocer")
    assert (await runs(writer))[1:] == [("month-2026-02-01", "schedule", day("2026-02-01"))]


async def test_months_that_the_clock_jumps_over_have_no_run(writer: Writer) -> None:
    shop, segments = Shop("month"), Segments(writer)
    await shop.opens(writer, "2026-01-01")
    await shop.sells(writer, "2026-01-05")
    await segments.run_due("grocer")
    await shop.clock(writer, "2026-06-17")
    await segments.run_due("grocer")
    assert [run for run, _, _ in await runs(writer)] == ["month-2026-01-01", "month-2026-06-01"]
    # A run looks at the moment that it is made, and not at the period's first.
    assert (await runs(writer))[1][2] == day("2026-06-17")
    async with writer.session() as session:
        assert await session.fetchval("SELECT lifecycle FROM segments") == "dormant"


async def test_a_day_begins_at_local_midnight_across_a_change_of_the_clocks(writer: Writer) -> None:
    shop, segments = Shop("day", zone="America/New_York"), Segments(writer)
    await shop.opens(writer, "2026-03-01")
    for moment in (
        "2026-03-08T04:59:59.999999",  # still the 7th in New York
        "2026-03-08T05:00",
        "2026-03-09T03:59:59.999999",  # a day of 23 hours
        "2026-03-09T04:00",
    ):
        await shop.clock(writer, moment)
        await segments.run_due("grocer")
    assert [run for run, _, _ in await runs(writer)] == ["day-2026-03-07", "day-2026-03-08", "day-2026-03-09"]


async def test_on_the_walls_clock_a_day_has_a_run_though_nothing_happens(writer: Writer) -> None:
    shop, segments = Shop("day", clock="wall"), Segments(writer)
    await shop.opens(writer, "2026-01-01")
    before = datetime.now(UTC)
    await segments.run_due("grocer")
    ((run, cause, at),) = await runs(writer)
    assert (run, cause) == (f"day-{at.date().isoformat()}", "schedule")
    assert before <= at <= datetime.now(UTC) + timedelta(seconds=1)


async def test_programs_without_a_schedule_run_on_demand_only(writer: Writer) -> None:
    shop, segments = Shop("never"), Segments(writer)
    await shop.opens(writer, "2026-01-01")
    await shop.sells(writer, "2026-01-05")
    await segments.run_due("grocer")
    assert await runs(writer) == []
    assert not await segments.run("grocer", "mine")
    assert [(run, cause) for run, cause, _ in await runs(writer)] == [("mine", "request")]


async def test_the_side_task_keeps_up_and_puts_off_what_somebody_else_is_doing(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(population, "POLL_SECONDS", 0.05)
    shop, stop = Shop("month"), asyncio.Event()
    await shop.opens(writer, "2026-01-01")
    await shop.sells(writer, "2026-01-05")
    async with asyncio.TaskGroup() as group:
        async with writer.session() as other:
            await population.only_run(other, "segments", "grocer")
            with capture_logs() as lines:
                group.create_task(Segments(writer).keep(stop))

                async def put_off_twice() -> bool:
                    return [line["event"] for line in lines].count("run put off") >= 2

                await eventually(put_off_twice, "two looks while somebody else's run holds the program")
            assert await runs(writer) == []
            await other.execute("SELECT pg_advisory_unlock_all()")

        async def are(count: int) -> bool:
            return len(await runs(writer)) == count

        await eventually(lambda: are(1), "the run of January")
        await shop.clock(writer, "2026-02-01")
        await eventually(lambda: are(2), "the run of February")
        stop.set()


async def test_a_ranking_comes_with_its_review_and_a_run_of_segments_does_not_stop_it(writer: Writer) -> None:
    club, rankings = Club(segments={"every": "month"}), Rankings(writer)
    club.buys("ann", day("2026-01-05"), 100)
    for row in club.take():
        await apply(writer, [row])
    await rankings.run_due("grocer")
    assert await black(writer) == set()
    club.clock(day("2026-02-01"))
    for row in club.take():
        await apply(writer, [row])
    async with writer.session() as other:
        await population.only_run(other, "segments", "grocer")
        await rankings.run_due("grocer")
        await other.execute("SELECT pg_advisory_unlock_all()")
    assert await black(writer) == {"ann"}
