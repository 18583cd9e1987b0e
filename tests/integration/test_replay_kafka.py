"""Projections rebuilt from the topics are those rebuilt from the journals; what a topic lacks is said."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.common.topics import create_topics
from services.ops.api import Api, endpoints_of
from services.ops.install import SERVICES
from services.ops.level import LevelGauge
from services.ops.local.stack import Stack
from services.ops.replay import checkpoint
from services.ops.replay.kafka import Topics
from services.ops.replay.run import How, Replayed, replay
from services.ops.replay.sources import StreamIncomplete
from tests.integration.ledger_rows import CHAINS
from tests.integration.test_verify_stack import DOCUMENT, MEMBERS, STALL_SECONDS, publish, shop

pytestmark = pytest.mark.integration


async def test_a_rebuild_from_the_topics_gives_the_live_rows_from_the_start_and_from_a_checkpoint(
    stack: Stack,
) -> None:
    urls = {service: stack.owner_url(service) for service in SERVICES}
    kafka, prefix = stack.state.bootstrap, stack.state.topic_prefix
    name = program = f"c{secrets.token_hex(4)}"

    async def replayed(service: str, how: How) -> Replayed:
        return await asyncio.to_thread(replay, service, urls, 1, how=how)

    async with Api(endpoints_of(stack)) as api, LevelGauge(api) as gauge:
        await api.put("ledger", f"/v1/programs/{program}", {**DOCUMENT, "program": program})
        for number in (*range(MEMBERS), *range(2 * MEMBERS, 5 * MEMBERS // 2)):
            await shop(api, number, program)
        await gauge.wait(STALL_SECONDS)
        try:
            kept = [await replayed(service, How(kafka, prefix, checkpoint=name)) for service in SERVICES]
            for number in range(5 * MEMBERS // 2, 3 * MEMBERS):
                await shop(api, number, program)
            await gauge.wait(STALL_SECONDS)
            whole = [await replayed(service, How(kafka, prefix)) for service in SERVICES]
            behind = [await replayed(service, How(kafka, prefix, after=name)) for service in SERVICES]
        finally:
            for url in urls.values():
                await checkpoint.drop(url, name)
    for results in zip(kept, whole, behind, strict=True):
        for result in results:
            assert [part.difference for part in result.compared if not part.same] == [], result.service
        before, all_, since = results
        assert sorted(map(str, since.compared)) == sorted(map(str, all_.compared))
        assert 0 < since.rows == all_.rows - before.rows


@pytest_asyncio.fixture
async def prefix(bootstrap: str, topic_prefix: str) -> AsyncIterator[str]:
    """The names of topics whose chain 1 begins with position 3, of which 4 was sent twice."""
    await create_topics(bootstrap, topic_prefix, CHAINS)
    for position in (3, 4, 4, 5, 6):
        await publish(bootstrap, topic_prefix, 1, position)
    yield topic_prefix


async def positions(bootstrap: str, prefix: str, after: int, up_to: int, stall: float = 20.0) -> list[int]:
    async with Topics(bootstrap, prefix, stall) as topics:
        return [
            row["position"]
            async for rows in topics.rows("ledger.v1", 1, after, up_to, types=("ClockAdvanced",))
            for row in rows
        ]


async def test_each_row_is_read_once_from_wherever_it_lies(bootstrap: str, prefix: str) -> None:
    assert await positions(bootstrap, prefix, 2, 6) == [3, 4, 5, 6]
    assert await positions(bootstrap, prefix, 4, 5) == [5]
    assert await positions(bootstrap, prefix, 6, 6) == []


async def test_a_row_that_is_published_late_is_waited_for(bootstrap: str, prefix: str) -> None:
    reading = asyncio.create_task(positions(bootstrap, prefix, 5, 7))
    await publish(bootstrap, prefix, 1, 7)
    assert await reading == [6, 7]


async def test_what_a_topic_lacks_is_named_with_what_to_do(bootstrap: str, prefix: str) -> None:
    begins = r"ledger.v1/1 has no position 1 of chain 1: what is there goes on with 3 .* checkpoint that stands for 2"
    with pytest.raises(StreamIncomplete, match=begins):
        await positions(bootstrap, prefix, 0, 6)
    await publish(bootstrap, prefix, 1, 9)
    with pytest.raises(StreamIncomplete, match="has no position 7 of chain 1: what is there goes on with 9"):
        await positions(bootstrap, prefix, 2, 9)
    with pytest.raises(StreamIncomplete, match=r"no row behind position 0 .* stand for 4: is the relay"):
        async with Topics(bootstrap, prefix, 0.1) as topics:
            await anext(topics.rows("ledger.v1", 2, 0, 4))
    with pytest.raises(StreamIncomplete, match=r"has no topic nowhere\.ledger\.v1: --topic-prefix"):
        await positions(bootstrap, "nowhere.", 0, 1)
