"""One service as a process of a test's own: started, asked over HTTP, signalled; its log is kept."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from asyncio.subprocess import Process
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from services.ops.local.ports import free_port
from tests.poll import eventually

CHECKOUT = Path(__file__).parents[2]
START_SECONDS = 120
STOP_SECONDS = 60


@dataclass
class OwnProcess:
    """The process, and what it needs."""

    service: str
    environment: dict[str, str]
    log: Path
    process: Process | None = None

    @classmethod
    def of(
        cls, service: str, database_url: str, bootstrap: str, topic_prefix: str, chains: int, folder: Path
    ) -> OwnProcess:
        """Not started yet; its log goes to `folder`."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "proto/gen")]),
            "TALLY_DATABASE_URL": database_url,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "TALLY_PORT": str(free_port()),
            "TALLY_CHAINS": str(chains),
            "TALLY_TOPIC_PREFIX": topic_prefix,
            "TALLY_IDENTIFIER_KEY": secrets.token_hex(32),
        }
        return cls(service, environment, folder / f"{service}.log")

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        await self.begin()
        await eventually(self._answers, f"{self.service} answers", START_SECONDS)

    async def begin(self) -> None:
        """Start it, in a process group of its own, and don't wait."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"services.{self.service}.main",
                cwd=CHECKOUT, env=self.environment, stderr=log, start_new_session=True,
            )  # fmt: skip

    async def stop(self, signum: int, *, group: bool = False) -> int:
        """Send a signal (to the whole process group, as Ctrl-C does) and wait for the end. Returns the exit status."""
        assert self.process is not None
        if group:
            os.killpg(self.process.pid, signum)
        else:
            self.process.send_signal(signum)
        return await self.end()

    async def end(self) -> int:
        """Wait until it has ended. Returns the exit status."""
        assert self.process is not None
        status = await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        self.process = None
        return status

    def children(self) -> list[psutil.Process]:
        """Its own processes in the order of their starting: the relay's first."""
        assert self.process is not None
        return sorted(psutil.Process(self.process.pid).children(), key=lambda child: child.pid)

    async def get(self, path: str, token: str = "") -> httpx.Response:
        """GET, with a key where one is given."""
        url = f"http://127.0.0.1:{self.environment['TALLY_PORT']}"
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            return await client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})

    async def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, f"{self.service} ended: {self.log.read_text()}"
        try:
            return (await self.get("/health/ready")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False
