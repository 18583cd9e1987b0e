"""What a stack remembers between commands: its folder `.tally/` and the file `state.json` in it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from services.ops.local.process import ProcessRef

FILE = "state.json"
VERSION = 1


class NoStack(RuntimeError):
    """No stack was made in this folder; the message says how to make one."""


def checkout() -> Path:
    """The folder that holds `services/`."""
    return Path(__file__).resolve().parents[3]


def default_home() -> Path:
    """The state folder: TALLY_HOME, or `.tally` in the checkout."""
    named = os.environ.get("TALLY_HOME", "")
    return Path(named).resolve() if named else checkout() / ".tally"


@dataclass(slots=True)
class ServiceState:
    """One service process. `process` is None when it was never started or was stopped on purpose."""

    name: str
    port: int
    process: ProcessRef | None = None

    @property
    def url(self) -> str:
        """Base URL of its HTTP API."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(slots=True)
class StackState:
    """Everything needed to find the stack again, and to remove it; secrets included, so the file is mode 600."""

    chains: int
    topic_prefix: str
    database_prefix: str
    identifier_key: str = field(default_factory=lambda: secrets.token_hex(32))
    passwords: dict[str, str] = field(default_factory=dict)
    ops_key: str = ""
    ledger_key: str = ""
    server_url: str = ""
    bootstrap: str = ""
    broker: str = ""
    # The user's own servers; "" when this stack started one, None before either was looked for.
    external_postgres: str | None = None
    external_kafka: str | None = None
    created_databases: list[str] = field(default_factory=list)
    created_topics: list[str] = field(default_factory=list)
    services: dict[str, ServiceState] = field(default_factory=dict)

    def save(self, home: Path) -> None:
        """Write the file whole or not at all, readable by its owner only."""
        half_done = home / f"{FILE}.half"
        half_done.touch(mode=0o600)
        half_done.write_text(json.dumps({"version": VERSION, **asdict(self)}, indent=2))
        half_done.replace(home / FILE)

    @staticmethod
    def is_in(home: Path) -> bool:
        return (home / FILE).exists()

    @classmethod
    def load(cls, home: Path) -> StackState:
        """Read it back. Raises NoStack when there is none, or one of another version of Tallybook."""
        path = home / FILE
        if not path.exists():
            raise NoStack(f"no stack in {home}: start one with `tally up`")
        data: dict[str, Any] = json.loads(path.read_text())
        if data.pop("version", None) != VERSION:
            raise NoStack(
                f"{path} was written by another version of Tallybook: stop that stack with that version"
            )
        data["services"] = {name: _service(service) for name, service in data["services"].items()}
        return cls(**data)


def _service(data: Mapping[str, Any]) -> ServiceState:
    process = data["process"]
    return ServiceState(data["name"], data["port"], ProcessRef.from_json(process) if process else None)
