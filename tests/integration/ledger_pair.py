"""Two of a ledger's processes on one database, for tests in which they meet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from services.common.db import PASSING_FAULTS
from services.ledger.command_queue import TRIES_MAX
from services.ledger.domain.commands import Command
from services.ledger.handle import Outcome
from tests.databases import service_role
from tests.integration.ledger_rows import DOCUMENT, Ledger
from tests.integration.verify_book import look


@asynccontextmanager
async def ledger_pair(
    database: str, document: dict[str, Any] = DOCUMENT
) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """Both have connections and a cache of programs of their own; the document is in force."""
    async with service_role("ledger", database) as url, Ledger.open(url) as one:
        await one.activate(document)
        async with Ledger.open(url) as other:
            yield one, other


async def take(ledger: Ledger, *commands: Command) -> list[Outcome]:
    """As the queue does it: a passing fault is tried again, as often as there."""
    for _ in range(TRIES_MAX - 1):
        try:
            return await ledger.take(*commands)
        except PASSING_FAULTS:
            continue
    return await ledger.take(*commands)


async def in_order(ledger: Ledger) -> bool:
    """What verify says of the book; no relay and no consumer is at work here."""
    async with ledger.writer.transaction() as session:
        report = await look(session)
    findings = [f for f in report.findings if not f.where.startswith(("relay", "stream", "consumer"))]
    assert findings == []
    return True
