"""`make bench`: the speeds of the design, each beside its limit, in one run on one machine.

Absolute numbers depend on the machine and on what else it does; the ratios are taken side by side and mean more.
Prints a table and writes `bench-results/<time>.json`. `--quick` takes a tenth of the records.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from services.ops.importing.publish import publish
from services.ops.install import ServiceDatabase, create_database, drop_database, migrate
from services.ops.local.stack import Stack
from tallybook.activities.v1.activities_pb2 import Purchase
from tests.bench import measure, raw, rules, synthetic
from tests.bench.quotes import RATE
from tests.bench.replaying import ingest_beside_replay

MEMBERS = 5_000
ROUND_PURCHASES = 60_000
ROUNDS = 5
END_TO_END_PURCHASES = 40_000
REPLAYED_EVENTS = 1_000_000
BESIDE_ROUNDS = 3
GROWTH_EVENTS = 1_000_000
GROWTH_MEMBERS = 100_000
REDEEM_SECONDS = 20.0
RULES_PURCHASES = 20_000
RULES_ROUNDS = 3
BATCH_RECORDS = 500

console = Console()


class Bench:
    """One run: a stack of its own, purchases numbered onwards from phase to phase."""

    def __init__(self, stack: Stack, scale: float) -> None:
        self.stack = stack
        self.scale = scale
        self.next_purchase = 0
        self.results: list[dict[str, Any]] = []
        self.phase = "ingest"
        self.memory: dict[str, tuple[int, str]] = {}

    def report(
        self,
        what: str,
        value: float,
        unit: str,
        ratio: float | None = None,
        limit: float | None = None,
        **more: Any,
    ) -> None:
        """Note and print one result; `limit` is the least that the ratio (or, without one, the value) should be."""
        self.results.append(
            {"what": what, "value": value, "unit": unit, "ratio": ratio, "limit": limit, **more}
        )
        shown = f"{value:,.0f} {unit}" + ("" if ratio is None else f", ratio {ratio:.2f}")
        console.print(f"  {what}: {shown}" + ("" if limit is None else f" (at least {limit:g})"))

    def see_memory(self) -> None:
        """Remember the most memory that each service was seen with, and in which phase."""
        for name, used in measure.memory_mb(self.stack).items():
            self.memory[name] = max((used, self.phase), self.memory.get(name, (0, "")))

    async def publish(self, count: int, members: int = MEMBERS) -> int:
        """Put the next `count` purchases into Kafka; returns how many there are in all."""
        return await self.put(synthetic.purchases(self.next_purchase, count, members), count)

    async def put(self, purchases: Iterator[Purchase], count: int) -> int:
        """Put `count` purchases into Kafka; returns how many there are in all."""
        state = self.stack.state
        await publish(
            purchases,
            bootstrap=state.bootstrap,
            chains=state.chains,
            source="tallybook/bench",
            topic_prefix=state.topic_prefix,
        )
        self.next_purchase += count
        return self.next_purchase

    def activate(self, document: dict[str, Any]) -> None:
        """Activate a program."""
        answer = httpx.put(
            f"{self.stack.url('ledger')}/v1/programs/{document['program']}",
            json=document,
            headers={"Authorization": f"Bearer {self.stack.state.ops_key}"},
            timeout=60,
        )
        answer.raise_for_status()

    async def ingest(self, count: int, members: int = MEMBERS) -> tuple[float, float]:
        """Purchases a second that one ledger process takes from a backlog, and its CPU microseconds a purchase."""
        return await self.ingest_of(synthetic.purchases(self.next_purchase, count, members), count)

    async def ingest_of(self, purchases: Iterator[Purchase], count: int) -> tuple[float, float]:
        """The same of these purchases."""
        self.stack.stop_services()
        total = await self.put(purchases, count)
        self.stack.start_service("ledger")
        before = measure.cpu_seconds(self.stack, "ledger")
        records, seconds = await measure.until_taken(self.stack.owner_url("ledger"), "purchases.v1", total)
        cpu = (measure.cpu_seconds(self.stack, "ledger") - before) / count * 1e6
        self.see_memory()
        await measure.until_relayed(self.stack.owner_url("ledger"))
        return records / seconds, cpu

    async def rows(self) -> int:
        """Rows of the ledger's journal."""
        return sum((await measure.heads(self.stack.owner_url("ledger"))).values())

    async def raw_limit(self, since: dict[int, int], purchases: int) -> float:
        """Purchases a second when their rows are only COPYed, into a database of their own on the same server."""
        rows = await raw.rows_of(self.stack.owner_url("ledger"), since)
        database = ServiceDatabase(
            "ledger", f"raw_{secrets.token_hex(4)}", secrets.token_urlsafe(24), self.stack.state.server_url
        )
        await create_database(database, adopt=False)
        try:
            migrate(database)
            seconds = await raw.copy_all(database.owner_url, rows, max(1, purchases // BATCH_RECORDS))
        finally:
            await drop_database(database)
        return purchases / seconds

    async def ingest_beside_raw(self) -> None:
        """Rounds of ingest, each followed by the raw write of the rows that it made; the middle one counts.

        A machine with neighbours is a third slower for seconds at a time, and a round of either takes about ten.
        """
        count = int(ROUND_PURCHASES * self.scale)
        ratios, speeds = [], []
        before = await self.rows()
        for round_number in range(1, ROUNDS + 1):
            since = await measure.heads(self.stack.owner_url("ledger"))
            speed, cpu = await self.ingest(count)
            self.stack.stop_services()
            limit = await self.raw_limit(since, count)
            console.print(
                f"  round {round_number}: ingest {speed:,.0f}/s ({cpu:.0f} us CPU each), raw {limit:,.0f}/s"
            )
            ratios.append(speed / limit)
            speeds.append(speed)
        speed, ratio = median(speeds), median(ratios)
        self.rows_each = (await self.rows() - before) / (ROUNDS * count)
        self.report("ingest", speed, "purchases/s", ratio, 0.5, ratios=ratios, speeds=speeds)
        self.ingest_speed, self.raw_speed = speed, speed / ratio

    async def rules(self) -> None:
        """Programs with few and many earning rules, in turn: CPU a purchase beside that of one rule."""
        self.stack.stop_services()
        self.stack.start_service("ledger")
        programs = {kind: f"rules{number}" for number, kind in enumerate(rules.KINDS)}
        for kind, program in programs.items():
            self.activate(rules.document(rules.KINDS[kind], program))
        count = int(RULES_PURCHASES * self.scale)
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in programs}
        for round_number in range(RULES_ROUNDS):
            for kind, program in programs.items():
                told = rules.purchases(round_number * count, count, program)
                found[kind].append(await self.ingest_of(told, count))
        cpus = {kind: median(cpu for _, cpu in rounds) for kind, rounds in found.items()}
        for kind, rounds in found.items():
            ratio = cpus[kind] / cpus["1 rule"]
            speed = median(speed for speed, _ in rounds)
            self.report(f"CPU of ingest with {kind}", cpus[kind], "us/purchase", ratio, speed=speed)

    async def end_to_end(self) -> None:
        """A backlog until the ledger, tiering and rewards have all taken what follows from it.

        From when all three answer; what the ledger, which is started last, has taken by then does not count.
        """
        for name in ("ledger", "tiering", "rewards"):
            self.stack.start_service(name)
        await measure.until_level(self.stack)
        self.stack.stop_services()
        count = int(END_TO_END_PURCHASES * self.scale)
        total = await self.publish(count)
        for name in ("tiering", "rewards", "ledger"):
            self.stack.start_service(name)
        ledger = self.stack.owner_url("ledger")
        started, missing = time.monotonic(), total - await measure.taken_by(ledger, "purchases.v1")
        await measure.until_taken(ledger, "purchases.v1", total)
        await measure.until_level(self.stack)
        speed = missing / (time.monotonic() - started)
        self.see_memory()
        self.report("end to end", speed, "purchases/s", speed / self.raw_speed, 0.2)

    async def redeem(self) -> None:
        """Hold and capture through HTTP while the same ledger takes purchases at half its speed."""
        self.stack.stop_services()
        self.stack.start_service("ledger")
        found = await self._checkout("tests.bench.checkout", "ledger")
        self._report_checkout("redeem", found.pop("pairs_per_second"), "pairs/s", 500, 50, found)

    async def quotes(self) -> None:
        """Quotes through HTTP, asked for at a steady rate, while the ledger takes purchases at half its speed."""
        self.stack.stop_services()
        for name in ("ledger", "tiering", "rewards"):
            self.stack.start_service(name)
        await measure.until_level(self.stack)
        found = await self._checkout("tests.bench.quotes", "rewards")
        self._report_checkout("quotes", found.pop("quotes_per_second"), "quotes/s", RATE, 30, found)

    async def _checkout(self, module: str, service: str) -> dict[str, Any]:
        """What a checkout in a process of its own has measured at a service, beside ingest at half its speed."""
        seconds = max(5.0, REDEEM_SECONDS * self.scale)
        command = [
            sys.executable,
            "-m",
            module,
            self.stack.url(service),
            self.stack.state.ops_key,
            str(seconds),
        ]
        client = await asyncio.create_subprocess_exec(
            *command, str(MEMBERS), secrets.token_hex(4), stdout=asyncio.subprocess.PIPE
        )
        until = time.monotonic() + seconds
        pace = max(1, int(self.ingest_speed / 2 / 4))
        while time.monotonic() < until:
            started = time.monotonic()
            await self.publish(pace)
            await asyncio.sleep(max(0.0, 0.25 - (time.monotonic() - started)))
        out, _ = await client.communicate()
        self.see_memory()
        found: dict[str, Any] = json.loads(out)
        return found

    def _report_checkout(
        self, what: str, speed: float, unit: str, limit: float, p99_most: int, found: dict[str, Any]
    ) -> None:
        self.report(what, speed, unit, None, limit, **found)
        p50, p99 = found["p50_ms"], found["p99_ms"]
        console.print(
            f"    p50 {p50:.1f} ms, p99 {p99:.1f} ms (at most {p99_most}), refused {found['refused']}"
        )

    async def replay(self) -> None:
        """The journal into rebuilt projections, digests compared, with nothing beside it; in rows a second, of which
        ingest writes so many for each purchase."""
        self.stack.stop_services()
        rows = await self.rows()
        started = time.monotonic()
        replay = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.ops.cli", "replay", "ledger",
            stdout=asyncio.subprocess.DEVNULL, env={**os.environ, "TALLY_HOME": str(self.stack.home)},
        )  # fmt: skip
        assert await replay.wait() == 0, "live and rebuilt differ"
        speed = rows / (time.monotonic() - started)
        self.report("replay", speed, "rows/s", speed / (self.ingest_speed * self.rows_each), 3.0)

    async def replay_beside(self) -> None:
        """Ingest alone and beside replays of a big book, in turns; the middle ratio counts."""
        have = await self.rows()
        missing = (int(REPLAYED_EVENTS * self.scale) - have) // 2
        if missing > 0:
            console.print(f"  filling the book with {missing:,} purchases more ...")
            await self.ingest(missing)
        count = int(ROUND_PURCHASES * self.scale)
        ratios = []
        for round_number in range(1, BESIDE_ROUNDS + 1):
            alone, _ = await self.ingest(count)
            beside, replays = await ingest_beside_replay(self, count)
            console.print(
                f"  round {round_number}: alone {alone:,.0f}/s, beside {replays} replays {beside:,.0f}/s"
            )
            ratios.append(beside / alone)
        self.report("ingest beside replay", beside, "purchases/s", median(ratios), 0.7, ratios=ratios)

    async def growth(self) -> None:
        """Ingest again when the book is big."""
        events = int(GROWTH_EVENTS * self.scale)
        members = int(GROWTH_MEMBERS * self.scale)
        have = await self.rows()
        # At least two for each member, so that nearly all are there.
        missing = max(2 * members, (events - have) // 2)
        console.print(f"  filling the book to {events:,} events and {members:,} members ...")
        await self.ingest(missing, members)
        since = await measure.heads(self.stack.owner_url("ledger"))
        count = int(ROUND_PURCHASES * self.scale)
        speed, _ = await self.ingest(count, members)
        self.stack.stop_services()
        limit = await self.raw_limit(since, count)
        self.report(
            f"growth (ingest at {sum(since.values()):,} events)", speed, "purchases/s", speed / self.ingest_speed, 0.8,
            raw_beside=limit,
        )  # fmt: skip


PHASES: dict[str, Callable[[Bench], Coroutine[Any, Any, None]]] = {
    "end_to_end": Bench.end_to_end,
    "redeem": Bench.redeem,
    "quotes": Bench.quotes,
    "replay": Bench.replay,
    "replay_beside": Bench.replay_beside,
    "growth": Bench.growth,
    "rules": Bench.rules,
}
"""What is measured after ingest, in order."""


async def run(stack: Stack, scale: float, phases: Collection[str]) -> Bench:
    """Ingest, and these phases."""
    bench = Bench(stack, scale)
    bench.activate(synthetic.PROGRAM)
    await bench.ingest_beside_raw()
    for bench.phase, measured in PHASES.items():
        if bench.phase in phases:
            await measured(bench)
    return bench


def main() -> None:
    """Parse, run, print, write."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the records")
    parser.add_argument(
        "--only", nargs="*", default=list(PHASES), choices=PHASES, help="beside ingest, which always runs"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tallybook-bench-") as folder:
        stack = Stack.at(
            Path(folder) / "stack",
            database_prefix=f"b{secrets.token_hex(3)}",
            topic_prefix=f"b{secrets.token_hex(3)}.",
        )
        Path(folder).chmod(0o711)
        try:
            stack.up(console.print)
            bench = asyncio.run(run(stack, 0.1 if options.quick else 1.0, options.only))
        finally:
            stack.down()
    table = Table("what", "measured", "ratio", "at least", title="Tallybook bench")
    for result in bench.results:
        ratio = "" if result["ratio"] is None else f"{result['ratio']:.2f}"
        table.add_row(
            result["what"],
            f"{result['value']:,.0f} {result['unit']}",
            ratio,
            "" if result["limit"] is None else f"{result['limit']:g}",
        )
    for name, (used, phase) in bench.memory.items():
        table.add_row(f"memory of {name} ({phase})", f"{used} MB", "", "under 400 MB")
    console.print(table)
    target = Path("bench-results")
    target.mkdir(exist_ok=True)
    file = target / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps({"results": bench.results, "memory_mb": bench.memory}, indent=2))
    console.print(f"written to {file}")


if __name__ == "__main__":
    main()
