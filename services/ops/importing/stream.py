"""An import from beginning to end: the file into Kafka, and the services brought level, with progress bars."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from services.ops.api import Api, UnreachableError
from services.ops.importing.account import RowAccount
from services.ops.importing.publish import Published, publish
from services.ops.importing.sources import Source
from services.ops.level import READS, Lag, LevelGauge

STALL_SECONDS = 120.0
"""So long nothing may move before an import gives up waiting."""

LOOK_SECONDS = 1.0
REFRESHES_A_SECOND = 4
"""Looking costs the services and this process time that the import itself could use."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. `seconds` is from the first row to the last service being level (or to the last
    acknowledgement, when nobody waited); `rejections` is what the program's book holds by code, earlier ones too."""

    account: RowAccount
    published: Published
    seconds: float
    rejections: dict[str, int] | None


async def stream(api: Api, source: Source, program: str, console: Console, *, wait: bool = True) -> Imported:
    """Send every activity of `source`, wait until all services are level (unless not asked to), and report.

    Raises:
        KafkaError: the broker is away.
        NotLevelError: the services stopped working.
        AccountError: rows were lost in reading.
    """
    endpoints = api.endpoints
    account = RowAccount()
    started = time.monotonic()
    rejections: dict[str, int] | None = None
    async with LevelGauge(api) as gauge:
        with _progress(console) as progress:
            rows = progress.add_task("rows sent to Kafka", total=source.rows, note="")
            bars = _Bars(progress, await gauge.look())
            watching = asyncio.create_task(bars.watch(gauge))

            def sent(records: int) -> None:
                rate = records / (time.monotonic() - started)
                note = f"{records:,} events, {rate:,.0f}/s"
                progress.update(rows, completed=account.accounted(), note=note)

            try:
                published = await publish(
                    source.read(source.file, program, account),
                    bootstrap=endpoints.bootstrap,
                    chains=endpoints.chains,
                    source=source.ce_source,
                    topic_prefix=endpoints.topic_prefix,
                    on_progress=sent,
                )
            finally:
                watching.cancel()
                await asyncio.wait({watching})
            if wait:
                await gauge.wait(STALL_SECONDS, bars.show)
    seconds = time.monotonic() - started
    if wait:
        answer = await api.get("ledger", f"/v1/programs/{program}/rejections", by="code")
        rejections = {str(code): int(count) for code, count in answer["counts"].items()}
    return Imported(account, published, seconds, rejections)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        expand=True,
        refresh_per_second=REFRESHES_A_SECOND,
    )


class _Bars:
    """A bar for each service: records read since the beginning, of those that were written to its topics."""

    def __init__(self, progress: Progress, before: Lag) -> None:
        self._progress = progress
        self._before = before
        self._started = time.monotonic()
        self._bars: dict[str, TaskID] = {
            service: progress.add_task(f"{service} has read", total=None, note="") for service in READS
        }

    async def watch(self, gauge: LevelGauge) -> None:
        """Look again and again until cancelled; a service that is away for a moment is waited for later."""
        while True:
            try:
                self.show(await gauge.look())
            except UnreachableError as away:
                self._progress.console.print(f"{away}; looking again", markup=False)
            await asyncio.sleep(LOOK_SECONDS)

    def show(self, lag: Lag) -> None:
        """Draw one look."""
        seconds = time.monotonic() - self._started
        for service, bar in self._bars.items():
            now, before = lag.services[service], self._before.services[service]
            read = now.read - before.read
            total = now.written - before.read
            note = f"{read:,} records, {read / seconds:,.0f}/s" if seconds else ""
            self._progress.update(bar, completed=read if total else 1, total=total or 1, note=note)
