"""The ticker moves the clocks of programs that run on the wall's, and no others, from the first moment of a process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from services.common.clock import utc_now
from services.ledger.command_queue import CommandQueue
from services.ledger.store import Programs
from services.ledger.ticker import Ticker
from tests.databases import service_role
from tests.integration.ledger_rows import DOCUMENT, NOON, WINDOWED, Ledger
from tests.poll import eventually

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)
WALL: dict[str, Any] = {**DOCUMENT, "clock": "wall"}


@pytest_asyncio.fixture
async def ledger(database: str) -> AsyncIterator[Ledger]:
    async with service_role("ledger", database) as url, Ledger.open(url) as ledger:
        yield ledger


def fresh_ticker(ledger: Ledger) -> Ticker:
    """The ticker of a process that has just started: it has met no program yet."""
    programs = Programs()
    queue = CommandQueue(ledger.writer, programs, ledger.chains, lambda: None)
    return Ticker(ledger.writer, queue, programs)


async def clocks(ledger: Ledger) -> set[datetime]:
    return {row["clock_at"] for row in await ledger.rows("SELECT clock_at FROM programs")}


async def test_a_ledger_that_starts_leaves_the_clock_of_an_event_driven_program_alone(ledger: Ledger) -> None:
    await ledger.activate()
    await ledger.advance(NOON)
    await ledger.take(ledger.purchase(at=NOON))
    await fresh_ticker(ledger).tick()
    assert await clocks(ledger) == {NOON}
    assert await ledger.balance() == (100, 0, 0)


async def test_a_program_on_the_walls_clock_is_moved_to_the_present_on_every_chain(ledger: Ledger) -> None:
    await ledger.activate(WALL)
    before = utc_now()
    await fresh_ticker(ledger).tick()
    assert all(before <= clock <= utc_now() for clock in await clocks(ledger))


async def test_within_the_hour_only_what_falls_due_moves_a_clock(ledger: Ledger) -> None:
    await ledger.activate(WALL)
    now = utc_now()
    await ledger.advance(now)
    await fresh_ticker(ledger).tick()
    expected = {now} if utc_now().hour == now.hour else await clocks(ledger)
    assert await clocks(ledger) == expected


async def test_points_that_only_a_hold_keeps_from_lapsing_move_no_clock(ledger: Ledger) -> None:
    await ledger.activate({**WINDOWED, "clock": "wall"})
    # Whichever month it is (28 to 31 days), the points lapse after they are held and before now.
    held_at = utc_now() - 6 * DAY
    await ledger.advance(held_at)
    hold = ledger.hold(100, ttl=10 * 86_400)
    hold.now = held_at
    await ledger.take(ledger.purchase(at=held_at - 27 * DAY))
    assert (await ledger.take(hold))[0].refusal is None
    now = utc_now()
    await ledger.advance(now)
    assert await ledger.value(
        "SELECT lapses_at < clock_at FROM accounts JOIN programs USING (chain, program)"
    )
    await fresh_ticker(ledger).tick()
    assert await clocks(ledger) == {now} or utc_now().hour != now.hour
    assert await ledger.balance() == (100, 100, 0)


async def test_points_that_fell_due_expire(ledger: Ledger) -> None:
    await ledger.activate(WALL)
    bought = ledger.purchase(at=datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=1))
    await ledger.take(bought)
    await fresh_ticker(ledger).tick()
    assert await ledger.balance() == (0, 0, 0)


async def test_within_the_hour_points_mature_and_lapse_when_they_are_due(ledger: Ledger) -> None:
    await ledger.activate({**WINDOWED, "clock": "wall"})
    now = utc_now()
    await ledger.take(ledger.purchase("new", at=now - timedelta(days=14) + timedelta(seconds=1)))
    await ledger.take(ledger.purchase("old", member="bob", at=now - timedelta(days=400)))
    assert await ledger.value("SELECT sum(pending) FROM accounts") == 100 + 100
    await ledger.advance(now)
    ticker = fresh_ticker(ledger)

    async def mature() -> bool:
        await ticker.tick()
        return bool(await ledger.value("SELECT sum(pending) FROM accounts") == 0)

    await eventually(mature, "a lot matures within the hour")
    assert await ledger.balance() == (100, 0, 0)
    assert await ledger.balance("bob") == (0, 0, 0)
