"""Rewards and a real ledger on two real databases, without a broker: a test carries the rows across itself.

So a test decides what has arrived when, which is what matters for redemptions; that Kafka carries rows in order is
shown elsewhere.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
from google.protobuf.message import Message
from pydantic import SecretStr

from services.common.auth import Keys, new_key
from services.common.codec import StreamRow
from services.common.db import Reader, Writer, ensure_installation
from services.ledger import wire as ledger_wire
from services.ledger.command_queue import CommandQueue
from services.ledger.main import create_app as create_ledger_app
from services.ledger.routes.asking import Ledger
from services.ledger.store import Programs
from services.rewards.api import create_app
from services.rewards.consume import LEDGER_TOPIC, TIERS_TOPIC, StreamHandler
from services.rewards.domain.decide import Step
from services.rewards.domain.redemption import State
from services.rewards.handle import Redeemer
from services.rewards.handle_draws import DrawDesk
from services.rewards.handle_vouchers import VoucherDesk
from services.rewards.ledger_client import LedgerClient
from services.rewards.ledger_work import LedgerWork
from services.rewards.recover import Recovery
from services.rewards.replay import stream_row
from services.rewards.views import Views
from services.rewards.views_quote import QuoteViews
from services.rewards.views_shop import ShopViews
from tests.databases import service_database

CHAINS = 4
DOCUMENT: dict[str, Any] = {
    "program": "grocer",
    "clock": "events",
    "ledger": {
        "currency": "USD",
        "enrolment": "on_first_activity",
        "earning": {"points_per_unit": 1},
        "holds": {"default_ttl_seconds": 900, "max_ttl_seconds": 86_400},
    },
    "rewards": {
        "catalogue": [
            {"id": "five_off", "name": "5 off the basket", "kind": "discount", "points": 500, "value": 500},
            {"id": "mug", "name": "A mug", "kind": "product", "points": 100},
        ],
        "redemption": {"ttl_seconds": 600},
    },
}
ROWS_AFTER = "SELECT * FROM journal WHERE chain = $1 AND position > $2 ORDER BY position"
POSITION = "SELECT coalesce(max(position), 0) FROM stream_positions WHERE chain = $1 AND topic = $2"
ADD_KEY = """
INSERT INTO api_keys (key_id, secret_sha256, name, scopes, programs, stores, created_at)
VALUES ($1, $2, 'test', $3, $4, '{}', now())
"""


class AnswerLost(httpx.AsyncBaseTransport):
    """A network that carries requests and loses answers: the ledger acts, and nobody hears of it."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._inner.handle_async_request(request)
        raise httpx.ReadError("connection reset", request=request)


class NeverSent(httpx.AsyncBaseTransport):
    """A network that carries nothing."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)


def nothing() -> None:
    """There is no relay to wake."""


@dataclass
class RewardsStack:
    """Both services and the ways between them."""

    owner_url: str
    ledger_owner_url: str
    ledger_writer: Writer
    writer: Writer
    views: Views
    ledger: httpx.AsyncClient
    http: httpx.AsyncClient
    ledger_transport: httpx.AsyncBaseTransport
    ledger_key: str
    redeemer: Redeemer
    draws: DrawDesk
    program: str = "grocer"

    @property
    def shop(self) -> ShopViews:
        """The catalogue."""
        return ShopViews(self.views.reader, self.views.chains)

    async def with_program(self, program: str = "") -> RewardsStack:
        """The same servers with a program of a test's own, so that no test sees another's members."""
        own = replace(self, program=program or f"p{secrets.token_hex(4)}")
        await own.activate()
        return own

    def redeemer_over(self, transport: httpx.AsyncBaseTransport) -> Redeemer:
        """One more rewards process, whose requests to the ledger go over `transport`."""
        client = LedgerClient("http://ledger", SecretStr(self.ledger_key), transport)
        return Redeemer(self.writer, client, nothing, CHAINS)

    def draws_over(self, transport: httpx.AsyncBaseTransport) -> tuple[DrawDesk, LedgerWork]:
        """One more rewards process for turns and points, whose requests to the ledger go over `transport`."""
        client = LedgerClient("http://ledger", SecretStr(self.ledger_key), transport)
        desk = DrawDesk(self.writer, client, nothing, CHAINS, self.redeemer.patiently)
        return desk, LedgerWork(self.writer, client, desk, nothing, CHAINS)

    def work(self) -> LedgerWork:
        """A loop that has the ledger give points, and reaches it."""
        return self.draws_over(self.ledger_transport)[1]

    def recovery(self) -> Recovery:
        """A recovery loop that reaches the ledger."""
        return Recovery(self.writer, self.redeemer)

    async def activate(self, document: dict[str, Any] = DOCUMENT) -> None:
        """Put a document in force in the ledger, and let rewards hear of it."""
        mine = {**document, "program": self.program}
        (await self.ledger.put(f"/v1/programs/{self.program}", json=mine)).raise_for_status()
        await self.carry()

    async def buy(self, member: str, points: int, at: str = "2026-01-05T12:00:00Z") -> None:
        """A purchase that gives `points` (one a dollar)."""
        line = {"id": 1, "sku": "A1", "category": "food", "quantity": 1, "amount": points * 100}
        body = {
            "id": secrets.token_hex(6),
            "member": member,
            "occurred_at": at,
            "currency": "USD",
            "lines": [line],
        }
        (await self.ledger.post(f"/v1/programs/{self.program}/purchases", json=body)).raise_for_status()

    async def advance(self, to: datetime) -> None:
        """Move the program's clock in the ledger."""
        answer = await self.ledger.post(f"/v1/programs/{self.program}/clock", json={"to": to.isoformat()})
        answer.raise_for_status()

    async def points(self, member: str) -> dict[str, int]:
        """The balance as the ledger has it."""
        answer = await self.ledger.get(f"/v1/programs/{self.program}/members/{member}")
        answer.raise_for_status()
        points: dict[str, int] = answer.json()["points"]
        return points

    async def rows(self, chain: int, after: int = 0) -> list[StreamRow]:
        """The ledger's rows of a chain, as its stream brings them."""
        async with self.ledger_writer.session() as session:
            return [stream_row(LEDGER_TOPIC, row) for row in await session.fetch(ROWS_AFTER, chain, after)]

    async def carry(self, batch: int = 500) -> int:
        """Bring all new rows of the ledger to rewards, chain after chain. Returns how many."""
        return sum([await self._carry(chain, batch) for chain in range(CHAINS)])

    async def carry_at_once(self) -> None:
        """The same with all chains beside each other, row by row."""
        await asyncio.gather(*(self._carry(chain, 1) for chain in range(CHAINS)))

    async def _carry(self, chain: int, batch: int) -> int:
        async with self.writer.session() as session:
            after = await session.fetchval(POSITION, chain, LEDGER_TOPIC)
        rows = await self.rows(chain, after)
        for start in range(0, len(rows), batch):
            await self.apply(LEDGER_TOPIC, chain, rows[start : start + batch])
        return len(rows)

    async def apply(self, topic: str, chain: int, rows: Sequence[StreamRow]) -> Any:
        """One batch of the consumer."""
        async with self.writer.transaction() as tx:
            return await StreamHandler(topic, CHAINS, nothing).apply(tx, chain, rows)

    async def tell(self, chain: int, member: str, message: Message) -> None:
        """The next row of tiers.v1 on a chain."""
        async with self.writer.session() as session:
            position = await session.fetchval(POSITION, chain, TIERS_TOPIC)
        at = utc("2026-01-01")
        row = StreamRow(chain, position + 1, self.program, member, message.DESCRIPTOR.name, at, at, message)
        await self.apply(TIERS_TOPIC, chain, [row])

    async def state(self, member: str, redemption: str) -> State:
        """Where a redemption stands."""
        return State((await self.views.redemption(self.program, member, redemption)).state)

    async def step(self, redeemer: Redeemer, member: str, redemption: str, step: Step) -> Any:
        """Capture or cancel with a key that says so."""
        return await redeemer.step(self.program, member, redemption, step, f"{redemption}:{step}")

    async def key(self, *scopes: str, programs: Sequence[str] = (), ledger: bool = False) -> str:
        """A new API key of rewards, or of the ledger."""
        return await add_key(self.ledger_owner_url if ledger else self.owner_url, scopes, programs)

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        """A query on the rewards database."""
        async with self.writer.session() as session:
            return list(await session.fetch(sql, *values))


