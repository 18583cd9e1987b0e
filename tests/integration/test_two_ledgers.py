"""Two ledger processes on one book."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable

import httpx

from services.ops.local.stack import Stack
from tests.integration.test_kills import activate

REDEMPTIONS = 50
POINTS = 100
BALANCE = 1_000


async def test_fifty_redemptions_of_100_points_against_1000_through_two_processes_ten_succeed(
    make_stack: Callable[[], Stack],
) -> None:
    stack = await asyncio.to_thread(make_stack)
    other = await asyncio.to_thread(stack.start_extra, "ledger")
    activate(stack, "race")
    member = f"m{secrets.token_hex(4)}"
    headers = {"Authorization": f"Bearer {stack.state.ops_key}"}
    purchase = {
        "id": f"p-{member}",
        "member": member,
        "occurred_at": "2026-01-05T10:00:00Z",
        "currency": "USD",
        "lines": [{"id": 1, "amount": BALANCE * 100}],
    }
    urls = [f"{base}/v1/programs/race" for base in (stack.url("ledger"), other.url)]
    async with httpx.AsyncClient(headers=headers, timeout=60, trust_env=False) as http:
        told = await http.post(f"{urls[0]}/purchases", json=purchase)
        assert told.json()["points"] == BALANCE

        async def redeem(number: int) -> str:
            hold = f"h{number}-{member}"
            there = f"{urls[number % 2]}/members/{member}/holds"
            placed = await http.post(
                there, json={"order": f"o{number}", "amount": POINTS}, headers={"Idempotency-Key": hold}
            )
            if placed.status_code != httpx.codes.CREATED:
                return str(placed.json()["code"])
            captured = await http.post(
                f"{there}/{hold}/capture", json={}, headers={"Idempotency-Key": f"c{hold}"}
            )
            return str(captured.json()["state"])

        outcomes = Counter(await asyncio.gather(*(redeem(number) for number in range(REDEMPTIONS))))
        left = (await http.get(f"{urls[1]}/members/{member}")).json()["points"]
    assert outcomes == {"captured": BALANCE // POINTS, "insufficient_points": REDEMPTIONS - BALANCE // POINTS}
    assert left == {"available": 0, "posted": 0, "held": 0, "debt": 0, "pending": 0}
