"""A checkout under load: 32 clients that place and capture holds over HTTP with a real key.

A bare HTTP client of a page, since a comfortable one would need more CPU than the ledger it measures. Runs as a
process of its own: `python -m tests.bench.checkout URL KEY SECONDS MEMBERS SEED` prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from urllib.parse import urlsplit

CLIENTS = 32


async def post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str, path: str, key: str, body: bytes
) -> int:
    """Send a POST on an open connection; returns the HTTP status."""
    writer.write(
        f"POST {path} HTTP/1.1\r\n{head}Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    await reader.readexactly(length)
    return int(answer[9:12])


async def _client(
    number: int, url: str, token: str, until: float, members: int, seed: str, found: dict[str, list[float]]
) -> None:
    there = urlsplit(url)
    reader, writer = await asyncio.open_connection(there.hostname, there.port)
    head = f"Host: {there.netloc}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    chance = random.Random(f"{seed}{number}")
    count = 0
    while time.monotonic() < until:
        count += 1
        hold = f"{seed}-{number}-{count}"
        member = f"/v1/programs/bench/members/m{chance.randrange(members)}/holds"
        started = time.monotonic()
        status = await post(reader, writer, head, member, hold, b'{"order":"%s","amount":1}' % hold.encode())
        middle = time.monotonic()
        found["hold"].append(middle - started)
        if status != 201:
            found["refused"].append(status)
            continue
        status = await post(reader, writer, head, f"{member}/{hold}/capture", f"c{hold}", b"{}")
        found["capture"].append(time.monotonic() - middle)
        if status != 201:
            found["refused"].append(status)
    writer.close()


async def main(url: str, token: str, seconds: float, members: int, seed: str) -> dict[str, object]:
    """Run the clients and return pairs a second, latencies in ms and refusals by HTTP status."""
    found: dict[str, list[float]] = {"hold": [], "capture": [], "refused": []}
    started = time.monotonic()
    until = started + seconds
    await asyncio.gather(*(_client(n, url, token, until, members, seed, found) for n in range(CLIENTS)))
    took = time.monotonic() - started
    every = sorted(found["hold"] + found["capture"])
    return {
        "pairs_per_second": len(found["capture"]) / took,
        "p50_ms": every[len(every) // 2] * 1000,
        "p99_ms": every[len(every) * 99 // 100] * 1000,
        "refused": {str(int(s)): found["refused"].count(s) for s in set(found["refused"])},
    }


if __name__ == "__main__":
    print(
        json.dumps(
            asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
        )
    )
