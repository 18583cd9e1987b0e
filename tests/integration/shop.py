"""A program whose rewards have a stock, limits and gates and are paid with everything, and what a test asks of it."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from services.rewards.domain.payment import BasketLine
from services.rewards.domain.refunds import AskRefund
from services.rewards.domain.reservation import Reserve
from services.rewards.handle import Answer, Redeemer
from tests.integration.rewards_stack import DOCUMENT, RewardsStack, bearer

SHOP: dict[str, Any] = {
    **DOCUMENT,
    "time_zone": "America/New_York",
    "ledger": {
        **DOCUMENT["ledger"],
        "stored_value": {"ladder": [{"load": 10_000, "bonus": 1_000}]},
        "stores": {"tokyo": {"time_zone": "Asia/Tokyo"}},
    },
    "tiering": {
        "metric": "spend",
        "window": {"months": 12},
        "review": {"months": 12},
        "tiers": [{"name": "insider", "from": 0}, {"name": "rouge", "from": 100_000_000}],
    },
    "rewards": {
        "catalogue": [
            {"id": "mug", "kind": "product", "points": 100, "stock": 5},
            {"id": "last", "kind": "product", "points": 10, "stock": 1},
            {"id": "kit", "kind": "product", "points": 300, "money": 500, "stock": 3},
            {"id": "one_a_month", "kind": "experience", "points": 10, "limit": {"count": 1, "per": "month"}},
            {"id": "rouge_only", "kind": "product", "points": 10, "tiers": ["rouge"]},
            {"id": "tuesday", "kind": "product", "points": 10, "when": {"weekdays": ["tue"]}},
            {
                "id": "pack",
                "kind": "voucher_pack",
                "points": 50,
                "voucher": "ten_off",
                "count": 2,
                "stock": 9,
            },
        ],
        "vouchers": [{"id": "ten_off", "kind": "percent", "value": 10}],
        "redemption": {"ttl_seconds": 600},
    },
}
BASKET = (BasketLine(1, "A1", "care", 2, 6_000), BasketLine(2, "B1", "food", 1, 4_000))
"""100.00 in all: 10.00 by the voucher, 40.00 of stored value, 50.00 from outside."""


async def open_shop(stack: RewardsStack, *members: str) -> RewardsStack:
    """The stack with a program of its own, its members with 1,000 points and 110.00 of stored value each."""
    own = replace(stack, program=f"p{secrets.token_hex(4)}")
    await own.activate(SHOP)
    for member in members:
        await own.buy(member, 1_000)
        body = {
            "id": secrets.token_hex(6),
            "member": member,
            "occurred_at": "2026-01-05T12:00:00Z",
            "currency": "USD",
            "amount": 10_000,
        }
        (await own.ledger.post(f"/v1/programs/{own.program}/top_ups", json=body)).raise_for_status()
    await own.carry()
    return own


async def voucher_of(stack: RewardsStack, member: str) -> str:
    """A voucher of 10 percent, given by ops."""
    path = f"/v1/programs/{stack.program}/members/{member}/vouchers"
    headers = {**bearer(await stack.key("ops")), "Idempotency-Key": secrets.token_hex(6)}
    answer = await stack.http.post(path, json={"voucher": "ten_off"}, headers=headers)
    answer.raise_for_status()
    return str(answer.json()["vouchers"][0]["voucher"])


def everything(voucher: str, redemption: str = "r1", member: str = "ann") -> Reserve:
    """A kit (300 points and 5.00), and an order paid with a voucher, stored value and money from outside."""
    return Reserve(redemption, member, "kit", "o1", None, "s1", 4_000, voucher, 5_000, BASKET)


async def take(stack: RewardsStack, redeemer: Redeemer, action: str, voucher: str) -> Answer:
    """One step of the redemption `r1` of ann, whatever comes of it."""
    if action == "reserve":
        return await redeemer.reserve(stack.program, everything(voucher))
    if action == "refund":
        return await redeemer.refund(stack.program, "ann", AskRefund("r1", "r1-back", restock=True))
    answer: Answer = await stack.step(redeemer, "ann", "r1", action)  # type: ignore[arg-type]
    return answer


async def taken(stack: RewardsStack, reward: str) -> int:
    """How many of a reward's stock are taken."""
    rows = await stack.fetch(
        "SELECT taken FROM reward_stock WHERE program = $1 AND reward = $2", stack.program, reward
    )
    return sum(row["taken"] for row in rows)


async def sums(stack: RewardsStack, member: str, voucher: str) -> dict[str, Any]:
    """Everything that a redemption of a kit takes, where it is to be found."""
    answer = await stack.ledger.get(f"/v1/programs/{stack.program}/members/{member}")
    answer.raise_for_status()
    points, money = answer.json()["points"], answer.json()["money"]["USD"]
    (row,) = await stack.fetch(
        "SELECT state FROM vouchers WHERE program = $1 AND member = $2 AND voucher = $3",
        stack.program, member, voucher,
    )  # fmt: skip
    return {
        "points": (points["posted"], points["held"]),
        "money": (money["principal"] + money["bonus"], money["held"]),
        "stock": await taken(stack, "kit"),
        "voucher": row["state"],
    }


NOTHING = {"points": (1_000, 0), "money": (11_000, 0), "stock": 0, "voucher": "issued"}
HELD = {"points": (1_000, 300), "money": (11_000, 4_500), "stock": 1, "voucher": "held"}
SPENT = {"points": (700, 0), "money": (6_500, 0), "stock": 1, "voucher": "used"}
AFTER = {"reserve": HELD, "capture": SPENT, "cancel": NOTHING, "refund": NOTHING}
"""What `sums` says after each step."""
BEFORE = {
    "reserve": (),
    "capture": ("reserve",),
    "cancel": ("reserve",),
    "refund": ("reserve", "capture"),
}
"""The steps that come before each step."""
