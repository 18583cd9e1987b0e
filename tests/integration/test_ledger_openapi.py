"""Schemathesis over the ledger's OpenAPI: whatever the schema allows, and what it does not, no answer is our fault."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from services.common.problem import MEDIA_TYPE
from services.ledger.routes.batch import MEDIA_TYPE as MEDIA_TYPE_OF_BATCH
from services.ops.local.postgres import LocalPostgres
from tests.integration.ledger_http import Served, served

CASES = 7
"""Cases of each operation in each mode."""
pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ledger(postgres: LocalPostgres, bootstrap: str) -> AsyncIterator[Served]:
    async with served(postgres.url, bootstrap) as found:
        yield found


@schemathesis.serializer(MEDIA_TYPE_OF_BATCH)
def ndjson(_ctx: Any, value: Any) -> bytes:
    """A batch is text to the schema: each of its lines says for itself what is wrong."""
    return str(value).encode(errors="replace")


def cases(app: Any) -> dict[str, list[Any]]:
    """Cases by operation, right ones and wrong ones, drawn from the application's own schema."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    drawn: dict[str, list[Any]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            name = f"{operation.label} {mode.value}"
            drawn[name] = draw(operation.as_strategy(generation_mode=mode))
    return drawn


def draw(strategy: st.SearchStrategy[Any]) -> list[Any]:
    """The first `CASES` of a strategy, always the same ones."""
    seen: list[Any] = []

    @settings(
        max_examples=CASES, derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def take(case: Any) -> None:
        seen.append(case)

    # An operation that takes nothing can't be asked wrongly.
    with contextlib.suppress(Unsatisfiable):
        take()
    return seen


async def test_no_request_that_the_schema_leads_to_is_our_fault(ledger: Served) -> None:
    drawn = await asyncio.to_thread(cases, ledger.app)
    answered = 0
    async with ledger.client(ledger.tokens["ops"]) as client:
        for name, some in drawn.items():
            for case in some:
                answer = await send(client, case)
                if answer is None:
                    continue
                answered += 1
                assert answer.status_code < 500, (name, case, answer.text)
                if answer.status_code >= 400:
                    assert answer.headers["content-type"] == MEDIA_TYPE, (name, answer.text)
    assert answered > len(drawn) * 3


async def send(client: httpx.AsyncClient, case: Any) -> httpx.Response | None:
    """One case through our client; None where HTTP itself has no way to write it."""
    arguments = case.as_transport_kwargs(base_url="http://ledger")
    for name in ("cookies", "timeout", "verify", "cert", "hooks", "auth"):
        arguments.pop(name, None)
    data = arguments.pop("data", None)
    if data is not None:
        arguments["content"] = data
    headers = {
        name: value for name, value in (arguments.pop("headers", None) or {}).items() if value is not None
    }
    headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
    try:
        request = client.build_request(**arguments, headers=headers)
    except (httpx.InvalidURL, ValueError, TypeError, UnicodeError):
        return None
    return await client.send(request)
