"""Seals of a real book, in a folder and on Kafka; and what `verify` finds by them that it can't find alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from typer.testing import CliRunner

from services.common.topics import create_topics
from services.ops.cli import create_cli
from services.ops.local.stack import Stack
from services.ops.seal.document import SealFile, fingerprint, read_seals
from services.ops.seal.keys import make_key, private_key, public_key, public_path
from services.ops.seal.make import SealRefused, make_seal
from services.ops.seal.topic import SealTopic
from services.ops.verify.findings import Finding
from services.ops.verify.run import Book, verify_book
from tallybook.seals.v1 import seals_pb2 as pb
from tests.databases import service_role
from tests.integration.ledger_rows import CHAINS, NOON, Ledger, member_on
from tests.integration.tampering import committed, forge, superuser

pytestmark = pytest.mark.integration


@dataclass
class Sealing:
    """A ledger, the owner's URL of its database, and where its seals are."""

    ledger: Ledger
    url: str
    folder: Path
    key: Path
    made: int = 0

    async def seal(self, topic: SealTopic | None = None) -> SealFile:
        self.made += 1
        now = NOON + self.made * timedelta(hours=1)
        return await make_seal({"ledger": self.url}, self.folder, private_key(self.key), now, topic)

    async def sell(self, number: int, member: str = "ann") -> None:
        await self.ledger.take(self.ledger.purchase(f"{member}-{number}", 5_000, member=member))

    async def verify(self, *, sealed: bool = True, key: Path | None = None) -> list[Finding]:
        seals = read_seals(self.folder) if sealed else ()
        book = Book({"ledger": self.url}, seals=seals, public_key=public_key(public_path(key or self.key)))
        return (await asyncio.to_thread(verify_book, book)).report.findings


@pytest_asyncio.fixture
async def book(database: str, tmp_path: Path) -> AsyncIterator[Sealing]:
    """Members on every chain, each with a purchase, and one seal."""
    make_key(tmp_path / "key.pem")
    async with service_role("ledger", database) as url, Ledger.open(url) as ledger:
        await ledger.activate()
        sealing = Sealing(ledger, database, tmp_path / "seals", tmp_path / "key.pem")
        for chain in range(CHAINS):
            await sealing.sell(1, member_on(chain))
        await sealing.seal()
        yield sealing


async def test_a_book_that_goes_on_has_all_that_was_sealed(book: Sealing) -> None:
    for number in (2, 3):
        await book.sell(number)
        await book.seal()
    await book.sell(4)
    assert await book.verify() == []
    assert [file.seal.number for file in read_seals(book.folder)] == [1, 2, 3]
    sealed = Book({"ledger": book.url}, seals=read_seals(book.folder))
    verified = await asyncio.to_thread(verify_book, sealed)
    assert verified.report.looked["seals"] == 3 + 3 * CHAINS


async def test_a_row_changed_with_every_hash_made_right_is_found_by_the_seal(book: Sealing) -> None:
    async with superuser(book.url) as connection:
        row = await connection.fetchrow("SELECT * FROM journal WHERE chain = 0 AND type = 'ProgramActivated'")
        before = await connection.fetchval("SELECT hash FROM journal WHERE chain = 0 ORDER BY position DESC")
    async with committed(book.url) as connection:
        await connection.execute(
            "UPDATE journal SET recorded_at = recorded_at - interval '1 day' WHERE chain = 0"
        )
        await forge(connection, 0, row["position"], row["payload"])
        assert before != await connection.fetchval("SELECT hash FROM chain_heads WHERE chain = 0")
    assert await book.verify(sealed=False) == []
    (found,) = await book.verify()
    assert (found.check, found.chain) == ("seals", 0)
    assert "is not the row that seal-00000001.json has sealed" in found.what
    with pytest.raises(SealRefused, match="is not the row that was sealed last"):
        await book.seal()


async def test_an_end_that_was_cut_off_in_all_tables_is_found_by_the_seal_alone(book: Sealing) -> None:
    await book.ledger.take(book.ledger.purchase("refused", member="card:nobody"))
    await book.seal()
    async with committed(book.url) as connection:
        chain, position = await connection.fetchrow(
            "DELETE FROM journal WHERE type = 'ActivityRejected' RETURNING chain, position"
        )
        await connection.execute("DELETE FROM inbox WHERE rejection IS NOT NULL")
        await connection.execute(
            "UPDATE chain_heads AS h SET (position, hash) = (SELECT position, hash FROM journal "
            "WHERE chain = h.chain ORDER BY position DESC LIMIT 1)"
        )
    assert await book.verify(sealed=False) == []
    assert [(found.check, found.where, found.what) for found in await book.verify()] == [
        (
            "seals",
            f"journal {chain}-{position}",
            f"seal-00000002.json has sealed it, and the journal ends at {position - 1}",
        )
    ]


