"""One PostgreSQL and one Kafka for the whole run; each test gets a database and topic names of its own.

Both are the ones that DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name, or are started here (services/ops/local). The run
may have several workers (`pytest -n 2`): the first that needs a server starts it in the run's folder, the others find
it there, and the process that began the run takes everything down when all have ended.
"""

from __future__ import annotations

import fcntl
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from services.ops.local import state
from services.ops.local.blocking import run_blocking
from services.ops.local.kafka import ApacheKafka, ExternalKafka, LocalKafka, local_kafka
from services.ops.local.kafka_jars import NoApacheKafka, find_kafka_programs
from services.ops.local.postgres import EmbeddedPostgres, ExternalPostgres, LocalPostgres, local_postgres
from services.ops.local.stack import Stack
from tests import databases

RUN_FOLDER = pytest.StashKey[Path]()
# How long an example takes says how busy the machine is. All else is as hypothesis has it, here and under CI.
settings.register_profile("suite", settings(deadline=None, suppress_health_check=[HealthCheck.too_slow]))
settings.load_profile("suite")
CHAINS = 4
"""Of a stack on the run's servers. An installation has 16, as the stack has that is killed; each is work."""
WITHOUT_THE_DISK = (
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET full_page_writes = off",
    "SELECT pg_reload_conf()",
)


