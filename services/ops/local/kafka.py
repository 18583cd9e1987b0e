"""One Kafka broker for a stack.

KAFKA_BOOTSTRAP_SERVERS if set; else Apache Kafka on this machine, one node that is its own quorum (KRaft); else,
where there is no Java or no Maven, the light broker (light_broker.py). TALLY_REQUIRE_KAFKA=apache forbids the last.
"""

from __future__ import annotations

import os
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import cache
from pathlib import Path

from services.ops.local.broker_process import BrokerProcess
from services.ops.local.kafka_jars import KafkaPrograms, NoApacheKafka, find_kafka_programs, kafka_folder
from services.ops.local.light_broker import LightBroker
from services.ops.local.ports import free_port
from services.ops.local.process import ServerFailed

# Only the JVM's first compiler: the second works for minutes before it earns back what it takes. Measured with Java 17:
# a start takes 5.8 s of CPU where it took 9, records one by one half as much, records in bulk a third less.
JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
START_SECONDS = 120.0
STOP_SECONDS = 20.0
PROPERTIES_FILE = "server.properties"
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    # Topics are made from proto/topics.yaml; a topic that appears by a typing error would lose records quietly.
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A year-old event is not old to a ledger that is being filled: nothing is deleted by age.
    "log.retention.ms": "-1",
    # On one machine nobody else is about to join; a lost member is noticed soon where its session says so.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # A broker that was killed may come back only when its own quorum has given up its last session (9 s otherwise).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}


class ExternalKafka:
    """A broker of the user's own: used, never started, never stopped."""

    owned = False
    kind = "external"

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.why = "Kafka: yours, KAFKA_BOOTSTRAP_SERVERS is set"

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def remove(self) -> None:
        """Nothing to remove."""


class ApacheKafka(BrokerProcess):
    """Apache Kafka in `folder`: its data, its log and its ports stay the same over restarts."""

    kind = "apache"

    def __init__(self, folder: Path, programs: Callable[[], KafkaPrograms]) -> None:
        super().__init__(folder, START_SECONDS, STOP_SECONDS)
        self._programs = programs

    @classmethod
    def made(cls, folder: Path) -> bool:
        """True when this folder already holds an Apache Kafka's data."""
        return (folder / PROPERTIES_FILE).exists()

    @property
    def why(self) -> str:
        return f"Kafka: Apache Kafka ({self._programs().origin}); KAFKA_BOOTSTRAP_SERVERS is not set"

    def prepare(self) -> None:
        broker, controller = free_port(), free_port()
        self.write_bootstrap(f"127.0.0.1:{broker}")
        here = {
            "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "log.dirs": str(self.folder / "data"),
        }
        self._properties.write_text(
            "".join(f"{name}={value}\n" for name, value in (PROPERTIES | here).items())
        )
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self.run_tool(
            self._java(
                "kafka.tools.StorageTool",
                "format",
                # In one word: an id may begin with a dash, and would be taken for an option by itself.
                f"--cluster-id={cluster}",
                "--config",
                str(self._properties),
            ),
            self._environment(),
        )

    def command(self) -> tuple[list[str], dict[str, str]]:
        return self._java("kafka.Kafka", str(self._properties)), self._environment()

    @property
    def _properties(self) -> Path:
        return self.folder / PROPERTIES_FILE

    def _java(self, *arguments: str) -> list[str]:
        programs = self._programs()
        return [
            programs.java,
            *JVM,
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={(kafka_folder() / 'log4j2.yaml').as_uri()}",
            "-cp",
            programs.class_path,
            *arguments,
        ]

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "TZ": "UTC"}


LocalKafka = ExternalKafka | ApacheKafka | LightBroker


def local_kafka(folder: Path, named: str | None = None) -> LocalKafka:
    """The broker for a stack whose state is in `folder`; `.why` says which one was taken and why.

    `named` is host:port of a broker; None asks KAFKA_BOOTSTRAP_SERVERS, "" means no broker. What a folder was made
    with, it keeps. Raises NoApacheKafka when TALLY_REQUIRE_KAFKA=apache and neither a broker is named nor Apache Kafka
    can be run, and ServerFailed when not even the light broker is installed.
    """
    required = os.environ.get("TALLY_REQUIRE_KAFKA", "")
    if required not in ("", "apache"):
        raise ServerFailed(
            f"TALLY_REQUIRE_KAFKA is {required!r}; the only broker that can be required is 'apache'"
        )
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "") if named is None else named
    if bootstrap:
        return ExternalKafka(bootstrap)
    if LightBroker.made(folder):
        return LightBroker(folder, "it is the one that this folder was made with")
    if ApacheKafka.made(folder):
        return ApacheKafka(folder, cache(find_kafka_programs))
    try:
        programs = find_kafka_programs()
    except NoApacheKafka as missing:
        if required == "apache":
            raise NoApacheKafka(f"TALLY_REQUIRE_KAFKA=apache, but {missing}") from missing
        return LightBroker(folder, str(missing))
    return ApacheKafka(folder, lambda: programs)
