"""One PostgreSQL and one Kafka for the whole run; each test gets a database and topic names of its own.

Both are the ones that DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name, or are started here (services/ops/local).
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from services.ops.install import on_server
from services.ops.local.kafka import ApacheKafka, ExternalKafka, LocalKafka, local_kafka
from services.ops.local.kafka_jars import NoApacheKafka, find_kafka_programs
from services.ops.local.postgres import EmbeddedPostgres, ExternalPostgres, LocalPostgres, local_postgres
from services.ops.local.stack import Stack


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """The folder of this run's servers; others may pass through it, for PostgreSQL runs as another user."""
    folder = Path(tempfile.mkdtemp(prefix="tallybook-tests-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[LocalPostgres]:
    """The run's PostgreSQL. `.url` is the owner's URL; never kill it in a test: make one of your own."""
    server = local_postgres(server_folder / "postgres")
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def kafka(server_folder: Path) -> Iterator[LocalKafka]:
    """The run's broker. `.bootstrap` is host:port, `.kind` is external, apache or light."""
    broker = local_kafka(server_folder / "kafka")
    try:
        broker.start()
        yield broker
    finally:
        broker.remove()


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


@pytest_asyncio.fixture
async def database(postgres: LocalPostgres) -> AsyncIterator[str]:
    """The owner's URL (postgresql://...) of an empty database; dropped after the test."""
    name = f"test_{secrets.token_hex(6)}"
    owner = await asyncpg.connect(postgres.url)
    try:
        await owner.execute(f'CREATE DATABASE "{name}"')
        yield on_server(postgres.url, name)
        await owner.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await owner.close()


@pytest.fixture(scope="session")
def make_stack(
    server_folder: Path, postgres: LocalPostgres, kafka: LocalKafka
) -> Iterator[Callable[[], Stack]]:
    """Makes whole stacks (three services) on this run's servers, each with databases and topics of its own.

    Each is up when it is returned, and removed at the end of the run. A test that kills PostgreSQL or Kafka needs
    `make_own_stack`.
    """
    made: list[Stack] = []

    def make() -> Stack:
        name = f"s{secrets.token_hex(4)}"
        stack = Stack.at(
            server_folder / name,
            postgres=ExternalPostgres(postgres.url),
            kafka=ExternalKafka(kafka.bootstrap),
            topic_prefix=f"{name}.",
            database_prefix=name,
        )
        made.append(stack)
        stack.up()
        return stack

    yield make
    for stack in made:
        stack.down()


@pytest.fixture(scope="session")
def stack(make_stack: Callable[[], Stack]) -> Stack:
    """The run's shared stack. Tests on it use members of their own, and kill nothing."""
    return make_stack()


@pytest.fixture
def make_own_stack(server_folder: Path) -> Iterator[Callable[[], Stack]]:
    """Makes stacks with a PostgreSQL and an Apache Kafka of their own, which may be killed; removed after the test.

    Skips the test where Apache Kafka can't be run.
    """
    made: list[Stack] = []

    def make() -> Stack:
        home = server_folder / f"own-{secrets.token_hex(4)}"
        try:
            programs = find_kafka_programs()
        except NoApacheKafka as missing:
            pytest.skip(f"needs an Apache Kafka that can be killed: {missing}")
        stack = Stack.at(
            home,
            postgres=EmbeddedPostgres(home / "postgres"),
            kafka=ApacheKafka(home / "kafka", lambda: programs),
        )
        made.append(stack)
        stack.up()
        return stack

    yield make
    for stack in made:
        stack.down()
