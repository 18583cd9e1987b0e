"""The broker in the package noida-db (extra `light-broker`), for machines that have no Java or no Maven.

It speaks Kafka well enough for a demo and for tests that kill nothing. It never evicts a dead member of a consumer
group, can lose acknowledged records when it is killed, and ignores fetch limits; so tests that need a real broker
are skipped on it, and TALLY_REQUIRE_KAFKA=apache (CI) refuses it.
"""

from __future__ import annotations

import os
from importlib import util
from pathlib import Path

from services.ops.local.broker_process import BrokerProcess
from services.ops.local.ports import free_port
from services.ops.local.process import ServerFailed

START_SECONDS = 20.0
STOP_SECONDS = 10.0
MARK = "light-broker"


class LightBroker(BrokerProcess):
    """noida-db's Kafka in `folder`."""

    kind = "light"

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(folder, START_SECONDS, STOP_SECONDS)
        self._reason = reason
        self._program = _program(reason)

    @classmethod
    def made(cls, folder: Path) -> bool:
        """True when this folder already holds a light broker's data."""
        return (folder / MARK).exists()

    @property
    def why(self) -> str:
        return (
            f"Kafka: the light broker in the package noida-db, because {self._reason}. "
            "Good for a look; it may lose records when it is killed"
        )

    def prepare(self) -> None:
        (self.folder / MARK).touch()
        self.write_bootstrap(f"127.0.0.1:{free_port()}")

    def command(self) -> tuple[list[str], dict[str, str]]:
        port = self.bootstrap.rpartition(":")[2]
        argv = [self._program, "start", "--only", "kafka", "--kafka-port", port, "--host", "127.0.0.1"]
        argv += ["--data-dir", str(self.folder / "data")]
        return argv, {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "TZ": "UTC"}


def _program(reason: str) -> str:
    spec = util.find_spec("noida_db")
    if spec is None or spec.origin is None:
        raise ServerFailed(
            f"no Kafka: {reason}. Or set KAFKA_BOOTSTRAP_SERVERS to a broker of your own, "
            "or install the extra 'light-broker'"
        )
    return str(Path(spec.origin).parent / "noida-db")
