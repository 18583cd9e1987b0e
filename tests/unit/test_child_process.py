"""The parent's side of a child process: one that hears nothing, one that fails, one that another keeps alive."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from services.common import child_process
from services.common.child_process import ChildEnded, ChildProcess

MORE_WAKES_THAN_A_SOCKET_HOLDS = 100_000


async def until_stopped(stop: asyncio.Event, _news: asyncio.Event) -> None:
    await stop.wait()


async def failing(_stop: asyncio.Event, _news: asyncio.Event) -> None:
    raise ValueError("nowhere to publish to")


def deaf_child() -> ChildProcess:
    """One that neither hears nor ends."""
    found = ChildProcess("relay", until_stopped)
    found.start()
    os.kill(found.pid, signal.SIGSTOP)
    return found


async def run(child: ChildProcess, *, stopped: bool) -> None:
    stop = asyncio.Event()
    if stopped:
        stop.set()
    await child.run(stop)


def test_a_wake_never_waits_and_never_fails() -> None:
    ChildProcess("relay", until_stopped).wake()
    deaf = deaf_child()
    for _ in range(MORE_WAKES_THAN_A_SOCKET_HOLDS):
        deaf.wake()
    os.kill(deaf.pid, signal.SIGKILL)
    with pytest.raises(ChildEnded, match="status -9"):
        asyncio.run(run(deaf, stopped=False))
    deaf.wake()


def test_a_child_ends_when_it_is_told_to() -> None:
    child = ChildProcess("relay", until_stopped)
    child.start()
    asyncio.run(run(child, stopped=True))


def test_a_child_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "KILL_SECONDS", 0.1)
    with pytest.raises(ChildEnded, match="status -9"):
        asyncio.run(run(deaf_child(), stopped=True))


def test_a_child_that_fails_ends_the_service() -> None:
    child = ChildProcess("relay", failing)
    child.start()
    with pytest.raises(ChildEnded, match="ended with status 1"):
        asyncio.run(run(child, stopped=False))


def test_a_child_does_not_keep_its_siblings_alive() -> None:
    first, second = ChildProcess("consumer-1", until_stopped), ChildProcess("consumer-2", until_stopped)
    first.start()
    second.start(siblings=[first])
    first.wake()
    first.forget()
    assert os.waitpid(first.pid, 0) == (first.pid, 0)
    asyncio.run(run(second, stopped=True))


def test_a_child_wakes_those_before_it() -> None:
    """What the ledger's consumers do with its relay."""

    async def exits(_stop: asyncio.Event, _news: asyncio.Event) -> None:
        os._exit(7)

    relay = ChildProcess("relay", exits)
    relay.start()

    async def wakes(stop: asyncio.Event, _news: asyncio.Event) -> None:
        relay.wake()
        await stop.wait()

    consumer = ChildProcess("consumer-1", wakes)
    consumer.start()
    consumer.wake()
    assert os.waitstatus_to_exitcode(os.waitpid(relay.pid, 0)[1]) == 7
    asyncio.run(run(consumer, stopped=True))
