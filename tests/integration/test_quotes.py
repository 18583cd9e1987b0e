"""Quotes over HTTP, with a real ledger behind them: what is told agrees with what then happens."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from services.rewards.ledger_client import LedgerClient
from services.rewards.schemas_quotes import QuoteRequest
from services.rewards.views_quote import QuoteViews
from tests.integration.rewards_stack import CHAINS, NeverSent, RewardsStack, bearer, utc
from tests.integration.shop import SHOP

pytestmark = pytest.mark.integration

DOCUMENT: dict[str, Any] = {
    **SHOP,
    "ledger": {
        **SHOP["ledger"],
        "earning": {
            "points_per_unit": 1,
            "rounding": "carry",
            "rules": [
                {"id": "third", "when": {"visits": {"from": 3, "to": 3}}, "earn": {"points_per_visit": 7}}
            ],
            "caps": {"lifetime": 100_000},
        },
    },
    "rewards": {
        "prices": [
            {"id": "new_10", "new": True, "percent": 10},
            {"id": "tuesday", "categories": ["tea"], "when": {"weekdays": ["tue"]}, "amount": 100},
            {"id": "rouge", "skus": ["T1"], "tiers": ["rouge"], "price": 1},
        ],
        "vouchers": [
            {"id": "tenner", "kind": "amount", "value": 1_000, "conditions": {"minimum_spend": 5_000}},
            {"id": "fifth", "kind": "percent", "value": 20, "conditions": {"categories": ["tea"]}},
        ],
        "points_as_payment": {"points": 100, "value": 50, "minimum": 200, "step": 100, "most_percent": 50},
    },
}
TUESDAY = "2026-01-06T12:00:00-05:00"
TEA = {"id": 1, "sku": "T1", "category": "tea", "quantity": 2, "amount": 4_000}
CAKE = {"id": 2, "sku": "C1", "category": "cake", "amount": 2_000, "new": True}


@pytest_asyncio.fixture(loop_scope="session")
async def stack(servers: RewardsStack) -> RewardsStack:
    return await of_ann(servers, DOCUMENT)


async def of_ann(servers: RewardsStack, document: dict[str, Any]) -> RewardsStack:
    """Ann has 1,000 points, 50.00 of stored value and one voucher of each kind."""
    own = await servers.with_program()
    await own.activate(document)
    await own.buy("ann", 1_000)
    await top_up(own, "ann", 5_000)
    await own.carry()
    ops = bearer(await own.key("ops"))
    for kind in ("tenner", "fifth"):
        url = f"/v1/programs/{own.program}/members/ann/vouchers"
        answer = await own.http.post(url, json={"voucher": kind}, headers={**ops, "Idempotency-Key": kind})
        answer.raise_for_status()
    return own


async def top_up(stack: RewardsStack, member: str, amount: int) -> None:
    body = {
        "id": secrets.token_hex(6),
        "member": member,
        "occurred_at": "2026-01-05T12:00:00Z",
        "currency": "USD",
    }
    answer = await stack.ledger.post(f"/v1/programs/{stack.program}/top_ups", json={**body, "amount": amount})
    answer.raise_for_status()


async def ask(stack: RewardsStack, **body: Any) -> httpx.Response:
    told = {"member": "ann", "store": "s1", "occurred_at": TUESDAY, "lines": [TEA, CAKE], **body}
    return await stack.http.post(f"/v1/programs/{stack.program}/quotes", json=told)


async def test_a_quote_tells_prices_vouchers_points_money_and_what_is_earned(stack: RewardsStack) -> None:
    answer = await ask(stack)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    # 6,000 less 200 on two units of tea and a tenth of the new cake: 3,800 + 1,800, and the tenner off that.
    assert (shown["before"], shown["total"]) == (6_000, 4_600)
    assert [(p["id"], p["off"], p["why_not"]) for p in shown["prices"]] == [
        ("new_10", 200, []),
        ("tuesday", 200, []),
        ("rouge", 3_998, ["price_not_for_tier"]),
    ]
    assert [(v["reward"], v["off"], v["why_not"]) for v in shown["vouchers"]] == [
        ("tenner", 1_000, []),
        ("fifth", 760, ["another_takes_more"]),
    ]
    assert [(line["off_by_prices"], line["off_by_vouchers"], line["total"]) for line in shown["lines"]] == [
        (200, 678, 3_122),
        (200, 322, 1_478),
    ]
    assert shown["points"] == {"available": 1_000, "most": 1_000, "worth": 500, "why_not": None}
    assert shown["money"] == {"available": 5_000, "most": 4_600, "worth": 4_600, "why_not": None}
    assert shown["earns"] == {"points": 46, "why_not": None}
    assert (shown["tier"], shown["stacking"]) == ("insider", {"prices": "best_of", "vouchers": "best_of"})


def lines_of(shown: dict[str, Any], amount: str) -> list[dict[str, Any]]:
    """The lines of a quote for a redemption or a purchase."""
    same = ("id", "sku", "category", "quantity")
    return [{**{name: line[name] for name in same}, "amount": line[amount]} for line in shown["lines"]]


async def test_what_is_quoted_can_be_redeemed(stack: RewardsStack) -> None:
    shown = (await ask(stack)).json()
    voucher = next(v for v in shown["vouchers"] if v["applied"])
    body = {
        "order": "o1", "store": "s1", "voucher": voucher["voucher"], "lines": lines_of(shown, "after_prices"),
        "money": shown["money"]["most"],
    }  # fmt: skip
    url = f"/v1/programs/{stack.program}/members/ann/redemptions"
    reserved = await stack.http.post(url, json=body, headers={"Idempotency-Key": "r1"})
    assert (reserved.status_code, reserved.json()["discount"]) == (201, voucher["off"]), reserved.text
    await stack.carry()
    # What is held for it is not there for another order.
    again = (await ask(stack)).json()
    assert [v["reward"] for v in again["vouchers"]] == ["fifth"]
    assert again["money"]["most"] == 400


async def test_what_is_quoted_is_earned_also_by_visit_and_carried_fraction(stack: RewardsStack) -> None:
    promised, earned = [], []
    for number in range(4):
        shown = (await ask(stack, lines=[{**TEA, "amount": 4_133}])).json()
        purchase = {
            "id": f"p{number}", "member": "ann", "occurred_at": TUESDAY, "store": "s1", "currency": "USD",
            "lines": lines_of(shown, "total"),
        }  # fmt: skip
        recorded = await stack.ledger.post(f"/v1/programs/{stack.program}/purchases", json=purchase)
        promised.append(shown["earns"]["points"])
        earned.append(recorded.json()["points"])
    # 31.47 each after the fifth off, one purchase before them: the second of these is the third.
    assert promised == earned == [31, 38, 32, 31]


async def test_a_quote_changes_nothing(stack: RewardsStack) -> None:
    async def rows() -> list[Any]:
        return [
            tuple(row)
            for row in await stack.fetch("SELECT chain, count(*) FROM journal GROUP BY 1 ORDER BY 1")
        ]

    before, first = await rows(), (await ask(stack)).json()
    assert (await ask(stack)).json() == first
    assert await rows() == before


async def test_without_the_ledger_a_quote_is_whole_but_for_what_is_earned(stack: RewardsStack) -> None:
    client = LedgerClient("http://ledger", SecretStr(stack.ledger_key), NeverSent())
    body = QuoteRequest.model_validate({"member": "ann", "occurred_at": TUESDAY, "lines": [TEA]})
    shown = await QuoteViews(stack.writer, client, CHAINS).quote(stack.program, body)
    assert shown.total == 3_040
    assert shown.earns is not None
    assert (shown.earns.points, shown.earns.why_not) == (None, "ledger_did_not_answer")
    assert (await ask(stack, earns=False)).json()["earns"] is None


async def test_the_clock_of_the_program_says_when_where_the_till_does_not(stack: RewardsStack) -> None:
    await stack.advance(utc("2026-01-07T00:30"))
    await stack.carry()
    lines = [TEA]
    here = (await ask(stack, occurred_at=None, lines=lines)).json()
    assert here["at"] == "2026-01-07T00:30:00Z"
    # It is still Tuesday where the program is, and Wednesday in Tokyo.
    assert [p["why_not"] for p in here["prices"]] == [[], ["price_not_for_tier"]]
    there = (await ask(stack, occurred_at=None, lines=lines, store="tokyo")).json()
    assert [p["why_not"] for p in there["prices"]] == [["price_not_now"], ["price_not_for_tier"]]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"lines": []}, 422, "invalid_request"),
        ({"lines": [{**TEA, "amount": -1}]}, 422, "invalid_request"),
        ({"lines": [{**TEA, "amount": 1.0}]}, 422, "invalid_request"),
        ({"occurred_at": 1_767_700_000}, 422, "invalid_request"),
        ({"occurred_at": "2026-01-06T12:00:00"}, 422, "invalid_request"),
        ({"occurred_at": "0001-01-01T00:00:00Z"}, 422, "invalid_request"),
        ({"occurred_at": "9999-12-31T23:59:59Z"}, 422, "invalid_request"),
        ({"coupon": "x"}, 422, "invalid_request"),
        ({"member": "a b"}, 422, "invalid_request"),
        ({"lines": [TEA, TEA]}, 422, "line_repeated"),
        ({"member": "nobody"}, 404, "unknown_member"),
    ],
)
async def test_a_basket_that_is_no_basket_is_refused(
    stack: RewardsStack, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await ask(stack, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_quote_needs_a_key_for_the_program(stack: RewardsStack) -> None:
    url, body = f"/v1/programs/{stack.program}/quotes", {"member": "ann", "lines": [TEA]}
    other = bearer(await stack.key("checkout", programs=["other"]))
    assert (await stack.http.post(url, json=body, headers=other)).json()["code"] == "forbidden"
    unknown = await stack.http.post("/v1/programs/nosuch/quotes", json=body)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_program")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"currency": "EUR"}, "currency_mismatch"),
        ({"lines": []}, "lines_out_of_range"),
        ({"lines": [{"id": 1, "amount": -1}]}, "amount_out_of_range"),
        ({"lines": [{"id": 1, "amount": 1}, {"id": 1, "amount": 1}]}, "line_repeated"),
    ],
)
async def test_a_preview_is_refused_as_the_purchase_would_be(
    stack: RewardsStack, change: dict[str, Any], code: str
) -> None:
    purchase = {
        "member": "ann",
        "occurred_at": TUESDAY,
        "currency": "USD",
        "lines": [{"id": 1, "amount": 100}],
        **change,
    }
    url = f"/v1/programs/{stack.program}/purchases"
    told = [
        (await stack.ledger.post(f"{url}/preview", json=purchase)).json()["code"],
        (await stack.ledger.post(url, json={**purchase, "id": secrets.token_hex(4)})).json()["code"],
    ]
    assert told == [code, code]


async def test_who_is_no_member_yet_sees_what_joining_would_earn(stack: RewardsStack) -> None:
    purchase = {
        "member": "new",
        "occurred_at": TUESDAY,
        "currency": "USD",
        "lines": [{"id": 1, "amount": 1_250}],
    }
    answer = await stack.ledger.post(f"/v1/programs/{stack.program}/purchases/preview", json=purchase)
    assert (answer.status_code, answer.json()["points"]) == (200, 12)
