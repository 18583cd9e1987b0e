"""A command that lacks a setting or a server says so in a sentence: `main` prints what is EXPECTED, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.ops.cli import EXPECTED, create_cli
from services.ops.local.ports import free_port

SETTINGS = ("LEDGER_PASSWORD", "TIERING_PASSWORD", "REWARDS_PASSWORD", "LEDGER_KEY")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str | None]:
    """No stack, and servers that nobody runs."""
    nobody = f"127.0.0.1:{free_port()}"
    settings = dict.fromkeys([f"TALLY_{name}" for name in SETTINGS])
    servers = {"DATABASE_URL": f"postgresql://x:y@{nobody}/postgres", "KAFKA_BOOTSTRAP_SERVERS": None}
    return {"TALLY_HOME": str(tmp_path / "none"), **servers, **settings}


def told(env: dict[str, str | None], *arguments: str) -> str:
    done = CliRunner().invoke(create_cli(), list(arguments), env=env)
    assert isinstance(done.exception, EXPECTED), done.exception
    return str(done.exception)


def test_install_names_every_variable_that_is_missing(env: dict[str, str | None]) -> None:
    message = told(env, "install")
    for name in ("KAFKA_BOOTSTRAP_SERVERS", *(f"TALLY_{name}" for name in SETTINGS)):
        assert f"{name}: Field required" in message
    assert "DATABASE_URL" not in message


@pytest.mark.parametrize("command", [("keys", "list"), ("keys", "revoke", "0a0b")])
def test_a_database_that_is_not_there_is_named(env: dict[str, str | None], command: tuple[str, ...]) -> None:
    assert "127.0.0.1" in told(env, *command)


def test_the_status_of_servers_of_ones_own_needs_both(env: dict[str, str | None]) -> None:
    done = CliRunner().invoke(create_cli(), ["status"], env=env)
    assert done.exit_code == 2 and "--bootstrap" in done.output