def pytest_configure(config: pytest.Config) -> None:
    """The process that begins the run makes its folder; a worker was told of it."""
    told: dict[str, Any] = getattr(config, "workerinput", {})
    config.stash[RUN_FOLDER] = Path(told.get("run_folder") or tempfile.mkdtemp(prefix="tallybook-tests-"))
    # Others may pass through, for PostgreSQL runs as another user.
    config.stash[RUN_FOLDER].chmod(0o711)
    databases.RUN = config.stash[RUN_FOLDER].name.replace("-", "_")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """What pytest-xdist tells a worker (`node`) before it starts."""
    node.workerinput["run_folder"] = str(node.config.stash[RUN_FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what is left of the run, be it after a Ctrl-C: stacks first, then the servers that they stand on."""
    if hasattr(config, "workerinput"):
        return
    folder = config.stash[RUN_FOLDER]
    with ExitStack() as last_first:
        last_first.callback(shutil.rmtree, folder)
        for name, server in (("postgres", local_postgres), ("kafka", local_kafka)):
            if (folder / name).exists():
                last_first.callback(server(folder / name).remove)
        postgres = local_postgres(folder / "postgres")
        if not postgres.owned and (folder / "postgres.lock").exists():
            last_first.callback(run_blocking, lambda: databases.drop_templates(postgres.url))
        for made in folder.rglob(state.FILE):
            last_first.callback(Stack.at(made.parent).down)


@contextmanager
def one_worker_at_a_time(place: Path) -> Iterator[None]:
    """Of several workers that want to make the same thing, the first makes it and the others wait."""
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def run_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of what all workers share."""
    return request.config.stash[RUN_FOLDER]


@pytest.fixture(scope="session")
def server_folder(run_folder: Path) -> Path:
    """A folder for servers of this worker's own; others may pass through it, as through the run's."""
    folder = Path(tempfile.mkdtemp(prefix="worker-", dir=run_folder))
    folder.chmod(0o711)
    return folder


@pytest.fixture(scope="session")
def postgres(run_folder: Path) -> LocalPostgres:
    """The run's PostgreSQL. `.url` is the owner's URL; never kill it in a test: make one of your own.

    It ends with the run, so it waits for no disk; the servers that tests kill do.
    """
    place = run_folder / "postgres"
    with one_worker_at_a_time(place):
        server = local_postgres(place)
        server.start()
        if server.owned:
            run_blocking(lambda: databases.on(server.url, *WITHOUT_THE_DISK))
    return server


@pytest.fixture(scope="session")
def kafka(run_folder: Path) -> LocalKafka:
    """The run's broker. `.bootstrap` is host:port, `.kind` is external, apache or light."""
    place = run_folder / "kafka"
    with one_worker_at_a_time(place):
        broker = local_kafka(place)
        broker.start()
    return broker


@pytest.fixture(autouse=True)
def _needs_apache_kafka(request: pytest.FixtureRequest) -> None:
    """Tests marked `apache_kafka` are skipped, saying so, on the light broker."""
    if request.node.get_closest_marker("apache_kafka") is None:
        return
    broker: LocalKafka = request.getfixturevalue("kafka")
    if broker.kind == "light":
        pytest.skip(f"needs Apache Kafka; this run has {broker.why}")


@pytest.fixture(scope="session")
def bootstrap(kafka: LocalKafka) -> str:
    """host:port of the run's broker."""
    return kafka.bootstrap


@pytest.fixture
def topic_prefix() -> str:
    """What goes before every topic's name in this test, so that no test reads another's records."""
    return f"t{secrets.token_hex(4)}."


@pytest.fixture
def database(postgres: LocalPostgres) -> str:
    """The owner's URL (postgresql://...) of a database that nobody has made yet: see tests/databases.py."""
    return databases.fresh_url(postgres.url)


@pytest.fixture(scope="session")
def stack(run_folder: Path, postgres: LocalPostgres, kafka: LocalKafka) -> Stack:
    """The run's shared stack. Tests on it use members of their own, and kill nothing."""
    place = run_folder / "stack"
    with one_worker_at_a_time(place):
        shared = stack_in(place, postgres, kafka)
        if not shared.made:
            shared.up()
    return shared


@pytest.fixture
def make_stack(
    server_folder: Path, postgres: LocalPostgres, kafka: LocalKafka
) -> Iterator[Callable[[], Stack]]:
    """Makes whole stacks (three services) on this run's servers, each with databases and topics of its own.

    Each is up when it is returned, and removed after the test. A test that kills PostgreSQL or Kafka needs
    `make_own_stack`.
    """
    yield from stacks(lambda: stack_in(server_folder / secrets.token_hex(4), postgres, kafka))


@pytest.fixture(scope="module")
def file_stack(server_folder: Path, postgres: LocalPostgres, kafka: LocalKafka) -> Iterator[Stack]:
    """A whole stack for the tests of one file alone, on this run's servers, as `make_stack` makes them."""
    for make in stacks(lambda: stack_in(server_folder / secrets.token_hex(4), postgres, kafka)):
        yield make()


@pytest.fixture
def make_own_stack(server_folder: Path) -> Iterator[Callable[[], Stack]]:
    """Makes stacks with a PostgreSQL and an Apache Kafka of their own, which may be killed; removed after the test.

    Skips the test where Apache Kafka can't be run.
    """

    def make() -> Stack:
        home = server_folder / secrets.token_hex(4)
        try:
            programs = find_kafka_programs()
        except NoApacheKafka as missing:
            pytest.skip(f"needs an Apache Kafka that can be killed: {missing}")
        return Stack.at(
            home,
            postgres=EmbeddedPostgres(home / "postgres"),
            kafka=ApacheKafka(home / "kafka", lambda: programs),
        )

    yield from stacks(make)


def stack_in(home: Path, postgres: LocalPostgres, kafka: LocalKafka) -> Stack:
    """The stack of that folder, or one yet to be made, on the run's servers and with names of its own there."""
    name = f"s{secrets.token_hex(4)}"
    return Stack.at(
        home,
        postgres=ExternalPostgres(postgres.url),
        kafka=ExternalKafka(kafka.bootstrap),
        topic_prefix=f"{name}.",
        database_prefix=name,
        chains=CHAINS,
    )


def stacks(make: Callable[[], Stack]) -> Iterator[Callable[[], Stack]]:
    """The body of a fixture: yields what makes a stack and starts it; removes all of them after the test."""
    made: list[Stack] = []

    def make_and_start() -> Stack:
        made.append(make())
        made[-1].up()
        return made[-1]

    yield make_and_start
    for stack in made:
        stack.down()
