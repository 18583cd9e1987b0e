"""Draws over real databases and a real ledger: once, within stock and budget, and rebuilt the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from services.common.chain import chain_of
from services.common.clock import utc_now
from services.common.errors import InvariantBroken, Refusal
from services.rewards.domain.draw_events import DrawMade
from services.rewards.domain.draws import TurnState
from services.rewards.domain.refunds import AskRefund
from services.rewards.domain.reservation import Reserve
from services.rewards.replay import rebuild_own
from services.rewards.wire import event_of, payload_of
from tests.integration.drawing import (
    CAR,
    DRINK,
    NOTHING,
    TEN,
    WHEEL,
    owed,
    same_again,
    settle,
    turn,
    verified,
    with_draws,
)
from tests.integration.rewards_stack import (
    CHAINS,
    AnswerLost,
    NeverSent,
    RewardsStack,
    utc,
)

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    stack = await servers.with_program()
    await stack.activate(with_draws(WHEEL))
    return stack


async def test_what_is_won_is_given_and_what_was_drawn_can_be_read(stack: RewardsStack) -> None:
    await stack.buy("ann", 100)
    await stack.carry()
    assert (await turn(stack, "t1", TEN)).prize == "ten"
    with pytest.raises(Refusal, match="free turns of today"):
        await turn(stack, "t2", TEN)
    assert (await turn(stack, "t3", DRINK, "ticket")).prize == "drink"
    assert (await turn(stack, "t4", CAR, "ticket")).rewards == ("mug",)
    assert (await turn(stack, "t5", CAR, "ticket")).prize == "ten", (
        "the ticket was won, and there was one car"
    )
    with pytest.raises(Refusal) as refused:
        await turn(stack, "t6", CAR, "ticket")
    assert refused.value.code == "no_ticket"
    assert (await turn(stack, "t7", NOTHING, "points")).won is False
    await settle(stack)
    assert (await stack.points("ann"))["available"] == 100 + 30 + 2 * 10 - 50
    wallet = await stack.views.wallet(stack.program, "ann")
    assert [voucher.source for voucher in wallet.vouchers] == ["draw"]

    page = (await stack.http.get(f"/v1/programs/{stack.program}/members/ann/draws/turns?limit=3")).json()
    assert [t["prize"] for t in page["turns"]] == ["nothing", "ten", "car"]
    rest = f"/v1/programs/{stack.program}/members/ann/draws/turns?before={page['next']}"
    assert [t["turn"] for t in (await stack.http.get(rest)).json()["turns"]] == ["t3", "t1"]
    (mine,) = (await stack.http.get(f"/v1/programs/{stack.program}/members/ann/draws")).json()["draws"]
    assert (mine["free_left_today"], mine["tickets"], mine["losses"]) == (0, 0, 1)
    assert [prize["left"] for prize in mine["prizes"]] == [0, None, None, None]
    await same_again(stack)


async def test_fifty_turns_at_once_give_the_one_car_once(stack: RewardsStack) -> None:
    members = [f"m{number}" for number in range(50)]
    for member in members:
        await stack.buy(member, 10)
    await stack.carry()
    desks = (stack.draws, stack.draws_over(stack.ledger_transport)[0])
    turns = await asyncio.gather(
        *(turn(stack, f"{m}-1", CAR, member=m, desk=desks[n % 2]) for n, m in enumerate(members))
    )
    assert Counter(t.prize for t in turns) == {"car": 1, "ten": 49}
    await same_again(stack)


async def test_a_budget_holds_while_everybody_draws(stack: RewardsStack) -> None:
    dear = {"id": "dear", "weight": 1, "cost": 30, "give": [{"voucher": "drink"}]}
    cheap = {"id": "cheap", "weight": 0, "cost": 10, "give": [{"voucher": "drink"}]}
    wheel = {
        **WHEEL,
        "prizes": [dear, cheap, {"id": "nothing", "weight": 0}],
        "budget": {"day": 100, "ever": 170},
    }
    await stack.activate(with_draws(wheel))
    members = [f"m{number}" for number in range(24)]

    async def day(text: str) -> Counter[str]:
        for member in members:
            await stack.buy(member, 10, f"{text}T12:00:00Z")
        await stack.carry()
        turns = await asyncio.gather(*(turn(stack, f"{text}-{m}", CAR, member=m) for m in members))
        return Counter(t.prize for t in turns)

    assert await day("2026-01-05") == {"dear": 3, "cheap": 1, "nothing": 20}
    assert await day("2026-01-06") == {"dear": 2, "cheap": 1, "nothing": 21}, "70 of the 170 were left"
    assert await day("2026-01-07") == {"nothing": 24}
    await same_again(stack)


async def test_the_same_request_again_draws_nothing_and_another_by_its_key_is_refused(
    stack: RewardsStack,
) -> None:
    await stack.buy("ann", 100)
    await stack.carry()
    answers = await asyncio.gather(*(turn(stack, "t1", seed) for seed in (CAR, TEN, DRINK, NOTHING)))
    assert len({answer.prize for answer in answers}) == 1
    with pytest.raises(Refusal) as reused:
        await turn(stack, "t1", CAR, "points")
    assert reused.value.code == "id_reused"
    path = f"/v1/programs/{stack.program}/members/ann/draws"
    again = await stack.http.post(
        path, json={"draw": "wheel", "pay": "free"}, headers={"Idempotency-Key": "t1"}
    )
    assert (again.status_code, again.json()["duplicate"]) == (200, True)


@pytest.mark.parametrize("lost", ["before", "hold", "capture"])
async def test_a_turn_for_points_is_finished_after_a_crash_with_the_seed_that_it_began_with(
    stack: RewardsStack, lost: str
) -> None:
    await stack.buy("ann", 100)
    await stack.carry()
    await settle(stack)
    transport = {"before": NeverSent(), "hold": AnswerLost(stack.ledger_transport)}.get(lost) or LosesCapture(
        stack
    )
    with pytest.raises(Refusal) as waits:
        await turn(stack, "t1", TEN, "points", desk=stack.draws_over(transport)[0])
    assert waits.value.code == "temporarily_unavailable"
    assert await owed(stack) == 1
    await stack.carry()
    await settle(stack)
    made = await turn(stack, "t1", CAR, "points")
    assert (made.state, made.prize, made.seed) == (TurnState.MADE, "ten", TEN)
    await settle(stack)
    points = await stack.points("ann")
    assert (points["available"], points["held"], await owed(stack)) == (130 - 50 + 10, 0, 0)
    await same_again(stack)


async def test_a_turn_that_could_not_be_paid_counts_for_nothing(stack: RewardsStack) -> None:
    await stack.activate(with_draws({**WHEEL, "limits": {"day": 1}}, grants=()))
    await stack.buy("ann", 20)
    await stack.carry()
    for _ in range(2):
        with pytest.raises(Refusal) as refused:
            await turn(stack, "t1", CAR, "points")
        assert refused.value.code == "insufficient_points"
    assert (await turn(stack, "t2", CAR)).prize == "car", "the day's turn is still there"
    await same_again(stack)


async def test_tickets_are_bought_and_go_back_while_all_of_them_are_there(stack: RewardsStack) -> None:
    document = with_draws(WHEEL, grants=())
    document["rewards"]["catalogue"] = [
        {"id": "two", "kind": "draw_ticket", "points": 40, "draw": "wheel", "count": 2},
        {"id": "mug", "kind": "product", "points": 100},
    ]
    await stack.activate(document)
    await stack.buy("ann", 100)
    await stack.carry()
    for key in ("r1", "r2"):
        await stack.redeemer.reserve(stack.program, Reserve(key, "ann", "two", f"o-{key}", None))
        await stack.step(stack.redeemer, "ann", key, "capture")
    await turn(stack, "t1", NOTHING, "ticket")
    await stack.redeemer.refund(stack.program, "ann", AskRefund("r1", "k1"))
    with pytest.raises(Refusal) as refused:
        await stack.redeemer.refund(stack.program, "ann", AskRefund("r2", "k2"))
    assert refused.value.code == "draw_tickets_used"
    (offer,) = (await stack.views.draws.draws(stack.program, "ann", utc_now())).draws
    assert (offer.tickets, (await stack.points("ann"))["available"]) == (1, 60)
    assert await verified(stack) == []
    await same_again(stack)


async def test_a_refusal_of_the_ledger_moves_no_clock(stack: RewardsStack) -> None:
    await stack.buy("ann", 1)
    await stack.carry()
    with pytest.raises(Refusal):
        await turn(stack, "t1", CAR, "points")
    await stack.carry()
    assert (await turn(stack, "t2", CAR)).day == "2026-01-05"


async def test_a_turn_whose_hold_ran_out_meanwhile_is_refused_and_holds_nothing(stack: RewardsStack) -> None:
    await stack.buy("ann", 100)
    await stack.carry()
    await settle(stack)
    with pytest.raises(Refusal):
        await turn(stack, "t1", TEN, "points", desk=stack.draws_over(AnswerLost(stack.ledger_transport))[0])
    await stack.advance(utc("2026-02-01"))
    await settle(stack)
    with pytest.raises(Refusal) as refused:
        await turn(stack, "t1", TEN, "points")
    assert refused.value.code == "hold_expired"
    points = await stack.points("ann")
    assert (points["available"], points["held"]) == (130, 0)


async def test_a_rebuild_refuses_a_prize_that_the_seed_does_not_say(stack: RewardsStack) -> None:
    await stack.buy("ann", 100)
    await stack.carry()
    await turn(stack, "t1", NOTHING)
    chain = chain_of("ann", CHAINS)
    (row,) = await stack.fetch(
        "SELECT * FROM journal WHERE chain = $1 AND program = $2 AND type = 'DrawMade'", chain, stack.program
    )
    made = event_of("DrawMade", row["payload"])
    assert isinstance(made, DrawMade)
    forged = dict(row) | {"payload": payload_of(replace(made, prize="drink"))[1]}

    async def rows() -> AsyncIterator[list[dict[str, Any]]]:
        yield [forged]

    with pytest.raises(InvariantBroken, match="another prize"):
        async with stack.writer.transaction() as tx:
            await rebuild_own(tx, chain, CHAINS, rows())


class LosesCapture(AnswerLost):
    """A network that loses the answer to a capture only."""

    def __init__(self, stack: RewardsStack) -> None:
        super().__init__(stack.ledger_transport)

    async def handle_async_request(self, request: Any) -> Any:
        if request.url.path.endswith("/capture"):
            return await super().handle_async_request(request)
        return await self._inner.handle_async_request(request)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE draw_turns SET prize = 'drink' WHERE turn = 't1'",
        "UPDATE draw_players SET tickets = tickets + 1 WHERE member = 'ann'",
        "UPDATE draw_counters SET used = used + 1",
        "UPDATE awards SET points = points + 1",
        "DELETE FROM awards",
        "DELETE FROM draw_counters",
    ],
)
async def test_the_verifier_finds_what_no_draw_has_made(stack: RewardsStack, change: str) -> None:
    await stack.buy("ann", 100)
    await stack.carry()
    await turn(stack, "t1", CAR)
    await turn(stack, "t2", CAR, "ticket")
    await settle(stack)
    assert await verified(stack) == []
    async with stack.writer.transaction() as tx:
        await tx.execute(f"{change}{' AND' if 'WHERE' in change else ' WHERE'} program = '{stack.program}'")
    assert await verified(stack) != []
