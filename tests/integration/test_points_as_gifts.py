"""Points that grants give, by a real ledger: once, whatever is lost on the way, and within their budget."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from datetime import timedelta

import pytest
import pytest_asyncio

from services.common.clock import utc_now
from tests.integration.drawing import (
    WHEEL,
    adjusted,
    owed,
    same_again,
    settle,
    with_draws,
)
from tests.integration.rewards_stack import (
    AnswerLost,
    NeverSent,
    RewardsStack,
    bearer,
)

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    stack = await servers.with_program()
    await stack.activate(with_draws(WHEEL))
    return stack


async def test_a_grant_of_points_is_given_once_whatever_is_lost_on_the_way(stack: RewardsStack) -> None:
    await stack.buy("ann", 100)
    await stack.carry()
    soon = utc_now()
    for transport in (NeverSent(), AnswerLost(stack.ledger_transport), AnswerLost(stack.ledger_transport)):
        soon += timedelta(hours=1)
        assert await stack.draws_over(transport)[1].round(soon) == 0
        assert await owed(stack) == 1
    await settle(stack)
    await settle(stack)
    assert (await owed(stack), await adjusted(stack, "ann")) == (0, [30])
    assert (await stack.views.wallet(stack.program, "ann")).points.posted == 130
    await same_again(stack)


async def test_two_loops_at_once_give_a_grant_of_points_once(stack: RewardsStack) -> None:
    for number in range(12):
        await stack.buy(f"m{number}", 10)
    await stack.carry()
    keys = [(r["program"], r["member"], r["award"]) for r in await stack.fetch(
        "SELECT program, member, award FROM awards WHERE program = $1", stack.program)]  # fmt: skip
    gave = await asyncio.gather(*(stack.work().give(key) for key in keys for _ in range(3)))
    assert sum(gave) == len(keys) == 12
    assert [await adjusted(stack, f"m{number}") for number in range(12)] == [[30]] * 12


async def test_a_budget_of_points_holds_while_all_chains_give_at_once(stack: RewardsStack) -> None:
    purse = {"id": "purse", "occasion": "enrolled", "give": [{"points": 30}], "budget": 100}
    await stack.activate(with_draws(grants=(purse,)))
    members = [f"m{number}" for number in range(12)]
    for member in members:
        await stack.buy(member, 10)

    await stack.carry_at_once()
    await settle(stack)
    points = Counter([(await stack.points(member))["available"] for member in members])
    assert points == {10 + 30: 3, 10: 9}
    await same_again(stack)


async def test_a_new_key_at_the_ledger_does_not_give_points_again(stack: RewardsStack) -> None:
    await stack.buy("ann", 100)
    await stack.carry()
    await stack.draws_over(AnswerLost(stack.ledger_transport))[1].round(utc_now())
    stack.ledger_key = await stack.key("checkout", "rewards", ledger=True)
    await settle(stack)
    assert (await owed(stack), await adjusted(stack, "ann")) == (0, [30])


async def test_what_the_ledger_will_not_give_is_on_record(stack: RewardsStack) -> None:
    await stack.buy("ann", 100)
    await stack.carry()
    closing = f"/v1/programs/{stack.program}/members/ann/close"
    key = {"Idempotency-Key": secrets.token_hex(4)}
    (await stack.ledger.post(closing, json={"reason": "left"}, headers=key)).raise_for_status()
    await settle(stack)
    rows = await stack.fetch("SELECT state, code FROM awards WHERE program = $1", stack.program)
    assert [(r["state"], r["code"]) for r in rows] == [("refused", "member_closed")]
    assert await owed(stack) == 0
    await same_again(stack)


async def test_the_key_of_rewards_gives_points_and_takes_none(stack: RewardsStack) -> None:
    await stack.buy("ann", 100)
    path = f"/v1/programs/{stack.program}/members/ann/adjustments"
    mine = bearer(stack.ledger_key) | {"Idempotency-Key": "x1"}
    taking = await stack.ledger.post(path, json={"points": -5, "reason": "reward"}, headers=mine)
    assert (taking.status_code, taking.json()["code"]) == (403, "forbidden")
    giving = await stack.ledger.post(path, json={"points": 5, "reason": "reward"}, headers=mine)
    assert giving.status_code == 201
