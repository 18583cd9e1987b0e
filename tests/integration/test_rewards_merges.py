"""Two members become one at the ledger: what rewards keeps of the one is the other's, whatever is under way."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.common.chain import chain_of
from services.common.clock import utc_now
from services.common.errors import Refusal
from services.rewards.domain.redemption import State
from services.rewards.domain.refunds import AskRefund
from services.rewards.domain.reservation import Reserve
from tests.integration.drawing import NOTHING, TEN, owed, same_again, settle, turn, verified, with_draws
from tests.integration.rewards_stack import CHAINS, AnswerLost, RewardsStack, bearer

pytestmark = pytest.mark.integration

WHEEL: dict[str, Any] = {
    "id": "wheel",
    "prizes": [
        {"id": "car", "weight": 1},
        {"id": "ten", "weight": 2, "give": [{"points": 10}]},
        {"id": "nothing", "weight": 7},
    ],
    "price": {"free_per_day": 1, "tickets": 1, "points": 50},
}
DOCUMENT = with_draws(
    WHEEL,
    grants=(
        {
            "id": "welcome",
            "occasion": "enrolled",
            "give": [{"voucher": "gift"}, {"draw": "wheel", "tickets": 2}],
        },
        {"id": "third", "occasion": "purchase", "when": {"purchases": 3}, "give": [{"voucher": "drink"}]},
    ),  # type: ignore[arg-type]
)
DOCUMENT = {
    **DOCUMENT,
    "ledger": {**DOCUMENT["ledger"], "stored_value": {}},
    "rewards": {
        **DOCUMENT["rewards"],
        "vouchers": [
            {"id": "drink", "kind": "bogo"},
            {"id": "gift", "kind": "amount", "value": 100, "gift": True},
        ],
        "catalogue": [
            {"id": "mug", "kind": "product", "points": 100, "stock": 5, "limit": {"count": 2, "per": "ever"}},
            {"id": "pack", "kind": "voucher_pack", "points": 50, "voucher": "drink", "count": 2},
            {"id": "card", "kind": "stored_value", "points": 400, "value": 1_000},
        ],
    },
}
LINES = [{"id": 1, "sku": "A1", "quantity": 2, "amount": 500}]
# Ann and bob live on two chains.
ANN, BOB = next(
    (a, b)
    for a in ("ann", "anna")
    for b in ("bob", "bo", "bert")
    if chain_of(a, CHAINS) != chain_of(b, CHAINS)
)


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    stack = await servers.with_program()
    await stack.activate(DOCUMENT)
    for member in (ANN, BOB):
        await stack.buy(member, 1_000)
    await stack.carry()
    return stack


async def merge(stack: RewardsStack, survivor: str = ANN, absorbed: str = BOB) -> None:
    path = f"/v1/programs/{stack.program}/members/{survivor}/merge"
    headers = {"Idempotency-Key": secrets.token_hex(4)}
    (await stack.ledger.post(path, json={"member": absorbed}, headers=headers)).raise_for_status()


async def merged(stack: RewardsStack) -> None:
    """The ledger has merged them, rewards has heard of it and has done what is to be done."""
    await merge(stack)
    await stack.carry()
    await settle(stack)


async def voucher(
    stack: RewardsStack, member: str, voucher_id: str, step: str, key: str, body: Any
) -> httpx.Response:
    path = f"/v1/programs/{stack.program}/members/{member}/vouchers/{voucher_id}/{step}"
    headers = {**bearer(await stack.key("checkout", "member", "ops")), "Idempotency-Key": key}
    return await stack.http.post(path, json=body, headers=headers)


async def vouchers(stack: RewardsStack, member: str) -> list[tuple[str, str]]:
    shown = await stack.views.wallet(stack.program, member)
    return sorted((v.reward, v.state) for v in shown.vouchers)


async def refused(asked: Awaitable[object]) -> str:
    with pytest.raises(Refusal) as caught:
        await asked
    return caught.value.code


async def test_vouchers_of_both_are_the_survivors_and_found_by_either_name(stack: RewardsStack) -> None:
    (bobs,) = (await stack.views.wallet(stack.program, BOB)).vouchers
    await merged(stack)
    assert (
        await vouchers(stack, ANN) == await vouchers(stack, BOB) == [("gift", "issued"), ("gift", "issued")]
    )
    use = {"order": "o1", "lines": [{"sku": "A1", "quantity": 2, "amount": 500}]}
    used = await voucher(stack, ANN, bobs.voucher, "use", "k1", use)
    assert (used.status_code, used.json()["state"]) == (200, "used"), used.text
    back = await voucher(stack, BOB, bobs.voucher, "unuse", "k2", {"order": "o1"})
    assert (back.status_code, back.json()["state"]) == (200, "issued"), back.text
    assert await verified(stack) == []
    await same_again(stack)


async def test_a_gift_of_the_absorbed_is_claimed_by_its_code_and_never_by_the_survivor(
    stack: RewardsStack,
) -> None:
    (bobs,) = (await stack.views.wallet(stack.program, BOB)).vouchers
    given = await voucher(stack, BOB, bobs.voucher, "gift", "g1", {})
    code = given.json()["code"]
    await stack.buy("cid", 10)
    await stack.buy("dan", 10)
    await merged(stack)

    async def claim(member: str, key: str) -> httpx.Response:
        path = f"/v1/programs/{stack.program}/members/{member}/vouchers/claim"
        headers = {**bearer(await stack.key("member")), "Idempotency-Key": key}
        return await stack.http.post(path, json={"code": code}, headers=headers)

    assert (await claim(ANN, "c1")).json()["code"] == "own_gift"
    assert (await claim(BOB, "c2")).json()["code"] == "own_gift"
    assert (await claim("cid", "c3")).json()["state"] == "claimed"
    # What was given comes back with whoever has it.
    await merge(stack, ANN, "cid")
    await stack.carry()
    await settle(stack)
    assert await vouchers(stack, ANN) == [("gift", "claimed"), ("gift", "issued"), ("gift", "issued")]
    await same_again(stack)


@pytest.mark.parametrize("step", ["capture", "cancel"])
async def test_an_open_redemption_goes_on_under_either_name(stack: RewardsStack, step: Any) -> None:
    await stack.redeemer.reserve(stack.program, Reserve("r1", BOB, "mug", "o1", None))
    await merged(stack)
    assert await stack.state(ANN, "r1") is State.RESERVED
    again = await stack.redeemer.reserve(stack.program, Reserve("r1", BOB, "mug", "o1", None))
    assert (again.duplicate, again.redemption.member) == (True, ANN)
    ended = await stack.redeemer.step(stack.program, BOB, "r1", step, "k1")
    assert ended.redemption.state is {"capture": State.CAPTURED, "cancel": State.CANCELLED}[step]
    assert (await stack.redeemer.step(stack.program, BOB, "r1", step, "k1")).duplicate
    await stack.carry()
    points = await stack.points(ANN)
    assert (points["posted"], points["held"]) == ((1_900, 0) if step == "capture" else (2_000, 0))
    taken = await stack.fetch("SELECT sum(taken) AS n FROM reward_stock WHERE program = $1", stack.program)
    assert taken[0]["n"] == (1 if step == "capture" else 0)
    await same_again(stack)


async def test_a_captured_redemption_is_refunded_with_all_that_it_gave(stack: RewardsStack) -> None:
    for number, reward in enumerate(("pack", "card"), 1):
        await stack.redeemer.reserve(stack.program, Reserve(f"r{number}", BOB, reward, f"o{number}", None))
        await stack.step(stack.redeemer, BOB, f"r{number}", "capture")
    await settle(stack)
    await merged(stack)
    assert (await stack.views.wallet(stack.program, ANN)).money["USD"].bonus == 1_000
    for number in (1, 2):
        asked = AskRefund(f"r{number}", f"back{number}")
        answer = await stack.redeemer.refund(stack.program, ANN, asked)
        assert answer.redemption.state is State.REFUNDED
    assert await vouchers(stack, ANN) == [
        ("drink", "voided"), ("drink", "voided"), ("gift", "issued"), ("gift", "issued"),
    ]  # fmt: skip
    assert (await stack.points(ANN))["available"] == 2_000
    await stack.carry()
    assert (await stack.views.wallet(stack.program, ANN)).money["USD"].bonus == 0
    assert await verified(stack) == []
    await same_again(stack)


async def test_limits_and_grants_count_what_both_have_had(stack: RewardsStack) -> None:
    for member in (ANN, BOB):
        await stack.redeemer.reserve(stack.program, Reserve(f"{member}-r", member, "mug", member, None))
    await stack.buy(BOB, 10)
    await stack.carry()
    await merged(stack)
    third = Reserve("r3", ANN, "mug", "o3", None)
    assert await refused(stack.redeemer.reserve(stack.program, third)) == "limit_reached"
    # One purchase of ann's and two of bob's: the next one is beyond the third, and has the grant once.
    await stack.buy(BOB, 10)
    await stack.carry()
    assert await vouchers(stack, ANN) == [("drink", "issued"), ("gift", "issued"), ("gift", "issued")]
    await stack.buy(ANN, 10)
    await stack.carry()
    assert len(await vouchers(stack, ANN)) == 3
    await same_again(stack)


async def test_tickets_and_turns_add_up_and_a_turn_that_was_had_stays(stack: RewardsStack) -> None:
    await turn(stack, "t1", NOTHING, "ticket", BOB)
    await turn(stack, "t2", NOTHING, "free", BOB)
    await merged(stack)
    rows = await stack.fetch(
        "SELECT member, tickets, losses, turns, free_today FROM draw_players WHERE program = $1",
        stack.program,
    )
    assert [tuple(row) for row in rows] == [(ANN, 3, 2, 2, 1)]
    again = await turn(stack, "t1", NOTHING, "ticket", BOB)
    assert (again.member, again.prize) == (BOB, "nothing")
    assert await refused(turn(stack, "t3", NOTHING, "free", ANN)) == "free_turn_taken"
    assert (await turn(stack, "t4", TEN, "ticket", BOB)).member == ANN
    await settle(stack)
    assert (await stack.points(ANN))["available"] == 2_010
    assert await verified(stack) == []
    await same_again(stack)


async def test_points_and_turns_under_way_are_the_survivors_once(stack: RewardsStack) -> None:
    # Points that the ledger has given, which nobody has heard of; and a turn whose points are spent.
    await turn(stack, "t1", TEN, "ticket", BOB)
    lost = stack.draws_over(AnswerLost(stack.ledger_transport))
    await lost[1].round(utc_now())
    assert await refused(turn(stack, "t2", TEN, "points", BOB, lost[0])) == "temporarily_unavailable"
    await merge(stack)
    await stack.carry()
    for days in (1, 2, 3):
        await stack.work().round(utc_now() + timedelta(days=days))
    await stack.carry()
    assert await owed(stack) == 0
    assert (await stack.points(ANN))["available"] == 2_000 + 10 - 50 + 10
    rows = await stack.fetch("SELECT DISTINCT member, state FROM awards WHERE program = $1", stack.program)
    assert [tuple(row) for row in rows] == [(ANN, "given")]
    assert await verified(stack) == []
    await same_again(stack)


async def test_a_quote_and_a_line_of_merges_find_the_last_survivor(stack: RewardsStack) -> None:
    await stack.buy("cid", 10)
    await merge(stack)
    await merge(stack, "cid", ANN)
    await stack.carry()
    await settle(stack)
    await settle(stack)
    assert len(await vouchers(stack, BOB)) == len(await vouchers(stack, "cid")) == 3
    told = {"member": BOB, "lines": LINES, "earns": False}
    quoted = await stack.http.post(f"/v1/programs/{stack.program}/quotes", json=told)
    assert (quoted.json()["total"], quoted.json()["points"]["available"]) == (400, 2_010)
    await same_again(stack)
