"""A broker that we start: prepared once in its folder, then started, killed and started again on the same ports."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

import psutil
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.ops.local.blocking import run_blocking
from services.ops.local.process import POLL_SECONDS, ProcessRef, ServerFailed, log_tail, start_detached

TOOL_SECONDS = 60.0
PORT_TRIES = 3


class BrokerProcess(ABC):
    """The life of a broker in `folder`. A second object over the same folder finds the same broker."""

    owned = True

    def __init__(self, folder: Path, start_seconds: float, stop_seconds: float) -> None:
        self.folder = folder
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds

    @abstractmethod
    def prepare(self) -> None:
        """Choose ports, write settings and make the data folder; called once for a folder."""

    @abstractmethod
    def command(self) -> tuple[list[str], dict[str, str]]:
        """The command that runs the broker, and its whole environment."""

    @property
    def bootstrap(self) -> str:
        """host:port for a client. Only after a first `start`."""
        return (self.folder / "bootstrap").read_text().strip()

    @property
    def log(self) -> Path:
        return self.folder / "broker.log"

    def start(self) -> None:
        """Return when the broker answers a client and has joined its own cluster. Raises ServerFailed."""
        running = self._process()
        if running is not None:
            if not self._answers_in_time(running):
                raise ServerFailed(
                    f"the broker runs but does not answer; its log ends with:\n{log_tail(self.log)}"
                )
            self._prepared.touch()
            return
        # Only a broker that nobody knows yet may be made anew, on other ports.
        fresh = not self._prepared.exists()
        for _ in range(PORT_TRIES if fresh else 1):
            if fresh:
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder.mkdir(mode=0o700, parents=True)
                self.prepare()
            if self._try_start():
                self._prepared.touch()
                return
        raise ServerFailed(f"the broker did not start; its log ends with:\n{log_tail(self.log)}")

    def stop(self) -> None:
        """Stop it in good order; SIGKILL after the time-out. Nothing if it is not running."""
        process = self._process()
        if process is not None:
            process.stop(self._stop_seconds)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        process = self._process()
        if process is None:
            raise ServerFailed("the broker is not running, so it cannot be killed")
        process.kill()

    def remove(self) -> None:
        """End it and delete every file of it. At once: nobody will read what a stop in good order writes."""
        process = self._process()
        if process is not None:
            process.kill()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def running(self) -> bool:
        return self._process() is not None

    def write_bootstrap(self, bootstrap: str) -> None:
        (self.folder / "bootstrap").write_text(f"{bootstrap}\n")

    def run_tool(self, argv: list[str], env: dict[str, str]) -> None:
        """Run a command to its end. Raises ServerFailed with what it printed."""
        done = subprocess.run(
            argv, env=env, capture_output=True, text=True, check=False, timeout=TOOL_SECONDS, cwd=self.folder
        )
        if done.returncode != 0:
            raise ServerFailed(
                f"{' '.join(argv[-6:])} failed:\n{(done.stdout + done.stderr).strip()[-2000:]}"
            )

    @property
    def _prepared(self) -> Path:
        return self.folder / "prepared"

    def _try_start(self) -> bool:
        """False when it ended, as it does where its port is taken; raises ServerFailed when it is too slow."""
        argv, env = self.command()
        process = start_detached(argv, env=env, log=self.log, cwd=self.folder)
        (self.folder / "process.json").write_text(json.dumps(process.to_json()))
        if self._answers_in_time(process):
            return True
        if not process.alive():
            return False
        process.kill()
        raise ServerFailed(
            f"the broker did not answer in {self._start_seconds:g} s; its log ends with:\n{log_tail(self.log)}"
        )

    def _answers_in_time(self, process: ProcessRef) -> bool:
        """False when the process ended, or still did not answer a client after the time-out."""
        deadline = time.monotonic() + self._start_seconds
        while time.monotonic() < deadline:
            if not process.alive():
                return False
            if _listens(self.bootstrap) and run_blocking(lambda: answers(self.bootstrap)):
                return True
            time.sleep(POLL_SECONDS)
        return False

    def _process(self) -> ProcessRef | None:
        try:
            process = ProcessRef.from_json(json.loads((self.folder / "process.json").read_text()))
        except (FileNotFoundError, psutil.NoSuchProcess):
            return None
        return process if process.alive() else None


def _listens(bootstrap: str) -> bool:
    host, _, port = bootstrap.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, int(port))) == 0


async def answers(bootstrap: str) -> bool:
    """True when the cluster names at least one broker: from then on topics can be made and written."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=3_000)
    try:
        await client.start()
        cluster = await client.describe_cluster()
        return bool(cluster["brokers"])
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()
