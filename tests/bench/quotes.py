"""A checkout that asks for quotes at a steady rate, what the order will earn included, whatever the answers take.

A question that is due while all lines are busy waits, and its wait is part of what is measured. Runs as a process of
its own: `python -m tests.bench.quotes URL KEY SECONDS MEMBERS SEED` prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from urllib.parse import urlsplit

from tests.bench.checkout import CLIENTS, post

RATE = 200
"""Questions a second."""
TICK_SECONDS = 0.002
LINES = [
    {"id": 1, "sku": "A1", "category": "GROCERY", "quantity": 2, "amount": 900},
    {"id": 2, "sku": "B1", "category": "PRODUCE", "amount": 350},
    {"id": 3, "sku": "C1", "category": "FUEL", "amount": 4_000},
]

Due = asyncio.Queue[tuple[float, str] | None]
"""(when it is due, the member); None: no more."""


async def _client(url: str, token: str, due: Due, took: list[float], refused: list[int]) -> None:
    there = urlsplit(url)
    reader, writer = await asyncio.open_connection(there.hostname, there.port)
    head = f"Host: {there.netloc}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    while (question := await due.get()) is not None:
        at, member = question
        body = json.dumps({"member": member, "store": "s1", "lines": LINES}).encode()
        status = await post(reader, writer, head, "/v1/programs/bench/quotes", "quote", body)
        took.append(time.monotonic() - at)
        if status != 200:
            refused.append(status)
    writer.close()


async def main(url: str, token: str, seconds: float, members: int, seed: str) -> dict[str, object]:
    """Ask for `seconds`; returns quotes a second, latencies in ms and refusals by HTTP status."""
    due: Due = asyncio.Queue()
    took: list[float] = []
    refused: list[int] = []
    clients = [asyncio.create_task(_client(url, token, due, took, refused)) for _ in range(CLIENTS)]
    chance = random.Random(seed)
    started = time.monotonic()
    asked, every = 0, int(seconds * RATE)
    while asked < every:
        while asked < every and started + asked / RATE <= time.monotonic():
            due.put_nowait((started + asked / RATE, f"m{chance.randrange(members)}"))
            asked += 1
        await asyncio.sleep(TICK_SECONDS)
    for _ in clients:
        due.put_nowait(None)
    await asyncio.gather(*clients)
    took.sort()
    return {
        "quotes_per_second": len(took) / (time.monotonic() - started),
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
        "refused": {str(status): refused.count(status) for status in set(refused)},
    }


if __name__ == "__main__":
    url, token, seconds, members, seed = sys.argv[1:]
    print(json.dumps(asyncio.run(main(url, token, float(seconds), int(members), seed))))
