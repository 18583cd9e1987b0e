"""Grants over real databases: who gets what, once, within budgets that all chains share, and again by a rebuild."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.rewards_stack import DOCUMENT, RewardsStack
from tests.integration.test_rewards_projections import content, rebuilt

pytestmark = pytest.mark.integration

DRINK = {"id": "drink", "kind": "bogo", "valid_days": 30}


def granting(*grants: dict[str, Any]) -> dict[str, Any]:
    return {**DOCUMENT, "rewards": {"vouchers": [DRINK], "grants": list(grants)}}


WELCOME = {"id": "welcome", "occasion": "enrolled", "give": [{"voucher": "drink", "count": 3}]}
STAGED = {
    "id": "staged", "occasion": "purchase", "give": [{"voucher": "drink"}],
    "when": {"purchases": 3, "spend": 30_000, "dates": {"from": "2026-01-01", "to": "2026-01-31"}},
}  # fmt: skip


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    return await servers.with_program()


async def sources(stack: RewardsStack, member: str) -> list[str]:
    wallet = await stack.views.wallet(stack.program, member)
    return [voucher.source_id for voucher in wallet.vouchers]


async def test_a_welcome_pack_comes_once_however_the_rows_are_cut(stack: RewardsStack) -> None:
    await stack.activate(granting(WELCOME))
    for day in (5, 6, 7):
        for member in ("ann", "bob"):
            await stack.buy(member, 10, f"2026-01-0{day}T12:00:00Z")
    await stack.carry(batch=1)
    await stack.carry()
    for member in ("ann", "bob"):
        assert await sources(stack, member) == ["welcome/ever"] * 3


async def test_who_was_there_before_the_grant_gets_nothing_by_it(stack: RewardsStack) -> None:
    await stack.buy("ann", 10)
    await stack.activate(granting(WELCOME))
    await stack.buy("bob", 10)
    await stack.carry()
    assert (await sources(stack, "ann"), len(await sources(stack, "bob"))) == ([], 3)


async def test_a_staged_bonus_counts_late_events_of_the_window_and_comes_once(stack: RewardsStack) -> None:
    await stack.activate(granting(STAGED))
    await stack.buy("ann", 100, "2026-01-30T12:00:00Z")
    await stack.buy("ann", 100, "2026-02-01T00:00:00Z")
    await stack.buy("ann", 100, "2026-01-31T23:59:59Z")
    await stack.carry()
    assert await sources(stack, "ann") == []
    await stack.buy("ann", 100, "2026-01-02T12:00:00Z")
    await stack.carry()
    assert await sources(stack, "ann") == ["staged/ever"]
    issued = (await stack.views.wallet(stack.program, "ann")).vouchers[0].issued_at
    assert issued.isoformat() == "2026-02-01T00:00:00+00:00", "it lives from the program's present on"
    for _ in range(3):
        await stack.buy("ann", 100, "2026-01-20T12:00:00Z")
    await stack.carry()
    assert await sources(stack, "ann") == ["staged/ever"]


async def test_a_budget_holds_while_all_chains_give_at_once(stack: RewardsStack) -> None:
    await stack.activate(granting({**WELCOME, "budget": 20}))
    members = [f"m{number}" for number in range(24)]
    for member in members:
        await stack.buy(member, 10)

    await stack.carry_at_once()
    got = Counter([len(await sources(stack, member)) for member in members])
    assert got == {3: 6, 0: 18}
    rows = await stack.fetch(
        "SELECT type, count(*) AS n FROM journal WHERE program = $1 AND type LIKE 'Grant%' GROUP BY type",
        stack.program,
    )
    assert {row["type"]: row["n"] for row in rows} == {"GrantGiven": 6, "GrantWithheld": 18}
    # Budgets that were looked at and never drawn on.
    await stack.activate(granting({**STAGED, "budget": 5}, {**WELCOME, "budget": 0}))
    await stack.buy("late", 100)
    await stack.carry()
    assert await content(stack, "public") == await content(stack, await rebuilt(stack, batch=2))
