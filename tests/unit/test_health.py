"""Whether a service is ready is an answer, also while its database is away."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.common.service import health_router


async def ask(facts: dict[str, Any] | OSError) -> httpx.Response:
    async def ready() -> dict[str, Any]:
        if isinstance(facts, OSError):
            raise facts
        return facts

    app = FastAPI()
    app.include_router(health_router(ready))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        return await client.get("/health/ready")


@pytest.mark.asyncio
async def test_a_service_that_can_ask_its_database_is_ready_and_says_how_far_it_is() -> None:
    answer = await ask({"relay": {"behind": 3}})
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "relay": {"behind": 3}})


@pytest.mark.asyncio
async def test_a_service_without_its_database_is_not_ready() -> None:
    answer = await ask(ConnectionRefusedError("nobody listens"))
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "database": "unreachable"})
