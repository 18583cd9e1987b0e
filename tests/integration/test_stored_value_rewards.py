"""A reward that is stored value, by a real ledger: given once with the capture, and back before all of its price is."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from services.common.clock import utc_now
from services.common.errors import Refusal
from services.rewards.domain.redemption import State
from services.rewards.domain.refunds import AskRefund
from services.rewards.domain.reservation import Reserve
from services.rewards.handle import Redeemer
from services.rewards.store import LEASE_SECONDS
from tests.integration.drawing import owed, same_again, settle, verified, with_draws
from tests.integration.rewards_stack import AnswerLost, NeverSent, RewardsStack, bearer

pytestmark = pytest.mark.integration

CARD = {"id": "card", "kind": "stored_value", "points": 400, "value": 1_000}
GIFTS = (
    {"id": "purse", "occasion": "enrolled", "give": [{"money": 250}], "budget": 500},
)  # fmt: skip


def document(**more: Any) -> dict[str, Any]:
    """A program that keeps money and sells some of it for points."""
    found = with_draws(grants=())
    return {
        **found,
        "ledger": {**found["ledger"], "stored_value": {"balance": {"max": 1_000}}},
        "rewards": {**found["rewards"], "catalogue": [CARD], **more},
    }


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    stack = await servers.with_program()
    await stack.activate(document())
    await stack.buy("ann", 1_000)
    await stack.carry()
    return stack


async def money(stack: RewardsStack, member: str = "ann") -> dict[str, int]:
    answer = await stack.ledger.get(f"/v1/programs/{stack.program}/members/{member}")
    found = answer.json()["money"].get("USD", {"principal": 0, "bonus": 0})
    return {name: found[name] for name in ("principal", "bonus")}


async def captured(stack: RewardsStack, redeemer: Redeemer | None = None) -> None:
    redeemer = redeemer or stack.redeemer
    await redeemer.reserve(stack.program, Reserve("r1", "ann", "card", "o1", None))
    await stack.step(redeemer, "ann", "r1", "capture")


async def refund(
    stack: RewardsStack, key: str = "back", redeemer: Redeemer | None = None, **what: Any
) -> Any:
    answer = await (redeemer or stack.redeemer).refund(stack.program, "ann", AskRefund("r1", key, **what))
    return answer.redemption


async def refused(asked: Awaitable[object]) -> str:
    with pytest.raises(Refusal) as caught:
        await asked
    return caught.value.code


async def test_stored_value_comes_once_as_bonus_whatever_is_lost_on_the_way(stack: RewardsStack) -> None:
    await captured(stack)
    soon = utc_now()
    for transport in (NeverSent(), AnswerLost(stack.ledger_transport), AnswerLost(stack.ledger_transport)):
        soon += timedelta(hours=1)
        assert await stack.draws_over(transport)[1].round(soon) == 0
        assert await owed(stack) == 1
    await settle(stack)
    await settle(stack)
    assert await owed(stack) == 0
    assert await money(stack) == {"principal": 0, "bonus": 1_000}
    wallet = await stack.views.wallet(stack.program, "ann")
    assert (wallet.points.available, wallet.money["USD"].bonus) == (600, 1_000)
    assert await verified(stack) == []
    await same_again(stack)


async def test_a_second_card_comes_over_the_balance_limit(stack: RewardsStack) -> None:
    await captured(stack)
    await stack.redeemer.reserve(stack.program, Reserve("r2", "ann", "card", "o2", None))
    await stack.step(stack.redeemer, "ann", "r2", "capture")
    await settle(stack)
    assert (await money(stack))["bonus"] == 2_000


async def test_a_refund_of_all_takes_the_money_back_and_then_gives_the_points(stack: RewardsStack) -> None:
    await captured(stack)
    assert await refused(refund(stack)) == "stored_value_on_its_way"
    await settle(stack)
    redemption = await refund(stack)
    assert (redemption.state, redemption.refunds[0].value) == (State.REFUNDED, 1_000)
    assert await money(stack) == {"principal": 0, "bonus": 0}
    assert (await stack.points("ann"))["available"] == 1_000
    await stack.carry()
    assert (await stack.views.wallet(stack.program, "ann")).money["USD"].bonus == 0
    assert await verified(stack) == []
    await same_again(stack)


async def test_a_part_of_the_price_leaves_the_money_where_it_is(stack: RewardsStack) -> None:
    await captured(stack)
    assert (await refund(stack, "part", points=100)).state is State.CAPTURED
    await settle(stack)
    assert (await money(stack))["bonus"] == 1_000
    assert (await refund(stack)).refunds[1].value == 1_000
    assert (await money(stack))["bonus"] == 0


async def test_what_was_spent_is_not_taken_back_and_nothing_is_refunded(stack: RewardsStack) -> None:
    await captured(stack)
    await settle(stack)
    await stack.redeemer.reserve(stack.program, Reserve("r2", "ann", "", "o2", None, money=1))
    assert await refused(refund(stack)) == "insufficient_value"
    assert await stack.state("ann", "r1") is State.CAPTURED
    assert await money(stack) == {"principal": 0, "bonus": 1_000}
    assert (await stack.points("ann"))["available"] == 600
    await stack.step(stack.redeemer, "ann", "r2", "cancel")
    assert (await refund(stack, "later")).state is State.REFUNDED
    await same_again(stack)


async def test_what_the_ledger_refused_to_give_is_not_asked_back(stack: RewardsStack) -> None:
    await captured(stack)
    without = document(catalogue=[])
    del without["ledger"]["stored_value"]
    await stack.activate(without)
    await settle(stack)
    rows = await stack.fetch("SELECT state, code FROM awards WHERE program = $1", stack.program)
    assert [(r["state"], r["code"]) for r in rows] == [("refused", "stored_value_off")]
    redemption = await refund(stack)
    assert (redemption.state, redemption.refunds[0].value) == (State.REFUNDED, 0)
    assert await verified(stack) == []


class LostAfter(AnswerLost):
    """The first so many answers come, the next is lost."""

    def __init__(self, inner: Any, answers: int) -> None:
        super().__init__(inner)
        self._left = answers

    async def handle_async_request(self, request: Any) -> Any:
        if self._left:
            self._left -= 1
            return await self._inner.handle_async_request(request)
        return await super().handle_async_request(request)


@pytest.mark.parametrize("answers", [0, 1])
@pytest.mark.parametrize("finish", ["the client asks again", "recovery"])
async def test_a_refund_cut_off_after_either_question_is_finished(
    stack: RewardsStack, answers: int, finish: str
) -> None:
    await captured(stack)
    await settle(stack)
    broken = stack.redeemer_over(LostAfter(stack.ledger_transport, answers))
    assert await refused(refund(stack, redeemer=broken)) == "temporarily_unavailable"
    assert (await money(stack))["bonus"] == 0
    if finish == "recovery":
        later = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS + 1)
        assert await stack.recovery().round(later) == 1
    else:
        await refund(stack)
    assert await stack.state("ann", "r1") is State.REFUNDED
    assert (await stack.points("ann"))["available"] == 1_000
    await same_again(stack)


async def test_grants_and_prizes_give_stored_value_too_within_a_budget(stack: RewardsStack) -> None:
    wheel = {
        "id": "wheel",
        "prizes": [{"id": "coin", "weight": 1, "give": [{"money": 30}]}],
        "price": {"free_per_day": 1},
    }
    await stack.activate(document(grants=list(GIFTS), draws=[wheel]))
    for member in ("bob", "carl", "dora"):
        await stack.buy(member, 10)
    await stack.carry()
    await stack.draws.turn((stack.program, "bob", "k1"), "wheel", "free", b"0" * 32)
    await settle(stack)
    bonus = sorted([(await money(stack, member))["bonus"] for member in ("bob", "carl", "dora")])
    assert bonus in ([0, 250, 280], [30, 250, 250])
    assert await verified(stack) == []
    await same_again(stack)


async def test_the_scope_of_rewards_gives_money_and_no_other_does(stack: RewardsStack) -> None:
    path = f"/v1/programs/{stack.program}/members/ann/money_awards"
    body = {"currency": "USD", "amount": 5}
    for scope, status in (("checkout", 403), ("rewards", 201)):
        key = bearer(await stack.key(scope, ledger=True)) | {"Idempotency-Key": secrets.token_hex(4)}
        assert (await stack.ledger.post(path, json=body, headers=key)).status_code == status
    mine = bearer(await stack.key("rewards", ledger=True)) | {"Idempotency-Key": "a1"}
    answers = [(await stack.ledger.post(path, json=body, headers=mine)).json() for _ in range(2)]
    assert [(a["duplicate"], a["amount"], a["money"]["USD"]["bonus"]) for a in answers] == [
        (False, 5, 10), (True, 5, 10),
    ]  # fmt: skip
    taken = await stack.ledger.post(
        f"{path}/a1/take_back", json=body, headers=mine | {"Idempotency-Key": "b1"}
    )
    assert (taken.status_code, taken.json()["money"]["USD"]["bonus"]) == (201, 5)
    statement = await stack.ledger.get(f"/v1/programs/{stack.program}/members/ann/statement")
    told = [entry["type"] for entry in statement.json()["entries"] if entry["type"].startswith("Money")]
    assert sorted(told) == ["MoneyCredited", "MoneyCredited", "MoneyTakenBack"]
    totals = (await stack.ledger.get(f"/v1/programs/{stack.program}/totals")).json()
    assert totals["money"]["USD"]["bonus"] == {"outstanding": 5, "rewarded": 5}
