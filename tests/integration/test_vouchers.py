"""Vouchers over real databases: gifts that race, codes that are guessed, clocks that take them, and a rebuild."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.common.errors import Refusal
from services.rewards.domain.reservation import Reserve
from services.rewards.handle_vouchers import GUESSES_MAX, GUESSES_WINDOW, hash_of_code
from services.rewards.lapse import Lapsing
from tests.integration.rewards_stack import (
    DOCUMENT,
    AnswerLost,
    RewardsStack,
    bearer,
    nothing,
    utc,
)
from tests.integration.test_rewards_projections import content, rebuilt

pytestmark = pytest.mark.integration

VOUCHERS: dict[str, Any] = {
    **DOCUMENT,
    "rewards": {
        "vouchers": [
            {"id": "drink", "kind": "amount", "value": 500, "valid_days": 30, "gift": True, "claim_days": 7},
            {"id": "ten_off", "kind": "percent", "value": 10, "conditions": {"minimum_spend": 2_000}},
        ],
        "catalogue": [{"id": "pack", "kind": "voucher_pack", "points": 100, "voucher": "drink", "count": 3}],
    },
}
LINES = [{"sku": "A1", "amount": 1_000}]


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    """A program with vouchers, where four members have points since noon of 5 January 2026."""
    stack = await servers.with_program()
    await stack.activate(VOUCHERS)
    for member in ("ann", "bob", "cyd", "dan"):
        await stack.buy(member, 1_000)
    await stack.carry()
    return stack


class Shop:
    """The API as one key sees it."""

    def __init__(self, stack: RewardsStack, token: str) -> None:
        self._stack = stack
        self._headers = bearer(token)
        self._number = 0

    async def post(self, member: str, path: str = "", key: str = "", **body: Any) -> httpx.Response:
        self._number += 1
        headers = {
            **self._headers,
            "Idempotency-Key": key or f"{member}{path.replace('/', '.')}.{self._number}",
        }
        url = f"/v1/programs/{self._stack.program}/members/{member}/vouchers{path}"
        return await self._stack.http.post(url, json=body, headers=headers)

    async def issue(self, member: str, voucher: str = "drink", count: int = 1) -> list[str]:
        answer = await self.post(member, voucher=voucher, count=count)
        assert answer.status_code == 201, answer.text
        return [found["voucher"] for found in answer.json()["vouchers"]]

    async def gift(self, member: str, voucher: str) -> str:
        answer = await self.post(member, f"/{voucher}/gift")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["code"])


@pytest_asyncio.fixture
async def ops(stack: RewardsStack) -> Shop:
    return Shop(stack, await stack.key("ops"))


async def states(stack: RewardsStack, member: str) -> list[str]:
    """Newest first."""
    return [voucher.state for voucher in (await stack.views.wallet(stack.program, member)).vouchers]


async def test_a_voucher_is_used_once_and_the_same_request_gets_the_same_answer(
    stack: RewardsStack, ops: Shop
) -> None:
    (drink,) = await ops.issue("ann")
    used = await ops.post("ann", f"/{drink}/use", key="u1", order="o1", lines=LINES)
    assert (used.status_code, used.json()["state"], used.json()["discount"]) == (200, "used", 500)
    again = await ops.post("ann", f"/{drink}/use", key="u1", order="o1", lines=LINES)
    assert again.json() == {**used.json(), "duplicate": True}
    other = await ops.post("ann", f"/{drink}/use", key="u1", order="o2", lines=LINES)
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")
    twice = await ops.post("ann", f"/{drink}/use", order="o2", lines=LINES)
    assert (twice.status_code, twice.json()["code"]) == (409, "voucher_already_used")
    back = await ops.post("ann", f"/{drink}/unuse", order="o1")
    assert (back.json()["state"], back.json()["order"]) == ("issued", None)


async def test_of_many_orders_at_once_one_has_the_voucher(stack: RewardsStack, ops: Shop) -> None:
    (drink,) = await ops.issue("ann")
    answers = await asyncio.gather(
        *(ops.post("ann", f"/{drink}/use", order=f"o{n}", lines=LINES) for n in range(32))
    )
    assert Counter(a.json().get("code", "used") for a in answers) == {"used": 1, "voucher_already_used": 31}


async def test_issuing_again_gives_nothing_more(stack: RewardsStack, ops: Shop) -> None:
    first = await ops.post("ann", key="i1", voucher="drink", count=3)
    again = await ops.post("ann", key="i1", voucher="drink", count=3)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "duplicate": True}
    assert await states(stack, "ann") == ["issued"] * 3


@pytest.mark.parametrize(
    ("member", "body", "status", "code"),
    [
        ("nobody", {"voucher": "cake"}, 404, "unknown_member"),
        ("ann", {"voucher": "cake"}, 404, "unknown_voucher_kind"),
        ("ann", {"voucher": "drink", "count": 0}, 422, "invalid_request"),
    ],
)
async def test_what_issuing_is_refused_for(
    stack: RewardsStack, ops: Shop, member: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await ops.post(member, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_who_may_do_what(stack: RewardsStack, ops: Shop) -> None:
    (drink,) = await ops.issue("ann")
    allowed = {
        "": {"ops"}, f"/{drink}/void": {"ops"}, f"/{drink}/use": {"checkout", "ops"},
        f"/{drink}/unuse": {"checkout", "ops"}, f"/{drink}/gift": {"checkout", "member", "ops"},
        f"/{drink}/withdraw": {"checkout", "member", "ops"}, "/claim": {"checkout", "member", "ops"},
    }  # fmt: skip
    bodies: dict[str, dict[str, Any]] = {
        "": {"voucher": "nothing"}, "void": {"reason": "r"}, "use": {"order": "o", "lines": LINES},
        "unuse": {"order": "o"}, "claim": {"code": "A" * 32},
    }  # fmt: skip
    for scope in ("pos", "audit", "checkout", "member"):
        shop = Shop(stack, await stack.key(scope))
        for path, scopes in allowed.items():
            answer = await shop.post("cyd", path, **bodies.get(path.rpartition("/")[2], {}))
            assert (answer.json().get("code") == "forbidden") == (scope not in scopes), (scope, path)


async def test_a_gift_is_claimed_by_one_of_many(stack: RewardsStack, ops: Shop) -> None:
    (drink,) = await ops.issue("ann")
    code = await ops.gift("ann", drink)
    assert len(code.replace("-", "")) == 32
    kept = await stack.fetch("SELECT code_sha256 FROM voucher_codes WHERE program = $1", stack.program)
    assert [row["code_sha256"] for row in kept] == [hash_of_code(code)]
    members = [("bob", "cyd", "dan")[n % 3] for n in range(48)]
    answers = await asyncio.gather(*(ops.post(member, "/claim", code=code.lower()) for member in members))
    codes = Counter(a.json().get("code", "claimed") for a in answers)
    assert codes == {"claimed": 1, "gift_already_claimed": 47}
    winner = next(a.json() for a in answers if a.status_code == 200)
    assert (winner["voucher"], winner["state"], winner["giver"]) == (drink, "claimed", "ann")
    assert await states(stack, "ann") == ["given"]
    assert sorted([await states(stack, member) for member in ("bob", "cyd", "dan")]) == [[], [], ["claimed"]]


async def test_a_claim_whose_answer_was_lost_is_answered_again(stack: RewardsStack, ops: Shop) -> None:
    (drink,) = await ops.issue("ann")
    code = await ops.gift("ann", drink)
    first = await ops.post("bob", "/claim", key="c1", code=code)
    again = await ops.post("bob", "/claim", key="c1", code=code)
    assert again.json() == {**first.json(), "duplicate": True}
    other = await ops.post("cyd", "/claim", key="c1", code=code)
    assert other.json()["code"] == "id_reused"


async def test_a_code_is_shown_once_and_a_withdrawn_one_is_worth_nothing(
    stack: RewardsStack, ops: Shop
) -> None:
    (drink,) = await ops.issue("ann")
    first = (await ops.post("ann", f"/{drink}/gift", key="g1")).json()
    again = (await ops.post("ann", f"/{drink}/gift", key="g1")).json()
    assert (again["state"], again["code"], again["duplicate"]) == ("gifted", None, True)
    assert (await ops.post("ann", f"/{drink}/withdraw")).json()["state"] == "issued"
    second = await ops.gift("ann", drink)
    assert (await ops.post("bob", "/claim", code=first["code"])).json()["code"] == "unknown_code"
    assert (await ops.post("bob", "/claim", code=second)).json()["state"] == "claimed"


async def test_guessing_is_recorded_and_soon_refused_for_that_key_only(
    stack: RewardsStack, ops: Shop
) -> None:
    (drink,) = await ops.issue("ann")
    code = await ops.gift("ann", drink)
    guesser = Shop(stack, await stack.key("member"))
    for number in range(GUESSES_MAX):
        answer = await guesser.post("bob", "/claim", code=chr(ord("A") + number) * 32)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_code")
    late = await guesser.post("bob", "/claim", code=code)
    assert (late.status_code, late.json()["code"]) == (429, "too_many_guesses")
    rows = await stack.fetch(
        "SELECT member FROM journal WHERE program = $1 AND type = 'VoucherClaimRefused'", stack.program
    )
    assert [row["member"] for row in rows] == ["bob"] * GUESSES_MAX
    assert (await ops.post("bob", "/claim", code=code)).status_code == 200

    async with stack.writer.transaction() as tx:
        await tx.execute("UPDATE code_guesses SET since = since - $1::interval", GUESSES_WINDOW)
    assert (await guesser.post("cyd", "/claim", code=code)).json()["code"] == "gift_already_claimed"


async def test_the_program_s_clock_brings_gifts_back_and_ends_vouchers(
    stack: RewardsStack, ops: Shop
) -> None:
    first, second = await ops.issue("ann", count=2)
    await ops.gift("ann", first)
    await ops.post("ann", f"/{second}/use", order="o1", lines=LINES)
    await stack.advance(utc("2026-01-12T11:59:59"))
    await stack.carry()
    assert sorted(await states(stack, "ann")) == ["gifted", "used"]
    await stack.advance(utc("2026-01-12T12:00:00"))
    await stack.carry()
    assert sorted(await states(stack, "ann")) == ["issued", "used"]
    await stack.advance(utc("2026-03-01"))
    await stack.carry()
    assert sorted(await states(stack, "ann")) == ["expired", "used"]
    ended = await stack.fetch(
        "SELECT occurred_at FROM journal WHERE program = $1 AND type = 'VoucherExpired'", stack.program
    )
    assert [row["occurred_at"] for row in ended] == [utc("2026-02-04T12:00:00")]
    # The order is cancelled too late for the voucher: the sweep takes it, for nothing else happens here.
    await ops.post("ann", f"/{second}/unuse", order="o1")
    sweep = Lapsing(stack.writer, nothing)
    assert (await sweep.round(datetime.now(UTC)), await sweep.round(datetime.now(UTC))) == (1, 0)
    assert await states(stack, "ann") == ["expired", "expired"]


async def test_on_the_wall_s_clock_the_sweep_ends_vouchers(servers: RewardsStack) -> None:
    stack = await servers.with_program()
    await stack.activate({**VOUCHERS, "clock": "wall"})
    await stack.buy("ann", 10)
    await stack.carry()
    ops = Shop(stack, await stack.key("ops"))
    await ops.issue("ann")
    sweep = Lapsing(stack.writer, nothing)
    now = datetime.now(UTC)
    assert await sweep.round(now + timedelta(days=29)) == 0
    assert await sweep.round(now + timedelta(days=31)) == 1
    assert await states(stack, "ann") == ["expired"]


async def test_a_pack_s_vouchers_come_with_the_capture_whoever_hears_of_it(stack: RewardsStack) -> None:
    await stack.redeemer.reserve(stack.program, Reserve("r1", "ann", "pack", "o1", None))
    assert await states(stack, "ann") == []
    await stack.step(stack.redeemer, "ann", "r1", "capture")
    assert await states(stack, "ann") == ["issued"] * 3

    await stack.redeemer.reserve(stack.program, Reserve("r2", "ann", "pack", "o2", None))
    with pytest.raises(Refusal, match="temporarily_unavailable"):
        await stack.step(stack.redeemer_over(AnswerLost(stack.ledger_transport)), "ann", "r2", "capture")
    # A new version must not change what was bought.
    await stack.activate(DOCUMENT)
    await stack.carry()
    assert await states(stack, "ann") == ["issued"] * 6
    await stack.carry()
    assert await states(stack, "ann") == ["issued"] * 6


async def test_a_member_s_vouchers_come_in_pages(stack: RewardsStack, ops: Shop) -> None:
    ids = await ops.issue("ann", count=5)
    found: list[str] = []
    url, query = f"/v1/programs/{stack.program}/members/ann/vouchers", {"limit": "2"}
    while True:
        page = (await stack.http.get(url, params=query)).json()
        found += [voucher["voucher"] for voucher in page["vouchers"]]
        if page["next"] is None:
            break
        query["before"] = page["next"]
    assert found == ids[::-1]


async def test_a_rebuild_gives_the_same_vouchers_and_codes(stack: RewardsStack, ops: Shop) -> None:
    drinks = await ops.issue("ann", count=6)
    codes = [await ops.gift("ann", drink) for drink in drinks[:4]]
    await ops.post("bob", "/claim", code=codes[0])
    await ops.post("cyd", "/claim", code=codes[1])
    await ops.post("cyd", f"/{drinks[1]}/use", order="o", lines=LINES)
    await ops.post("ann", f"/{drinks[2]}/withdraw")
    await ops.post("ann", f"/{drinks[4]}/void", reason="a mistake")
    await stack.advance(utc("2026-01-20"))
    await stack.carry()
    assert Counter(await states(stack, "ann")) == {"given": 2, "issued": 3, "voided": 1}
    assert await content(stack, "public") == await content(stack, await rebuilt(stack, batch=3))
