"""verify and replay on a whole stack that is at work, Kafka included; and what they say of topics that don't fit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from services.common.clock import utc_now
from services.common.codec import journal_headers
from services.common.topics import create_topics
from services.ops.api import Api, endpoints_of
from services.ops.install import SERVICES
from services.ops.level import LevelGauge
from services.ops.local.stack import Stack
from services.ops.replay.fold import SHAPES
from services.ops.replay.run import replay
from services.ops.seal.keys import make_key, private_key
from services.ops.seal.make import make_seal
from services.ops.verify.broker import Broker, check_applied, check_offsets, check_published
from services.ops.verify.command import as_object
from services.ops.verify.findings import CHECKS, Findings
from services.ops.verify.run import Book, verify_book
from services.ops.verify.snapshot import connect, exported
from tests.databases import service_role
from tests.integration.ledger_rows import CHAINS, NOON, Ledger

pytestmark = pytest.mark.integration

PROGRAM = "verified"
DOCUMENT: dict[str, Any] = {
    "program": PROGRAM,
    "clock": "events",
    "ledger": {
        "currency": "USD",
        "enrolment": "on_first_activity",
        "earning": {"points_per_unit": 1, "tier_multipliers": {"gold": 2}},
        "adjustments": {"reasons": ["reward"], "limit": 100},
    },
    "tiering": {
        "segments": {"tags": ["vip"]},
        "metric": "spend",
        "window": {"months": 12},
        "review": {"months": 12},
        "tiers": [{"name": "member"}, {"name": "gold", "from": 100_000}, {"name": "black", "from": 900_000}],
    },
    "rewards": {
        "catalogue": [{"id": "five_off", "name": "5 off", "kind": "discount", "points": 500, "value": 500}],
        "grants": [{"id": "hello", "occasion": "enrolled", "give": [{"points": 7}, {"draw": "wheel"}]}],
        "draws": [
            {
                "id": "wheel",
                "prizes": [
                    {"id": "ten", "weight": 1, "stock": 5, "cost": 10, "give": [{"points": 10}]},
                    {"id": "nothing", "weight": 1},
                ],
                "price": {"free_per_day": 1, "tickets": 1, "points": 50},
                "budget": {"day": 40},
            }
        ],
    },
}
MEMBERS = 20
STALL_SECONDS = 60.0


def purchase_of(number: int) -> dict[str, Any]:
    """A purchase for 600.00 by one of MEMBERS."""
    line = {"id": 1, "sku": "A", "category": "FOOD", "quantity": 1, "amount": 60_000}
    return {
        "id": f"v-{number}", "member": f"v{number % MEMBERS}", "occurred_at": NOON.isoformat(), "currency": "USD",
        "lines": [line],
    }  # fmt: skip


async def shop(api: Api, number: int, program: str = PROGRAM) -> None:
    """A purchase; every member of whom it is the third redeems a reward too, draws, and is given a tier by hand."""
    purchase = purchase_of(number)
    member = purchase["member"]
    path = f"/v1/programs/{program}"
    await api.post("ledger", f"{path}/purchases", purchase)
    if number // MEMBERS == 2:
        order = {"order": f"o-{number}", "reward": "five_off"}
        await api.post("rewards", f"{path}/members/{member}/redemptions", order, f"v-red-{number}")
        grant = {"tier": "black", "until": (NOON + timedelta(days=90)).isoformat(), "reason": "a test"}
        await api.post("tiering", f"{path}/members/{member}/grants", grant, f"v-grant-{number}")
        for pay in ("free", "ticket", "points"):
            turn = {"draw": "wheel", "pay": pay}
            await api.post("rewards", f"{path}/members/{member}/draws", turn, f"v-{pay}-{number}")


async def test_a_stack_at_work_is_in_order_and_level_again_its_projections_are_the_rebuilt_ones(
    stack: Stack, tmp_path: Path
) -> None:
    urls = {service: stack.owner_url(service) for service in SERVICES}
    make_key(tmp_path / "key.pem")
    async with Api(endpoints_of(stack)) as api, LevelGauge(api) as gauge:
        await api.put("ledger", f"/v1/programs/{PROGRAM}", DOCUMENT)
        for number in range(2 * MEMBERS):
            await shop(api, number)
        await gauge.wait(STALL_SECONDS)
        sealed = await make_seal(urls, tmp_path, private_key(tmp_path / "key.pem"), utc_now(), None)
        book = Book(urls, stack.state.bootstrap, stack.state.topic_prefix, [sealed])
        shopping = asyncio.create_task(_all(api, range(2 * MEMBERS, 4 * MEMBERS)))
        busy = await asyncio.to_thread(verify_book, book, 2)
        replayed = [await asyncio.to_thread(replay, service, urls, 1) for service in SERVICES]
        await shopping
        await gauge.wait(STALL_SECONDS)
        level = await asyncio.to_thread(verify_book, book, 1)
    assert busy.report.findings == []
    assert level.report.findings == []
    assert all(level.report.looked[check] for check in CHECKS if check != "budgets")  # nobody campaigns here
    assert json.loads(json.dumps(as_object(level)))["ok"] is True
    for result in replayed:
        assert [part for part in result.compared if not part.same] == []
        assert {part.table for part in result.compared} == {shape.table for shape in SHAPES[result.service]}
    assert sum(part.live.rows for part in replayed[1].compared if part.table == "tier_history") >= MEMBERS


async def _all(api: Api, numbers: range) -> None:
    for number in numbers:
        await shop(api, number)


@pytest_asyncio.fixture
async def url(database: str) -> AsyncIterator[str]:
    """A ledger of four chains with one row on each, of which the relay says that they are published."""
    async with service_role("ledger", database) as url, Ledger.open(url) as ledger:
        await ledger.activate()
        await ledger.rows("UPDATE relay_positions SET position = 1")
        yield database


async def publish(bootstrap: str, prefix: str, chain: int, position: int) -> None:
    headers = journal_headers("ledger", chain, position, "grocer", None, "ClockAdvanced", NOON, NOON)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(f"{prefix}ledger.v1", b"", partition=chain, headers=headers)


async def findings_of(url: str, bootstrap: str, prefix: str) -> list[str]:
    found = Findings("ledger", None)
    async with Broker(bootstrap, prefix, CHAINS) as broker:
        before = await broker.look()
        async with exported(url) as (connection, _):
            after = await broker.look()
            await check_published(connection, "ledger", before, after, broker, found)
            await check_offsets(connection, broker, found)
            await check_applied(connection, {("tiers.v1", 0): 3}, found)
    assert set(found.report.counts) <= {"L6"}
    return [f"{finding.where}: {finding.what}" for finding in found.report.findings]


async def test_topics_that_hold_less_or_more_than_the_journal_are_found(
    url: str, bootstrap: str, topic_prefix: str
) -> None:
    await create_topics(bootstrap, topic_prefix, CHAINS)
    for chain in range(CHAINS):
        await publish(bootstrap, topic_prefix, chain, 1)
    assert await findings_of(url, bootstrap, topic_prefix) == []
    # Sent again after a crash of the relay: readers drop such rows, and they are no finding.
    await publish(bootstrap, topic_prefix, 2, 1)
    assert await findings_of(url, bootstrap, topic_prefix) == []
    await publish(bootstrap, topic_prefix, 1, 2)
    assert await findings_of(url, bootstrap, topic_prefix) == [
        "topic ledger.v1 partition 1: ends with position 2, the journal with 1"
    ]
    owner = await connect(url)
    try:
        await owner.execute("UPDATE relay_positions SET position = 9 WHERE chain = 3")
        await owner.execute("INSERT INTO stream_positions VALUES (0, 'tiers.v1', 4)")
        for chain, topic in enumerate(("purchases.v1", "nothing.v1")):
            offsets = "INSERT INTO consumer_offsets VALUES ($1, 'ledger', $2, 0, 5, 1, 'x', 5)"
            await owner.execute(offsets, chain, topic_prefix + topic)
    finally:
        await owner.close()
    assert sorted(await findings_of(url, bootstrap, topic_prefix)) == [
        f"consumer_offsets 0 {topic_prefix}purchases.v1: read from 0 up to 5, the topic ends at 0",
        f"consumer_offsets 1 {topic_prefix}nothing.v1: Kafka has no such topic and partition",
        "stream_positions 0 tiers.v1: position is 4, that journal ends at 3",
        "topic ledger.v1 partition 1: ends with position 2, the journal with 1",
        "topic ledger.v1 partition 3: ends with position 1, noted as published is 9",
    ]
