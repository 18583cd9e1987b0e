"""Redemptions paid with points, stored value, a voucher and outside money, of rewards with a stock; a real ledger."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.chain import chain_of
from services.common.errors import Refusal
from services.ops.verify.chain import verify_chain
from services.ops.verify.findings import Findings
from services.ops.verify.rewards_tables import check_rewards_tables
from services.rewards.domain.redemption import State
from services.rewards.domain.refunds import AskRefund
from services.rewards.domain.reservation import Reserve
from services.rewards.overdue import GRACE, Overdue
from services.rewards.store import LEASE_SECONDS
from tallybook.tiering.v1 import events_pb2 as tiering_pb
from tests.integration.drawing import settle
from tests.integration.rewards_stack import (
    CHAINS,
    AnswerLost,
    NeverSent,
    RewardsStack,
    utc,
)
from tests.integration.shop import (
    AFTER,
    BEFORE,
    HELD,
    NOTHING,
    SPENT,
    everything,
    open_shop,
    sums,
    take,
    taken,
    voucher_of,
)
from tests.integration.test_rewards_projections import content, rebuilt

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    return await open_shop(servers, "ann")


async def refused(asked: Awaitable[object]) -> str:
    with pytest.raises(Refusal) as caught:
        await asked
    return caught.value.code


async def again(stack: RewardsStack, action: str, voucher: str) -> None:
    """The client sends the same request again."""
    await take(stack, stack.redeemer, action, voucher)


async def recover(stack: RewardsStack, _: str, __: str) -> None:
    """The recovery loop finds the step when its lease is over, and not before."""
    now = datetime.now(UTC)
    assert await stack.recovery().round(now) == 0
    assert await stack.recovery().round(now + timedelta(seconds=LEASE_SECONDS + 1)) == 1


async def listen(stack: RewardsStack, _: str, __: str) -> None:
    """What the ledger did comes by its stream."""
    await stack.carry()


@pytest.mark.parametrize("action", list(AFTER))
@pytest.mark.parametrize(
    ("crash", "finish"),
    [("before the ledger", again), ("before the ledger", recover), ("after the ledger", again),
     ("after the ledger", recover), ("after the ledger", listen)],
)  # fmt: skip
async def test_after_a_crash_between_any_two_steps_everything_adds_up(
    stack: RewardsStack,
    action: str,
    crash: str,
    finish: Callable[[RewardsStack, str, str], Awaitable[None]],
) -> None:
    voucher = await voucher_of(stack, "ann")
    for step in BEFORE[action]:
        await take(stack, stack.redeemer, step, voucher)
    broken = NeverSent() if crash == "before the ledger" else AnswerLost(stack.ledger_transport)
    cut_off = take(stack, stack.redeemer_over(broken), action, voucher)
    assert await refused(cut_off) == "temporarily_unavailable"

    await finish(stack, action, voucher)

    assert await sums(stack, "ann", voucher) == AFTER[action]
    await stack.carry()
    assert await sums(stack, "ann", voucher) == AFTER[action], "the stream says nothing new"
    assert not await stack.fetch("SELECT FROM redemption_steps WHERE program = $1", stack.program)
    wallet = await stack.views.wallet(stack.program, "ann")
    money = wallet.money["USD"]
    assert (wallet.points.posted, wallet.points.held) == AFTER[action]["points"]
    assert (money.principal + money.bonus, money.held) == AFTER[action]["money"]
    assert await content(stack, "public") == await content(stack, await rebuilt(stack, batch=7))
    assert await verified(stack) == []


async def verified(stack: RewardsStack) -> list[str]:
    """What `tally verify` finds in the journal and the requests of rewards."""
    owner = await asyncpg.connect(stack.owner_url)
    try:
        async with owner.transaction(isolation="repeatable_read", readonly=True):
            reports = [await verify_chain(owner, "rewards", chain, CHAINS) for chain in range(CHAINS)]
    finally:
        await owner.close()
    return [str(finding) for report in reports for finding in report.findings]


async def test_what_times_out_is_all_free_again(stack: RewardsStack) -> None:
    voucher = await voucher_of(stack, "ann")
    answer = await take(stack, stack.redeemer, "reserve", voucher)
    assert await sums(stack, "ann", voucher) == HELD
    assert answer.redemption.expires_at is not None
    await stack.advance(answer.redemption.expires_at)
    await stack.carry()
    assert await stack.state("ann", "r1") is State.TIMED_OUT
    assert await sums(stack, "ann", voucher) == NOTHING


async def merge(stack: RewardsStack, survivor: str, absorbed: str) -> None:
    """The ledger merges the two, and rewards hears of it."""
    path = f"/v1/programs/{stack.program}/members/{survivor}/merge"
    body, headers = {"member": absorbed}, {"Idempotency-Key": secrets.token_hex(6)}
    (await stack.ledger.post(path, json=body, headers=headers)).raise_for_status()
    await stack.carry()


async def test_a_redemption_goes_on_when_its_member_is_merged_into_another(servers: RewardsStack) -> None:
    stack = await open_shop(servers, "ann", "bob")
    voucher = await voucher_of(stack, "ann")
    await take(stack, stack.redeemer, "reserve", voucher)
    await merge(stack, "bob", "ann")

    async def wallet(member: str) -> tuple[int, int, int, int]:
        found = await stack.views.wallet(stack.program, member)
        money = found.money["USD"]
        return found.points.posted, found.points.held, money.available, money.held

    assert await wallet("ann") == await wallet("bob") == (2_000, 300, 17_500, 4_500)
    assert await refused(take(stack, stack.redeemer, "capture", voucher)) == "temporarily_unavailable"
    await settle(stack)
    await take(stack, stack.redeemer, "capture", voucher)
    await stack.carry()
    assert await wallet("bob") == (1_700, 0, 17_500, 0)
    spent = {"points": (1_700, 0), "money": (17_500, 0), "stock": 1, "voucher": "used"}
    assert await sums(stack, "bob", voucher) == spent
    await take(stack, stack.redeemer, "refund", voucher)
    await stack.carry()
    assert await wallet("bob") == (2_000, 0, 22_000, 0)
    assert await taken(stack, "kit") == 0
    assert await content(stack, "public") == await content(stack, await rebuilt(stack, batch=7))


async def test_a_redemption_of_a_merged_member_times_out(servers: RewardsStack) -> None:
    """The stream tells it of the survivor before the redemption has come there: it is asked for."""
    stack = await open_shop(servers, "ann", "bob")
    voucher = await voucher_of(stack, "ann")
    answer = await take(stack, stack.redeemer, "reserve", voucher)
    await merge(stack, "bob", "ann")
    assert answer.redemption.expires_at is not None
    await stack.advance(answer.redemption.expires_at + GRACE)
    await stack.carry()
    await settle(stack)
    assert await stack.state("ann", "r1") is State.RESERVED
    await Overdue(stack.writer, stack.redeemer).round(datetime.now(UTC))
    assert await stack.state("ann", "r1") is State.TIMED_OUT
    free = {"points": (2_000, 0), "money": (22_000, 0), "stock": 0, "voucher": "issued"}
    assert await sums(stack, "bob", voucher) == free


async def test_what_is_overdue_is_asked_for_though_the_stream_says_nothing(stack: RewardsStack) -> None:
    """The program's time has come on, and no row of the stream is about this redemption's hold."""
    voucher = await voucher_of(stack, "ann")
    answer = await take(stack, stack.redeemer, "reserve", voucher)
    ends = answer.redemption.expires_at
    assert ends is not None
    overdue = Overdue(stack.writer, stack.redeemer)

    async def at(time: datetime) -> int:
        clocks = "UPDATE program_clocks SET clock = $1 WHERE program = $2"
        await stack.fetch(clocks, time, stack.program)
        return await overdue.round(datetime.now(UTC))

    assert await at(ends + GRACE - timedelta(microseconds=1)) == 0
    assert await at(ends + GRACE) == 0, "the ledger still holds it"
    assert await sums(stack, "ann", voucher) == HELD
    await stack.advance(ends)
    assert await at(ends + GRACE) == 1
    assert await stack.state("ann", "r1") is State.TIMED_OUT
    assert await sums(stack, "ann", voucher) == NOTHING
    assert await at(ends + GRACE) == 0
    await stack.carry()
    assert await stack.state("ann", "r1") is State.TIMED_OUT


async def test_what_the_ledger_refuses_takes_neither_stock_nor_voucher(stack: RewardsStack) -> None:
    voucher = await voucher_of(stack, "ann")
    await stack.redeemer.reserve(stack.program, Reserve("r0", "ann", "", "o0", None, money=8_000))
    assert await refused(take(stack, stack.redeemer, "reserve", voucher)) == "insufficient_value"
    points, money = (1_000, 0), (11_000, 8_000)
    assert await sums(stack, "ann", voucher) == {**NOTHING, "points": points, "money": money}
    assert await stack.state("ann", "r1") is State.REFUSED


async def test_a_voucher_that_is_held_pays_for_one_order_only(stack: RewardsStack) -> None:
    voucher = await voucher_of(stack, "ann")
    await take(stack, stack.redeemer, "reserve", voucher)
    second = everything(voucher, "r2")
    assert await refused(stack.redeemer.reserve(stack.program, second)) == "voucher_held"
    await take(stack, stack.redeemer, "cancel", voucher)
    assert (await stack.redeemer.reserve(stack.program, second)).redemption.state is State.RESERVED


async def test_refunds_by_line_give_back_shares_and_in_the_end_everything(stack: RewardsStack) -> None:
    voucher = await voucher_of(stack, "ann")
    for step in ("reserve", "capture"):
        await take(stack, stack.redeemer, step, voucher)
    assert await sums(stack, "ann", voucher) == SPENT

    async def bring_back(refund: str, *lines: tuple[int, int]) -> tuple[int, int, int]:
        answer = await stack.redeemer.refund(stack.program, "ann", AskRefund("r1", refund, lines=lines))
        made = answer.redemption.refunds[-1]
        return made.points, made.money, made.outside

    # One of two units of 60.00, of an order of 100.00.
    assert await bring_back("a", (1, 1)) == (90, 1_350, 1_500)
    assert await bring_back("a", (1, 1)) == (90, 1_350, 1_500), "the same request counts once"
    by_now = {"points": (790, 0), "money": (7_850, 0), "stock": 1, "voucher": "used"}
    assert await sums(stack, "ann", voucher) == by_now
    assert await refused(bring_back("b", (1, 2))) == "quantity_exceeds_basket"
    assert await bring_back("c", (1, 1), (2, 1)) == (210, 3_150, 3_500)
    assert await sums(stack, "ann", voucher) == {**NOTHING, "stock": 1}, "the kit itself did not come back"
    assert await refused(bring_back("d", (1, 1))) == "already_refunded"


async def test_a_refund_that_was_made_at_the_ledger_itself_is_refused_there(stack: RewardsStack) -> None:
    voucher = await voucher_of(stack, "ann")
    for step in ("reserve", "capture"):
        await take(stack, stack.redeemer, step, voucher)
    path = f"/v1/programs/{stack.program}/members/ann/orders/o1/refunds"
    (await stack.ledger.post(path, json={}, headers={"Idempotency-Key": "by-hand"})).raise_for_status()
    for _ in range(2):
        assert await refused(take(stack, stack.redeemer, "refund", voucher)) == "order_already_refunded"
    assert await stack.state("ann", "r1") is State.CAPTURED


@pytest.mark.parametrize("order", ["..", "a/b?c#d %41", ".", "o 1"])
async def test_an_order_may_be_named_as_it_likes(stack: RewardsStack, order: str) -> None:
    await stack.redeemer.reserve(stack.program, Reserve("r1", "ann", "mug", order, None))
    await stack.step(stack.redeemer, "ann", "r1", "capture")
    answer = await stack.redeemer.refund(stack.program, "ann", AskRefund("r1", "back"))
    assert answer.redemption.state is State.REFUNDED


async def test_the_vouchers_of_a_pack_are_taken_back_with_its_refund(stack: RewardsStack) -> None:
    await stack.redeemer.reserve(stack.program, Reserve("r1", "ann", "pack", "o1", None))
    await stack.step(stack.redeemer, "ann", "r1", "capture")
    await stack.redeemer.refund(stack.program, "ann", AskRefund("r1", "back", restock=True))
    states = await stack.fetch("SELECT state FROM vouchers WHERE program = $1", stack.program)
    assert [row["state"] for row in states] == ["voided", "voided"]
    assert await taken(stack, "pack") == 0


async def test_a_limit_counts_what_the_member_has_or_is_about_to_have(stack: RewardsStack) -> None:
    def one(redemption: str) -> Awaitable[object]:
        return stack.redeemer.reserve(stack.program, Reserve(redemption, "ann", "one_a_month", "o", None))

    await one("r1")
    assert await refused(one("r2")) == "limit_reached"
    await stack.step(stack.redeemer, "ann", "r1", "cancel")
    await one("r2")
    await stack.step(stack.redeemer, "ann", "r2", "capture")
    assert await refused(one("r3")) == "limit_reached"
    await stack.redeemer.refund(stack.program, "ann", AskRefund("r2", "back"))
    await one("r3")
    await stack.step(stack.redeemer, "ann", "r3", "capture")
    # New York's February.
    await stack.advance(utc("2026-02-01T04:59:59"))
    await stack.carry()
    assert await refused(one("r4")) == "limit_reached"
    await stack.advance(utc("2026-02-01T05:00:00"))
    await stack.carry()
    await one("r4")


async def test_a_member_sees_what_it_may_have_and_why_not(stack: RewardsStack) -> None:
    async def shown(member: str, store: str = "") -> dict[str, list[str]]:
        path = f"/v1/programs/{stack.program}/catalogue"
        answer = await stack.http.get(path, params={"member": member, "store": store})
        assert answer.status_code == 200
        for reward in answer.json()["rewards"]:
            assert reward["available"] is (reward["why_not"] == [])
        return {reward["id"]: reward["why_not"] for reward in answer.json()["rewards"]}

    await stack.redeemer.reserve(stack.program, Reserve("r1", "ann", "last", "o1", None))
    await stack.redeemer.reserve(stack.program, Reserve("r2", "ann", "one_a_month", "o2", None))
    await stack.carry()
    # It is Monday noon in the program's time, and in the hours after 15:00 UTC Tuesday in Tokyo.
    assert await shown("ann") == {
        "mug": [], "last": ["out_of_stock"], "kit": [], "one_a_month": ["limit_reached"],
        "rouge_only": ["reward_not_for_tier"], "tuesday": ["reward_not_now"], "pack": [],
    }  # fmt: skip
    assert (await shown("nobody"))["kit"] == ["insufficient_points", "insufficient_value"]
    changed = tiering_pb.TierChanged(from_tier="insider", to_tier="rouge", since=Timestamp(seconds=1))
    await stack.tell(chain_of("ann", CHAINS), "ann", changed)
    await stack.advance(utc("2026-01-05T15:00:00"))
    await stack.carry()
    assert (await shown("ann"))["rouge_only"] == []
    assert (await shown("ann"))["tuesday"] == ["reward_not_now"]
    assert (await shown("ann", "tokyo"))["tuesday"] == []
    in_tokyo = Reserve("r3", "ann", "tuesday", "o3", None, "tokyo")
    assert (await stack.redeemer.reserve(stack.program, in_tokyo)).redemption.state is State.RESERVED
    here = Reserve("r4", "ann", "tuesday", "o4", None, "s1")
    assert await refused(stack.redeemer.reserve(stack.program, here)) == "reward_not_now"
    rouge = Reserve("r5", "ann", "rouge_only", "o5", None)
    assert (await stack.redeemer.reserve(stack.program, rouge)).redemption.state is State.RESERVED


async def test_verify_finds_stock_and_vouchers_that_do_not_fit(stack: RewardsStack) -> None:
    voucher = await voucher_of(stack, "ann")
    await take(stack, stack.redeemer, "reserve", voucher)
    owner = await asyncpg.connect(stack.owner_url)

    async def found() -> list[str]:
        findings = Findings("rewards", None)
        await check_rewards_tables(owner, CHAINS, findings)
        return [finding.what for finding in findings.report.findings if stack.program in finding.where]

    try:
        assert await found() == []
        await owner.execute("UPDATE reward_stock SET taken = 2 WHERE program = $1", stack.program)
        assert await found() == ["taken is 2, and redemptions take 1"]
        await owner.execute("UPDATE reward_stock SET taken = 1 WHERE program = $1", stack.program)
        free = "UPDATE vouchers SET state = 'issued', order_id = NULL, discount = NULL WHERE voucher = $1"
        await owner.execute(free, voucher)
        assert await found() == ["is issued, and redemption r1 is paid with it"]
        held = "UPDATE vouchers SET state = 'held', order_id = 'o1', discount = 1000 WHERE voucher = $1"
        await owner.execute(held, voucher)
        await take(stack, stack.redeemer, "cancel", voucher)
        assert await found() == []
        await owner.execute(held, voucher)
        assert await found() == ["is held, and no redemption under way is paid with it"]
        await owner.execute(free, voucher)
    finally:
        await owner.close()


async def test_sixty_four_checkouts_against_a_thousand_points_and_a_stock_of_five(
    stack: RewardsStack,
) -> None:
    """Mugs (100 points, five of them) and experiences without end (10 points) at once: neither is oversold."""
    processes = [stack.redeemer, stack.redeemer_over(stack.ledger_transport)]

    async def one(number: int) -> str:
        redeemer, redemption = processes[number % 2], f"c{number}"
        try:
            await redeemer.reserve(stack.program, Reserve(redemption, "ann", "mug", f"o{number}", None))
            await stack.step(redeemer, "ann", redemption, "cancel" if number % 8 == 7 else "capture")
        except Refusal as refusal:
            return refusal.code
        return "done"

    outcomes = await asyncio.gather(*(one(number) for number in range(64)))
    assert set(outcomes) == {"done", "out_of_stock"}
    assert outcomes.count("done") >= 5
    await stack.carry()
    rows = await stack.fetch("SELECT state, takes_stock FROM redemptions WHERE program = $1", stack.program)
    captured = sum(row["state"] == "captured" for row in rows)
    assert {row["state"] for row in rows} <= {"captured", "cancelled"}
    assert captured == await taken(stack, "mug") == sum(row["takes_stock"] for row in rows) <= 5
    points = await stack.points("ann")
    assert (points["posted"], points["held"]) == (1_000 - 100 * captured, 0)
    assert not await stack.fetch("SELECT FROM redemption_steps WHERE program = $1", stack.program)
