"""A server process that outlives the command that started it, named so that another command can find it again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

POLL_SECONDS = 0.05


class ServerFailed(RuntimeError):
    """A server did not start, or did not stop, in the time allowed; the message says what its log ended with."""


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """One process by pid and birth time, so that a pid the system gave to someone else is never signalled."""

    pid: int
    born: float

    @classmethod
    def of(cls, pid: int) -> ProcessRef:
        """The process that has this pid now. Raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProcessRef:
        return cls(int(data["pid"]), float(data["born"]))

    def alive(self) -> bool:
        """True while the process runs; a child of ours that has ended is reaped on the way."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.born) > 1.0:
                return False
            if process.status() != psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return False
        _reap(self.pid)
        return False

    def signal(self, signal_number: int) -> bool:
        """Send a signal; False when the process is already gone."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, signal_number)
        except ProcessLookupError:
            return False
        return True

    def wait(self, timeout_seconds: float) -> bool:
        """True once the process has ended, False when it still runs after the time-out."""
        return wait_until(lambda: not self.alive(), timeout_seconds)

    def stop(self, timeout_seconds: float) -> bool:
        """SIGTERM, then SIGKILL after the time-out. True when the polite signal was enough."""
        self.signal(signal.SIGTERM)
        if self.wait(timeout_seconds):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        self.signal(signal.SIGKILL)
        if not self.wait(10.0):
            raise ServerFailed(f"process {self.pid} is still there 10 s after SIGKILL")


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # somebody else's child: its own parent reaps it


def start_detached(
    argv: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path | None = None
) -> ProcessRef:
    """Start a process in a session of its own (Ctrl-C here does not reach it), its output appended to `log`."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # Popen would warn about a child it never waited for; ProcessRef.alive reaps it instead.
    child.returncode = 0
    return ProcessRef.of(child.pid)


def wait_until(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    """Poll until the condition holds; False when it did not within the time-out."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def log_tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    if not log.exists():
        return f"(no log at {log})"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
