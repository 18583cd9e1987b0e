"""An order redeemed at the total of its quote: what was quoted is held, spent and given back, with a real ledger."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.integration.drawing import same_again
from tests.integration.rewards_stack import RewardsStack, bearer
from tests.integration.test_quotes import DOCUMENT, TEA, of_ann

pytestmark = pytest.mark.integration

STACKED = {
    **DOCUMENT,
    "rewards": {**DOCUMENT["rewards"], "stacking": {"vouchers": "in_order"}},
}
LINES = [TEA, {"id": 2, "sku": "C1", "category": "cake", "amount": 2_000, "new": True}]


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    return await of_ann(servers, STACKED)


async def quote(stack: RewardsStack) -> dict[str, Any]:
    told = {"member": "ann", "store": "s1", "lines": LINES}
    answer = await stack.http.post(f"/v1/programs/{stack.program}/quotes", json=told)
    answer.raise_for_status()
    shown: dict[str, Any] = answer.json()
    return shown


async def redeem(stack: RewardsStack, id_: str = "r1", **body: Any) -> httpx.Response:
    url = f"/v1/programs/{stack.program}/members/ann/redemptions"
    told = {"order": "o1", "store": "s1", "lines": LINES, **body}
    return await stack.http.post(url, json=told, headers={"Idempotency-Key": id_})


async def step(stack: RewardsStack, name: str, id_: str = "r1", **body: Any) -> dict[str, Any]:
    url = f"/v1/programs/{stack.program}/members/ann/redemptions/{id_}/{name}"
    key = f"{id_}-{name}-" + "-".join(str(line["line"]) for line in body.get("lines", ()))
    answer = await stack.http.post(url, json=body, headers={"Idempotency-Key": key})
    answer.raise_for_status()
    shown: dict[str, Any] = answer.json()
    return shown


async def vouchers(stack: RewardsStack) -> dict[str, str]:
    rows = await stack.fetch("SELECT terms, state, source_id FROM vouchers WHERE program = $1", stack.program)
    return {row["source_id"]: row["state"] for row in rows}


async def test_what_a_quote_told_is_held_spent_and_given_back(stack: RewardsStack) -> None:
    shown = await quote(stack)
    # It is Monday: 4,000 and 1,800; the tenner off both, and a fifth off what is left of the tea.
    assert (shown["total"], shown["points"]["most"], shown["points"]["worth"]) == (4_138, 1_000, 500)
    paid = {"points": 1_000, "money": 3_000, "outside": 638}
    reserved = await redeem(stack, expected=4_138, **paid)
    assert reserved.status_code == 201, reserved.text
    told = reserved.json()
    assert [told[name] for name in ("points", "paying_points", "worth", "money", "discount")] == [
        1_000, 1_000, 500, 3_000, 1_662,
    ]  # fmt: skip
    offs = {v["voucher"]: v["off"] for v in shown["vouchers"]}
    assert {v["voucher"]: v["discount"] for v in told["vouchers"]} == offs
    assert await vouchers(stack) == {"tenner": "held", "fifth": "held"}
    assert (await stack.points("ann"))["held"] == 1_000

    await step(stack, "capture")
    assert await vouchers(stack) == {"tenner": "used", "fifth": "used"}
    # A cake of which 1,489 is left comes back: its share of 4,138, floored.
    back = await step(stack, "refund", lines=[{"line": 2}])
    (part,) = back["refunds"]
    assert (part["points"], part["money"], part["outside"]) == tuple(
        amount * 1_489 // 4_138 for amount in (1_000, 3_000, 638)
    )
    assert await vouchers(stack) == {"tenner": "used", "fifth": "used"}
    back = await step(stack, "refund", lines=[{"line": 1, "quantity": 2}])
    assert back["state"] == "refunded"
    assert [sum(r[name] for r in back["refunds"]) for name in paid] == list(paid.values())
    assert await vouchers(stack) == {"tenner": "issued", "fifth": "issued"}
    assert (await stack.points("ann"))["available"] == 1_000
    await same_again(stack)


async def test_an_order_that_comes_to_something_else_by_now_takes_nothing(stack: RewardsStack) -> None:
    shown = await quote(stack)
    used = next(v["voucher"] for v in shown["vouchers"] if v["reward"] == "tenner")
    body = {"expected": shown["total"], "outside": shown["total"] - 1, "money": 1}
    url = f"/v1/programs/{stack.program}/members/ann/vouchers/{used}/void"
    headers = {**bearer(await stack.key("ops")), "Idempotency-Key": "void"}
    (await stack.http.post(url, json={"reason": "mistake"}, headers=headers)).raise_for_status()
    refused = await redeem(stack, **body)
    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    assert await vouchers(stack) == {"tenner": "voided", "fifth": "issued"}
    assert not await stack.fetch("SELECT FROM redemptions WHERE program = $1", stack.program)
    # The same key with the total of a new quote.
    total = (await quote(stack))["total"]
    mended = await redeem(stack, expected=total, money=1, outside=total - 1)
    assert mended.status_code == 201, mended.text
    again = await redeem(stack, expected=total, money=1, outside=total - 1)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    other = await redeem(stack, expected=total, money=1, outside=total - 1, points=200)
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")


async def test_points_that_the_ledger_has_not_free_every_voucher_again(stack: RewardsStack) -> None:
    shown = await quote(stack)
    poor = await redeem(stack, expected=shown["total"], points=1_100, outside=shown["total"] - 550)
    assert (poor.status_code, poor.json()["code"]) == (409, "insufficient_points")
    assert await vouchers(stack) == {"tenner": "issued", "fifth": "issued"}
    await same_again(stack)


@pytest.mark.parametrize(
    "body",
    [
        {"points": 200, "outside": 1},
        {"expected": 1, "lines": []},
        {"expected": 1, "voucher": "0" * 24},
        {"expected": -1},
        {"expected": 1, "points": 1.0},
        {"expected": "1"},
    ],
)
async def test_a_request_of_another_form_is_refused(stack: RewardsStack, body: dict[str, Any]) -> None:
    answer = await redeem(stack, **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
