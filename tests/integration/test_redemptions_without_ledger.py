"""Orders that vouchers and money from outside pay alone: the same requests, and no step at the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.common.errors import Refusal
from services.rewards.domain.redemption import State
from services.rewards.domain.refunds import AskRefund
from services.rewards.domain.reservation import Reserve
from services.rewards.handle import Redeemer
from services.rewards.overdue import GRACE, Overdue
from services.rewards.store import LEASE_SECONDS
from tests.integration.drawing import same_again, settle
from tests.integration.rewards_stack import NeverSent, RewardsStack
from tests.integration.shop import BASKET, open_shop, voucher_of
from tests.integration.test_shop import merge, verified

pytestmark = pytest.mark.integration

STATES = {"reserve": "held", "capture": "used", "cancel": "issued", "refund": "issued"}
"""Where the voucher is after each step."""
BEFORE = {"reserve": (), "capture": ("reserve",), "cancel": ("reserve",), "refund": ("reserve", "capture")}


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    """The ledger is away: nobody is to ask it for anything."""
    stack = await open_shop(servers, "ann", "bob")
    return replace(stack, redeemer=stack.redeemer_over(NeverSent()))


def order(voucher: str, redemption: str = "r1", outside: int = 9_000) -> Reserve:
    """100.00: a tenth by the voucher, the rest in cash."""
    return Reserve(redemption, "ann", "", "o1", None, "s1", 0, voucher, outside, BASKET)


async def take(stack: RewardsStack, action: str, voucher: str) -> Any:
    redeemer: Redeemer = stack.redeemer
    if action == "reserve":
        return await redeemer.reserve(stack.program, order(voucher))
    if action == "refund":
        return await redeemer.refund(stack.program, "ann", AskRefund("r1", "r1-back"))
    return await stack.step(redeemer, "ann", "r1", action)  # type: ignore[arg-type]


async def state_of(stack: RewardsStack, voucher: str) -> str:
    sql = "SELECT state FROM vouchers WHERE program = $1 AND voucher = $2"
    return str((await stack.fetch(sql, stack.program, voucher))[0]["state"])


async def refused(asked: Awaitable[object]) -> str:
    with pytest.raises(Refusal) as caught:
        await asked
    return caught.value.code


@pytest.mark.parametrize("action", list(STATES))
async def test_each_step_is_done_when_it_is_answered_and_counts_once(
    stack: RewardsStack, action: str
) -> None:
    voucher = await voucher_of(stack, "ann")
    for step in BEFORE[action]:
        await take(stack, step, voucher)
    first = await take(stack, action, voucher)
    # Nobody heard the answer: the client asks again, the recovery loop finds nothing to do.
    second = await take(stack, action, voucher)
    assert (first.duplicate, second.duplicate) == (False, True)
    assert first.redemption == second.redemption
    assert await state_of(stack, voucher) == STATES[action]
    assert await stack.recovery().round(datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS + 1)) == 0
    assert await stack.points("ann") == {
        "available": 1_000,
        "posted": 1_000,
        "held": 0,
        "debt": 0,
        "pending": 0,
    }
    await same_again(stack)
    assert await verified(stack) == []


async def test_it_times_out_by_the_program_s_clock(stack: RewardsStack) -> None:
    voucher = await voucher_of(stack, "ann")
    ends = (await take(stack, "reserve", voucher)).redemption.expires_at
    assert ends is not None
    overdue = Overdue(stack.writer, stack.redeemer)
    await stack.advance(ends + GRACE - timedelta(microseconds=1))
    await stack.carry()
    assert await overdue.round(datetime.now(UTC)) == 0
    assert await state_of(stack, voucher) == "held"
    await stack.advance(ends + GRACE)
    await stack.carry()
    assert [await overdue.round(datetime.now(UTC)) for _ in range(2)] == [1, 0]
    assert await stack.state("ann", "r1") is State.TIMED_OUT
    assert await state_of(stack, voucher) == "issued"
    await same_again(stack)
    assert await verified(stack) == []


async def test_a_capture_after_the_time_is_refused_before_anybody_looked(stack: RewardsStack) -> None:
    voucher = await voucher_of(stack, "ann")
    ends = (await take(stack, "reserve", voucher)).redemption.expires_at
    assert ends is not None
    await stack.advance(ends)
    await stack.carry()
    for _ in range(2):
        assert await refused(take(stack, "capture", voucher)) == "redemption_timed_out"
    assert await stack.state("ann", "r1") is State.TIMED_OUT
    assert await state_of(stack, voucher) == "issued"
    await same_again(stack)


async def test_of_many_at_once_one_has_the_voucher(stack: RewardsStack) -> None:
    voucher = await voucher_of(stack, "ann")

    async def one(number: int) -> str:
        try:
            await stack.redeemer.reserve(stack.program, order(voucher, f"r{number}"))
        except Refusal as refusal:
            return refusal.code
        return "reserved"

    outcomes = await asyncio.gather(*(one(number) for number in range(16)))
    assert sorted(outcomes) == ["reserved", *["voucher_held"] * 15]


async def test_it_goes_on_when_its_member_is_merged_into_another(stack: RewardsStack) -> None:
    voucher = await voucher_of(stack, "ann")
    await take(stack, "reserve", voucher)
    await merge(stack, "bob", "ann")
    await settle(stack)
    for step in ("capture", "refund"):
        await take(stack, step, voucher)
        assert await state_of(stack, voucher) == STATES[step]
    await same_again(stack)


async def post(stack: RewardsStack, path: str, body: Any, key: str, member: str = "ann") -> httpx.Response:
    url = f"/v1/programs/{stack.program}/members/{member}/redemptions{path}"
    return await stack.http.post(url, json=body, headers={"Idempotency-Key": key})


LINES = [{"id": 1, "sku": "A1", "quantity": 2, "amount": 4_000}, {"id": 2, "sku": "B1", "amount": 1_000}]
AS_QUOTED = {"order": "o1", "store": "s1", "lines": LINES}


async def test_one_way_for_every_order_at_the_total_of_its_quote(stack: RewardsStack) -> None:
    """A till that asks for a quote redeems at its total, whatever of it the member pays in points."""
    voucher = await voucher_of(stack, "ann")
    wrong = await post(stack, "", {**AS_QUOTED, "expected": 4_500, "outside": 4_499}, "r1")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "payment_mismatch")
    # The voucher is a tenth off.
    reserved = await post(stack, "", {**AS_QUOTED, "expected": 4_500, "outside": 4_500}, "r1")
    assert (reserved.status_code, reserved.json()["state"]) == (201, "reserved")
    assert reserved.json()["vouchers"] == [{"voucher": voucher, "discount": 500}]
    assert (reserved.json()["points"], reserved.json()["money"]) == (0, 0)
    assert (await post(stack, "/r1/capture", {}, "c1")).json()["state"] == "captured"
    part = (await post(stack, "/r1/refund", {"lines": [{"line": 1}]}, "k1")).json()
    assert (part["state"], part["refunds"][0]["outside"]) == ("captured", 1_800)
    assert await state_of(stack, voucher) == "used"
    rest = (await post(stack, "/r1/refund", {}, "k2")).json()
    assert (rest["state"], rest["refunds"][1]["outside"]) == ("refunded", 2_700)
    assert await state_of(stack, voucher) == "issued"
    for path in ("/r1/refund", "/r1/capture", "/r1/cancel"):
        assert (await post(stack, path, {}, path.replace("/", "-"))).json()["code"] == "already_refunded"


async def test_it_needs_a_member_whom_the_ledger_has_told_of(stack: RewardsStack) -> None:
    body = {**AS_QUOTED, "expected": 5_000, "outside": 5_000}
    answer = await post(stack, "", body, "r1", "nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_member")
    assert not await stack.fetch("SELECT FROM redemptions WHERE program = $1", stack.program)
    assert (await post(stack, "", body, "r1", "bob")).status_code == 201, "it recorded nothing"
