"""A whole stack on one machine: it comes up ready, keeps to itself, mends itself, and leaves nothing behind."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from services.common.topics import topic_names
from services.ops.install import SERVICES, InstallRefused, databases_there, drop_database, on_server
from services.ops.key_store import UnknownScope, create_key, list_keys, revoke_key
from services.ops.local.kafka import ExternalKafka
from services.ops.local.postgres import ExternalPostgres
from services.ops.local.process import ServerFailed
from services.ops.local.stack import Stack
from services.ops.local.state import NoStack

pytestmark = pytest.mark.integration


async def topics_of(stack: Stack) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka.bootstrap)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


def ready(url: str) -> bool:
    """Raises httpx.TransportError when nobody listens."""
    return httpx.get(f"{url}/health/ready").status_code == 200


def test_every_service_is_ready_and_shows_its_api(stack: Stack) -> None:
    for service in SERVICES:
        assert ready(stack.url(service))
        assert httpx.get(f"{stack.url(service)}/openapi.json").json()["paths"]


def test_secrets_are_for_their_owner_only(stack: Stack) -> None:
    assert (stack.home / "state.json").stat().st_mode & 0o777 == 0o600
    assert (stack.home / "logs").stat().st_mode & 0o777 == 0o700


async def test_a_service_can_add_to_the_journal_but_never_change_it(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.database("ledger").url)
    try:
        for change in ("UPDATE journal SET type = 'x'", "DELETE FROM journal", "TRUNCATE journal"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(change)
    finally:
        await connection.close()


async def test_a_service_cannot_log_in_to_another_services_database(stack: Stack) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(on_server(stack.database("rewards").url, stack.database("ledger").name))


async def test_a_key_is_shown_once_and_opens_until_it_is_revoked(stack: Stack) -> None:
    urls = [stack.owner_url(service) for service in SERVICES]
    token = await create_key(urls, name="till 7", scopes=["pos"], programs=["p"], stores=["s1"])
    key_id = token.split("_")[1]
    for url in urls:
        (row,) = [key for key in await list_keys(url) if key.key_id == key_id]
        assert (row.name, row.scopes, row.programs, row.stores) == ("till 7", ("pos",), ("p",), ("s1",))
        assert row.revoked_at is None
    assert await revoke_key(urls, key_id)
    assert not await revoke_key(urls, key_id), "a key is revoked once"


async def test_an_unknown_scope_makes_no_key(stack: Stack) -> None:
    before = await list_keys(stack.owner_url("ledger"))
    with pytest.raises(UnknownScope, match="cashier"):
        await create_key([stack.owner_url("ledger")], name="x", scopes=["cashier"])
    assert await list_keys(stack.owner_url("ledger")) == before


@pytest.mark.slow
async def test_two_stacks_side_by_side_and_one_goes_without_a_trace(
    stack: Stack, make_stack: Callable[[], Stack]
) -> None:
    other = make_stack()
    state, database = other.state, other.database("ledger").name
    assert {state.topic_prefix + name for name in topic_names()} <= await topics_of(other)
    assert other.url("ledger") != stack.url("ledger")

    other.kill("ledger", signal.SIGKILL)
    with pytest.raises(httpx.TransportError):
        ready(other.url("ledger"))
    again = Stack.at(other.home)
    again.up()
    assert ready(other.url("ledger")), "up mends what does not run"
    extra = again.start_extra("ledger")
    assert ready(extra.url)

    again.stop_services()
    await drop_database(other.database("rewards"))
    with pytest.raises(InstallRefused, match="_rewards: made by this stack, and gone"):
        again.up()
    again.up(services=False)
    assert other.database("rewards").name in await databases_there(stack.postgres.url)
    kept = {key.key_id for key in await list_keys(other.owner_url("rewards"))}
    assert kept == {state.ops_key.split("_")[1]}, "the stack's own key opens the new database"
    with pytest.raises(httpx.TransportError):
        ready(again.url("rewards"))

    again.down()
    assert not other.home.exists()
    assert database not in await databases_there(stack.postgres.url)
    assert not {topic for topic in await topics_of(stack) if topic.startswith(state.topic_prefix)}
    assert ready(stack.url("ledger"))


def test_a_database_of_somebody_else_is_not_touched(stack: Stack, server_folder: Path) -> None:
    intruder = Stack.at(
        server_folder / "intruder",
        postgres=ExternalPostgres(stack.postgres.url),
        kafka=ExternalKafka(stack.kafka.bootstrap),
        topic_prefix=stack.state.topic_prefix,
        database_prefix=stack.state.database_prefix,
    )
    with pytest.raises(InstallRefused, match="TALLY_DATABASE_PREFIX"):
        intruder.up()
    intruder.down()
    assert ready(stack.url("ledger"))


def test_what_does_not_run_says_so(tmp_path: Path) -> None:
    nothing = Stack.at(tmp_path / "nothing", postgres=ExternalPostgres("x"), kafka=ExternalKafka("x"))
    with pytest.raises(NoStack, match="tally up"):
        nothing.url("ledger")
    nothing.down()


def test_killing_what_does_not_run_is_an_error(stack: Stack) -> None:
    stack.state.services["ghost"] = type(stack.state.services["ledger"])("ghost", 1)
    try:
        with pytest.raises(ServerFailed, match="not running"):
            stack.kill("ghost")
    finally:
        del stack.state.services["ghost"]
