"""The book to Parquet and back: the same rows in an empty installation, which goes on from there; or nothing at all."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pyarrow.parquet as pq
import pytest
import pytest_asyncio
from sqlalchemy import Text
from typer.testing import CliRunner, Result

from services.common.clock import utc_now
from services.common.db import Writer, ensure_installation
from services.ops.cli import EXPECTED, create_cli
from services.ops.export import manifest as m
from services.ops.export.restore import check, restore
from services.ops.export.tables import METADATA, shape_of, tables_of
from services.ops.export.write import export
from services.ops.install import SERVICES
from services.ops.local.postgres import LocalPostgres
from services.ops.replay.run import replay
from tests.databases import service_role
from tests.integration.installations import TIERED, TOPIC, Installation, follow, installed
from tests.integration.ledger_rows import CHAINS, Ledger, member_on
from tests.integration.verify_book import filled_ledger, look

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module")
async def source(postgres: LocalPostgres) -> AsyncIterator[Installation]:
    """The richest ledger, and tiering and rewards that have read it."""
    async with AsyncExitStack() as stack:
        made = Installation(postgres.url)
        for service in ("tiering", "rewards"):
            await stack.enter_async_context(service_role(service, made.urls[service]))
        ledger = await stack.enter_async_context(filled_ledger(made.urls["ledger"]))
        await ledger.activate(TIERED)
        for chain in range(CHAINS):
            for number in range(3):
                told = ledger.purchase(f"t{chain}-{number}", 6_000, member=member_on(chain), program="tiered")
                await ledger.take(told)
        await follow(made, ledger)
        yield made


@pytest_asyncio.fixture
async def target(postgres: LocalPostgres) -> AsyncIterator[Installation]:
    async with installed(postgres.url) as made:
        yield made


@pytest_asyncio.fixture(scope="module")
async def empty(postgres: LocalPostgres) -> AsyncIterator[Installation]:
    """An installation that nothing is ever restored into."""
    async with installed(postgres.url) as made:
        yield made
        assert await made.is_empty()


@pytest.fixture(scope="module")
def exported(source: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the source."""
    folder = tmp_path_factory.mktemp("exports") / "one"
    done = CliRunner().invoke(create_cli(), ["export", str(folder), "--json", *source.flags])
    assert done.exit_code == 0, done.output
    return folder


async def run(*arguments: str) -> Result:
    """The command line."""
    return await asyncio.to_thread(CliRunner().invoke, create_cli(), list(arguments))


async def refused(target: Installation, folder: Path, *options: str) -> str:
    """What a restore says that is refused, which has left nothing behind."""
    before = await target.content()
    done = await run("restore", str(folder), *options, *target.flags)
    assert isinstance(done.exception, EXPECTED), done.output
    assert await target.content() == before
    return str(done.exception)


async def findings(of: Installation) -> list[str]:
    """Where `verify` finds something in the ledger's database."""
    connection = await asyncpg.connect(of.urls["ledger"], server_settings={"timezone": "UTC"})
    async with connection.transaction(isolation="repeatable_read"):
        report = await look(connection)
    await connection.close()
    # The source only pretends to have read row 7 of a stream.
    return [finding.where for finding in report.findings if "tiers.v1" not in finding.where]


async def test_a_round_trip_gives_the_same_rows_and_the_book_goes_on(
    source: Installation, exported: Path, target: Installation
) -> None:
    done = await run("restore", str(exported), "--json", *target.flags)
    assert done.exit_code == 0, (done.output, done.exception)
    assert json.loads(done.stdout)["rebuilt_the_same"] == dict.fromkeys(SERVICES, True)
    for service in SERVICES:
        for table in tables_of(service, personal_data=False):
            assert await target.rows(service, table) == await source.rows(service, table), table
    assert len(await target.rows("tiering", "tier_history")) >= CHAINS
    assert len(await target.rows("rewards", "vouchers")) >= CHAINS
    async with Ledger.open(target.databases["ledger"].url) as ledger:
        member = member_on(0)
        before = await ledger.value("SELECT count(*) FROM journal")
        (again,) = await ledger.take(ledger.purchase(f"{member}-1", 30_000, member=member, quantity=3))
        assert again.duplicate
        assert await ledger.value("SELECT count(*) FROM journal") == before
        (new,) = await ledger.take(ledger.purchase("after", 1_000, member=member))
        assert not new.duplicate
        # A relay has all of it to publish: the topics of a new installation are empty.
        assert await ledger.value("SELECT max(position) FROM relay_positions") == 0
    # What the export was not asked for is missed, and nothing else.
    assert {where.split()[0] for where in await findings(target)} == {"member_keys"}
    result = await asyncio.to_thread(replay, "ledger", target.urls, 1)
    assert result.same


