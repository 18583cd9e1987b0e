"""Wallets, tiers, programs: what the streams tell, however they are cut into batches, and told again by a rebuild."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.chain import chain_of
from services.common.codec import StreamRow
from services.common.errors import InvariantBroken, Refusal
from services.rewards.consume import LEDGER_TOPIC, StreamHandler
from services.rewards.domain.reservation import Reserve
from services.rewards.domain.standing import Segments, Standing
from services.rewards.replay import PROJECTIONS, rebuild_own, rebuild_stream
from services.rewards.standings import find_standings
from tallybook.ledger.v1 import events_pb2 as ledger_pb
from tallybook.tiering.v1 import events_pb2 as tiering_pb
from tests.integration.rewards_stack import CHAINS, DOCUMENT, RewardsStack, utc

pytestmark = pytest.mark.integration
MEMBERS = [f"m{number}" for number in range(12)]


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    return await servers.with_program()


async def live(stack: RewardsStack, seed: int) -> None:
    """Purchases and redemptions of some members, some heard of late, some never settled by us."""
    chance = random.Random(seed)
    for number in range(60):
        member = chance.choice(MEMBERS)
        await stack.buy(member, chance.randint(1, 400), f"2026-01-{1 + number // 3:02d}T12:00:00Z")
        if number % 3 == 0:
            await redeem(stack, chance, member, f"r{number}")
        if number % 10 == 9:
            await stack.carry(batch=chance.choice([1, 7, 500]))
    await stack.advance(utc("2026-02-10"))
    await stack.carry()


async def redeem(stack: RewardsStack, chance: random.Random, member: str, redemption: str) -> None:
    try:
        await stack.redeemer.reserve(stack.program, Reserve(redemption, member, "mug", "o", None))
        what = chance.choice(["capture", "cancel", None])
        if what is not None:
            await stack.step(stack.redeemer, member, redemption, what)  # type: ignore[arg-type]
    except Refusal as refusal:
        assert refusal.code in ("insufficient_points", "redemption_timed_out")


async def content(stack: RewardsStack, schema: str) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: [
            tuple(row)
            for row in await stack.fetch(f"SELECT * FROM {schema}.{table} ORDER BY {', '.join(key)}")  # noqa: S608
        ]
        for table, key in PROJECTIONS.items()
    }


async def in_batches(rows: Sequence[Any], size: int) -> AsyncIterator[Sequence[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


async def test_wallets_are_what_the_ledger_says_and_a_rebuild_gives_them_again(stack: RewardsStack) -> None:
    await live(stack, seed=1)
    for member in MEMBERS:
        wallet = (await stack.views.wallet(stack.program, member)).points.model_dump()
        points = await stack.points(member)
        assert wallet == {name: points[name] for name in wallet}
    states = {row["state"] for row in await stack.fetch("SELECT DISTINCT state FROM redemptions")}
    assert {"captured", "cancelled", "timed_out"} <= states

    beside = await rebuilt(stack, batch=13)
    assert await content(stack, "public") == await content(stack, beside)


async def rebuilt(stack: RewardsStack, batch: int) -> str:
    """Fill a schema beside the live one; returns its name."""
    schema = f"beside_{secrets.token_hex(4)}"
    owner = await asyncpg.connect(stack.owner_url)
    try:
        role = await stack.fetch("SELECT current_user AS name")
        await owner.execute(f'CREATE SCHEMA {schema} AUTHORIZATION "{role[0]["name"]}"')
    finally:
        await owner.close()
    async with stack.writer.transaction() as tx:
        for table in PROJECTIONS:
            await tx.execute(f"CREATE TABLE {schema}.{table} (LIKE public.{table} INCLUDING ALL)")
        await tx.execute(f"SET LOCAL search_path TO {schema}")
        for chain in range(CHAINS):
            await rebuild_stream(tx, chain, in_batches(await stack.rows(chain), batch))
            sql = "SELECT * FROM public.journal WHERE chain = $1 ORDER BY position"
            await rebuild_own(tx, chain, CHAINS, in_batches(await tx.fetch(sql, chain), batch))
    return schema


async def test_a_row_that_comes_twice_counts_once_and_a_gap_stops_the_consumer(stack: RewardsStack) -> None:
    await stack.buy("ann", 100)
    chain = chain_of("ann", CHAINS)
    await stack.carry()
    rows = await stack.rows(chain)
    applied = await stack.apply(LEDGER_TOPIC, chain, rows[-3:])
    assert (applied.recorded, applied.duplicates) == (0, 3)
    assert (await stack.views.wallet(stack.program, "ann")).points.posted == 100
    with pytest.raises(InvariantBroken):
        await stack.apply(LEDGER_TOPIC, chain, [replace(rows[-1], position=rows[-1].position + 2)])
    with pytest.raises(InvariantBroken):
        await stack.apply(LEDGER_TOPIC, (chain + 1) % CHAINS, rows[:1])


async def test_a_tier_is_shown_even_before_the_ledger_told_of_the_member(stack: RewardsStack) -> None:
    message = tiering_pb.TierChanged(
        from_tier="member", to_tier="gold", since=Timestamp(seconds=1_767_225_600)
    )
    chain = chain_of("ann", CHAINS)
    await stack.tell(chain, "ann", message)
    wallet = await stack.views.wallet(stack.program, "ann")
    assert (wallet.tier, wallet.points.available) == ("gold", 0)
    with pytest.raises(Refusal, match="unknown_member"):
        await stack.views.wallet(stack.program, "nobody")


async def test_segments_and_tags_are_what_tiering_last_said(stack: RewardsStack) -> None:
    chain = chain_of("ann", CHAINS)
    for family, before, after in (
        ("lifecycle", "new", "dormant"),
        ("tag", "", "vip"),
        ("tag", "", "press"),
        ("class", "low_low", "loyal"),
        ("tag", "vip", ""),
    ):
        changed = tiering_pb.SegmentChanged(family=family, from_segment=before, to_segment=after)
        await stack.tell(chain, "ann", changed)
    async with stack.writer.session() as session:
        found = await find_standings(session, chain, [(stack.program, "ann"), (stack.program, "bob")])
    assert found[stack.program, "ann"] == Standing(None, Segments("dormant", "loyal", frozenset({"press"})))
    assert found[stack.program, "bob"] == Standing()


async def test_a_version_whose_section_is_wrong_is_refused_and_the_one_before_stays(
    stack: RewardsStack,
) -> None:
    before = await stack.shop.catalogue(stack.program, None)
    await stack.activate(
        {**DOCUMENT, "rewards": {"catalogue": [{"id": "mug", "kind": "product", "points": -1}]}}
    )
    assert await stack.shop.catalogue(stack.program, None) == before
    refusals = await stack.fetch(
        "SELECT chain, payload, cause_source FROM journal WHERE type = 'ProgramRefused' AND program = $1",
        stack.program,
    )
    assert sorted(row["chain"] for row in refusals) == list(range(CHAINS))
    assert b"rewards.catalogue[0].points" in refusals[0]["payload"]


async def test_a_new_version_prices_new_redemptions_only(stack: RewardsStack) -> None:
    await stack.buy("ann", 1_000)
    await stack.redeemer.reserve(stack.program, Reserve("r1", "ann", "mug", "o", None))
    await stack.activate(
        {**DOCUMENT, "rewards": {"catalogue": [{"id": "mug", "kind": "product", "points": 250}]}}
    )
    with pytest.raises(Refusal, match="unknown_reward"):
        await stack.redeemer.reserve(stack.program, Reserve("r2", "ann", "five_off", "o", None))
    await stack.redeemer.reserve(stack.program, Reserve("r3", "ann", "mug", "o", None))
    await stack.step(stack.redeemer, "ann", "r1", "capture")
    wallet = await stack.views.wallet(stack.program, "ann")
    assert [(r.redemption, r.points, r.state) for r in wallet.redemptions] == [
        ("r3", 250, "reserved"),
        ("r1", 100, "captured"),
    ]


async def test_a_program_on_its_events_redeems_at_its_own_time(stack: RewardsStack) -> None:
    await stack.buy("ann", 1_000, "2017-03-01T12:00:00Z")
    await stack.carry()
    answer = await stack.redeemer.reserve(stack.program, Reserve("r1", "ann", "mug", "o", None))
    assert answer.redemption.requested_at == datetime(2017, 3, 1, 12, tzinfo=UTC)
    assert answer.redemption.expires_at is not None
    assert answer.redemption.expires_at - timedelta(seconds=600) <= answer.redemption.requested_at


async def test_a_batch_is_applied_by_a_fixed_number_of_queries(stack: RewardsStack) -> None:
    """No query a row: a batch of 400 rows takes as many statements as one of 4."""
    chain, member = chain_of("ann", CHAINS), "ann"
    await stack.carry()
    (place,) = await stack.fetch(
        "SELECT position FROM stream_positions WHERE chain = $1 AND topic = $2", chain, LEDGER_TOPIC
    )
    handler = StreamHandler(LEDGER_TOPIC, CHAINS, lambda: None)
    counts = []
    for size in (4, 400):
        rows = [
            StreamRow(chain, place["position"] + n, stack.program, f"{member}-{n}", "PointsAccrued", utc("2026-01-01"),
                      utc("2026-01-01"), ledger_pb.PointsAccrued(points=1))
            for n in range(1, size + 1)
        ]  # fmt: skip
        queries: list[Any] = []
        async with stack.writer.session() as session:
            made_up = session.transaction()
            await made_up.start()
            with session.query_logger(queries.append):
                await handler.apply(session, chain, rows)
            await made_up.rollback()
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8
