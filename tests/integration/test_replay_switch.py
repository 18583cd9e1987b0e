"""Rebuilt projections take the place of the live ones while purchases go on; what was edited by hand is set right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from services.ops.api import Api, endpoints_of
from services.ops.install import SERVICES
from services.ops.level import LevelGauge
from services.ops.local.stack import Stack
from services.ops.replay.run import How, Replayed, replay
from services.ops.verify.run import Book, verify_book
from tests.integration.test_verify_stack import DOCUMENT, MEMBERS, NOON, PROGRAM, STALL_SECONDS, shop

pytestmark = pytest.mark.integration

QUIET = "quiet"
"""A member who buys once and is then left alone: what is wrong of it, no decision is taken on."""
EDITS = {
    "ledger": {
        "accounts": "UPDATE accounts SET posted = posted + 5 WHERE member = 'quiet'",
        "lots": "DELETE FROM lots WHERE member = 'quiet'",
        "identifiers": "DELETE FROM identifiers WHERE member = 'quiet'",
    },
    "tiering": {"members": "UPDATE members SET tier = 'black' WHERE member = 'quiet'"},
    "rewards": {
        "wallets": "UPDATE wallets SET posted = posted + 7, tier = 'black' WHERE member = 'quiet'",
        "draw_counters": "UPDATE draw_counters SET used = used + 1 WHERE counter LIKE 'prize%'",
    },
}


async def prepare(api: Api) -> None:
    """Everybody has bought once and more, and played; the quiet member has a card."""
    await api.put("ledger", f"/v1/programs/{PROGRAM}", DOCUMENT)
    identifiers = [{"kind": "card", "value": "c-1"}]
    enrolment = {"member": QUIET, "occurred_at": NOON.isoformat(), "identifiers": identifiers}
    await api.post("ledger", f"/v1/programs/{PROGRAM}/members", enrolment, "quiet-enrols")
    line = {"id": 1, "sku": "A", "category": "FOOD", "quantity": 1, "amount": 120_000}
    purchase = {"id": "q", "member": QUIET, "occurred_at": NOON.isoformat(), "currency": "USD", "lines": [line]}
    await api.post("ledger", f"/v1/programs/{PROGRAM}/purchases", purchase)
    for number in range(3 * MEMBERS):
        await shop(api, number)


async def edit(stack: Stack) -> None:
    """Change live rows behind the services' backs."""
    for service, edits in EDITS.items():
        owner = await asyncpg.connect(stack.owner_url(service))
        try:
            for change in edits.values():
                assert await owner.execute(change) not in ("UPDATE 0", "DELETE 0"), change
        finally:
            await owner.close()


async def switched(stack: Stack, service: str) -> Replayed:
    urls: dict[str, Any] = {name: stack.owner_url(name) for name in SERVICES}
    return await asyncio.to_thread(replay, service, urls, 2, how=How(switch=True))


async def test_every_chain_is_switched_while_purchases_go_on_and_what_was_edited_is_set_right(
    make_stack: Callable[[], Stack],
) -> None:
    stack = await asyncio.to_thread(make_stack)
    urls = {service: stack.owner_url(service) for service in SERVICES}
    stop = asyncio.Event()

    async def purchases(api: Api) -> int:
        number = 3 * MEMBERS
        while not stop.is_set():
            # A refusal of any step would be raised here.
            await shop(api, number)
            number += 1
        return number

    async with Api(endpoints_of(stack)) as api, LevelGauge(api) as gauge:
        await prepare(api)
        await gauge.wait(STALL_SECONDS)
        await edit(stack)
        shopping = asyncio.create_task(purchases(api))
        try:
            results = [await switched(stack, service) for service in ("tiering", "ledger", "rewards")]
        finally:
            stop.set()
            bought = await shopping
        await gauge.wait(STALL_SECONDS)
        verified = await asyncio.to_thread(verify_book, Book(urls, stack.state.bootstrap, stack.state.topic_prefix))
    assert bought > 3 * MEMBERS
    for result in results:
        assert {chain.chain for chain in result.switched} == set(range(stack.state.chains))
        assert [chain.refused for chain in result.switched if chain.refused] == []
        # Exactly what was edited is named, and replaced.
        assert {part.table for part in result.compared if not part.same} == set(EDITS[result.service])
        replaced = {table for chain in result.switched for table in chain.replaced}
        assert replaced | result.mended.keys() == set(EDITS[result.service])
        assert result.ended_well
        assert all(0 < chain.pause_ms < 15_000 for chain in result.switched)
    assert verified.report.findings == []
    for service in SERVICES:
        again = await asyncio.to_thread(replay, service, urls, 1)
        assert [part for part in again.compared if not part.same] == []
