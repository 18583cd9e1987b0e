"""One service as a process of a test's own: started, asked over HTTP, signalled; its log is kept."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import secrets
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx
import psutil

from services.ops.local.ports import free_port
from tests.poll import eventually

CHECKOUT = Path(__file__).parents[2]
MAINS = ("services.ledger.main", "services.tiering.main", "services.rewards.main")
FORKS = multiprocessing.get_context("forkserver")
# A service that a test kills again and again takes longer to import than to do what the test wants of it: each is
# forked from a process that has imported everything and done nothing. The stacks' are started as an operator does it.
FORKS.set_forkserver_preload(["__main__", *MAINS, __name__])
START_SECONDS = 120
STOP_SECONDS = 60


@dataclass
class OwnProcess:
    """The process, and what it needs."""

    service: str
    environment: dict[str, str]
    log: Path
    process: BaseProcess | None = None

    @classmethod
    def of(
        cls, service: str, database_url: str, bootstrap: str, topic_prefix: str, chains: int, folder: Path
    ) -> OwnProcess:
        """Not started yet; its log goes to `folder`."""
        environment = {
            **os.environ,
            "TALLY_DATABASE_URL": database_url,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "TALLY_PORT": str(free_port()),
            "TALLY_CHAINS": str(chains),
            "TALLY_TOPIC_PREFIX": topic_prefix,
            "TALLY_IDENTIFIER_KEY": secrets.token_hex(32),
        }
        return cls(service, environment, folder / f"{service}.log")

    @property
    def url(self) -> str:
        """Base URL of its HTTP API."""
        return f"http://127.0.0.1:{self.environment['TALLY_PORT']}"

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        await self.begin()
        await self.answers()

    async def answers(self) -> None:
        """Wait until it answers."""
        await eventually(self._answers, f"{self.service} answers", START_SECONDS)

    async def begin(self) -> None:
        """Start it, in a process group of its own, and don't wait."""
        work = (f"services.{self.service}.main", self.environment, self.log)
        # A daemon is ended with the test's process, however that ends.
        self.process = FORKS.Process(target=_run, args=work, daemon=True)
        await asyncio.to_thread(self.process.start)

    async def stop(self, signum: int, *, group: bool = False) -> int:
        """Send a signal (to the whole process group, as Ctrl-C does) and wait for the end. Returns the exit status."""
        assert self.process is not None
        (os.killpg if group else os.kill)(self._pid, signum)
        return await self.end()

    async def end(self) -> int:
        """Wait until it has ended. Returns the exit status."""
        assert self.process is not None
        await asyncio.to_thread(self.process.join, STOP_SECONDS)
        status = self.process.exitcode
        assert status is not None, f"{self.service} has not ended in {STOP_SECONDS} s"
        self.process = None
        return status

    def children(self) -> list[psutil.Process]:
        """Its own processes in the order of their starting: the relay's first."""
        return sorted(psutil.Process(self._pid).children(), key=lambda child: child.pid)

    async def get(self, path: str, token: str = "") -> httpx.Response:
        """GET, with a key where one is given."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            return await client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})

    async def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.exitcode is None, f"{self.service} ended: {self.log.read_text()}"
        try:
            return (await self.get("/health/ready")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    @property
    def group(self) -> int:
        """The process group that it and its own processes are in."""
        return self._pid

    @property
    def _pid(self) -> int:
        assert self.process is not None
        assert self.process.pid is not None
        return self.process.pid


def _run(main: str, environment: dict[str, str], log: Path) -> None:
    """What `python -m <main>` does with that environment, in a process group of its own, its log in the file."""
    os.setsid()
    with log.open("ab") as errors:
        os.dup2(errors.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    importlib.import_module(main).main()
