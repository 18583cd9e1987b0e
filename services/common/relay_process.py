"""Runs a service's relay in a child process: the service's own Python is what bounds it (docs/decisions/speed.md).

A pair of sockets joins the two. A byte from the parent says that there are new rows; the end of either side says that
the other process is gone. So a killed parent's child ends by itself and PostgreSQL frees its locks with its connection,
and a child that ends takes the service down with it: the two live and die as one process would.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket

import structlog
import uvloop

from services.common.db import Writer
from services.common.relay import Relay
from services.common.service import calm_the_collector, kafka_producer
from services.common.settings import Settings

log = structlog.get_logger("relay")

ROUND_SECONDS = 10.0
"""A child that is to stop has this long for the round under way; then it goes without (the brokers may be away)."""
KILL_SECONDS = 15.0
"""A child that still runs so long after it was told to stop is killed."""
WAKES_MAX = 4_096
"""Wakes that came during a round and are heard as one."""


class RelayEnded(RuntimeError):
    """The relay's process ended by itself, or did not end when it was told to."""


class RelayProcess:
    """The parent's side: `wake` and `run` are what a `Relay` in this process would offer."""

    def __init__(self, service: str, topic: str, settings: Settings) -> None:
        self._service = service
        self._topic = topic
        self._settings = settings
        self._socket: socket.socket | None = None
        self.pid = 0
        """The child's; 0 before `start`."""

    def start(self) -> None:
        """Fork: before there is a loop, a thread or a connection, for none of these can be shared.

        The child does nothing until `run` wakes it, when the service has been assembled and so may publish.
        """
        # What is frozen the collectors of both leave alone, so its memory stays shared.
        calm_the_collector()
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                ours.close()
                status = _live(theirs, self._service, self._topic, self._settings)
            finally:
                # Not by way of the parent's stack, which this process has a copy of.
                os._exit(status)
        theirs.close()
        ours.setblocking(False)
        self._socket = ours

    def wake(self) -> None:
        """There is something to publish: don't wait for the next poll. Never waits and never fails.

        A full socket holds wakes enough; that a child is gone is for `run` to say; where none was started, the relay
        of another process finds the rows when it polls.
        """
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(b"!")

    async def run(self, stop: asyncio.Event) -> None:
        """Let the child publish until `stop`; return when it has finished its round and ended.

        Raises:
            RelayEnded: it ended before, or had to be killed, or failed at its end.
        """
        channel = self._socket
        if channel is None:
            raise RuntimeError("the relay's process was not started")
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
            raise RelayEnded(f"the relay's process {self.pid} ended with status {status}")

    async def _status(self, channel: socket.socket) -> int:
        """The child's exit status (-9: killed), once it has ended."""
        # It never says anything, so this is the end of its side; a reset is an end with wakes that it had not heard.
        with contextlib.suppress(ConnectionResetError):
            await asyncio.get_running_loop().sock_recv(channel, 1)
        # Its files are closed at the very end of a process, so there is nothing left to wait for.
        _, status = os.waitpid(self.pid, 0)  # noqa: ASYNC222
        channel.close()
        return os.waitstatus_to_exitcode(status)


def _live(parent: socket.socket, service: str, topic: str, settings: Settings) -> int:
    """The child's whole life. Returns its exit status."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        # Ctrl-C reaches parent and child alike, and the parent decides.
        signal.signal(signum, signal.SIG_IGN)
    structlog.contextvars.bind_contextvars(process="relay")
    if not parent.recv(1):
        return 0
    try:
        uvloop.run(_publish(parent, service, topic, settings))
    except Exception as error:
        log.exception("relay failed", error=repr(error))
        return 1
    return 0


async def _publish(parent: socket.socket, service: str, topic: str, settings: Settings) -> None:
    """Relay until the parent's side ends."""
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
        log.error("the round under way did not end in time", seconds=ROUND_SECONDS)
        os._exit(1)

    loop.add_reader(parent, hear)
    writer = await Writer.connect(settings.database_url.get_secret_value())
    producer = kafka_producer(settings)
    try:
        await producer.start()
        log.info("relay started", pid=os.getpid())
        await Relay(service, topic, writer, producer, settings.chains, news).run(stop)
    finally:
        await producer.stop()
        await writer.close()