async def test_an_edited_seal_another_key_and_another_database_are_found(
    book: Sealing, tmp_path: Path
) -> None:
    (file,) = book.folder.iterdir()
    text = file.read_text()
    told = json.loads(text)
    told["journals"][0]["heads"][1]["position"] = "1"
    file.write_text(json.dumps(told))
    assert {found.what for found in await book.verify()} >= {
        "its signature is not that of its content: it was changed, or never signed"
    }
    with pytest.raises(SealRefused, match="it was changed"):
        await book.seal()
    file.write_text(text)
    make_key(tmp_path / "other.pem")
    (found,) = await book.verify(key=tmp_path / "other.pem")
    assert fingerprint(public_key(public_path(tmp_path / "other.pem"))) in found.what
    async with committed(book.url) as connection:
        await connection.execute("UPDATE installation SET id = gen_random_uuid()")
    (found,) = await book.verify()
    assert found.where == "installation ledger"
    with pytest.raises(SealRefused, match="another database of ledger"):
        await book.seal()


async def test_nothing_is_sealed_whose_head_is_not_its_row(book: Sealing) -> None:
    async with committed(book.url) as connection:
        await connection.execute("UPDATE chain_heads SET hash = sha256(hash) WHERE chain = 2")
    with pytest.raises(SealRefused, match="chain 2 of ledger"):
        await book.seal()
    assert len(read_seals(book.folder)) == 1


async def test_seals_are_published_once_each_and_those_of_a_night_without_kafka_later(
    book: Sealing, bootstrap: str, topic_prefix: str
) -> None:
    await create_topics(bootstrap, topic_prefix, CHAINS)
    for _ in range(2):
        async with SealTopic(bootstrap, topic_prefix) as topic:
            await book.sell(2)
            await book.seal(topic)
    assert await published(bootstrap, topic_prefix) == [file.seal for file in read_seals(book.folder)]
    assert len(read_seals(book.folder)) == 3
    async with SealTopic(bootstrap, topic_prefix) as topic:
        (book.folder / "seal-00000003.json").unlink()
        with pytest.raises(SealRefused, match="ends with a seal 3 that is not in this folder"):
            await book.seal(topic)


async def published(bootstrap: str, prefix: str) -> list[pb.Seal]:
    place = TopicPartition(f"{prefix}seals.v1", 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        end = (await consumer.end_offsets([place]))[place]
        found = []
        while len(found) < end:
            record = await consumer.getone()
            assert dict(record.headers)["ce_type"] == b"tallybook.seals.v1.Seal"
            found.append(pb.Seal.FromString(record.value))
    return found


async def test_the_command_line_makes_a_key_and_says_what_is_missing(tmp_path: Path) -> None:
    run = CliRunner().invoke
    key = str(tmp_path / "key.pem")
    made = run(create_cli(), ["seal", "--new-key", "--key", key, "--json"])
    assert json.loads(made.stdout)["fingerprint"] == fingerprint(
        public_key(public_path(tmp_path / "key.pem"))
    )
    assert "PRIVATE" not in made.output
    again = run(create_cli(), ["seal", "--new-key", "--key", key])
    assert "File exists" in str(again.exception)
    never = run(create_cli(), ["seal", "--every", "sometimes", "--key", key])
    assert (never.exit_code, "such as 30m" in never.output) == (2, True)
    alone = run(create_cli(), ["verify", "--public-key", key + ".pub"])
    assert (alone.exit_code, "--seal" in alone.output) == (2, True)


def test_a_whole_stack_is_sealed_and_verified_by_the_command_line(stack: Stack, tmp_path: Path) -> None:
    """Without Kafka: the topic of the shared stack is not this test's."""
    prefix = database_name_of(stack)
    place = ["--no-broker", "--database-url", stack.owner_url("ledger"), "--database-prefix", prefix]
    key, folder = str(tmp_path / "key.pem"), str(tmp_path / "seals")
    run = CliRunner().invoke
    assert run(create_cli(), ["seal", "--new-key", "--key", key]).exit_code == 0
    for number in (1, 2):
        made = run(create_cli(), ["seal", "--json", "--key", key, "--folder", folder, *place])
        assert (made.exit_code, json.loads(made.stdout)["number"]) == (0, number), made.output
    sealed = ["verify", "--json", "--seal", folder, "--public-key", f"{key}.pub", *place]
    clean = json.loads(run(create_cli(), sealed).stdout)
    assert [found for found in clean["findings"] if found["check"] == "seals"] == []
    assert list(clean["signed_by"].values()) == [2]
    file = tmp_path / "seals" / "seal-00000002.json"
    file.write_text(file.read_text().replace('"number": "2"', '"number": "3"'))
    wrong = run(create_cli(), sealed)
    assert wrong.exit_code == 1
    assert {
        found["where"] for found in json.loads(wrong.stdout)["findings"] if found["check"] == "seals"
    } == {"seal-00000002.json"}


def database_name_of(stack: Stack) -> str:
    """What the databases' names begin with."""
    return stack.owner_url("ledger").rpartition("/")[2].removesuffix("_ledger")
