"""A filled ledger that the command line finds by a prefix, and `tally replay` as a process of its own."""

from __future__ import annotations

import asyncio
import secrets
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.ops.install import on_server
from services.ops.replay.run import How, Replayed, replay
from tests.integration.ledger_rows import Ledger
from tests.integration.own_process import CHECKOUT
from tests.integration.verify_book import filled_ledger

SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(replay|checkpoint)_' ORDER BY nspname"


@dataclass(frozen=True)
class Filled:
    """A ledger's database with something of everything in it. `url` is its owner's."""

    url: str
    prefix: str
    ledger: Ledger

    async def replayed(self, how: How, processes: int = 1) -> Replayed:
        """A replay in this process."""
        return await asyncio.to_thread(replay, "ledger", {"ledger": self.url}, processes, how=how)

    async def schemas(self) -> list[str]:
        """What runs have left."""
        return [row["nspname"] for row in await self.ledger.rows(SCHEMAS)]

    async def begin(self, *arguments: str) -> Process:
        """`tally replay` as a process."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.ops.cli", "replay", *arguments,
            "--database-url", self.url, "--database-prefix", self.prefix,
            cwd=CHECKOUT, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip

    async def tally(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output and errors of `tally replay`."""
        process = await self.begin(*arguments)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def filled(server_url: str) -> AsyncIterator[Filled]:
    """Made on the server, and dropped."""
    prefix = f"r{secrets.token_hex(4)}"
    url = on_server(server_url, f"{prefix}_ledger")
    async with filled_ledger(url) as ledger:
        yield Filled(url, prefix, ledger)
