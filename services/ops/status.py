"""`tally status`: what runs, how far each service has read and written, and what waits."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Annotated

import asyncpg
import httpx
import typer
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from rich.table import Table

from services.ops.book_options import Place, place_of
from services.ops.local.stack import Stack
from services.ops.local.state import ServiceState
from services.ops.screen import err, out

JOURNAL = """
SELECT coalesce(sum(h.position), 0) AS written, coalesce(sum(r.position), 0) AS relayed
FROM chain_heads h LEFT JOIN relay_positions r USING (chain)
"""
CONSUMED = """
SELECT topic, chain, next_offset, recorded, rejected, duplicates, dead_lettered
FROM consumer_offsets ORDER BY topic, chain
"""
HTTP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class TopicProgress:
    """One service's reading of one topic, over all partitions, in records."""

    topic: str
    read: int
    waiting: int
    worst: int | None
    """The partition on which most are waiting; None when none is."""
    recorded: int
    rejected: int
    duplicates: int
    dead_lettered: int


@dataclass(frozen=True, slots=True)
class ServiceProgress:
    """`written` journal rows, of which `relayed` are on Kafka."""

    service: str
    written: int
    relayed: int
    topics: tuple[TopicProgress, ...]


def register(app: typer.Typer) -> None:
    """Add the command `status`."""
    app.command("status")(status)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="For machines")] = False,
    database_url: Annotated[str, typer.Option(help="The owner's URL of the databases' server.")] = "",
    database_prefix: Annotated[str, typer.Option(help="What the databases' names begin with.")] = "",
    bootstrap: Annotated[str, typer.Option(help="host:port of Kafka.")] = "",
) -> None:
    """Show processes, positions and lag. Exit status 1 when anything is not running or not ready.

    Of servers of your own it shows the positions: which processes run there, only their host knows.
    """
    place = place_of(database_url, database_prefix, bootstrap, "")
    if not place.bootstrap:
        raise typer.BadParameter("host:port of Kafka is needed too", param_hint="--bootstrap")
    stack = Stack.at()
    services = list(stack.state.services.values()) if stack.made and not database_url else []
    health = {service.name: health_of(service) for service in services}
    if services and not as_json:
        processes = Table("process", "where", "pid", "state", box=None, pad_edge=False)
        for service in services:
            pid = str(service.process.pid) if service.process else ""
            processes.add_row(service.name, service.url, pid, health[service.name])
        out().print(processes)
    try:
        found = asyncio.run(progress_of(place))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, KafkaError) as fault:
        err().print(f"positions can't be read: {fault}", markup=False, style="red")
        raise typer.Exit(1) from fault
    if as_json:
        facts = {
            "services": {s.name: {"url": s.url, "state": health[s.name]} for s in services},
            "progress": [asdict(service) for service in found],
        }
        out().print_json(data=facts)
    else:
        out().print()
        out().print(progress_table(found))
    if any(state != "ready" for state in health.values()):
        raise typer.Exit(1)


def health_of(service: ServiceState) -> str:
    """ready, stopped, or why it is not ready."""
    if service.process is None or not service.process.alive():
        return "stopped"
    try:
        answer = httpx.get(f"{service.url}/health/ready", timeout=HTTP_SECONDS, trust_env=False)
    except httpx.TransportError as fault:
        return f"does not answer: {fault}"
    return "ready" if answer.status_code == httpx.codes.OK else f"not ready: {answer.text}"


async def progress_of(place: Place) -> list[ServiceProgress]:
    """How far each service has got, from its own database, against the ends of the topics."""
    async with AIOKafkaConsumer(bootstrap_servers=place.bootstrap) as consumer:
        return [await _progress(url, service, consumer) for service, url in place.urls.items()]


async def _progress(owner_url: str, service: str, consumer: AIOKafkaConsumer) -> ServiceProgress:
    connection = await asyncpg.connect(owner_url)
    try:
        heads = await connection.fetchrow(JOURNAL)
        rows = await connection.fetch(CONSUMED)
    finally:
        await connection.close()
    places = [TopicPartition(row["topic"], row["chain"]) for row in rows]
    ends = await consumer.end_offsets(places) if places else {}
    topics = []
    for topic in dict.fromkeys(row["topic"] for row in rows):
        of_topic = [row for row in rows if row["topic"] == topic]
        waiting = {
            row["chain"]: ends[TopicPartition(topic, row["chain"])] - row["next_offset"] for row in of_topic
        }
        worst = max(waiting, key=lambda chain: waiting[chain])
        topics.append(
            TopicProgress(
                topic,
                read=sum(row["next_offset"] for row in of_topic),
                waiting=sum(waiting.values()),
                worst=worst if waiting[worst] > 0 else None,
                recorded=sum(row["recorded"] for row in of_topic),
                rejected=sum(row["rejected"] for row in of_topic),
                duplicates=sum(row["duplicates"] for row in of_topic),
                dead_lettered=sum(row["dead_lettered"] for row in of_topic),
            )
        )
    return ServiceProgress(service, int(heads["written"]), int(heads["relayed"]), tuple(topics))


def progress_table(progress: list[ServiceProgress]) -> Table:
    """One line a topic and service, and one for the journal and its relay."""
    columns = (
        "service",
        "topic",
        "read",
        "waiting",
        "most on",
        "recorded",
        "rejected",
        "duplicates",
        "dead letters",
    )
    table = Table(*columns, box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for service in progress:
        for topic in service.topics:
            worst = "" if topic.worst is None else f"partition {topic.worst}"
            ended = (topic.recorded, topic.rejected, topic.duplicates, topic.dead_lettered)
            table.add_row(
                service.service, topic.topic, f"{topic.read:,}", f"{topic.waiting:,}", worst,
                *(f"{count:,}" for count in ended),
            )  # fmt: skip
        waiting = service.written - service.relayed
        table.add_row(
            service.service,
            "journal -> relay",
            f"{service.relayed:,}",
            f"{waiting:,}",
            "",
            f"{service.written:,}",
        )
    return table
