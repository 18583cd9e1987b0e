"""Runs one service: HTTP and named side tasks in one process, stopped together, in bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import structlog
import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.common.db import PASSING_FAULTS
from services.common.settings import Settings

log = structlog.get_logger("service")

STOP_SECONDS = 25.0
FAULTS_MAX = 120
"""Passing faults one after another that a look for work bears."""
COLLECT_AFTER_OBJECTS = 50_000

SideTask = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def kafka_producer(settings: Settings) -> AIOKafkaProducer:
    """An idempotent producer: acknowledged by all in-sync brokers, never reordered, never doubled by a retry."""
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        enable_idempotence=True,
        acks="all",
        max_batch_size=256 * 1024,
        max_request_size=2 * 1024 * 1024,
        request_timeout_ms=30_000,
        linger_ms=0,
    )


def health_router(ready: Callable[[], Awaitable[dict[str, Any]]]) -> APIRouter:
    """`/health/live`, `/health/ready` and `/metrics`. `ready` asks the database for facts about the service."""
    router = APIRouter(tags=["health"])

    @router.get("/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @router.get("/health/ready")
    async def readiness() -> JSONResponse:
        try:
            return JSONResponse({"ready": True, **await ready()})
        except PASSING_FAULTS:
            return JSONResponse({"ready": False, "database": "unreachable"}, 503)

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


async def run_service(name: str, app: FastAPI, settings: Settings, tasks: dict[str, SideTask]) -> int:
    """Serve until SIGTERM or SIGINT, or until a side task fails. Returns the exit status.

    The order of a stop: no new requests, the tasks finish what they have begun, everything within `STOP_SECONDS`.
    """
    calm_the_collector()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    server = _Server(
        uvicorn.Config(app, host=settings.host, port=settings.port, log_level="warning", access_log=False,
                       timeout_graceful_shutdown=5, loop="none")
    )  # fmt: skip
    running = {asyncio.create_task(task(stop), name=task_name) for task_name, task in tasks.items()}
    serving = asyncio.create_task(server.serve(), name="http")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    log.info("started", port=settings.port, tasks=sorted(tasks))
    status = 0
    await asyncio.wait({serving, stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
    for task in (serving, *running):
        if task.done() and not stop.is_set():
            status = 1
            error = task.exception() if not task.cancelled() else None
            log.error("task ended", task=task.get_name(), error=repr(error), exc_info=error)
    stop.set()
    server.should_exit = True
    ended, late = await asyncio.wait({serving, *running}, timeout=STOP_SECONDS)
    for task in late:
        log.error("task did not stop in time", task=task.get_name())
        task.cancel()
        status = 1
    for task in ended:
        if not task.cancelled() and (error := task.exception()) is not None and status == 0:
            log.error("task failed while stopping", task=task.get_name(), error=repr(error), exc_info=error)
            status = 1
    stopping.cancel()
    log.info("stopped", status=status)
    return status


async def look_until_stopped(
    look: Callable[[], Awaitable[object]], stop: asyncio.Event, pause_seconds: float
) -> None:
    """Look for work until `stop` is set. Passing faults are tried again up to a limit, then raised."""
    faults = 0
    while not stop.is_set():
        try:
            await look()
            faults = 0
        except PASSING_FAULTS as error:
            faults += 1
            log.warning("passing fault", attempt=faults, error=repr(error))
            if faults >= FAULTS_MAX:
                raise
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause_seconds)


def calm_the_collector() -> None:
    """Leave what is there alone, and look seldom at what comes.

    Batches make thousands of objects that live as long as their transaction and hold no cycles: at the default
    threshold of 700 the collector walked them again and again (15 to 25 % of the time of a decision, measured).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS, 20, 20)


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: the service stops everything together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
