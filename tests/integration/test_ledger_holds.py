"""Holds in parts and refunds on real PostgreSQL: what one transaction wrote, the next one goes on with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from services.ledger.domain.commands import Command
from services.ledger.handle import Outcome
from tests.databases import service_role
from tests.integration.ledger_rows import DOCUMENT, NOON, Ledger, member_on
from tests.integration.test_ledger_store import check_replay

YEAR_ON = NOON.replace(year=2027)
DAY = timedelta(days=1)
HOLD = "SELECT state, captured, allocation_points, spent_lots, spent_points, refunded FROM holds"
pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def ledger(database: str) -> AsyncIterator[Ledger]:
    async with service_role("ledger", database) as url, Ledger.open(url) as ledger:
        await ledger.activate()
        yield ledger


def code(outcome: Outcome) -> str | None:
    return None if outcome.refusal is None else outcome.refusal[0]


async def taken(ledger: Ledger, *commands: Command) -> list[str | None]:
    """The codes of what commands are told, each in a transaction of its own."""
    return [code((await ledger.take(command))[0]) for command in commands]


async def test_parts_are_read_again_until_nothing_is_left(ledger: Ledger) -> None:
    await ledger.take(ledger.purchase("p1", 3_000))
    await ledger.take(ledger.purchase("p2", 7_000))
    (one, two) = [row["lot"] for row in await ledger.rows("SELECT lot FROM lots ORDER BY lot")]
    await ledger.take(ledger.hold(60))
    assert await taken(ledger, ledger.capture_part(20, "c1"), ledger.capture_part(20, "c2")) == [None, None]
    assert await ledger.balance() == (60, 20, 0)
    (hold,) = await ledger.rows(HOLD)
    assert tuple(hold) == ("open", 40, [20], [one, two], [30, 10], 0)
    assert await taken(ledger, ledger.capture_part(21, "c3")) == ["amount_exceeds_hold"]
    await ledger.take(ledger.capture(amount=15))
    assert await ledger.balance() == (45, 0, 0)
    (hold,) = await ledger.rows(HOLD)
    assert tuple(hold) == ("captured", 55, [], [one, two], [30, 25], 0)
    await check_replay(ledger)


async def test_the_rest_of_a_hold_times_out(ledger: Ledger) -> None:
    await ledger.take(ledger.purchase(), ledger.hold(60, ttl=60), ledger.capture_part(20, "c1"))
    await ledger.advance(NOON + DAY)
    assert await ledger.balance() == (80, 0, 0)
    assert [row["state"] for row in await ledger.rows(HOLD)] == ["expired"]
    await ledger.take(ledger.refund())
    assert await ledger.balance() == (100, 0, 0)


async def test_a_refund_finds_its_order_and_the_lots_that_it_emptied(ledger: Ledger) -> None:
    await ledger.take(ledger.purchase("p1", 3_000))
    await ledger.take(ledger.purchase("p2", 7_000))
    await ledger.take(ledger.hold(100), ledger.capture())
    assert await ledger.value("SELECT sum(remaining) FROM lots") == 0
    assert await taken(ledger, ledger.refund("f1", 80), ledger.refund("f2", 21), ledger.refund("f3", 20)) == [
        None, "amount_exceeds_spend", None
    ]  # fmt: skip
    assert await ledger.balance() == (100, 0, 0)
    assert [row["remaining"] for row in await ledger.rows("SELECT remaining FROM lots ORDER BY lot")] == [
        30,
        70,
    ]
    (hold,) = await ledger.rows(HOLD)
    assert tuple(hold) == ("captured", 100, [], [], [], 100)
    assert await taken(ledger, ledger.refund("f4"), ledger.refund("f5", order="o9")) == [
        "order_already_refunded", "order_unknown"
    ]  # fmt: skip
    await check_replay(ledger)


async def test_a_capture_and_its_refund_in_one_batch(ledger: Ledger) -> None:
    await ledger.take(ledger.purchase())
    await ledger.take(ledger.hold(60))
    await ledger.take(
        ledger.capture(), ledger.refund("f1", 20), ledger.hold(60, "h2"), ledger.refund("f2", 20)
    )
    assert await ledger.balance() == (80, 60, 0)
    await check_replay(ledger)


async def test_a_lot_past_its_day_is_reinstated_until_another_day(ledger: Ledger) -> None:
    section = {**DOCUMENT["ledger"], "returns": {"expired_lots": {"reinstate_days": 30}}}
    await ledger.activate({**DOCUMENT, "ledger": section})
    await ledger.take(ledger.purchase(), ledger.hold(60), ledger.capture())
    await ledger.advance(YEAR_ON + DAY)
    assert await ledger.balance() == (0, 0, 0)
    await ledger.take(ledger.refund())
    assert await ledger.balance() == (60, 0, 0)
    assert await ledger.value("SELECT expires_at FROM lots") == YEAR_ON + 31 * DAY
    await check_replay(ledger)
    await ledger.advance(YEAR_ON + 31 * DAY)
    assert await ledger.balance() == (0, 0, 0)


async def test_an_order_of_10000_tiny_lots_is_refunded(ledger: Ledger) -> None:
    await ledger.take(*(ledger.purchase(f"p{n}", 100) for n in range(10_000)))
    await ledger.take(ledger.hold(10_000), ledger.capture())
    assert await taken(ledger, ledger.refund("f1", 4_000), ledger.refund("f2")) == [None, None]
    assert await ledger.balance() == (10_000, 0, 0)


async def test_what_differs_is_told_whichever_transaction_was_first(ledger: Ledger) -> None:
    await ledger.take(ledger.purchase())
    place = ledger.hold(60)
    other = ledger.hold(61)
    first, again, differs = await ledger.take(ledger.hold(60), place, other)
    assert (code(first), again.duplicate, code(differs)) == (None, True, "exists_with_different_amount")
    assert await taken(
        ledger,
        ledger.hold(61),
        ledger.hold(60, ttl=60),
        replace(place, order="o9", cause=replace(place.cause, digest=b"x")),
        ledger.hold(60, member=member_on(1)),
        ledger.hold(60, member=member_on(2)),
    ) == [
        "exists_with_different_amount", "exists_with_different_ttl", "exists_with_different_order",
        "exists_with_different_member", "exists_with_different_member",
    ]  # fmt: skip
    await ledger.take(ledger.capture(amount=45))
    await ledger.take(ledger.refund("f1", 40))
    assert await taken(
        ledger, ledger.capture(amount=46), ledger.refund("f1", 41), ledger.refund("f1", 40, "o9")
    ) == ["exists_with_different_amount", "exists_with_different_amount", "exists_with_different_order"]
    (same,) = await ledger.take(replace(place, ttl_seconds=900, cause=replace(place.cause, digest=b"y")))
    assert (same.duplicate, same.position) == (True, first.position)
    assert await ledger.value("SELECT count(*) FROM inbox WHERE event_id = 'h1'") == 1
