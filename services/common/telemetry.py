"""Every metric, named and explained, and how the log is written."""

from __future__ import annotations

import logging
import sys

import structlog
from prometheus_client import Counter, Gauge, Histogram

RECORDS = Gauge(
    "tallybook_records",
    "Kafka records taken by all processes ever, by what became of them (recorded, rejected, duplicates, "
    "dead_lettered): what the database said when /health/ready was asked last.",
    ["consumer", "topic", "outcome"],
)
RELAYED = Gauge(
    "tallybook_relayed_rows",
    "Journal rows published to the service's topic, by all its processes ever: what the database said when "
    "/health/ready was asked last.",
    ["service"],
)
RELAY_BEHIND = Gauge(
    "tallybook_relay_behind_rows",
    "Journal rows not published yet, by any process: what the database said when /health/ready was asked last.",
    ["service"],
)
COMMANDS = Counter(
    "tallybook_commands_total",
    "HTTP commands by outcome: recorded, duplicate, or a refusal's code.",
    ["outcome"],
)
COMMAND_BATCH = Histogram(
    "tallybook_command_batch_size",
    "HTTP commands that shared a transaction.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)


def configure_log(service: str, level: str) -> None:
    """Write one JSON object a line to standard error. No payloads, keys or identifiers are ever logged.

    A line is one write, so that those of a service and of its children never run into each other.
    """
    numeric = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    logging.basicConfig(
        level=logging.WARNING,
        format='{"event": "%(message)s", "logger": "%(name)s", "level": "%(levelname)s"}',
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)
