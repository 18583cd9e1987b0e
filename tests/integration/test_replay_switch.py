"""Rebuilt projections take the place of the live ones while purchases go on; what was edited by hand is set right."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.ops.api import Api, endpoints_of
from services.ops.install import SERVICES
from services.ops.level import LevelGauge
from services.ops.local.kafka import LocalKafka
from services.ops.local.postgres import LocalPostgres
from services.ops.local.stack import Stack
from services.ops.replay.run import How, Replayed, replay
from services.ops.verify.run import Book, verify_book
from tests.conftest import stack_in
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


@pytest_asyncio.fixture(scope="module")
async def shop_floor(server_folder: Path, postgres: LocalPostgres, kafka: LocalKafka) -> AsyncIterator[Stack]:
    """A stack whose rows may be spoilt."""
    stack = stack_in(server_folder / secrets.token_hex(4), postgres, kafka)
    try:
        await asyncio.to_thread(stack.up)
        yield stack
    finally:
        await asyncio.to_thread(stack.down)


async def prepare(api: Api) -> None:
    """Everybody has bought once and more, and played; the quiet member has a card."""
    await api.put("ledger", f"/v1/programs/{PROGRAM}", DOCUMENT)
    identifiers = [{"kind": "card", "value": "c-1"}]
    enrolment = {"member": QUIET, "occurred_at": NOON.isoformat(), "identifiers": identifiers}
    await api.post("ledger", f"/v1/programs/{PROGRAM}/members", enrolment, "quiet-enrols")
    line = {"id": 1, "sku": "A", "category": "FOOD", "quantity": 1, "amount": 120_000}
    purchase = {
        "id": "q",
        "member": QUIET,
        "occurred_at": NOON.isoformat(),
        "currency": "USD",
        "lines": [line],
    }
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


async def switched(stack: Stack, service: str, processes: int = 1) -> Replayed:
    urls: dict[str, Any] = {name: stack.owner_url(name) for name in SERVICES}
    return await asyncio.to_thread(replay, service, urls, processes, how=How(switch=True))


async def test_every_chain_is_switched_while_purchases_go_on_and_what_was_edited_is_set_right(
    shop_floor: Stack,
) -> None:
    stack = shop_floor
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
            results = [
                await switched(stack, "tiering"),
                await switched(stack, "ledger", processes=2),
                await switched(stack, "rewards"),
            ]
        finally:
            stop.set()
            bought = await shopping
        await gauge.wait(STALL_SECONDS)
        verified = await asyncio.to_thread(
            verify_book, Book(urls, stack.state.bootstrap, stack.state.topic_prefix)
        )
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


async def test_a_chain_whose_journal_would_be_decided_otherwise_is_left_as_it_is(shop_floor: Stack) -> None:
    owner = await asyncpg.connect(shop_floor.owner_url("tiering"))
    kept = "SELECT chain, position, program_version FROM journal WHERE type = 'TierChanged' ORDER BY 1, 2 LIMIT 1"
    spoil = "UPDATE journal SET program_version = $3 WHERE chain = $1 AND position = $2"
    try:
        chain, position, version = await owner.fetchrow(kept)
        await owner.execute("UPDATE members SET tier = 'nobody' WHERE chain = $1", chain)
        await owner.execute("ALTER TABLE journal DISABLE TRIGGER USER")
        await owner.execute(spoil, chain, position, "another")
        result = await switched(shop_floor, "tiering")
        left = await owner.fetchval(
            "SELECT count(*) FROM members WHERE chain = $1 AND tier = 'nobody'", chain
        )
        await owner.execute(spoil, chain, position, version)
        again = await switched(shop_floor, "tiering")
    finally:
        await owner.execute("ALTER TABLE journal ENABLE TRIGGER USER")
        await owner.close()
    assert not result.ended_well
    (refused,) = [one for one in result.switched if one.refused]
    assert (refused.chain, refused.replaced) == (chain, ())
    assert left > 0
    assert "decided otherwise" in (refused.refused or "")
    # With the journal as it was, the same chain is set right.
    assert again.ended_well
    assert [(one.chain, one.replaced) for one in again.switched if one.replaced] == [(chain, ("members",))]
