"""The broker of this machine: which one is taken and why, and what it keeps over a kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.ops.local.kafka import ApacheKafka, ExternalKafka, local_kafka
from services.ops.local.kafka_jars import NoApacheKafka, find_kafka_programs
from services.ops.local.light_broker import LightBroker
from services.ops.local.process import ServerFailed

RECORDS = 500


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker is named and none is required."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "TALLY_REQUIRE_KAFKA", "KAFKA_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def own(server_folder: Path, alone: None) -> Iterator[ApacheKafka]:
    broker = ApacheKafka(server_folder / "own-kafka", find_kafka_programs)
    try:
        broker.start()
        yield broker
    except NoApacheKafka as missing:
        pytest.skip(f"needs Apache Kafka: {missing}")
    finally:
        broker.remove()


async def fill(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 4, 1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        sent = [await producer.send(topic, b"%d" % n, key=b"%d" % n) for n in range(RECORDS)]
        for acknowledged in sent:
            await acknowledged


async def count(bootstrap: str, topic: str) -> int:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        ends = await consumer.end_offsets([TopicPartition(topic, partition) for partition in range(4)])
        return sum(ends.values())


@pytest.mark.integration
async def test_acknowledged_records_are_there_after_a_kill(own: ApacheKafka) -> None:
    bootstrap = own.bootstrap
    await fill(bootstrap, "kept")
    own.kill()
    assert not own.running()
    own.start()
    assert own.bootstrap == bootstrap, "clients find the broker at the place where it was"
    assert await count(bootstrap, "kept") == RECORDS


@pytest.mark.integration
async def test_the_light_broker_serves_a_plain_client(server_folder: Path, alone: None) -> None:
    try:
        broker = LightBroker(server_folder / "light", "this test asks for it")
    except ServerFailed as missing:
        pytest.skip(str(missing))
    try:
        broker.start()
        await fill(broker.bootstrap, "seen")
        assert await count(broker.bootstrap, "seen") == RECORDS
        assert "this test asks for it" in broker.why
    finally:
        broker.remove()


def test_a_named_broker_is_used_and_never_stopped(
    alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "broker.example:9092")
    broker = local_kafka(tmp_path / "unused")
    assert isinstance(broker, ExternalKafka)
    broker.start()
    broker.remove()
    assert broker.bootstrap == "broker.example:9092"


def test_without_java_the_light_broker_is_taken_and_says_why(
    alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("noida_db")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    broker = local_kafka(tmp_path / "kafka")
    assert isinstance(broker, LightBroker)
    assert "no Java" in broker.why


def test_where_apache_kafka_is_required_nothing_else_will_do(
    alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("TALLY_REQUIRE_KAFKA", "apache")
    with pytest.raises(NoApacheKafka, match="no Java"):
        local_kafka(tmp_path / "kafka")


def test_a_kafka_home_without_kafka_is_refused(
    alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    monkeypatch.setenv("TALLY_REQUIRE_KAFKA", "apache")
    with pytest.raises(NoApacheKafka):
        local_kafka(tmp_path / "kafka")
