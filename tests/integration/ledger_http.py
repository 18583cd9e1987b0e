"""The ledger's HTTP application over a real database, and callers with keys."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
from fastapi import FastAPI

from services.common.auth import new_key
from services.common.clock import utc_now
from services.common.relay import relay_process
from services.common.settings import Settings
from services.ledger.main import SERVICE, TOPIC, assembled
from tests.databases import service_database
from tests.integration.ledger_rows import DOCUMENT

GROCER = "/v1/programs/grocer"


@dataclass
class Served:
    """The application and its owner."""

    app: FastAPI
    owner_url: str
    tokens: dict[str, str] = field(default_factory=dict)

    async def token(
        self,
        *scopes: str,
        programs: tuple[str, ...] = (),
        stores: tuple[str, ...] = (),
        expires_at: datetime | None = None,
    ) -> str:
        """A new key with these scopes."""
        key_id, token, digest = new_key()
        owner = await asyncpg.connect(self.owner_url)
        await owner.execute(
            "INSERT INTO api_keys VALUES ($1, $2, 'test', $3, $4, $5, $6, $7)",
            key_id, digest, list(scopes), list(programs), list(stores), utc_now() - timedelta(days=1), expires_at,
        )  # fmt: skip
        await owner.close()
        return token

    def client(self, token: str | None) -> httpx.AsyncClient:
        """A caller with that key (None: with none)."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://ledger", headers=headers)


@asynccontextmanager
async def served(server_url: str, bootstrap: str, **settings: Any) -> AsyncIterator[Served]:
    """A database of its own, migrated; the application as its service role; program `grocer` active."""
    async with AsyncExitStack() as stack:
        owner_url, url = await stack.enter_async_context(service_database(server_url, "ledger"))
        told = Settings(
            database_url=url, KAFKA_BOOTSTRAP_SERVERS=bootstrap, identifier_key="0" * 64, chains=4, consume=False,
            topic_prefix=f"h{secrets.token_hex(4)}.", **settings,
        )  # fmt: skip
        app, _ = await stack.enter_async_context(assembled(told, relay_process(SERVICE, TOPIC, told)))
        found = Served(app, owner_url)
        ops = await found.token("ops")
        found.tokens["ops"] = ops
        async with found.client(ops) as client:
            answer = await client.put(GROCER, json=DOCUMENT)
            assert answer.status_code == 201, answer.text
            assert (
                await client.post(f"{GROCER}/clock", json={"to": "2026-01-05T12:00:00Z"})
            ).status_code == 200
        yield found


def purchase(id_: str = "p1", **changes: Any) -> dict[str, Any]:
    """The body of a purchase of 100 points."""
    return {
        "id": id_, "member": "ann", "occurred_at": "2026-01-05T12:00:00Z", "store": "s1", "channel": "pos",
        "currency": "USD",
        "lines": [{"id": 1, "sku": "A1", "category": "FOOD", "quantity": 1, "amount": 10_000}],
        **changes,
    }  # fmt: skip
