"""The one consumer loop on real servers: each record ends in exactly one place, and nothing is skipped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from structlog.testing import capture_logs

from services.common.consumer import ROOM_RECORDS, Consumer
from services.common.dead_letter import VALUE_BYTES_MAX
from services.common.errors import InvariantBroken
from services.common.migrate import upgrade
from services.ops.local.postgres import EmbeddedPostgres
from tests.databases import service_role
from tests.integration.consuming import Place, Recorder, make_topics, place, running
from tests.poll import TIMEOUT_SECONDS, eventually

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def here(bootstrap: str, database: str, topic_prefix: str) -> AsyncIterator[Place]:
    async with service_role("ledger", database), place(bootstrap, database, topic_prefix) as found:
        yield found


async def level(here: Place, offset: int, partition: int = 0) -> None:
    async def there() -> bool:
        return await here.next_offset(partition) == offset

    await eventually(there, f"offset {offset} of partition {partition} is committed")


async def test_records_are_taken_in_order_and_counted(here: Place) -> None:
    values = [f"v{n}" for n in range(1_200)]
    await here.send(*values)
    async with running(here.consumer(Recorder(), batch_records=100)):
        await level(here, 1_200)
    assert await here.taken() == values
    assert await here.adds_up()


async def test_while_others_want_the_chains_fewer_are_taken_at_a_time(here: Place) -> None:
    sizes: list[int] = []
    asked = True

    def note(items: Sequence[str]) -> None:
        sizes.append(len(items))
        if asked:
            consumer.make_room()

    consumer = here.consumer(Recorder(before=note), batch_records=500)
    values = [f"v{n}" for n in range(1_000)]
    await here.send(*values)
    async with running(consumer):
        await level(here, 1_000)
        assert max(sizes[1:]) <= ROOM_RECORDS
        assert await here.taken() == values
        asked = False

        async def whole_again() -> bool:
            await here.send(*(["more"] * 3 * ROOM_RECORDS))
            return sizes[-1] > ROOM_RECORDS

        await eventually(whole_again, "a batch is whole again")
    assert await here.adds_up()


async def test_records_of_transactions_are_taken_when_committed_and_their_marks_counted(
    here: Place,
) -> None:
    """Records, a mark, records that were given up, their mark: to the very end of the topic."""
    async with AIOKafkaProducer(bootstrap_servers=here.bootstrap, transactional_id=here.topic) as producer:
        async with producer.transaction():
            await producer.send_and_wait(here.topic, b"v0", partition=0)
            await producer.send_and_wait(here.topic, b"bad-1", partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(here.topic, b"given up", partition=0)
        await producer.abort_transaction()
        async with running(here.consumer(Recorder())):
            await level(here, 5)
            async with producer.transaction():
                await producer.send_and_wait(here.topic, b"v5", partition=0)
            await level(here, 7)
    assert await here.taken() == ["v0", "v5"]
    row = await here.offsets()
    assert row is not None
    assert (row["recorded"], row["dead_lettered"], row["without_record"]) == (2, 1, 4)
    assert await here.adds_up()


async def test_a_bad_and_a_poisonous_record_are_found_and_the_others_taken(here: Place) -> None:
    values = [f"v{n}" for n in range(60)]
    values[0], values[17], values[18], values[40], values[59] = (
        "bad-0",
        "poison-17",
        "poison-18",
        "bad-40",
        "bad-59",
    )
    await here.send(*values)
    async with running(here.consumer(Recorder())):
        await level(here, 60)
    assert await here.taken() == [v for v in values if v.startswith("v")]
    row = await here.offsets()
    assert row is not None
    assert (row["recorded"], row["dead_lettered"]) == (55, 5)
    letters = {int(dict(letter.headers)["dead_letter_offset"]): letter for letter in await here.dead(5)}
    assert {offset: letter.value for offset, letter in letters.items()} == {
        n: values[n].encode() for n in (0, 17, 18, 40, 59)
    }
    headers = dict(letters[17].headers)
    assert headers["ce_id"] == b"7"
    assert headers["dead_letter_topic"] == here.topic.encode()
    assert headers["dead_letter_partition"] == b"0"
    assert headers["dead_letter_reason"] == b"failed to apply: Bad"
    assert dict(letters[40].headers)["dead_letter_reason"] == b"bad-40 is bad"
    assert letters[17].key == f"{here.topic}/0/17".encode()


async def test_the_log_names_a_dead_letters_place_and_not_what_was_sent(here: Place) -> None:
    await here.send("bad card 4929-1234")
    with capture_logs() as lines:
        async with running(here.consumer(Recorder())):
            await level(here, 1)
    (line,) = [line for line in lines if line["event"] == "dead letter"]
    assert (line["partition"], line["offset"]) == (f"TopicPartition(topic='{here.topic}', partition=0)", 0)
    assert "4929" not in repr(lines)
    (letter,) = await here.dead(1)
    assert dict(letter.headers)["dead_letter_reason"] == b"bad card 4929-1234 is bad"


async def test_a_record_too_big_for_the_dead_letters_is_cut_and_says_so(here: Place) -> None:
    """A compressed batch can hold a record that is larger than the brokers take uncompressed."""
    big = b"bad" + bytes(VALUE_BYTES_MAX)
    async with AIOKafkaProducer(
        bootstrap_servers=here.bootstrap, compression_type="gzip", max_request_size=4_000_000
    ) as producer:
        await producer.send_and_wait(here.topic, big, partition=0, headers=[("big", bytes(200_000))])
    await here.send("v1")
    async with running(here.consumer(Recorder())):
        await level(here, 2)
    (letter,) = await here.dead(1)
    assert letter.value == big[:VALUE_BYTES_MAX]
    headers = dict(letter.headers)
    assert headers["dead_letter_value_bytes"] == b"%d" % len(big)
    assert "big" not in headers
    assert await here.taken() == ["v1"]


async def test_dead_letters_that_cant_be_written_stop_the_consumer_and_nothing_is_skipped(
    bootstrap: str, database: str, topic_prefix: str
) -> None:
    async with (
        service_role("ledger", database),
        place(bootstrap, database, topic_prefix, dead_letters=False) as here,
    ):
        await here.send("v0", "bad-1", "v2")
        async with running(here.consumer(Recorder(), batch_records=1)) as task:
            with pytest.raises(KafkaError):
                await asyncio.wait_for(task, TIMEOUT_SECONDS)
        assert await here.taken() == ["v0"]
        assert await here.next_offset() == 1
        await make_topics(bootstrap, {here.dead_topic: 1})
        async with running(here.consumer(Recorder())):
            await level(here, 3)
        assert await here.taken() == ["v0", "v2"]
        assert len(await here.dead(1)) == 1
        assert await here.adds_up()


async def test_a_crash_between_the_halves_of_a_batch_loses_no_count(here: Place) -> None:
    await here.send("bad-0", "v1", "v2", "poison-3", "v4")

    def crash(items: Sequence[str]) -> None:
        if items[0] == "poison-3":
            raise InvariantBroken("the process dies here")

    async with running(here.consumer(Recorder(before=crash))) as task:
        with pytest.raises(InvariantBroken, match="dies here"):
            await asyncio.wait_for(task, TIMEOUT_SECONDS)
    assert await here.next_offset() == 3
    assert await here.adds_up()
    async with running(here.consumer(Recorder())):
        await level(here, 5)
    assert await here.taken() == ["v1", "v2", "v4"]
    assert await here.adds_up()


async def test_a_restart_goes_on_where_postgres_says(here: Place) -> None:
    for start in (0, 50, 100):
        await here.send(*(f"v{n}" for n in range(start, start + 50)))
        async with running(here.consumer(Recorder(), group=f"group-{start}")):
            await level(here, start + 50)
    assert await here.taken() == [f"v{n}" for n in range(150)]
    row = await here.offsets()
    assert row is not None
    assert row["epoch"] == 3


async def test_a_consumer_that_lost_its_partition_cant_commit(here: Place) -> None:
    """Two groups, so that both believe they own the partition: the one that came last does."""
    await here.send("v0", "v1")
    slow = Recorder("slow", gate=asyncio.Event())
    async with running(here.consumer(slow, group="slow")) as task:
        await asyncio.wait_for(slow.entered.wait(), TIMEOUT_SECONDS)
        async with running(here.consumer(Recorder("fast"), group="fast")):
            await level(here, 2)
            assert slow.gate is not None
            slow.gate.set()
            await here.send("v2")
            await level(here, 3)
            assert not task.done()
    async with here.writer.session() as session:
        rows = await session.fetch("SELECT value, owner FROM taken")
    assert sorted(map(tuple, rows)) == [("v0", "fast"), ("v1", "fast"), ("v2", "fast")]


@pytest.mark.apache_kafka
async def test_partitions_handed_over_again_and_again_lose_and_double_nothing(
    bootstrap: str, database: str, topic_prefix: str
) -> None:
    count, partitions = 1_500, 4
    async with (
        service_role("ledger", database),
        place(bootstrap, database, topic_prefix, partitions) as here,
    ):

        async def feed() -> None:
            for n in range(count):
                await here.send(f"v{n}", partition=n % partitions)

        async def all_taken() -> bool:
            return len(await here.taken()) >= count

        async def owned(consumer: Consumer) -> bool:
            return len(consumer.partitions) > 0

        feeding = asyncio.create_task(feed())
        steady = here.consumer(Recorder("steady"), batch_records=20)
        async with running(steady) as task:
            for _ in range(2):
                guest = here.consumer(Recorder("guest"), batch_records=20)
                async with running(guest):
                    await eventually(lambda guest=guest: owned(guest), "the guest has partitions")  # type: ignore[misc]
            await feeding
            await eventually(all_taken, "everything is taken")
            assert not task.done()
        taken = await here.taken()
        assert sorted(taken) == sorted(f"v{n}" for n in range(count))
        for partition in range(partitions):
            of = [int(v[1:]) for v in taken if int(v[1:]) % partitions == partition]
            assert of == sorted(of)
            assert await here.adds_up(partition)


async def test_postgres_may_restart_in_the_middle(
    bootstrap: str, server_folder: Path, topic_prefix: str
) -> None:
    server = EmbeddedPostgres(server_folder / "restarting")
    try:
        await asyncio.to_thread(server.start)
        # No role of its own here: its connection would not outlive the server.
        await asyncio.to_thread(upgrade, "ledger", server.url, "postgres")
        async with place(bootstrap, server.url, topic_prefix) as here:
            await here.send(*(f"v{n}" for n in range(300)))
            async with running(here.consumer(Recorder(), batch_records=10)) as task:
                await level(here, 300)
                await asyncio.to_thread(server.kill)
                await here.send(*(f"v{n}" for n in range(300, 400)))
                await asyncio.to_thread(server.start)
                await level(here, 400)
                assert not task.done()
            assert await here.taken() == [f"v{n}" for n in range(400)]
    finally:
        await asyncio.to_thread(server.remove)


async def test_a_record_that_our_own_stream_cant_have_stops_the_process_at_its_place(here: Place) -> None:
    await here.send("v0", "bad-1", "v2")
    async with running(here.consumer(Recorder(own_stream=True))) as task:
        with pytest.raises(InvariantBroken, match=f"{here.topic}/0 offset 1: bad-1 is bad"):
            await asyncio.wait_for(task, 20)
    assert await here.taken() == ["v0"]
    assert await here.next_offset() == 1
    assert await here.adds_up()


async def test_a_record_of_our_own_stream_that_cant_be_applied_stops_the_process(here: Place) -> None:
    await here.send("v0", "poison-1", "v2")
    async with running(here.consumer(Recorder(own_stream=True), batch_records=1)) as task:
        with pytest.raises(InvariantBroken):
            await asyncio.wait_for(task, TIMEOUT_SECONDS)
    assert await here.taken() == ["v0"]
    assert await here.next_offset() == 1
