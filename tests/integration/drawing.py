"""A program with a wheel over real databases and a real ledger, and what its tests look at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg

from services.common.clock import utc_now
from services.ops.verify.chain import verify_chain
from services.ops.verify.draws import check_counters
from services.ops.verify.findings import Findings, Report
from services.rewards.domain.draws import SEED_BYTES, number_of
from services.rewards.handle_draws import DrawDesk
from tests.integration.rewards_stack import (
    CHAINS,
    DOCUMENT,
    RewardsStack,
)
from tests.integration.test_rewards_projections import content, rebuilt

WHEEL: dict[str, Any] = {
    "id": "wheel",
    "prizes": [
        {"id": "car", "weight": 1, "stock": 1, "give": [{"reward": "mug"}]},
        {"id": "ten", "weight": 2, "give": [{"points": 10}]},
        {"id": "drink", "weight": 2, "give": [{"voucher": "drink"}, {"draw": "wheel"}]},
        {"id": "nothing", "weight": 5},
    ],
    "price": {"free_per_day": 1, "tickets": 1, "points": 50},
}
WELCOME = {"id": "welcome", "occasion": "enrolled", "give": [{"points": 30}, {"draw": "wheel", "tickets": 2}]}


def with_draws(*draws: dict[str, Any], grants: tuple[dict[str, Any], ...] = (WELCOME,)) -> dict[str, Any]:
    rewards = {
        "catalogue": DOCUMENT["rewards"]["catalogue"],
        "vouchers": [{"id": "drink", "kind": "bogo"}],
        "grants": list(grants),
        "draws": list(draws),
    }
    ledger = {**DOCUMENT["ledger"], "adjustments": {"reasons": ["reward"], "limit": 1_000}}
    return {**DOCUMENT, "ledger": ledger, "rewards": rewards}


def seed_of(number: int, total: int = 10) -> bytes:
    """A seed that says this number."""
    return next(
        seed for n in range(10_000) if number_of(seed := n.to_bytes(SEED_BYTES, "big"), total) == number
    )


CAR, TEN, DRINK, NOTHING = (seed_of(number) for number in (0, 1, 3, 9))


async def turn(
    stack: RewardsStack, key: str, seed: bytes, pay: str = "free", member: str = "ann", desk: DrawDesk | None = None
) -> Any:  # fmt: skip
    answer = await (desk or stack.draws).turn((stack.program, member, key), "wheel", pay, seed)
    return answer.turn


async def settle(stack: RewardsStack) -> None:
    """Everything that waits for the ledger, and what it says of it."""
    while await stack.work().round(utc_now() + timedelta(days=1)):
        pass
    await stack.carry()


async def owed(stack: RewardsStack) -> int:
    rows = await stack.fetch("SELECT count(*) AS n FROM ledger_steps WHERE program = $1", stack.program)
    return int(rows[0]["n"])


async def same_again(stack: RewardsStack) -> None:
    """A rebuild from the three journals gives every table once more."""
    await stack.carry()
    assert await content(stack, "public") == await content(stack, await rebuilt(stack, batch=3))


async def adjusted(stack: RewardsStack, member: str) -> list[int]:
    """The points of each adjustment in the ledger."""
    answer = await stack.ledger.get(f"/v1/programs/{stack.program}/members/{member}/statement")
    return [entry["points"] for entry in answer.json()["entries"] if entry["type"] == "PointsAdjusted"]


async def verified(stack: RewardsStack) -> list[str]:
    """What the verifier finds of draws in the test's own program."""
    report = Report()
    owner = await asyncpg.connect(stack.owner_url)
    try:
        async with owner.transaction():
            for chain in range(CHAINS):
                report.add(await verify_chain(owner, "rewards", chain, CHAINS))
            found = Findings("rewards", None)
            await check_counters(owner, CHAINS, report.counted, found)
            report.add(found.report)
    finally:
        await owner.close()
    assert report.looked["draws"] > 0
    return [text for text in map(str, report.findings) if text.startswith("draws") and stack.program in text]
