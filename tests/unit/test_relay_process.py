"""The parent's side of the relay's process, with a child that hears nothing, or has nowhere to publish to."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from services.common import relay_process
from services.common.relay_process import RelayEnded, RelayProcess
from services.common.settings import Settings
from services.ops.local.ports import free_port

MORE_WAKES_THAN_A_SOCKET_HOLDS = 100_000


def relay() -> RelayProcess:
    """Not started; nobody listens where it would connect to."""
    nowhere = f"127.0.0.1:{free_port()}"
    settings = Settings.model_validate(
        {
            "database_url": f"postgresql://nobody:x@{nowhere}/nothing",
            "KAFKA_BOOTSTRAP_SERVERS": nowhere,
            "identifier_key": "0" * 64,
        }
    )
    return RelayProcess("ledger", "ledger.v1", settings)


def deaf_relay() -> RelayProcess:
    """One whose child neither hears nor ends."""
    found = relay()
    found.start()
    os.kill(found.pid, signal.SIGSTOP)
    return found


async def run(child: RelayProcess, *, stopped: bool) -> None:
    stop = asyncio.Event()
    if stopped:
        stop.set()
    await child.run(stop)


def test_a_wake_never_waits_and_never_fails() -> None:
    relay().wake()
    deaf = deaf_relay()
    for _ in range(MORE_WAKES_THAN_A_SOCKET_HOLDS):
        deaf.wake()
    os.kill(deaf.pid, signal.SIGKILL)
    with pytest.raises(RelayEnded, match="status -9"):
        asyncio.run(run(deaf, stopped=False))
    deaf.wake()


def test_a_relay_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_process, "KILL_SECONDS", 0.1)
    with pytest.raises(RelayEnded, match="status -9"):
        asyncio.run(run(deaf_relay(), stopped=True))


def test_a_relay_that_fails_ends_the_service() -> None:
    failing = relay()
    failing.start()
    with pytest.raises(RelayEnded, match="status 1"):
        asyncio.run(run(failing, stopped=False))
