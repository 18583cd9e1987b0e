"""Which keys open which of the ledger's doors: every route, every scope."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.ops.local.postgres import LocalPostgres
from tests.integration.ledger_http import GROCER, Served, purchase, served
from tests.integration.ledger_rows import DOCUMENT
from tests.integration.test_ledger_http import key, told

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ledger(postgres: LocalPostgres, bootstrap: str) -> AsyncIterator[Served]:
    async with served(postgres.url, bootstrap) as found:
        yield found


ROUTES: list[tuple[str, str, dict[str, Any] | None, set[str]]] = [
    ("PUT", "", DOCUMENT, {"ops"}),
    ("GET", "", None, {"ops", "audit", "pos", "checkout"}),
    ("POST", "/clock", {"to": "2026-01-05T12:00:00Z"}, {"ops"}),
    ("GET", "/totals", None, {"ops", "audit"}),
    ("GET", "/rejections", None, {"ops", "audit"}),
    ("POST", "/members", {"member": "scoped"}, {"ops", "pos", "checkout"}),
    ("GET", "/members/scoped", None, {"ops", "audit", "pos", "checkout", "member"}),
    ("GET", "/members/scoped/statement", None, {"ops", "audit", "pos", "checkout", "member"}),
    ("POST", "/purchases", purchase("scoped", member="scoped"), {"ops", "pos"}),
    ("POST", "/purchases/preview", {"member": "scoped", "occurred_at": "2026-01-05T12:00:00Z", "currency": "USD",
                                    "lines": [{"id": 1, "quantity": 1, "amount": 1}]}, {"ops", "pos", "checkout"}),
    ("POST", "/returns", {"id": "scoped", "member": "scoped", "occurred_at": "2026-01-05T12:00:00Z", "of": "x",
                          "lines": [{"line": 1, "quantity": 1}]}, {"ops", "pos"}),
    ("POST", "/interactions", {"id": "scoped", "member": "scoped", "occurred_at": "2026-01-05T12:00:00Z",
                               "kind": "review"}, {"ops", "pos", "checkout"}),
    ("POST", "/referrals", {"id": "scoped", "member": "scoped", "occurred_at": "2026-01-05T12:00:00Z",
                            "step": "task", "task": "x"}, {"ops", "pos", "checkout"}),
    ("POST", "/members/scoped/holds", {"order": "o", "amount": 1}, {"ops", "checkout"}),
    ("GET", "/members/scoped/holds/h", None, {"ops", "audit", "checkout", "member"}),
    ("POST", "/members/scoped/holds/h/capture", {}, {"ops", "checkout"}),
    ("POST", "/members/scoped/holds/h/release", {}, {"ops", "checkout"}),
    ("POST", "/top_ups", {"id": "scoped", "member": "scoped", "occurred_at": "2026-01-05T12:00:00Z", "currency": "USD",
                          "amount": 1}, {"ops", "pos"}),
    ("POST", "/top_ups/reversals", {"id": "scoped", "member": "scoped", "occurred_at": "2026-01-05T12:00:00Z",
                                    "of": "scoped"}, {"ops", "pos"}),
    ("POST", "/members/scoped/gifts", {"to": "scoped", "currency": "USD", "amount": 1}, {"ops", "checkout"}),
    ("GET", "/members/scoped/money", None, {"ops", "audit", "pos", "checkout", "member"}),
    ("POST", "/members/scoped/orders/o/refunds", {}, {"ops", "checkout"}),
    ("GET", "/adjustments", None, {"ops", "audit"}),
    ("POST", "/members/scoped/adjustments", {"points": 1, "reason": "goodwill"}, {"ops", "rewards"}),
    ("POST", "/members/scoped/adjustments", {"points": -1, "reason": "goodwill"}, {"ops"}),
    ("POST", "/members/scoped/money_awards", {"currency": "USD", "amount": 1}, {"ops", "rewards"}),
    ("POST", "/members/scoped/money_awards/w/take_back", {"currency": "USD", "amount": 1}, {"ops", "rewards"}),
    ("GET", "/members/scoped/birthday", None, {"ops", "rewards"}),
    ("GET", "/members/scoped/adjustments/a", None, {"ops", "audit", "rewards"}),
    ("POST", "/members/scoped/adjustments/a/approve", {}, {"ops"}),
    ("POST", "/members/scoped/adjustments/a/decline", {}, {"ops"}),
    ("DELETE", "/members/scoped/identifiers/card:1", None, {"ops", "pos", "checkout"}),
    ("POST", "/members/scoped/suspend", {"reason": "x"}, {"ops"}),
    ("POST", "/members/scoped/reactivate", {"reason": "x"}, {"ops"}),
    ("POST", "/members/scoped/close", {"reason": "x"}, {"ops"}),
    ("POST", "/members/scoped/merge", {"member": "scoped"}, {"ops"}),
    ("PUT", "/members/scoped/profile", {"name": "x"}, {"ops", "member"}),
    ("GET", "/members/scoped/profile", None, {"ops", "member"}),
    ("POST", "/members/scoped/erase", {}, {"ops"}),
    ("GET", "/members/scoped/as-of", None, {"ops", "audit"}),
    ("GET", "/accounts/as-of", None, {"ops", "audit"}),
    ("GET", "/members/scoped/explain", None, {"ops", "audit"}),
    ("GET", "/orders/o/explain", None, {"ops", "audit"}),
    ("GET", "/positions/0:1/explain", None, {"ops", "audit"}),
    ("GET", "/liability", None, {"ops", "audit"}),
    ("GET", "/liability/breakage", None, {"ops", "audit"}),
]  # fmt: skip


@pytest.mark.parametrize("scope", ["pos", "checkout", "member", "ops", "audit", "rewards"])
async def test_a_key_opens_the_doors_of_its_scope_and_no_others(ledger: Served, scope: str) -> None:
    async with ledger.client(await ledger.token(scope)) as client:
        for method, path, body, scopes in ROUTES:
            answer = await client.request(method, GROCER + path, json=body, headers=key("scoped"))
            if scope in scopes:
                assert answer.status_code not in (401, 403, 500), (method, path, answer.text)
            else:
                told(answer, 403, "forbidden")


def test_every_route_has_a_scope_in_the_table(ledger: Served) -> None:
    prefix = "/v1/programs/{program}"
    names = {
        "{member}": "scoped",
        "{hold}": "h",
        "{order}": "o",
        "{adjustment}": "a",
        "{award}": "w",
        "{identifier}": "card:1",
        "{place}": "0:1",
    }
    there = {
        (method.upper(), re.sub(r"{\w+}", lambda name: names[name[0]], path.removeprefix(prefix)))
        for path, methods in ledger.app.openapi()["paths"].items()
        for method in methods
        if path.startswith(prefix)
    }
    assert there == {(method, path) for method, path, _, _ in ROUTES}
