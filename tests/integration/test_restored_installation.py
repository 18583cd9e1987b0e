"""A stack at work is exported, and the export becomes another installation, as the commands make it, that goes on."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.common.auth import new_key
from services.ops.api import Api, Endpoints, endpoints_of
from services.ops.cli import create_cli
from services.ops.export.manifest import NotEmpty
from services.ops.install import SERVICES, drop_database
from services.ops.key_store import create_key
from services.ops.level import LevelGauge
from services.ops.local.stack import Stack
from services.ops.local.topics import delete_topics, topics_there
from tests.integration.installations import Installation
from tests.integration.ledger_rows import NOON
from tests.integration.own_process import OwnProcess
from tests.integration.test_verify_stack import (
    DOCUMENT,
    MEMBERS,
    PROGRAM,
    STALL_SECONDS,
    publish,
    purchase_of,
    shop,
)

pytestmark = pytest.mark.integration

LEDGER_KEY = new_key()[1]
NEWCOMER = "newcomer"


async def tally(*arguments: str, env: dict[str, str] | None = None) -> str:
    """What a command prints that ends well."""
    done = await asyncio.to_thread(CliRunner().invoke, create_cli(), list(arguments), env=env)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def environment(made: Installation, bootstrap: str, topic_prefix: str, chains: int) -> dict[str, str]:
    """What `tally install` is told of an installation."""
    passwords = {
        f"TALLY_{service.upper()}_PASSWORD": database.password for service, database in made.databases.items()
    }
    return {
        "DATABASE_URL": made.server_url,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "TALLY_DATABASE_PREFIX": made.prefix,
        "TALLY_TOPIC_PREFIX": topic_prefix,
        "TALLY_CHAINS": str(chains),
        "TALLY_LEDGER_KEY": LEDGER_KEY,
        **passwords,
    }


@asynccontextmanager
async def cleared(made: Installation, bootstrap: str, topic_prefix: str) -> AsyncIterator[None]:
    """Takes away what `tally install` has made."""
    try:
        yield
    finally:
        for database in made.databases.values():
            await drop_database(database)
        await delete_topics(bootstrap, sorted(await topics_there(bootstrap, topic_prefix)))


@asynccontextmanager
async def started(made: Installation, source: Stack, topic_prefix: str, logs: Path) -> AsyncIterator[Api]:
    """The three services as processes on an installation; members' identifiers are hashed as in the source."""
    state = source.state
    processes = {
        service: OwnProcess.of(service, database.url, state.bootstrap, topic_prefix, state.chains, logs)
        for service, database in made.databases.items()
    }
    urls = {service: process.url for service, process in processes.items()}
    settings = {
        "TALLY_IDENTIFIER_KEY": state.identifier_key,
        "TALLY_LEDGER_URL": urls["ledger"],
        "TALLY_LEDGER_KEY": LEDGER_KEY,
    }
    async with AsyncExitStack() as running:
        for process in processes.values():
            process.environment.update(settings)
            await process.begin()
            running.push_async_callback(process.stop, signal.SIGTERM)
        for process in processes.values():
            await process.answers()
        key = await create_key(list(made.urls.values()), name="a test", scopes=["ops"])
        there = Endpoints(
            urls["ledger"], urls["tiering"], urls["rewards"], state.bootstrap, state.chains, topic_prefix, key
        )
        yield await running.enter_async_context(Api(there))


@pytest.mark.slow
async def test_an_export_of_a_stack_at_work_is_restored_started_and_goes_on(
    stack: Stack, topic_prefix: str, tmp_path: Path
) -> None:
    folder, bootstrap = str(tmp_path / "busy"), stack.state.bootstrap
    source = ["--database-url", stack.state.server_url, "--database-prefix", stack.state.database_prefix]
    async with Api(endpoints_of(stack)) as api, LevelGauge(api) as gauge:
        await api.put("ledger", f"/v1/programs/{PROGRAM}", DOCUMENT)
        for number in range(2 * MEMBERS):
            await shop(api, number)
        # Only then has rewards heard of the program, which it is asked about next.
        await gauge.wait(STALL_SECONDS)

        async def go_on() -> None:
            for number in range(2 * MEMBERS, 4 * MEMBERS):
                await shop(api, number)

        shopping = asyncio.create_task(go_on())
        exported = json.loads(await tally("export", folder, "--json", *source))
        await shopping
        await gauge.wait(STALL_SECONDS)
    assert all(sums["journal"] for sums in exported["services"].values())

    made = Installation(stack.state.server_url)
    env = environment(made, bootstrap, topic_prefix, stack.state.chains)
    async with cleared(made, bootstrap, topic_prefix):
        broker = ["--bootstrap", bootstrap, "--topic-prefix", topic_prefix]
        await tally("install", env=env)
        await publish(bootstrap, topic_prefix, 0, 1)
        command = ["restore", folder, "--manifest-sha256", exported["manifest_sha256"], *made.flags, *broker]
        refused = await asyncio.to_thread(CliRunner().invoke, create_cli(), command)
        assert isinstance(refused.exception, NotEmpty), refused.output
        assert f"{topic_prefix}ledger.v1: rows of another book" in str(refused.exception)
        restored = await tally(*command, "--delete-streams", "--json")
        assert json.loads(restored)["rebuilt_the_same"] == dict.fromkeys(SERVICES, True)
        await tally("install", "--only", "topics", env=env)
        async with started(made, stack, topic_prefix, tmp_path) as api, LevelGauge(api) as gauge:
            await the_book_goes_on(api, gauge)
            status = json.loads(await tally("status", "--json", *made.flags, "--bootstrap", bootstrap))
            topics = [topic for service in status["progress"] for topic in service["topics"]]
            assert {(topic["waiting"], topic["worst"]) for topic in topics} == {(0, None)}
            verified = json.loads(await tally("verify", "--json", *made.flags, *broker))
            assert verified["ok"], verified["findings"]


async def the_book_goes_on(api: Api, gauge: LevelGauge) -> None:
    """What was taken before is a duplicate; what comes is taken, and reaches tiering, rewards and the ledger again."""
    path = f"/v1/programs/{PROGRAM}"
    assert (await api.post("ledger", f"{path}/purchases", purchase_of(0)))["duplicate"]
    for id_ in ("first", "second"):
        purchase = {**purchase_of(0), "id": id_, "member": NEWCOMER}
        assert not (await api.post("ledger", f"{path}/purchases", purchase))["duplicate"]
    await gauge.wait(STALL_SECONDS)
    assert (await api.get("tiering", f"{path}/members/{NEWCOMER}/tier"))["tier"] == "gold"
    order = {"order": "after", "reward": "five_off"}
    redeemed = await api.post("rewards", f"{path}/members/{NEWCOMER}/redemptions", order, "after")
    assert redeemed["state"] == "reserved"
    later = (NOON + timedelta(hours=1)).isoformat()
    purchase = {**purchase_of(0), "id": "third", "member": NEWCOMER, "occurred_at": later}
    third = await api.post("ledger", f"{path}/purchases", purchase)
    assert (third["tier"], third["points"]) == ("gold", 1_200)
    # Two purchases without a tier, the greeting's 7 points, one as gold; 500 are held for the redemption.
    assert third["balance"] == {"available": 1_907, "posted": 2_407, "held": 500, "debt": 0, "pending": 0}
    await gauge.wait(STALL_SECONDS)
