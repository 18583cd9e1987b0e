"""Redemptions against a real ledger: nothing is lost or doubled, whichever step was the last before a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio

from services.common.errors import Refusal
from services.rewards.domain.redemption import State
from services.rewards.domain.reservation import Reserve
from services.rewards.handle import Redeemer
from services.rewards.store import LEASE_SECONDS
from tests.integration.rewards_stack import (
    AnswerLost,
    NeverSent,
    RewardsStack,
)

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    stack = await servers.with_program()
    await stack.buy("ann", 1_000)
    return stack


def asking(
    redemption: str = "r1", reward: str = "five_off", order: str = "o1", ttl: int | None = None
) -> Reserve:
    return Reserve(redemption, "ann", reward, order, ttl)


async def refused(asked: Awaitable[object]) -> str:
    with pytest.raises(Refusal) as caught:
        await asked
    return caught.value.code


async def reach(stack: RewardsStack, redeemer: Redeemer, action: str) -> None:
    """Take one step with `redeemer`, whatever comes of it."""
    if action == "reserve":
        await redeemer.reserve(stack.program, asking())
    else:
        await stack.step(redeemer, "ann", "r1", action)  # type: ignore[arg-type]


async def again(stack: RewardsStack, action: str) -> None:
    """The client sends the same request again."""
    await reach(stack, stack.redeemer, action)


async def recover(stack: RewardsStack, _: str) -> None:
    """The recovery loop finds the step when its lease is over, and not before."""
    now = datetime.now(UTC)
    assert await stack.recovery().round(now) == 0
    assert await stack.recovery().round(now + timedelta(seconds=LEASE_SECONDS + 1)) == 1


async def listen(stack: RewardsStack, _: str) -> None:
    """What the ledger did comes by its stream."""
    await stack.carry()


WAITING = {"reserve": State.RESERVING, "capture": State.CAPTURING, "cancel": State.CANCELLING}
DONE = {"reserve": State.RESERVED, "capture": State.CAPTURED, "cancel": State.CANCELLED}
BALANCE = {"reserve": (1_000, 500), "capture": (500, 0), "cancel": (1_000, 0)}


@pytest.mark.parametrize("action", ["reserve", "capture", "cancel"])
@pytest.mark.parametrize(
    ("crash", "finish"),
    [("before the ledger", again), ("before the ledger", recover), ("after the ledger", again),
     ("after the ledger", recover), ("after the ledger", listen)],
)  # fmt: skip
async def test_a_crash_between_any_two_steps_is_finished(
    stack: RewardsStack, action: str, crash: str, finish: Callable[[RewardsStack, str], Awaitable[None]]
) -> None:
    if action != "reserve":
        await reach(stack, stack.redeemer, "reserve")
    broken = NeverSent() if crash == "before the ledger" else AnswerLost(stack.ledger_transport)
    assert await refused(reach(stack, stack.redeemer_over(broken), action)) == "temporarily_unavailable"
    assert await stack.state("ann", "r1") is WAITING[action]

    await finish(stack, action)

    assert await stack.state("ann", "r1") is DONE[action]
    points = await stack.points("ann")
    assert (points["posted"], points["held"]) == BALANCE[action]
    await stack.carry()
    assert await stack.state("ann", "r1") is DONE[action], "what the stream says afterwards is nothing new"
    wallet = (await stack.views.wallet(stack.program, "ann")).points
    assert (wallet.posted, wallet.held) == BALANCE[action]
    assert not await stack.fetch("SELECT FROM redemption_steps WHERE program = $1", stack.program)


async def test_the_same_request_counts_once_and_other_content_is_refused(stack: RewardsStack) -> None:
    first = await stack.redeemer.reserve(stack.program, asking())
    second = await stack.redeemer.reserve(stack.program, asking())
    assert (first.duplicate, second.duplicate) == (False, True)
    assert first.redemption == second.redemption
    for other in (asking(order="o2"), asking(reward="mug"), asking(ttl=60)):
        assert await refused(stack.redeemer.reserve(stack.program, other)) == "id_reused"
    for member in ("bob", "carl", "dora", "eve"):
        other = Reserve("r1", member, "five_off", "o1", None)
        assert await refused(stack.redeemer.reserve(stack.program, other)) == "id_reused", (
            "for another member too"
        )
    assert (await stack.points("ann"))["held"] == 500


async def test_steps_count_once_by_their_key(stack: RewardsStack) -> None:
    await stack.redeemer.reserve(stack.program, asking())
    assert (
        await refused(stack.redeemer.step(stack.program, "ann", "r2", "capture", "k0"))
        == "unknown_redemption"
    )
    first = await stack.redeemer.step(stack.program, "ann", "r1", "capture", "k1")
    second = await stack.redeemer.step(stack.program, "ann", "r1", "capture", "k1")
    assert (first.duplicate, second.duplicate) == (False, True)
    assert first.redemption.state is second.redemption.state is State.CAPTURED
    assert await refused(stack.redeemer.step(stack.program, "ann", "r1", "cancel", "k1")) == "id_reused"
    assert (
        await refused(stack.redeemer.step(stack.program, "ann", "r1", "capture", "k2")) == "already_captured"
    )
    assert (
        await refused(stack.redeemer.step(stack.program, "ann", "r1", "cancel", "k3")) == "already_captured"
    )
    assert (await stack.points("ann"))["posted"] == 500


async def test_the_ledger_s_refusal_is_recorded_with_its_code(stack: RewardsStack) -> None:
    await stack.redeemer.reserve(stack.program, asking("r1"))
    await stack.redeemer.reserve(stack.program, asking("r2"))
    assert await refused(stack.redeemer.reserve(stack.program, asking("r3"))) == "insufficient_points"
    await stack.buy("ann", 1_000)
    assert await refused(stack.redeemer.reserve(stack.program, asking("r3"))) == "insufficient_points", (
        "first outcome"
    )
    assert (await stack.redeemer.reserve(stack.program, asking("r4"))).redemption.state is State.RESERVED
    nobody = Reserve("r5", "nobody", "five_off", "o", None)
    assert await refused(stack.redeemer.reserve(stack.program, nobody)) == "unknown_member"
    assert await stack.state("nobody", "r5") is State.REFUSED
    assert (
        await refused(stack.redeemer.reserve(stack.program, asking("r6", ttl=86_401))) == "ttl_out_of_range"
    )


async def test_a_hold_that_the_clock_took_times_the_redemption_out(stack: RewardsStack) -> None:
    answer = await stack.redeemer.reserve(stack.program, asking())
    assert answer.redemption.expires_at is not None
    await stack.advance(answer.redemption.expires_at)
    await stack.carry()
    assert await stack.state("ann", "r1") is State.TIMED_OUT
    assert await refused(stack.step(stack.redeemer, "ann", "r1", "capture")) == "redemption_timed_out"
    assert (await stack.points("ann"))["available"] == 1_000


async def test_a_capture_after_the_time_is_refused_before_the_stream_says_so(stack: RewardsStack) -> None:
    answer = await stack.redeemer.reserve(stack.program, asking())
    assert answer.redemption.expires_at is not None
    await stack.advance(answer.redemption.expires_at)
    for _ in range(2):
        assert await refused(stack.step(stack.redeemer, "ann", "r1", "capture")) == "redemption_timed_out"
    await stack.carry()
    assert await stack.state("ann", "r1") is State.TIMED_OUT


async def test_a_hold_captured_at_the_ledger_itself_captures_the_redemption(stack: RewardsStack) -> None:
    await stack.redeemer.reserve(stack.program, asking())
    path = f"/v1/programs/{stack.program}/members/ann/holds/r1/capture"
    (await stack.ledger.post(path, json={}, headers={"Idempotency-Key": "by-hand"})).raise_for_status()
    assert await refused(stack.step(stack.redeemer, "ann", "r1", "cancel")) == "already_captured"
    assert await stack.state("ann", "r1") is State.CAPTURED


async def test_a_wrong_key_at_the_ledger_refuses_nothing(stack: RewardsStack) -> None:
    """It is our fault and passes: the redemption waits until the key is right."""
    good, stack.ledger_key = stack.ledger_key, await stack.key("audit", ledger=True)
    mistaken = stack.redeemer_over(stack.ledger_transport)
    stack.ledger_key = good
    assert await refused(mistaken.reserve(stack.program, asking())) == "temporarily_unavailable"
    await recover(stack, "reserve")
    assert await stack.state("ann", "r1") is State.RESERVED


async def test_of_fifty_at_once_through_two_processes_exactly_ten_are_paid(stack: RewardsStack) -> None:
    processes = [stack.redeemer, stack.redeemer_over(stack.ledger_transport)]

    async def one(number: int) -> str:
        try:
            await processes[number % 2].reserve(stack.program, asking(f"c{number}", "mug", f"o{number}"))
        except Refusal as refusal:
            return refusal.code
        return "reserved"

    outcomes = await asyncio.gather(*(one(number) for number in range(50)))
    assert sorted(set(outcomes)) == ["insufficient_points", "reserved"]
    assert outcomes.count("reserved") == 10
    assert (await stack.points("ann"))["available"] == 0


async def test_two_recovery_loops_take_each_step_once(stack: RewardsStack) -> None:
    broken = stack.redeemer_over(NeverSent())
    for number in range(6):
        await refused(broken.reserve(stack.program, asking(f"x{number}", "mug")))
    later = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS + 1)
    done = await asyncio.gather(*(stack.recovery().round(later) for _ in range(3)))
    assert sum(done) == 6
    assert (await stack.points("ann"))["held"] == 600


async def test_a_step_that_finds_no_ledger_is_looked_at_ever_later(stack: RewardsStack) -> None:
    broken = stack.redeemer_over(NeverSent())
    await refused(broken.reserve(stack.program, asking()))
    stack.redeemer = broken
    now = datetime.now(UTC) + timedelta(hours=1)
    pauses = []
    for _ in range(6):
        assert await stack.recovery().round(now) == 0
        (row,) = await stack.fetch("SELECT due_at FROM redemption_steps WHERE program = $1", stack.program)
        pauses.append((row["due_at"] - now).total_seconds() / LEASE_SECONDS)
        now = row["due_at"]
    assert pauses == [1, 2, 4, 8, 8, 8]


async def test_the_service_s_role_can_change_no_row_of_the_journal(stack: RewardsStack) -> None:
    await stack.redeemer.reserve(stack.program, asking())
    for statement in ("UPDATE journal SET member = 'x'", "DELETE FROM inbox", "TRUNCATE journal"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stack.fetch(statement)
    owner = await asyncpg.connect(stack.owner_url)
    try:
        with pytest.raises(asyncpg.RestrictViolationError):
            await owner.execute("DELETE FROM journal")
    finally:
        await owner.close()
