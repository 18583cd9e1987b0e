"""Installations as `tally install` makes them, and the ledger's stream carried to tiering and rewards by hand."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from services.common.db import Writer, ensure_installation
from services.ops.export.tables import METADATA
from services.ops.install import SERVICES, ServiceDatabase, create_database, drop_database, migrate
from services.rewards.consume import StreamHandler
from services.rewards.replay import stream_row
from services.tiering import project
from services.tiering.replay import ledger_row
from tests.integration.ledger_rows import CHAINS, DOCUMENT, NOON, Ledger

TOPIC = "ledger.v1"
TIERED: dict[str, Any] = {
    **DOCUMENT,
    "program": "tiered",
    "tiering": {
        "metric": "spend",
        "window": {"months": 12},
        "review": {"months": 12},
        "tiers": [{"name": "member"}, {"name": "gold", "from": 10_000}],
    },
    "rewards": {
        "catalogue": [{"id": "mug", "name": "A mug", "kind": "product", "points": 100}],
        "vouchers": [{"id": "hello", "kind": "percent", "value": 10, "valid_days": 30}],
        "grants": [{"id": "joined", "occasion": "enrolled", "give": [{"voucher": "hello"}]}],
    },
}
JOURNAL = "SELECT * FROM journal WHERE chain = $1 ORDER BY position"


class Installation:
    """Three databases, made as `tally install` makes them."""

    def __init__(self, server_url: str) -> None:
        self.server_url = server_url
        self.prefix = f"export_{secrets.token_hex(4)}"
        self.databases = {
            service: ServiceDatabase(service, f"{self.prefix}_{service}", secrets.token_hex(12), server_url)
            for service in SERVICES
        }
        self.urls = {service: database.owner_url for service, database in self.databases.items()}
        self.flags = ["--database-url", server_url, "--database-prefix", self.prefix]

    async def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables."""
        found = {}
        for service in SERVICES:
            connection = await asyncpg.connect(self.urls[service])
            for table in METADATA[service].tables:
                rows = await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608
                found[f"{service}.{table}"] = [tuple(row) for row in rows]
            await connection.close()
        return found

    async def rows(self, service: str, table: str) -> list[tuple[Any, ...]]:
        """All rows of a table."""
        connection = await asyncpg.connect(self.urls[service])
        try:
            return sorted((tuple(row) for row in await connection.fetch(f"SELECT * FROM {table}")), key=repr)  # noqa: S608
        finally:
            await connection.close()

    async def is_empty(self) -> bool:
        """True when there is no row in any table."""
        return not any((await self.content()).values())


@asynccontextmanager
async def installed(server_url: str) -> AsyncIterator[Installation]:
    """An installation that no service was ever started on."""
    made = Installation(server_url)
    try:
        for database in made.databases.values():
            await create_database(database, adopt=False)
            await asyncio.to_thread(migrate, database)
        yield made
    finally:
        for database in made.databases.values():
            await drop_database(database)


async def follow(made: Installation, ledger: Ledger) -> None:
    """Tiering and rewards read what they have not read of the ledger."""
    for service in ("tiering", "rewards"):
        writer = await Writer.connect(made.urls[service])
        await ensure_installation(writer, CHAINS)
        for chain in range(CHAINS):
            async with writer.transaction() as tx:
                after = await tx.fetchval(
                    "SELECT position FROM stream_positions WHERE chain = $1 AND topic = $2", chain, TOPIC
                )
                rows = [row for row in await ledger.rows(JOURNAL, chain) if row["position"] > (after or 0)]
                if service == "tiering":
                    await project.apply_rows(tx, chain, TOPIC, [ledger_row(row) for row in rows], NOON)
                else:
                    told = [stream_row(TOPIC, row) for row in rows]
                    await StreamHandler(TOPIC, CHAINS, lambda: None).apply(tx, chain, told)
        await writer.close()