async def test_the_manifest_says_what_is_there(source: Installation, exported: Path) -> None:
    made = m.read(exported)
    assert made.chains == CHAINS
    rows = {(service, part.table, part.chain): part for service, part in m.parts_of(made)}
    ledger = await asyncpg.connect(source.urls["ledger"])
    for chain, position, hash_ in await ledger.fetch("SELECT chain, position, hash FROM chain_heads"):
        part = rows["ledger", "journal", chain]
        assert part.rows == position
        told = pq.read_table(exported / part.file)
        assert told["hash"][-1].as_py() == hash_
        assert [tuple(row.values()) for row in told.to_pylist()] == [
            tuple(row)
            for row in await ledger.fetch("SELECT * FROM journal WHERE chain = $1 ORDER BY position", chain)
        ]
    await ledger.close()


def test_only_its_owner_may_look_into_an_export_and_empty_tables_have_no_file(exported: Path) -> None:
    named = {part.file for _, part in m.parts_of(m.read(exported)) if part.rows}
    assert {file.relative_to(exported).as_posix() for file in exported.rglob("*.parquet")} == named
    assert exported.stat().st_mode & 0o077 == 0


def test_texts_are_ordered_by_their_bytes_whatever_the_databases_collation() -> None:
    """A server with another collation is not to be had everywhere; the order that is asked for says it."""
    for service, metadata in METADATA.items():
        for table in tables_of(service, personal_data=True):
            ordered = shape_of(service, table).query("public", 0).partition("ORDER BY ")[2].split(", ")
            key = metadata.tables[table].primary_key.columns
            assert ordered == [
                f'"{column.name}" COLLATE "C"' if isinstance(column.type, Text) else f'"{column.name}"'
                for column in key
            ]


async def test_keys_of_callers_never_leave_and_personal_data_only_when_asked(
    source: Installation, exported: Path, target: Installation, tmp_path: Path
) -> None:
    assert await source.rows("ledger", "member_keys")
    names = {part.table for _, part in m.parts_of(m.read(exported))}
    assert not names & {"api_keys", "member_keys", "member_birthdays"}
    done = await run("export", str(tmp_path / "all"), "--personal-data", *source.flags)
    assert done.exit_code == 0, done.output
    told = m.read(tmp_path / "all")
    assert {part.table for _, part in m.parts_of(told)} - names == {"member_keys", "member_birthdays"}
    digest = done.stdout.split("SHA-256 ")[1].split()[0]
    done = await run("restore", str(tmp_path / "all"), "--manifest-sha256", digest, *target.flags)
    assert done.exit_code == 0, (done.output, done.exception)
    assert await target.rows("ledger", "member_keys") == await source.rows("ledger", "member_keys")
    assert await findings(target) == []


def _edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        told = json.loads((folder / m.FILE).read_text())
        change(told)
        (folder / m.FILE).write_text(json.dumps(told))

    return edit


def _flip_a_byte(folder: Path) -> None:
    file = folder / "ledger/postings/0001.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _journal(told: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(
        part for part in told["services"]["ledger"]["parts"] if part["table"] == "journal"
    )
    return found


