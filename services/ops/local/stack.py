"""The whole of Tallybook on one machine: PostgreSQL, Kafka, three databases, topics, keys, three services.

`Stack.at(home)` is the stack whose state is in that folder. `up()` makes whatever is missing and starts whatever
is not running, so it also mends a half-started stack; `down()` stops it all and deletes the folder.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from services.common.auth import new_key
from services.common.topics import create_topics
from services.ops.install import (
    SERVICES,
    InstallRefused,
    ServiceDatabase,
    create_database,
    database_name,
    databases_there,
    drop_database,
    migrate,
)
from services.ops.key_store import adopt_key
from services.ops.local import service_process
from services.ops.local.blocking import run_blocking
from services.ops.local.kafka import LocalKafka, local_kafka
from services.ops.local.postgres import LocalPostgres, local_postgres
from services.ops.local.process import ServerFailed
from services.ops.local.state import NoStack, ServiceState, StackState, default_home
from services.ops.local.topics import delete_topics, topics_there

Report = Callable[[str], None]
CHAINS = 16


class Stack:
    """One stack. Its `postgres` and `kafka` can be killed and started by themselves; so can its services."""

    def __init__(
        self,
        home: Path,
        state: StackState | None,
        new_state: StackState,
        postgres: LocalPostgres | None,
        kafka: LocalKafka | None,
    ) -> None:
        self.home = home
        self._state = state
        self._new_state = new_state
        self._postgres = postgres
        self._kafka = kafka
        self._saving = Lock()

    @classmethod
    def at(
        cls,
        home: Path | None = None,
        *,
        postgres: LocalPostgres | None = None,
        kafka: LocalKafka | None = None,
        topic_prefix: str | None = None,
        database_prefix: str | None = None,
        chains: int | None = None,
    ) -> Stack:
        """The stack in `home` (TALLY_HOME or `.tally`), running or yet to be made.

        What is not given comes from the environment (DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS, TALLY_TOPIC_PREFIX,
        TALLY_DATABASE_PREFIX, TALLY_CHAINS); for a stack that was made before, from its state.
        """
        home = home or default_home()
        env = os.environ.get
        new_state = StackState(
            chains=chains or int(env("TALLY_CHAINS", "") or CHAINS),
            topic_prefix=env("TALLY_TOPIC_PREFIX", "") if topic_prefix is None else topic_prefix,
            database_prefix=database_prefix or env("TALLY_DATABASE_PREFIX", "") or "tallybook",
        )
        state = StackState.load(home) if StackState.is_in(home) else None
        return cls(home, state, new_state, postgres, kafka)

    @property
    def postgres(self) -> LocalPostgres:
        """The stack's PostgreSQL; the one it was made with, whatever the environment says since."""
        if self._postgres is None:
            named = self._state.external_postgres if self._state else None
            self._postgres = local_postgres(self.home / "postgres", named)
        return self._postgres

    @property
    def kafka(self) -> LocalKafka:
        """The stack's broker; the one it was made with, whatever the environment says since."""
        if self._kafka is None:
            named = self._state.external_kafka if self._state else None
            self._kafka = local_kafka(self.home / "kafka", named)
        return self._kafka

    # --- what others ask of a running stack

    @property
    def state(self) -> StackState:
        """What the stack is. Raises NoStack before the first `up`."""
        if self._state is None:
            raise NoStack(f"no stack in {self.home}: start one with `tally up`")
        return self._state

    @property
    def made(self) -> bool:
        return self._state is not None

    def url(self, service: str) -> str:
        """Base URL of a service's HTTP API."""
        return self.state.services[service].url

    def owner_url(self, service: str) -> str:
        """postgresql:// URL of a service's database as its owner: reads everything, makes keys."""
        return self.database(service).owner_url

    def database(self, service: str) -> ServiceDatabase:
        state = self.state
        name = database_name(state.database_prefix, service)
        return ServiceDatabase(service, name, state.passwords[service], state.server_url)

    def log(self, service: str) -> Path:
        """The log of a service, or of an extra process of it."""
        return self.home / "logs" / f"{service}.log"

    # --- the whole

    def up(self, report: Report = lambda _: None, *, services: bool = True) -> None:
        """Make and start everything that is not there yet; return when all three services are ready.

        Without `services` none is started, and a database that was lost is made anew, empty: for a restore.

        Raises ServerFailed or InstallRefused; what was started until then stays, for `down` to remove.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        # PostgreSQL may run as another user who has to pass through; the secrets are in files of mode 600.
        self.home.chmod(0o711)
        (self.home / "logs").mkdir(mode=0o700, exist_ok=True)
        if self._state is None:
            self._state = self._new_state
            self._state.passwords = {service: secrets.token_urlsafe(24) for service in SERVICES}
            self._save()
        with ThreadPoolExecutor(max_workers=2) as pool:
            databases = pool.submit(self._up_databases, report, adopt_empty=not services)
            topics = pool.submit(self._up_topics, report)
        databases.result()
        topics.result()
        self._up_keys()
        if not services:
            return
        for name in SERVICES:
            if name not in self.state.services:
                self.state.services[name] = service_process.new_service(name)
        self._save()
        for service in self.state.services.values():
            if service.process is None or not service.process.alive():
                self._start(service)
        for service in self.state.services.values():
            service_process.wait_ready(service, self.log(service.name))
            report(f"{service.name}: {service.url}")

    def down(self, report: Report = lambda _: None) -> None:
        """Stop everything that this stack started, remove what it made, delete the folder. Nothing if not made."""
        if not StackState.is_in(self.home):
            return
        # Read again: another command may have started more of it, or removed it.
        self._state = StackState.load(self.home)
        self.stop_services(report)
        self._down_external()
        self.kafka.remove()
        self.postgres.remove()
        shutil.rmtree(self.home)
        self._state = None
        report(f"removed {self.home}")

    # --- one service at a time

    def start_service(self, name: str) -> None:
        """Start a service that does not run, on its old port, and wait until it is ready."""
        service = self.state.services[name]
        if service.process is None or not service.process.alive():
            self._start(service)
        service_process.wait_ready(service, self.log(name))

    def start_extra(self, service: str) -> ServiceState:
        """Start one more process of a service on a port of its own; returns it, with its `url`, when it is ready.

        It is named `<service>-2`, `-3`, ... and is stopped, killed and started again by that name.
        """
        taken = [name for name in self.state.services if name == service or name.startswith(f"{service}-")]
        extra = service_process.new_service(f"{service}-{len(taken) + 1}")
        self.state.services[extra.name] = extra
        self.start_service(extra.name)
        return extra

    def stop_service(self, name: str) -> None:
        """SIGTERM, and wait for the clean end. Raises ServerFailed when it had to be killed."""
        polite = service_process.stop(self.state.services[name])
        self._save()
        if not polite:
            raise ServerFailed(
                f"the {name} service did not stop in {service_process.STOP_SECONDS:g} s and was killed"
            )

    def stop_services(self, report: Report = lambda _: None) -> None:
        """Stop every service process, rewards first, so that nobody calls a ledger that is gone."""
        for name in sorted(self.state.services, key=_stop_order):
            if not service_process.stop(self.state.services[name]):
                report(f"{name} did not stop in time and was killed")
        self._save()

    def kill(self, name: str, signal_number: int = signal.SIGKILL) -> None:
        """Send a signal to a service and wait until it has ended."""
        process = self.state.services[name].process
        if process is None or not process.signal(signal_number):
            raise ServerFailed(f"{name} is not running, so it cannot be killed")
        if not process.wait(service_process.STOP_SECONDS):
            raise ServerFailed(
                f"{name} still runs {service_process.STOP_SECONDS:g} s after signal {signal_number}"
            )

    # --- steps

    def _up_databases(self, report: Report, *, adopt_empty: bool) -> None:
        self.state.external_postgres = "" if self.postgres.owned else self.postgres.url
        self._save()
        self.postgres.start()
        report(self.postgres.why)
        self.state.server_url = self.postgres.url
        if not adopt_empty:
            self._must_have_its_databases()
        for service in SERVICES:
            database = self.database(service)
            made_by_us = database.name in self.state.created_databases
            run_blocking(lambda database=database, adopt=made_by_us: create_database(database, adopt=adopt))  # type: ignore[misc]
            if not made_by_us:
                self.state.created_databases.append(database.name)
                self._save()
            migrate(database)

    def _up_topics(self, report: Report) -> None:
        state = self.state
        state.broker = self.kafka.kind
        state.external_kafka = "" if self.kafka.owned else self.kafka.bootstrap
        self._save()
        self.kafka.start()
        report(self.kafka.why)
        state.bootstrap = self.kafka.bootstrap
        before = run_blocking(lambda: topics_there(state.bootstrap, state.topic_prefix))
        run_blocking(lambda: create_topics(state.bootstrap, state.topic_prefix, state.chains))
        after = run_blocking(lambda: topics_there(state.bootstrap, state.topic_prefix))
        state.created_topics = sorted({*state.created_topics, *(after - before)})

    def _must_have_its_databases(self) -> None:
        """A service that starts on an empty database in the place of a lost one begins another book in its topics."""
        there = run_blocking(lambda: databases_there(self.state.server_url))
        lost = sorted(set(self.state.created_databases) - there)
        if lost:
            raise InstallRefused(
                f"{', '.join(lost)}: made by this stack, and gone. No service was started. "
                "`tally up --no-services` makes it anew for `tally restore`: see docs/runbook.md, night 4. "
                "`tally down` gives everything up"
            )

    def _up_keys(self) -> None:
        """The stack's own keys: made once, and let in wherever a database is new."""
        state = self.state
        state.ops_key = state.ops_key or new_key()[1]
        state.ledger_key = state.ledger_key or new_key()[1]
        self._save()
        for service in SERVICES:
            url = self.owner_url(service)
            run_blocking(lambda url=url: adopt_key(url, state.ops_key, name="tally up: ops", scopes=["ops"]))  # type: ignore[misc]
        run_blocking(
            lambda: adopt_key(
                self.owner_url("ledger"),
                state.ledger_key,
                name="tally up: rewards to ledger",
                scopes=["checkout", "rewards"],
            )
        )

    def _start(self, service: ServiceState) -> None:
        kind = service.name.partition("-")[0]
        state = self.state
        settings = {
            "TALLY_DATABASE_URL": self.database(kind).url,
            "KAFKA_BOOTSTRAP_SERVERS": state.bootstrap,
            "TALLY_CHAINS": str(state.chains),
            "TALLY_TOPIC_PREFIX": state.topic_prefix,
            "TALLY_IDENTIFIER_KEY": state.identifier_key,
        }
        if kind == "rewards":
            settings |= {"TALLY_LEDGER_URL": self.url("ledger"), "TALLY_LEDGER_KEY": state.ledger_key}
        service_process.start(service, f"services.{kind}.main", settings, self.log(service.name))
        self._save()

    def _down_external(self) -> None:
        """Take what this stack made out of servers that outlive it."""
        state = self.state
        if not self.kafka.owned and state.created_topics:
            run_blocking(lambda: delete_topics(state.bootstrap, state.created_topics))
        if not self.postgres.owned:
            for service in SERVICES:
                database = self.database(service)
                if database.name in state.created_databases:
                    run_blocking(lambda database=database: drop_database(database))  # type: ignore[misc]

    def _save(self) -> None:
        with self._saving:
            self.state.save(self.home)


def _stop_order(name: str) -> int:
    return -SERVICES.index(name.partition("-")[0])
