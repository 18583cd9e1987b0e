"""Nothing is lost and nothing counts twice when processes and servers are killed in the middle of an import.

The measure is an undisturbed run of the same purchases for another program: the totals must be equal to the point.
TALLY_TEST_KILLS sets how often the ledger is killed (20 for the full storm; fewer by default, for the suite's time).
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from services.ops.api import Api, endpoints_of
from services.ops.importing.publish import publish
from services.ops.level import LevelGauge
from services.ops.local.stack import Stack
from services.ops.verify.run import Book, verify_book
from tests.bench import synthetic
from tests.poll import eventually

KILLS = int(os.environ.get("TALLY_TEST_KILLS", "2"))
PURCHASES = 3_000 + 1_500 * KILLS
MEMBERS = 400
STALL_SECONDS = 120.0


def activate(stack: Stack, program: str) -> None:
    document = {**synthetic.PROGRAM, "program": program}
    answer = httpx.put(
        f"{stack.url('ledger')}/v1/programs/{program}",
        json=document,
        headers={"Authorization": f"Bearer {stack.state.ops_key}"},
        timeout=60,
    )
    answer.raise_for_status()


async def send(stack: Stack, program: str) -> None:
    state = stack.state
    await publish(
        synthetic.purchases(0, PURCHASES, MEMBERS, program),
        bootstrap=state.bootstrap,
        chains=state.chains,
        source="tests",
        topic_prefix=state.topic_prefix,
    )


async def level_totals(stack: Stack, program: str) -> dict[str, Any]:
    async with Api(endpoints_of(stack)) as api:
        async with LevelGauge(api) as gauge:
            await gauge.wait(STALL_SECONDS)
        totals: dict[str, Any] = await api.get("ledger", f"/v1/programs/{program}/totals")
        tiers = await api.get("tiering", f"/v1/programs/{program}/distribution")
    return {**totals, "program": "", "tiers": tiers["tiers"]}


async def taken(stack: Stack, program: str) -> int:
    """Purchases of a program in the book so far; 0 while the ledger is away."""
    async with Api(endpoints_of(stack)) as api:
        return int((await api.get("ledger", f"/v1/programs/{program}/totals"))["issued"])


@pytest.mark.slow
@pytest.mark.apache_kafka
async def test_an_import_through_kills_ends_as_an_undisturbed_one(
    make_own_stack: Callable[[], Stack],
) -> None:
    stack = await asyncio.to_thread(make_own_stack)
    activate(stack, "calm")
    await send(stack, "calm")
    calm = await level_totals(stack, "calm")
    assert calm["issued"] > 0
    assert set(calm["tiers"]) == {"member", "silver", "gold"}

    activate(stack, "stormy")
    sending = asyncio.create_task(send(stack, "stormy"))
    chance = random.Random(KILLS)
    before = 0
    for number in range(KILLS):
        # Not at once: somewhere between the first record after the start and a little later.
        goal = before + chance.randrange(1, max(2, calm["issued"] // (KILLS + 2)))

        async def moved(goal: int = goal) -> bool:
            return await taken(stack, "stormy") >= goal or sending.done()

        await eventually(moved, f"purchases before kill {number + 1}", 120)
        before = await taken(stack, "stormy")
        await asyncio.to_thread(stack.kill, "ledger")
        if number == KILLS // 3:
            await asyncio.to_thread(stack.postgres.kill)
            await asyncio.to_thread(stack.postgres.start)
        if number == 2 * KILLS // 3:
            await asyncio.to_thread(stack.kafka.kill)
            await asyncio.to_thread(stack.kafka.start)
        await asyncio.to_thread(stack.start_service, "ledger")
    await sending
    for service in ("tiering", "rewards"):
        await asyncio.to_thread(stack.start_service, service)
    stormy = await level_totals(stack, "stormy")
    assert stormy == calm

    urls = {service: stack.owner_url(service) for service in ("ledger", "tiering", "rewards")}
    state = stack.state
    verified = await asyncio.to_thread(verify_book, Book(urls, state.bootstrap, state.topic_prefix))
    assert verified.report.findings == []
    rebuilt = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.ops.cli", "replay", "ledger", "tiering", "rewards"),
        env={**os.environ, "TALLY_HOME": str(stack.home)},
    )
    assert await rebuilt.wait() == 0
