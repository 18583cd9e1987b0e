"""Runs the rewards service: HTTP, consumer and recovery loop in one process, the relay beside it."""

from __future__ import annotations

import sys
from typing import Any

import uvloop

from services.common.auth import Keys
from services.common.child_process import ChildProcess
from services.common.clock import utc_now
from services.common.consumer import Consumer
from services.common.db import Reader, Writer, ensure_installation
from services.common.dead_letter import TOPIC as DEAD_LETTERS
from services.common.dead_letter import DeadLetters
from services.common.progress import progress
from services.common.relay import relay_process
from services.common.service import SideTask, kafka_producer, run_service
from services.common.telemetry import configure_log
from services.rewards.api import create_app
from services.rewards.birthdays import Birthdays
from services.rewards.consume import LEDGER_TOPIC, TIERS_TOPIC, StreamHandler
from services.rewards.handle import Redeemer
from services.rewards.handle_draws import DrawDesk
from services.rewards.handle_vouchers import VoucherDesk
from services.rewards.lapse import Lapsing
from services.rewards.ledger_client import LedgerClient
from services.rewards.ledger_work import LedgerWork
from services.rewards.overdue import Overdue
from services.rewards.recover import Recovery
from services.rewards.settings import RewardsSettings
from services.rewards.views import Views
from services.rewards.views_quote import QuoteViews

NAME = "rewards"
TOPIC = "rewards.v1"
STEPS_WAITING = "SELECT count(*) FROM redemption_steps"
REWARDS_OWED = "SELECT count(*) FROM ledger_steps"


async def serve(settings: RewardsSettings, relay: ChildProcess) -> int:
    """Assemble the service and run it until it is told to stop. Returns the exit status."""
    url = settings.database_url.get_secret_value()
    writer, reader = await Writer.connect(url), Reader.connect(url)
    producer = kafka_producer(settings)
    ledger = LedgerClient(
        settings.ledger_url, settings.ledger_key, answer_seconds=settings.ledger_answer_seconds
    )
    try:
        await ensure_installation(writer, settings.chains)
        await producer.start()
        redeemer = Redeemer(writer, ledger, relay.wake, settings.chains, settings.lease_seconds)
        desk = VoucherDesk(writer, relay.wake, settings.chains, redeemer.patiently)
        draws = DrawDesk(
            writer, ledger, relay.wake, settings.chains, redeemer.patiently, settings.lease_seconds
        )
        birthdays = Birthdays(writer, ledger, relay.wake, settings.chains, settings.lease_seconds)
        consumer = Consumer(
            NAME,
            settings.kafka_bootstrap_servers,
            {
                settings.topic(topic): StreamHandler(topic, settings.chains, relay.wake)
                for topic in (LEDGER_TOPIC, TIERS_TOPIC)
            },
            writer,
            DeadLetters(producer, settings.topic(DEAD_LETTERS)),
            group_id=settings.topic(f"tallybook-{NAME}"),
            batch_records=settings.batch_records,
            batches_in_flight=settings.batches_in_flight,
        )

        async def ready() -> dict[str, Any]:
            async with writer.session() as session:
                steps_waiting = await session.fetchval(STEPS_WAITING)
                owed = await session.fetchval(REWARDS_OWED) + await birthdays.owed(session, utc_now())
                return {
                    **await progress(session, NAME),
                    "steps_waiting": steps_waiting,
                    "rewards_owed": owed,
                }

        views, quotes = Views(reader, settings.chains), QuoteViews(writer, ledger, settings.chains)
        app = create_app(Keys(writer), redeemer, desk, draws, views, quotes, ready)
        tasks: dict[str, SideTask] = {"invariants": redeemer.watch}
        if settings.consume:
            recovery = Recovery(writer, redeemer, settings.lease_seconds)
            tasks |= {"consumer": consumer.run, "relay": relay.run, "recovery": recovery.run}
            work = LedgerWork(writer, ledger, draws, relay.wake, settings.chains, settings.lease_seconds)
            tasks["ledger_work"] = work.run
            tasks["birthdays"] = birthdays.run
            tasks["overdue"] = Overdue(writer, redeemer).run
            tasks["lapsing"] = Lapsing(writer, relay.wake).run
        return await run_service(NAME, app, settings, tasks)
    finally:
        await ledger.close()
        await producer.stop()
        await reader.close()
        await writer.close()


def main() -> None:
    """The entry of `python -m services.rewards.main`."""
    settings = RewardsSettings()
    configure_log(NAME, settings.log_level)
    relay = relay_process(NAME, settings.topic(TOPIC), settings)
    if settings.consume:
        relay.start()
    sys.exit(uvloop.run(serve(settings, relay)))


if __name__ == "__main__":
    main()
