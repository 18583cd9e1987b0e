"""Rewards as a process among the others, over Kafka: killed while it redeems, it loses and doubles nothing."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.common.codec import decode_row
from services.ops.local.stack import Stack
from tallybook.rewards.v1 import events_pb2 as rewards_pb
from tests.integration.rewards_stack import DOCUMENT, bearer
from tests.poll import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PROGRAM = "grocer"
MEMBERS = ["ann", "bob", "carl"]
REDEMPTIONS = 24
READ_MS = 20_000
PATIENCE_SECONDS = 60.0
ENDS_AS = {"reserved": "open", "captured": "captured", "cancelled": "released"}
"""A redemption's state and its hold's."""


class Checkout:
    """Sends each request until it is answered, with the same key, as a checkout does."""

    def __init__(self, http: httpx.AsyncClient, rewards: str) -> None:
        self._http = http
        self._url = f"{rewards}/v1/programs/{PROGRAM}/members"

    async def redeem(self, number: int) -> None:
        """Reserve; then capture, cancel or leave it."""
        member, redemption = MEMBERS[number % len(MEMBERS)], f"r{number}"
        path = f"{self._url}/{member}/redemptions"
        await self._post(path, redemption, {"reward": "mug", "order": f"order {number}"})
        step = ("capture", "cancel", None)[number % 3]
        if step is not None:
            await self._post(f"{path}/{redemption}/{step}", f"{redemption}:{step}", {})

    async def _post(self, path: str, key: str, body: dict[str, Any]) -> None:
        async def answered() -> bool:
            try:
                answer = await self._http.post(path, json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                return False
            assert answer.status_code in (200, 201, 503), answer.text
            return answer.status_code != 503

        await eventually(answered, f"{path} is answered", PATIENCE_SECONDS)


async def test_rewards_killed_while_it_redeems_loses_and_doubles_nothing(
    make_stack: Callable[[], Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLY_LEASE_SECONDS", "1")
    stack = await asyncio.to_thread(make_stack)
    async with httpx.AsyncClient(headers=bearer(stack.state.ops_key), timeout=20, trust_env=False) as http:
        await begin(http, stack)
        checkout = Checkout(http, stack.url("rewards"))
        redeeming = asyncio.gather(*(checkout.redeem(number) for number in range(REDEMPTIONS)))
        for begun in (2, REDEMPTIONS // 2):
            await eventually(
                partial(requested, stack, begun), "some are answered, some under way", PATIENCE_SECONDS
            )
            await asyncio.to_thread(stack.kill, "rewards")
            await asyncio.to_thread(stack.start_service, "rewards")
        await redeeming
        await eventually(lambda: level(http, stack), "wallets are what the ledger says", PATIENCE_SECONDS)

    redemptions = await query(stack, "rewards", "SELECT redemption, state FROM redemptions")
    holds = await query(stack, "ledger", "SELECT hold, state FROM holds")
    assert {name: ENDS_AS[state] for name, state in redemptions} == dict(holds)
    assert Counter(state for _, state in redemptions) == {
        "captured": REDEMPTIONS // 3, "cancelled": REDEMPTIONS // 3, "reserved": REDEMPTIONS // 3,
    }  # fmt: skip
    assert not await query(stack, "rewards", "SELECT FROM redemption_steps")
    published = await published_types(stack)
    assert published == dict(
        await query(stack, "rewards", "SELECT type, count(*) FROM journal GROUP BY type")
    )
    assert published["RedemptionRequested"] == REDEMPTIONS
    # A clean stop in bounded time; it raises when the process had to be killed.
    await asyncio.to_thread(stack.stop_service, "rewards")
    await asyncio.to_thread(stack.down)


async def begin(http: httpx.AsyncClient, stack: Stack) -> None:
    """A program, and members with points enough."""
    ledger = f"{stack.url('ledger')}/v1/programs/{PROGRAM}"
    (await http.put(ledger, json=DOCUMENT)).raise_for_status()
    for member in MEMBERS:
        line = {"id": 1, "sku": "A1", "category": "food", "quantity": 1, "amount": 500_000}
        purchase = {
            "id": secrets.token_hex(6), "member": member, "occurred_at": "2026-01-05T12:00:00Z",
            "currency": "USD", "lines": [line],
        }  # fmt: skip
        (await http.post(f"{ledger}/purchases", json=purchase)).raise_for_status()

    async def activated() -> bool:
        rows = await query(stack, "rewards", "SELECT count(DISTINCT chain) FROM programs")
        return bool(rows[0][0] == stack.state.chains)

    await eventually(activated, "rewards has heard of the program on every chain", PATIENCE_SECONDS)


async def requested(stack: Stack, least: int) -> bool:
    """Have at least so many redemptions begun?"""
    rows = await query(stack, "rewards", "SELECT count(*) FROM redemptions")
    return bool(rows[0][0] >= least)


async def level(http: httpx.AsyncClient, stack: Stack) -> bool:
    """Has rewards heard of all that the ledger did, and published all its own?"""
    ready = (await http.get(f"{stack.url('rewards')}/health/ready")).json()
    if ready["relay"]["behind"] or ready["steps_waiting"]:
        return False
    wallets = await query(stack, "rewards", "SELECT member, posted, held FROM wallets")
    accounts = await query(
        stack,
        "ledger",
        f"SELECT member, posted, held FROM accounts WHERE member IN {tuple(MEMBERS)}",  # noqa: S608
    )
    return sorted(wallets) == sorted(accounts)


async def published_types(stack: Stack) -> dict[str, int]:
    """The rows on rewards.v1 by type, each position once and none missing."""
    topic = f"{stack.state.topic_prefix}rewards.v1"
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.state.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    seen: dict[tuple[int, int], str] = {}
    try:
        places = [TopicPartition(topic, chain) for chain in range(stack.state.chains)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=READ_MS)).values():
                for record in records:
                    row = decode_row(record.headers, record.value, TYPES)
                    assert row.chain == record.partition
                    assert row.message is not None
                    seen[row.chain, row.position] = row.type
    finally:
        await consumer.stop()
    for chain in range(stack.state.chains):
        positions = sorted(position for at, position in seen if at == chain)
        assert positions == list(range(1, len(positions) + 1))
    return dict(Counter(seen.values()))


TYPES = {
    name: getattr(rewards_pb, name)
    for name in ("RedemptionRequested", "RedemptionReserved", "RedemptionRefused", "CaptureRequested",
                 "RedemptionCaptured", "CancellationRequested", "RedemptionCancelled", "ProgramRefused")
}  # fmt: skip


async def query(stack: Stack, service: str, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a service's database."""
    owner = await asyncpg.connect(stack.owner_url(service))
    try:
        return [tuple(row) for row in await owner.fetch(sql)]
    finally:
        await owner.close()
