"""Assembles the ledger and runs it: `python -m services.ledger.main`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from fastapi import FastAPI

from services.common import dead_letter
from services.common.auth import Keys
from services.common.child_process import ChildProcess
from services.common.consumer import Consumer
from services.common.db import Reader, Writer, ensure_installation
from services.common.problem import install_problems
from services.common.progress import progress
from services.common.relay import relay_process
from services.common.service import SideTask, health_router, kafka_producer, run_service
from services.common.settings import Settings
from services.common.telemetry import configure_log
from services.ledger import api, consume, wire
from services.ledger.command_queue import CommandQueue
from services.ledger.referral_rewards import count_owed
from services.ledger.routes import batch
from services.ledger.routes.asking import Ledger
from services.ledger.settings import LedgerSettings
from services.ledger.store import Programs
from services.ledger.ticker import Ticker

SERVICE = "ledger"
TOPIC = "ledger.v1"


def identifiers_of(settings: Settings) -> wire.Identifiers:
    """What hashes identifiers and seals profiles here."""
    profile_key = settings.profile_key if isinstance(settings, LedgerSettings) else None
    return wire.Identifiers(
        settings.identifier_key.get_secret_value(),
        None if profile_key is None else profile_key.get_secret_value(),
    )


def consumer_process(name: str, settings: Settings, wake_relay: Callable[[], None]) -> ChildProcess:
    """A process that takes activities and tiers from Kafka, beside others of its group; not started yet."""

    async def consume_records(stop: asyncio.Event, commands_wait: asyncio.Event) -> None:
        writer = await Writer.connect(settings.database_url.get_secret_value())
        producer = kafka_producer(settings)
        programs = Programs()
        identifiers = identifiers_of(settings)
        activities = consume.Activities(identifiers, programs, settings.chains, wake_relay)
        consumer = Consumer(
            SERVICE,
            settings.kafka_bootstrap_servers,
            {
                settings.topic("purchases.v1"): activities,
                settings.topic("members.v1"): activities,
                settings.topic("top_ups.v1"): activities,
                settings.topic("interactions.v1"): activities,
                settings.topic("referrals.v1"): activities,
                settings.topic("tiers.v1"): consume.Tiers(programs, settings.chains, wake_relay),
            },
            writer,
            dead_letter.DeadLetters(producer, settings.topic(dead_letter.TOPIC)),
            group_id=settings.topic("tallybook-ledger"),
            batch_records=settings.batch_records,
            batches_in_flight=settings.batches_in_flight,
        )

        async def make_room() -> None:
            while True:
                await commands_wait.wait()
                commands_wait.clear()
                consumer.make_room()

        making_room = asyncio.create_task(make_room())
        try:
            await producer.start()
            await consumer.run(stop)
        finally:
            making_room.cancel()
            await producer.stop()
            await writer.close()

    return ChildProcess(name, consume_records)


@asynccontextmanager
async def assembled(
    settings: Settings, relay: ChildProcess, consumers: Sequence[ChildProcess] = ()
) -> AsyncIterator[tuple[FastAPI, dict[str, SideTask]]]:
    """The HTTP application and the side tasks, with everything they need open."""
    writer = await Writer.connect(settings.database_url.get_secret_value())
    reader = Reader.connect(settings.database_url.get_secret_value())
    try:
        await ensure_installation(writer, settings.chains)
        programs = Programs()
        identifiers = identifiers_of(settings)

        def make_room() -> None:
            for consumer in consumers:
                consumer.wake()

        queue = CommandQueue(writer, programs, settings.chains, relay.wake, make_room)
        ticker = Ticker(writer, queue, programs)

        async def watch_invariants(stop: asyncio.Event) -> None:
            stopping = asyncio.create_task(stop.wait())
            watched: set[asyncio.Future[Any]] = {stopping, queue.broken}
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if queue.broken.done():
                queue.broken.result()

        async def ready() -> dict[str, Any]:
            async with writer.session() as session:
                return {**await progress(session, SERVICE), "rewards_owed": await count_owed(session)}

        app = create_app(Ledger(queue, reader, programs, identifiers, settings.chains), Keys(writer))
        app.include_router(health_router(ready))
        tasks: dict[str, SideTask] = {"invariants": watch_invariants}
        if settings.consume:
            tasks |= {child.name: child.run for child in (relay, *consumers)} | {"ticker": ticker.run}
        yield app, tasks
    finally:
        await reader.close()
        await writer.close()


def create_app(ledger: Ledger, keys: Keys) -> FastAPI:
    """The HTTP application."""
    app = FastAPI(
        title="Tallybook ledger",
        version="1",
        description="The book of points: activities in, balances and holds out.",
    )
    app.state.ledger = ledger
    app.state.keys = keys
    install_problems(app, api.STATUS_OF, {batch.PATH: batch.BODY_BYTES_MAX})
    # Not included as a router: the framework would look for the route once more at each level.
    app.router.routes.extend(api.router.routes)
    return app


async def serve(settings: LedgerSettings, relay: ChildProcess, consumers: Sequence[ChildProcess]) -> int:
    """Run until told to stop. Returns the exit status."""
    async with assembled(settings, relay, consumers) as (app, tasks):
        return await run_service(SERVICE, app, settings, tasks)


def main() -> None:
    """Entry point."""
    settings = LedgerSettings()
    configure_log(SERVICE, settings.log_level)
    relay = relay_process(SERVICE, settings.topic(TOPIC), settings)
    consumers = [
        consumer_process(f"consumer-{n}", settings, relay.wake) for n in range(1, settings.consumers + 1)
    ]
    if settings.consume:
        relay.start()
        for n, consumer in enumerate(consumers):
            consumer.start(siblings=consumers[:n])
    sys.exit(uvloop.run(serve(settings, relay, consumers)))


if __name__ == "__main__":
    main()
