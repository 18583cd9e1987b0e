"""`tally replay`: rebuild a service's projections beside the live ones, and compare digests (L7)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from types import FrameType
from typing import Annotated

import asyncpg
import typer

from services.common.errors import InvariantBroken
from services.ops.book_options import BookUnreadable, Place, place_of
from services.ops.chain_pool import progress_bar
from services.ops.replay import checkpoint
from services.ops.replay.report import as_object, show, show_checkpoints
from services.ops.replay.run import How, Replayed, replay
from services.ops.screen import err, out

NICE = 10


class Service(StrEnum):
    """Whose projections."""

    LEDGER = "ledger"
    TIERING = "tiering"
    REWARDS = "rewards"


class Source(StrEnum):
    """Where the streams are read."""

    JOURNAL = "journal"
    KAFKA = "kafka"


def register(app: typer.Typer) -> None:
    """Add the command `replay`."""
    app.command("replay")(replay_command)


def replay_command(
    services: Annotated[list[Service] | None, typer.Argument(help="Whose projections to rebuild.")] = None,
    source: Annotated[Source, typer.Option("--from", help="Where the streams are read.")] = Source.JOURNAL,
    switch: Annotated[
        bool, typer.Option("--switch", help="Put the rebuilt rows in the place of the live ones.")
    ] = False,
    name: Annotated[str, typer.Option("--checkpoint", help="Keep what was rebuilt under this name.")] = "",
    after: Annotated[str, typer.Option(help="Begin at this checkpoint instead of the first row.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="Show the checkpoints and end.")] = False,
    drop: Annotated[
        str, typer.Option(help="Drop this checkpoint, and what runs that were killed have left, and end.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    processes: Annotated[int, typer.Option(help="Processes at once; 0: what is worth it.", min=0)] = 0,
    database_url: Annotated[str, typer.Option(help="The owner's URL of the databases' server.")] = "",
    database_prefix: Annotated[str, typer.Option(help="What the databases' names begin with.")] = "",
    bootstrap: Annotated[str, typer.Option(help="host:port of Kafka.")] = "",
    topic_prefix: Annotated[str, typer.Option(help="What the topics' names begin with.")] = "",
) -> None:
    """Rebuild projections from the journals in a schema of their own, compare them with the live ones, drop them.

    The services may go on working: both sides are of one moment. Exit status 1 when anything differs: then table,
    chain and the first row that differs are named. With --switch what differs is set right, chain by chain, and the
    exit status is 1 when a chain could not be switched.
    """
    signal.signal(signal.SIGTERM, _as_interrupt)
    # The services come first, wherever both want a processor.
    os.nice(NICE)
    place = place_of(database_url, database_prefix, bootstrap, topic_prefix)
    if list_ or drop:
        with _faults_told():
            _housekeeping(place, services or list(Service), drop, as_json)
        return
    if not services:
        raise typer.BadParameter("name one or more of ledger, tiering, rewards")
    if switch and name:
        raise typer.BadParameter("--switch brings the rebuilt rows to the present: keep a --checkpoint first")
    kafka = ""
    if source is Source.KAFKA:
        kafka = place.bootstrap
        if not kafka:
            raise typer.BadParameter("--from kafka needs --bootstrap (or KAFKA_BOOTSTRAP_SERVERS)")
    how = How(kafka, place.topic_prefix, after, name, switch)
    results = [_replay(service, place, processes, how) for service in services]
    if as_json:
        out().print_json(json.dumps([as_object(result) for result in results]))
    else:
        for result in results:
            show(result)
    if name:
        err().print(f"kept as checkpoint {name}: --after {name} begins there")
    if not all(result.ended_well for result in results):
        raise typer.Exit(1)


def _replay(service: Service, place: Place, processes: int, how: How) -> Replayed:
    with _faults_told(), progress_bar(err()) as progress:
        task = progress.add_task(f"replaying {service}", total=None)
        try:
            return replay(
                service,
                place.urls,
                processes,
                lambda done, rows: progress.update(task, completed=done, total=rows),
                how,
            )
        except InvariantBroken as broken:
            raise BookUnreadable(
                f"{service}: the journal can't be replayed: {broken}; see `tally verify`"
            ) from broken


def _housekeeping(place: Place, services: Sequence[Service], drop: str, as_json: bool) -> None:
    urls = {service: place.urls[service] for service in services}
    if drop:
        dropped = [service for service, url in urls.items() if asyncio.run(checkpoint.drop(url, drop))]
        if not dropped:
            raise checkpoint.CheckpointRefused(f"no checkpoint {drop!r} of {', '.join(urls)}; see --list")
        err().print(f"dropped {drop} of {', '.join(dropped)}")
        return
    show_checkpoints({service: asyncio.run(checkpoint.listed(url)) for service, url in urls.items()}, as_json)


@contextmanager
def _faults_told() -> Iterator[None]:
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        raise BookUnreadable(f"the databases can't be used: {fault}") from fault


def _as_interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