@asynccontextmanager
async def rewards_stack(postgres_url: str) -> AsyncIterator[RewardsStack]:
    """Two fresh databases on the server, both services over them; all gone afterwards."""
    async with (
        service_database(postgres_url, "ledger") as (ledger_owner_url, ledger_url),
        service_database(postgres_url, "rewards") as (owner_url, url),
    ):
        ledger_writer, ledger_reader = await Writer.connect(ledger_url), Reader.connect(ledger_url)
        writer, reader = await Writer.connect(url), Reader.connect(url)
        await ensure_installation(ledger_writer, CHAINS)
        await ensure_installation(writer, CHAINS)
        programs = Programs()
        queue = CommandQueue(ledger_writer, programs, CHAINS, nothing)
        identifiers = ledger_wire.Identifiers(secrets.token_hex(32))
        ledger_app = create_ledger_app(
            Ledger(queue, ledger_reader, programs, identifiers, CHAINS), Keys(ledger_writer)
        )
        transport = httpx.ASGITransport(ledger_app)
        ledger_key = await add_key(ledger_owner_url, ("checkout", "rewards"))
        ops = await add_key(ledger_owner_url, ("ops",))
        client = LedgerClient("http://ledger", SecretStr(ledger_key), transport)
        redeemer, views = Redeemer(writer, client, nothing, CHAINS), Views(reader, CHAINS)

        async def ready() -> dict[str, Any]:
            return {}

        desk = VoucherDesk(writer, nothing, CHAINS, redeemer.patiently)
        draws = DrawDesk(writer, client, nothing, CHAINS, redeemer.patiently)
        app = create_app(
            Keys(writer), redeemer, desk, draws, views, QuoteViews(writer, client, CHAINS), ready
        )
        checkout = await add_key(owner_url, ("checkout",))
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://ledger", headers=bearer(ops)) as ledger,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app, raise_app_exceptions=False),
                base_url="http://rewards",
                headers=bearer(checkout),
            ) as http,
        ):
            yield RewardsStack(
                owner_url,
                ledger_owner_url,
                ledger_writer,
                writer,
                views,
                ledger,
                http,
                transport,
                ledger_key,
                redeemer,
                draws,
            )
        for closing in (ledger_writer, ledger_reader, writer, reader):
            await closing.close()


def bearer(token: str) -> dict[str, str]:
    """The header that a key goes in."""
    return {"Authorization": f"Bearer {token}"}


async def add_key(owner_url: str, scopes: Sequence[str], programs: Sequence[str] = ()) -> str:
    """Write a key into a database; returns the token."""
    key_id, token, digest = new_key()
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute(ADD_KEY, key_id, digest, list(scopes), list(programs))
    finally:
        await owner.close()
    return token


def utc(text: str) -> datetime:
    """An ISO date or time as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
