"""Assembles tiering and runs it: `python -m services.tiering.main`, configured by its environment."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
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
from services.tiering import api, audit_api, segment_api
from services.tiering.consume import LedgerRows
from services.tiering.handle import Grants
from services.tiering.project import LEDGER_TOPIC
from services.tiering.ranking import Rankings
from services.tiering.segments import Segments

SERVICE = "tiering"
TOPIC = "tiers.v1"


@asynccontextmanager
async def assembled(
    settings: Settings, relay: ChildProcess
) -> AsyncIterator[tuple[FastAPI, dict[str, SideTask]]]:
    """The HTTP application and the side tasks, with everything they need open."""
    url = settings.database_url.get_secret_value()
    writer, reader, producer = await Writer.connect(url), Reader.connect(url), kafka_producer(settings)
    try:
        await ensure_installation(writer, settings.chains)
        await producer.start()
        consumer = Consumer(
            SERVICE,
            settings.kafka_bootstrap_servers,
            {settings.topic(LEDGER_TOPIC): LedgerRows(relay.wake)},
            writer,
            dead_letter.DeadLetters(producer, settings.topic(dead_letter.TOPIC)),
            group_id=settings.topic("tallybook-tiering"),
            batch_records=settings.batch_records,
            batches_in_flight=settings.batches_in_flight,
        )

        async def ready() -> dict[str, Any]:
            async with writer.session() as session:
                return await progress(session, SERVICE)

        grants = Grants(writer, settings.chains, relay.wake)
        segments, rankings = Segments(writer, relay.wake), Rankings(writer, relay.wake)
        app = create_app(api.Views(reader, settings.chains), Keys(writer), grants, segments, rankings)
        app.include_router(health_router(ready))
        tasks: dict[str, SideTask] = {}
        if settings.consume:
            tasks = {
                "consumer": consumer.run,
                "relay": relay.run,
                "segments": segments.keep,
                "rankings": rankings.keep,
            }
        yield app, tasks
    finally:
        await producer.stop()
        await reader.close()
        await writer.close()


def create_app(
    views: api.Views, keys: Keys, grants: Grants, segments: Segments, rankings: Rankings
) -> FastAPI:
    """The HTTP application."""
    app = FastAPI(
        title="Tallybook tiering", version="1", description="Tiers and segments: which, since when, and why."
    )
    app.state.views = views
    app.state.keys = keys
    app.state.grants = grants
    app.state.segments = segments
    app.state.rankings = rankings
    install_problems(app, api.STATUS_OF)
    app.include_router(api.router)
    app.include_router(segment_api.router)
    app.include_router(audit_api.router)
    return app


async def serve(settings: Settings, relay: ChildProcess) -> int:
    """Run until told to stop. Returns the exit status."""
    async with assembled(settings, relay) as (app, tasks):
        return await run_service(SERVICE, app, settings, tasks)


def main() -> None:
    """Entry point."""
    settings = Settings()
    configure_log(SERVICE, settings.log_level)
    relay = relay_process(SERVICE, settings.topic(TOPIC), settings)
    if settings.consume:
        relay.start()
    sys.exit(uvloop.run(serve(settings, relay)))


if __name__ == "__main__":
    main()
