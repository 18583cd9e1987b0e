"""The tiering service: `python -m services.tiering.main`, configured by its environment (services.common.settings)."""

from __future__ import annotations

import sys
from typing import Any

import uvloop

from services.common.auth import Keys
from services.common.consumer import Consumer
from services.common.db import PASSING_FAULTS, Reader, Writer, ensure_installation
from services.common.dead_letter import TOPIC as DEAD_LETTERS
from services.common.dead_letter import DeadLetters
from services.common.relay import Relay, behind
from services.common.service import SideTask, kafka_producer, run_service
from services.common.settings import Settings
from services.common.telemetry import configure_log
from services.tiering.api import create_app
from services.tiering.consume import CONSUMER, LEDGER_TOPIC, LedgerRows

SERVICE = "tiering"
TIERS_TOPIC = "tiers.v1"


async def serve(settings: Settings) -> int:
    """Run until SIGTERM or a failure; the exit status."""
    url = settings.database_url.get_secret_value()
    writer, reader, producer = await Writer.connect(url), Reader.connect(url), kafka_producer(settings)
    try:
        await ensure_installation(writer, settings.chains)
        await producer.start()
        relay = Relay(SERVICE, settings.topic(TIERS_TOPIC), writer, producer, settings.chains)
        consumer = Consumer(
            CONSUMER,
            settings.kafka_bootstrap_servers,
            {settings.topic(LEDGER_TOPIC): LedgerRows(relay.wake)},
            writer,
            DeadLetters(producer, settings.topic(DEAD_LETTERS)),
            group_id=settings.topic(SERVICE),
            batch_records=settings.batch_records,
            batches_in_flight=settings.batches_in_flight,
        )

        async def ready() -> dict[str, Any]:
            facts: dict[str, Any] = {
                "service": SERVICE,
                "consumers": consumer.lag() if settings.consume else {},
            }
            try:
                async with writer.session() as session:
                    facts["relay"] = {"behind": await behind(session, SERVICE)}
            except PASSING_FAULTS:
                return {"ready": False, **facts, "database": "unreachable"}
            return {"ready": True, **facts}

        app = create_app(settings.chains, reader, Keys(writer), ready)
        tasks: dict[str, SideTask] = {}
        if settings.consume:
            tasks = {"consumer": consumer.run, "relay": relay.run}
        return await run_service(SERVICE, app, settings, tasks)
    finally:
        await producer.stop()
        await reader.close()
        await writer.close()


def main() -> int:
    """Read the settings and serve."""
    settings = Settings()
    configure_log(SERVICE, settings.log_level)
    return uvloop.run(serve(settings))


if __name__ == "__main__":
    sys.exit(main())
