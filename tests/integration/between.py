"""A way from rewards to the ledger on which a test can stop a request, or its answer, and do something meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

import httpx

Where = Literal["before the ledger", "after the ledger"]


class Between:
    """Passes HTTP requests on to `target`. A trap is sprung once: the lines of its requests end without an answer."""

    def __init__(self, target: str) -> None:
        self.url = ""
        self.cut = asyncio.Event()
        """Set once `meanwhile` is done and the lines are cut."""
        self._target = target
        self._where: Where | None = None
        self._question = ""
        self._awaited = 0
        self._stopped: set[str] = set()
        self._meanwhile: Callable[[], Awaitable[object]] | None = None
        self._hold_seconds: float | None = None

    def trap(
        self,
        where: Where,
        requests: int,
        meanwhile: Callable[[], Awaitable[object]],
        question: str = "",
        hold_seconds: float | None = None,
    ) -> None:
        """The next so many requests go as far as `where`; when all are there `meanwhile` is done, once.

        With `question` only requests whose path ends so; all others are passed on. A request that has waited for the
        others for `hold_seconds` is cut off alone, and counts: who asks in turn would never come to the next one.
        """
        self._where, self._awaited, self._meanwhile = where, requests, meanwhile
        self._question, self._hold_seconds = question, hold_seconds
        self._stopped.clear()
        self.cut.clear()

    @classmethod
    @asynccontextmanager
    async def running(cls, target: str) -> AsyncIterator[Between]:
        """It listens on a port of its own until the block ends."""
        between = cls(target)
        server = await asyncio.start_server(between._serve, "127.0.0.1", 0)
        between.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield between
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, httpx.TransportError):
            pass  # One of the two is gone: the other hears so.
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Pass on one request. False: the line is to be cut."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = head.rstrip("\r\n").split("\r\n")
        method, path, _ = start.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.pop("content-length", "0")))
        del headers["host"]
        key = headers["idempotency-key"]
        where = self._where if path.endswith(self._question) and not self.cut.is_set() else None
        if where == "before the ledger":
            return await self._trapped(key)
        async with httpx.AsyncClient(base_url=self._target, trust_env=False, timeout=20) as http:
            answer = await http.request(method, path, headers=headers, content=body)
        if where == "after the ledger":
            return await self._trapped(key)
        writer.write(
            f"HTTP/1.1 {answer.status_code} .\r\ncontent-type: {answer.headers['content-type']}\r\n"
            f"content-length: {len(answer.content)}\r\n\r\n".encode()
            + answer.content
        )
        await writer.drain()
        return True

    async def _trapped(self, key: str) -> bool:
        """The last to come does what is to be done; the others wait for it. A request that comes twice is one."""
        last = key not in self._stopped and len(self._stopped) == self._awaited - 1
        self._stopped.add(key)
        if last and self._meanwhile is not None:
            await self._meanwhile()
            self.cut.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.cut.wait(), self._hold_seconds)
        return False
