"""Runs a part of a service in a child process: a service's own Python is what bounds it (docs/decisions/speed.md).

A pair of sockets joins the two. A byte from the parent says that there is news; the end of either side says that
the other process is gone. So a killed parent's child ends by itself and PostgreSQL frees its locks with its connection,
and a child that ends takes the service down with it: they live and die as one process would.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence

import structlog
import uvloop

from services.common.service import calm_the_collector

log = structlog.get_logger("child")

ROUND_SECONDS = 10.0
"""A child that is to stop has this long for what is under way; then it goes without (the brokers may be away)."""
KILL_SECONDS = 15.0
"""A child that still runs so long after it was told to stop is killed."""
WAKES_MAX = 4_096
"""Wakes that came while the child was busy and are heard as one."""

Life = Callable[[asyncio.Event, asyncio.Event], Awaitable[None]]
"""What a child does until its first event, stop, is set; the second is set whenever it is woken."""


class ChildEnded(RuntimeError):
    """A child ended by itself, or did not end when it was told to."""


class ChildProcess:
    """The parent's side of one child."""

    def __init__(self, name: str, life: Life) -> None:
        self.name = name
        self._life = life
        self._socket: socket.socket | None = None
        self.pid = 0
        """The child's; 0 before `start`."""

    def start(self, siblings: Sequence[ChildProcess] = ()) -> None:
        """Fork: before there is a loop, a thread or a connection, for none of these can be shared.

        The child does nothing until `run` wakes it, when the service has been assembled. It can wake the children
        that were started before it, but for `siblings`: it must not keep those alive when the parent is gone.
        """
        # What is frozen the collectors of both leave alone, so its memory stays shared.
        calm_the_collector()
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                ours.close()
                for sibling in siblings:
                    sibling.forget()
                status = _live(theirs, self.name, self._life)
            finally:
                # Not by way of the parent's stack, which this process has a copy of.
                os._exit(status)
        theirs.close()
        ours.setblocking(False)
        self._socket = ours

    def wake(self) -> None:
        """There is news: don't wait for the next poll. Never waits and never fails.

        A full socket holds wakes enough; that a child is gone is for `run` to say; where none was started, another
        process finds the news when it polls.
        """
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(b"!")

    def forget(self) -> None:
        """Close this process's end of the channel; the child lives on as long as another process has it open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def run(self, stop: asyncio.Event) -> None:
        """Let the child live until `stop`; return when it has finished what was under way and ended.

        Raises:
            ChildEnded: it ended before, or had to be killed, or failed at its end.
        """
        channel = self._socket
        if channel is None:
            raise RuntimeError(f"{self.name} was not started")
        self.wake()
        ended, stopping = asyncio.create_task(self._status(channel)), asyncio.create_task(stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            channel.shutdown(socket.SHUT_WR)
            await asyncio.wait({ended}, timeout=KILL_SECONDS)
        if not ended.done():
            os.kill(self.pid, signal.SIGKILL)
        status = await ended
        if status or not stop.is_set():
            raise ChildEnded(f"{self.name}'s process {self.pid} ended with status {status}")

    async def _status(self, channel: socket.socket) -> int:
        """The child's exit status (-9: killed), once it has ended."""
        # It never says anything, so this is the end of its side; a reset is an end with wakes that it had not heard.
        with contextlib.suppress(ConnectionResetError):
            await asyncio.get_running_loop().sock_recv(channel, 1)
        # Its files are closed at the very end of a process, so there is nothing left to wait for.
        _, status = os.waitpid(self.pid, 0)  # noqa: ASYNC222
        channel.close()
        return os.waitstatus_to_exitcode(status)


def _live(parent: socket.socket, name: str, life: Life) -> int:
    """The child's whole life. Returns its exit status."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        # Ctrl-C reaches parent and child alike, and the parent decides.
        signal.signal(signum, signal.SIG_IGN)
    structlog.contextvars.bind_contextvars(process=name)
    if not parent.recv(1):
        return 0
    try:
        uvloop.run(_listen(parent, life))
    except Exception as error:
        log.exception("child failed", error=repr(error))
        return 1
    return 0


async def _listen(parent: socket.socket, life: Life) -> None:
    """Live until the parent's side ends."""
    loop = asyncio.get_running_loop()
    stop, news = asyncio.Event(), asyncio.Event()

    def hear() -> None:
        if parent.recv(WAKES_MAX):
            news.set()
        else:
            loop.remove_reader(parent)
            stop.set()
            loop.call_later(ROUND_SECONDS, give_up)

    def give_up() -> None:
        log.error("what was under way did not end in time", seconds=ROUND_SECONDS)
        os._exit(1)

    loop.add_reader(parent, hear)
    log.info("child started", pid=os.getpid())
    await life(stop, news)
