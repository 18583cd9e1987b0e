"""Servers that several files of tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from services.ops.local.postgres import LocalPostgres
from tests.integration.rewards_stack import RewardsStack, rewards_stack


@pytest_asyncio.fixture(scope="module")
async def servers(postgres: LocalPostgres) -> AsyncIterator[RewardsStack]:
    """Rewards and a real ledger, for the tests of one file: each takes a program of its own from them."""
    async with rewards_stack(postgres.url) as servers:
        yield servers
