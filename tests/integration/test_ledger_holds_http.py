"""A checkout captures in parts and gives back, by HTTP; every step may be sent again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio

from services.ops.local.postgres import LocalPostgres
from tests.integration.ledger_http import GROCER, Served, purchase, served

HOLDS = f"{GROCER}/members/ann/holds"
BALANCE = {"held": 0, "debt": 0, "pending": 0}
pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ledger(postgres: LocalPostgres, bootstrap: str) -> AsyncIterator[Served]:
    async with served(postgres.url, bootstrap) as found:
        yield found


@pytest_asyncio.fixture
async def checkout(ledger: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with ledger.client(ledger.tokens["ops"]) as client:
        yield client


async def send(client: httpx.AsyncClient, path: str, key: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(path, json=body, headers={"Idempotency-Key": key})
    return {"status": answer.status_code, **answer.json()}


def part(answer: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(answer[name] for name in names)


async def test_an_order_is_captured_in_parts_and_given_back(checkout: httpx.AsyncClient) -> None:
    await checkout.post(f"{GROCER}/purchases", json=purchase())
    placed = await send(checkout, HOLDS, "h1", order="A/1", amount=60)
    for status in (201, 200):
        answer = await send(checkout, f"{HOLDS}/h1/capture", "c1", amount=20, final=False)
        assert part(answer, "status", "state", "amount", "captured") == (status, "open", 60, 20)
        assert answer["expires_at"] == placed["expires_at"]
        assert answer["balance"] == BALANCE | {"available": 40, "posted": 80, "held": 40}
    assert (await send(checkout, f"{HOLDS}/h1/capture", "c1", amount=20))[
        "code"
    ] == "exists_with_different_final"
    for status in (201, 200):
        answer = await send(checkout, f"{HOLDS}/h1/capture", "c2", amount=30)
        assert part(answer, "status", "state", "amount", "captured") == (status, "captured", 60, 50)
        assert answer["balance"] == BALANCE | {"available": 50, "posted": 50}
    refunds = f"{GROCER}/members/ann/orders/A/1/refunds"
    for status in (201, 200):
        answer = await send(checkout, refunds, "f1", amount=15)
        assert part(answer, "status", "refund", "order") == (status, "f1", "A/1")
        assert part(answer, "points", "debt_repaid", "expired", "left") == (15, 0, 0, 35)
        assert answer["balance"]["available"] == 65
    assert part(await send(checkout, refunds, "f1", amount=16), "status", "code") == (
        409, "exists_with_different_amount"
    )  # fmt: skip
    assert part(await send(checkout, refunds, "f2", amount=36), "status", "code") == (
        409, "amount_exceeds_spend"
    )  # fmt: skip
    assert part(await send(checkout, refunds, "f3"), "points", "left") == (35, 0)
    assert part(await send(checkout, refunds, "f4"), "status", "code") == (409, "order_already_refunded")
    unknown = await send(checkout, f"{GROCER}/members/ann/orders/o9/refunds", "f5")
    assert part(unknown, "status", "code") == (404, "order_unknown")
    totals = (await checkout.get(f"{GROCER}/totals")).json()
    assert part(totals, "issued", "spent", "outstanding") == (100, 0, 100)
    entries = (await checkout.get(f"{GROCER}/members/ann/statement")).json()["entries"]
    assert [entry["points"] for entry in entries if entry["type"] == "SpendRefunded"] == [15, 35]


async def test_the_rest_of_a_hold_is_released(checkout: httpx.AsyncClient) -> None:
    await checkout.post(f"{GROCER}/purchases", json=purchase("p2", member="bob"))
    holds = f"{GROCER}/members/bob/holds"
    await send(checkout, holds, "b1", order="o", amount=60)
    await send(checkout, f"{holds}/b1/capture", "b2", amount=20, final=False)
    answer = await send(checkout, f"{holds}/b1/release", "b3")
    assert part(answer, "state", "amount", "captured") == ("released", 60, 20)
    assert answer["balance"]["available"] == 80


async def test_a_hold_is_found_by_every_id_that_it_can_be_placed_with(checkout: httpx.AsyncClient) -> None:
    await checkout.post(f"{GROCER}/purchases", json=purchase("p2", member="bob"))
    holds, id_ = f"{GROCER}/members/bob/holds", "shop/7/capture?#%"
    path = f"{holds}/{quote(id_, safe='')}"
    assert (await send(checkout, holds, id_, order="o/ü?#%", amount=60))["status"] == 201
    assert (await checkout.get(path)).json()["hold"] == id_
    assert (await send(checkout, f"{path}/capture", "c/1", amount=20, final=False))["captured"] == 20
    assert (await send(checkout, f"{path}/release", "r/1"))["state"] == "released"
    refunds = f"{GROCER}/members/bob/orders/{quote('o/ü?#%', safe='')}/refunds"
    assert (await send(checkout, refunds, "f/1"))["points"] == 20
    assert (await send(checkout, holds, "h2", order="o\n1", amount=1))["code"] == "invalid_request"
