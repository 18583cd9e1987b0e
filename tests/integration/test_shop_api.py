"""The shop over HTTP: an order paid with everything, its refunds, and what is told for each mistake."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.integration.rewards_stack import RewardsStack
from tests.integration.shop import open_shop, voucher_of

pytestmark = pytest.mark.integration
LINES = [
    {"id": 1, "sku": "A1", "category": "care", "quantity": 2, "amount": 6_000},
    {"id": 2, "sku": "B1", "category": "food", "quantity": 1, "amount": 4_000},
]
KIT = {"reward": "kit", "order": "o1", "store": "s1", "money": 4_000, "outside": 6_000, "lines": LINES}


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    return await open_shop(servers, "ann")


async def post(stack: RewardsStack, path: str, body: Any, key: str = "") -> httpx.Response:
    url = f"/v1/programs/{stack.program}/members/ann/redemptions{path}"
    return await stack.http.post(url, json=body, headers={"Idempotency-Key": key or secrets.token_hex(6)})


async def test_an_order_is_paid_with_everything_and_refunded_by_line_and_amount(stack: RewardsStack) -> None:
    voucher = await voucher_of(stack, "ann")
    reserved = await post(stack, "", {**KIT, "voucher": voucher, "outside": 5_000}, "r1")
    assert reserved.status_code == 201
    shown = reserved.json()
    assert {name: shown[name] for name in ("state", "points", "money", "currency", "discount", "outside")} == {
        "state": "reserved", "points": 300, "money": 4_500, "currency": "USD", "discount": 1_000, "outside": 5_000,
    }  # fmt: skip
    assert shown["vouchers"] == [{"voucher": voucher, "discount": 1_000}]
    assert (shown["store"], shown["refunds"]) == ("s1", [])
    assert (await post(stack, "/r1/capture", {})).json()["state"] == "captured"
    for duplicate in (False, True):
        by_line = await post(stack, "/r1/refund", {"lines": [{"line": 2}]}, "k1")
        assert (by_line.status_code, by_line.json()["duplicate"]) == (200, duplicate)
    assert by_line.json()["refunds"] == [
        {
            "refund": "k1", "state": "refunded", "points": 120, "money": 1_800, "outside": 2_000,
            "lines": [{"line": 2, "quantity": 1}], "restock": False, "value": 0, "code": None,
                "detail": None,
        }
    ]  # fmt: skip
    assert (await post(stack, "/r1/refund", {"points": 1}, "k1")).json()["code"] == "id_reused"
    by_amount = await post(stack, "/r1/refund", {"money": 700})
    assert (by_amount.json()["state"], by_amount.json()["refunds"][1]["money"]) == ("captured", 700)
    rest = await post(stack, "/r1/refund", {"restock": True})
    assert (rest.json()["state"], rest.json()["refunds"][2]["points"]) == ("refunded", 180)
    read = await stack.http.get(f"/v1/programs/{stack.program}/members/ann/redemptions/r1")
    assert [refund["refund"] for refund in read.json()["refunds"]][:1] == ["k1"]
    await stack.carry()
    wallet = (await stack.http.get(f"/v1/programs/{stack.program}/members/ann/wallet")).json()
    assert wallet["points"]["available"] == 1_000
    assert wallet["money"] == {"USD": {"principal": 10_000, "bonus": 1_000, "held": 0, "available": 11_000}}


@pytest.mark.parametrize(
    ("body", "status", "code", "names"),
    [
        ({"order": "o1"}, 422, "invalid_request", "reward"),
        ({**KIT, "lines": [], "voucher": "a" * 24}, 422, "invalid_request", "lines"),
        ({**KIT, "voucher": "short"}, 422, "invalid_request", "voucher"),
        ({**KIT, "money": -1}, 422, "invalid_request", "money"),
        ({**KIT, "money": True}, 422, "invalid_request", "money"),
        ({**KIT, "lines": [{"id": 1, "amount": 1, "price": 1}]}, 422, "invalid_request", "price"),
        ({**KIT, "lines": LINES * 300}, 422, "invalid_request", "lines"),
        ({**KIT, "store": "a\x00b"}, 422, "invalid_request", "store"),
        ({**KIT, "reward": "sofa"}, 404, "unknown_reward", "sofa"),
        ({**KIT, "voucher": "a" * 24}, 404, "unknown_voucher", "a" * 24),
        ({**KIT, "lines": [LINES[0], LINES[0]]}, 422, "line_repeated", "same id"),
        ({**KIT, "outside": 1}, 422, "payment_mismatch", "10000"),
        ({**KIT, "reward": "rouge_only"}, 409, "reward_not_for_tier", "rouge"),
        ({**KIT, "reward": "tuesday"}, 409, "reward_not_now", "time"),
        ({**KIT, "money": 10_501, "outside": 0, "lines": []}, 409, "insufficient_value", "11001"),
    ],
)
async def test_a_reservation_s_mistakes(
    stack: RewardsStack, body: Any, status: int, code: str, names: str
) -> None:
    answer = await post(stack, "", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert names in answer.json()["detail"]
    left = (await stack.shop.catalogue(stack.program, None)).rewards[2].left
    assert left == 3, "nothing of the stock is taken"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"lines": [{"line": 1}], "points": 1}, 422, "invalid_request"),
        ({"lines": [{"line": 1, "quantity": 0}]}, 422, "invalid_request"),
        ({"points": -1}, 422, "invalid_request"),
        ({"restock": 1}, 422, "invalid_request"),
        ({"points": 301}, 409, "refund_exceeds_payment"),
        ({"points": 0}, 422, "nothing_to_refund"),
        ({"lines": [{"line": 9}]}, 422, "line_unknown"),
        ({"lines": [{"line": 1, "quantity": 3}]}, 409, "quantity_exceeds_basket"),
    ],
)
async def test_a_refund_s_mistakes(stack: RewardsStack, body: Any, status: int, code: str) -> None:
    await post(stack, "", KIT, "r1")
    early = await post(stack, "/r1/refund", {})
    assert (early.status_code, early.json()["code"]) == (409, "redemption_not_captured")
    await post(stack, "/r1/capture", {})
    answer = await post(stack, "/r1/refund", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    unknown = await post(stack, "/r9/refund", {})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_redemption")