MISTAKES = {
    "a byte": (_flip_a_byte, "0001.parquet was changed"),
    "a file": (lambda folder: (folder / "ledger/journal/0000.parquet").unlink(), "can't be read"),
    "no manifest": (lambda folder: (folder / m.FILE).unlink(), "no export"),
    "no json": (lambda folder: (folder / m.FILE).write_text("{"), "no manifest of format 1"),
    "format": (_edit(lambda told: told.update(format=2)), "no manifest of format 1"),
    "chains": (_edit(lambda told: told.update(chains=5)), "chain 4 is missing"),
    "digest": (_edit(lambda told: _journal(told).update(digest="0" * 64)), "the manifest says"),
    "rows": (_edit(lambda told: _journal(told).update(rows=1)), "the manifest says"),
    "head": (
        _edit(lambda told: told["services"]["ledger"]["heads"][0].update(hash="0" * 64)),
        "the heads of the chains",
    ),
    "a part": (_edit(lambda told: told["services"]["ledger"]["parts"].pop()), "is missing"),
    "a service": (_edit(lambda told: told["services"].pop("tiering")), "without tiering"),
    "a place": (_edit(lambda told: _journal(told).update(file="../../etc/passwd")), "names the file"),
    "schema": (
        _edit(lambda told: told["services"]["rewards"].update(schema_version="0000")),
        "has schema 0001",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_an_export_that_was_edited_is_refused_and_nothing_is_written(
    exported: Path, empty: Installation, tmp_path: Path, mistake: str
) -> None:
    folder = tmp_path / "edited"
    shutil.copytree(exported, folder)
    edit, words = MISTAKES[mistake]
    edit(folder)
    assert words in await refused(empty, folder)
    assert await empty.is_empty()


async def test_a_manifest_that_is_not_the_one_that_was_kept_is_refused(
    exported: Path, empty: Installation
) -> None:
    assert "not the one that was kept" in await refused(empty, exported, "--manifest-sha256", "0" * 64)


async def test_a_row_changed_before_the_export_is_found_by_its_hash(
    postgres: LocalPostgres, empty: Installation, tmp_path: Path
) -> None:
    async with installed(postgres.url) as made:
        for service, database in made.databases.items():
            writer = await Writer.connect(database.url)
            await ensure_installation(writer, CHAINS)
            await writer.close()
            if service == "ledger":
                async with Ledger.open(database.url) as ledger:
                    await ledger.activate()
                    await ledger.take(ledger.purchase("p1"))
        owner = await asyncpg.connect(made.urls["ledger"])
        await owner.execute("ALTER TABLE journal DISABLE TRIGGER USER")
        await owner.execute("UPDATE journal SET member = 'bob' WHERE type = 'PointsAccrued'")
        await owner.close()
        done = await run("export", str(tmp_path / "e"), *made.flags)
        assert done.exit_code == 0, done.output
    assert "the hash chain is broken" in await refused(empty, tmp_path / "e")
    assert await empty.is_empty()


async def test_a_database_in_use_or_with_rows_is_refused(exported: Path, target: Installation) -> None:
    owner = await asyncpg.connect(target.urls["rewards"])
    await owner.execute("INSERT INTO inbox VALUES (0, 's', 'i', '', 0, 1, NULL, NULL)")
    await owner.close()
    assert "the rewards database is not empty: there are rows in inbox" in await refused(target, exported)
    writer = await Writer.connect(target.databases["ledger"].url)
    await ensure_installation(writer, CHAINS)
    await writer.close()
    assert "the ledger database is in use" in await refused(target, exported)


async def test_an_interrupted_restore_leaves_the_installation_empty(
    exported: Path, target: Installation
) -> None:
    manifest = m.read(exported)
    check(manifest)
    all_ = sum(part.rows for _, part in m.parts_of(manifest))
    written = 0

    def interrupt(rows: int) -> None:
        nonlocal written
        written += rows
        if written > all_ - 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await asyncio.to_thread(restore, target.urls, exported, manifest, interrupt)
    assert await target.is_empty()
    assert (await run("restore", str(exported), *target.flags)).exit_code == 0


async def test_an_export_goes_into_a_new_folder_and_wrong_options_are_told(
    source: Installation, exported: Path, tmp_path: Path
) -> None:
    again = await run("export", str(exported), *source.flags)
    assert "is not empty" in str(again.exception)
    assert (await run("export", str(tmp_path / "x"), "--service", "till", *source.flags)).exit_code == 2
    nowhere = await run(
        "export", str(tmp_path / "y"), "--database-url", source.server_url, "--database-prefix", "no"
    )
    assert isinstance(nowhere.exception, EXPECTED)
    one = await run("export", str(tmp_path / "z"), "--service", "tiering", *source.flags)
    assert one.exit_code == 0 and set(m.read(tmp_path / "z").services) == {"tiering"}


async def test_nobody_has_read_what_the_export_has_not(source: Installation, tmp_path: Path) -> None:
    """While rewards and tiering follow a ledger that is written to."""
    async with Ledger.open(source.urls["ledger"]) as ledger:
        done = asyncio.Event()

        async def write() -> None:
            number = 0
            while not done.is_set():
                number += 1
                told = ledger.purchase(
                    f"w{number}", 6_000, member=member_on(number % CHAINS), program="tiered"
                )
                await ledger.take(told)
                await follow(source, ledger)

        writing = asyncio.create_task(write())
        made, _ = await asyncio.to_thread(export, source.urls, SERVICES, tmp_path / "busy", utc_now())
        done.set()
        await writing
    heads = {head.chain: head.position for head in made.services["ledger"].heads}
    for service in ("tiering", "rewards"):
        for part in made.services[service].parts:
            if part.table == "stream_positions" and part.file:
                for row in pq.read_table(tmp_path / "busy" / part.file).to_pylist():
                    if row["topic"] == TOPIC:
                        assert row["position"] <= heads[row["chain"]]
