"""The embedded PostgreSQL: starts, stops, and comes back after a kill with everything that was committed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from services.ops.local.postgres import EmbeddedPostgres, ExternalPostgres, local_postgres

pytestmark = pytest.mark.integration


@pytest.fixture
def own(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedPostgres]:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    server = EmbeddedPostgres(server_folder / "own-postgres")
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_what_was_committed_is_there_after_a_kill(own: EmbeddedPostgres) -> None:
    url = own.url
    await ask(url, "CREATE TABLE kept AS SELECT 7 AS seven")
    own.kill()
    assert not own.running()
    own.start()
    assert own.url == url, "clients find the server at the place where it was"
    assert await ask(url, "SELECT seven FROM kept") == 7


async def test_another_command_finds_the_running_server_and_stops_it(own: EmbeddedPostgres) -> None:
    again = local_postgres(own.folder)
    assert isinstance(again, EmbeddedPostgres)
    assert again.running()
    assert again.url == own.url
    again.stop()
    assert not own.running()


async def test_a_commit_waits_for_the_disk_and_the_server_wants_its_password(own: EmbeddedPostgres) -> None:
    assert await ask(own.url, "SHOW fsync") == "on"
    assert await ask(own.url, "SHOW synchronous_commit") == "on"
    assert await ask(own.url, "SHOW full_page_writes") == "on"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(own.url.replace(own.home.password_file.read_text().strip(), "guessed"), "SELECT 1")


def test_a_named_server_is_used_and_never_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me@db.example/postgres")
    server = local_postgres(tmp_path / "unused")
    assert isinstance(server, ExternalPostgres)
    server.start()
    server.remove()
    assert server.url == "postgresql://me@db.example/postgres"
    assert not (tmp_path / "unused").exists()


def test_removing_leaves_no_process_and_no_file(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    folder = server_folder / "short-lived"
    server = EmbeddedPostgres(folder)
    try:
        server.start()
        data = str(server.home.data)
    finally:
        server.remove()
    assert not folder.exists()
    assert not server.home.root.exists()
    assert not [p.pid for p in psutil.process_iter(["cmdline"]) if data in (p.info["cmdline"] or [])]
