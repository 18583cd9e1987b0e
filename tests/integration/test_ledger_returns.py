"""Returns before, or without, their purchase on real PostgreSQL and by HTTP: what waits is found again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.ops.local.postgres import LocalPostgres
from tests.databases import service_role
from tests.integration.ledger_http import GROCER, purchase, served
from tests.integration.ledger_rows import DOCUMENT, Ledger
from tests.integration.test_ledger_store import check_replay

RULES = {"unknown_purchase": "park", "without_purchase": "record", "shortfall": "forgive"}
KINDER: dict[str, Any] = {**DOCUMENT, "ledger": {**DOCUMENT["ledger"], "returns": RULES}}
PARKED = "SELECT count(*) FROM parked_returns"
pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def ledger(database: str) -> AsyncIterator[Ledger]:
    async with service_role("ledger", database) as url, Ledger.open(url) as ledger:
        await ledger.activate(KINDER)
        yield ledger


@pytest_asyncio.fixture
async def till(postgres: LocalPostgres, bootstrap: str) -> AsyncIterator[httpx.AsyncClient]:
    async with served(postgres.url, bootstrap) as found, found.client(found.tokens["ops"]) as client:
        assert (await client.put(GROCER, json=KINDER)).status_code == 201
        yield client


async def test_what_waits_is_found_again_when_its_purchase_comes(ledger: Ledger) -> None:
    (first,) = await ledger.take(ledger.return_("p1", "r1"))
    await ledger.take(ledger.return_("p1", "r2", units=3))
    await ledger.take(ledger.return_("p2", "r3"))
    assert await ledger.value(PARKED) == 3
    await ledger.take(ledger.purchase("p1", quantity=3))
    assert await ledger.balance() == (67, 0, 0)
    assert await ledger.value(PARKED) == 1
    (again,) = await ledger.take(ledger.return_("p1", "r1"))
    assert (again.duplicate, again.position, again.refusal) == (True, first.position, None)
    await check_replay(ledger)
    await ledger.take(ledger.return_("p1", "r4", units=2))
    assert await ledger.balance() == (0, 0, 0)


async def test_a_return_and_its_purchase_in_one_batch(ledger: Ledger) -> None:
    await ledger.take(ledger.return_("p1", "r1"), ledger.purchase("p1"), ledger.purchase("p2"))
    assert await ledger.balance() == (100, 0, 0)
    assert await ledger.value(PARKED) == 0
    await check_replay(ledger)


async def test_what_waits_is_settled_under_a_version_that_parks_no_more(ledger: Ledger) -> None:
    await ledger.take(ledger.return_("p1", "r1"))
    await ledger.activate()
    await ledger.take(ledger.purchase("p1"))
    assert await ledger.balance() == (0, 0, 0)


async def test_points_that_are_spent_are_taken_back_from_nobody_where_they_are_forgiven(
    ledger: Ledger,
) -> None:
    await ledger.take(ledger.purchase(), ledger.hold(80), ledger.capture())
    await ledger.take(ledger.return_())
    assert await ledger.balance() == (0, 0, 0)
    assert await ledger.value("SELECT adjusted FROM settlements") == -100
    await check_replay(ledger)


async def test_a_till_is_told_what_becomes_of_a_return(till: httpx.AsyncClient) -> None:
    body = {
        "id": "r1", "member": "ann", "occurred_at": "2026-01-05T13:00:00Z", "of": "p1",
        "lines": [{"line": 1, "quantity": 1}],
    }  # fmt: skip
    for status in (201, 200):
        answer = await till.post(f"{GROCER}/returns", json=body)
        assert (answer.status_code, answer.json()["parked"], answer.json()["points"]) == (status, True, 0)
    bought = (await till.post(f"{GROCER}/purchases", json=purchase())).json()
    assert (bought["points"], bought["balance"]["posted"]) == (100, 0)
    without = {key: value for key, value in body.items() if key != "of"} | {"id": "r2"}
    answer = await till.post(f"{GROCER}/returns", json=without)
    assert (answer.status_code, answer.json()["parked"], answer.json()["points"]) == (201, False, 0)
    assert (await till.put(GROCER, json=DOCUMENT)).status_code in (200, 201)
    answer = await till.post(f"{GROCER}/returns", json=without | {"id": "r3"})
    assert (answer.status_code, answer.json()["code"]) == (422, "return_without_purchase")
    entries = (await till.get(f"{GROCER}/members/ann/statement")).json()["entries"]
    assert [entry["type"] for entry in entries] == [
        "MemberEnrolled", "ReturnParked", "PurchaseRecorded", "PointsAccrued", "ReturnRecorded", "PointsClawedBack",
        "ReturnRecorded",
    ]  # fmt: skip
