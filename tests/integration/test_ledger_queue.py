"""HTTP's commands share transactions, and suffer neither from each other nor in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.common.chain import chain_of
from services.common.errors import InvariantBroken, Refusal
from services.ledger.command_queue import WAITING_MAX, CommandQueue
from services.ledger.domain.commands import AdvanceClock, Cause, Command
from services.ledger.handle import Outcome
from tests.databases import service_role
from tests.integration.ledger_rows import NOON, Ledger, member_on

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def ledger(database: str) -> AsyncIterator[Ledger]:
    async with service_role("ledger", database) as url, Ledger.open(url) as ledger:
        await ledger.activate()
        await ledger.take(ledger.purchase())
        yield ledger


@pytest.fixture
async def queue(ledger: Ledger) -> CommandQueue:
    return CommandQueue(ledger.writer, ledger.programs, ledger.chains, lambda: None)


async def submit(queue: CommandQueue, *commands: Command) -> list[Outcome | BaseException]:
    return await asyncio.gather(*(queue.submit(command) for command in commands), return_exceptions=True)


async def test_commands_that_come_together_share_a_transaction(ledger: Ledger, queue: CommandQueue) -> None:
    before = await transactions(ledger)
    outcomes = await submit(queue, *(ledger.hold(1, f"h{n}") for n in range(50)))
    assert all(isinstance(outcome, Outcome) and outcome.refusal is None for outcome in outcomes)
    assert await ledger.balance() == (100, 50, 0)
    assert await transactions(ledger) - before <= 2


async def test_commands_behind_a_merge_find_the_survivor_though_both_live_on_one_chain(
    ledger: Ledger, queue: CommandQueue
) -> None:
    """They come at the same time, and would share its transaction."""
    bob = member_on(chain_of("ann", ledger.chains), 3)
    await ledger.take(ledger.purchase("p2", member=bob))
    outcomes = await submit(
        queue,
        ledger.hold(10, "h1", bob),
        ledger.merge("ann", bob),
        ledger.capture("h1", member=bob),
        ledger.hold(80, "h2", bob),
        ledger.release("h2", bob),
    )
    assert [o.refusal if isinstance(o, Outcome) else o for o in outcomes] == [None] * 5
    assert await ledger.balance() == (190, 0, 0)
    assert not queue.broken.done()


async def transactions(ledger: Ledger) -> int:
    """How many transactions wrote to the journal."""
    return int(await ledger.value("SELECT count(DISTINCT xmin::text) FROM journal"))


async def test_a_command_whose_chain_is_busy_asks_for_room(ledger: Ledger) -> None:
    asked = asyncio.Event()
    queue = CommandQueue(ledger.writer, ledger.programs, ledger.chains, lambda: None, asked.set)
    (outcome,) = await submit(queue, ledger.hold(1, "h1"))
    assert isinstance(outcome, Outcome)
    assert not asked.is_set(), "nobody was in the way"
    async with ledger.writer.transaction() as batch:
        await batch.fetch(
            "SELECT FROM chain_heads WHERE chain = $1 FOR UPDATE", chain_of("ann", ledger.chains)
        )
        waiting = asyncio.create_task(queue.submit(ledger.hold(2, "h2")))
        await asyncio.wait_for(asked.wait(), 10)
        assert not waiting.done()
    assert (await waiting).refusal is None
    assert await ledger.balance() == (100, 3, 0)


async def test_a_command_that_the_database_refuses_fails_alone(ledger: Ledger, queue: CommandQueue) -> None:
    commands = [ledger.hold(1, f"h{n}") for n in range(20)]
    commands[7].order = "no text\0"
    outcomes = await submit(queue, *commands)
    failed = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, BaseException)]
    assert failed == [7]
    assert not isinstance(outcomes[7], Refusal)
    assert await ledger.balance() == (100, 19, 0)
    assert not queue.broken.done()


async def test_a_broken_invariant_is_told_to_the_process_and_nothing_is_written(
    ledger: Ledger, queue: CommandQueue
) -> None:
    await ledger.rows("UPDATE accounts SET posted = posted + 1")
    (outcome,) = await submit(queue, ledger.hold(1))
    assert isinstance(outcome, InvariantBroken)
    assert "L2" in str(outcome)
    with pytest.raises(InvariantBroken):
        queue.broken.result()
    assert await ledger.balance() == (101, 0, 0)
    assert await ledger.value("SELECT count(*) FROM holds") == 0


async def test_a_database_that_is_away_is_told_as_passing(ledger: Ledger, queue: CommandQueue) -> None:
    await ledger.writer.close()
    (outcome,) = await submit(queue, ledger.hold(1))
    assert isinstance(outcome, Refusal)
    assert outcome.code == "temporarily_unavailable"


async def test_more_than_can_wait_are_told_to_come_again(ledger: Ledger, queue: CommandQueue) -> None:
    """Clocks that don't move write nothing, so that two thousand of them are soon done."""
    await ledger.advance(NOON)
    tick = AdvanceClock("grocer", "", 0, Cause("clock", "x"), NOON, NOON)
    outcomes = await submit(queue, *([tick] * (WAITING_MAX + 3)))
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    assert [refusal.code for refusal in refused] == ["temporarily_unavailable"] * 3
    (again,) = await submit(queue, tick)
    assert isinstance(again, Outcome)


async def test_many_batches_at_once_leave_room_for_single_commands(
    ledger: Ledger, queue: CommandQueue
) -> None:
    await ledger.advance(NOON)
    tick = AdvanceClock("grocer", "", 0, Cause("clock", "x"), NOON, NOON)
    batches = [asyncio.create_task(queue.submit_together([tick] * 500)) for _ in range(10)]
    (outcome,) = await submit(queue, ledger.hold(1))
    assert isinstance(outcome, Outcome)
    assert [len(outcomes) for outcomes in await asyncio.gather(*batches)] == [500] * 10


async def test_commands_that_go_together_are_decided_in_their_order(
    ledger: Ledger, queue: CommandQueue
) -> None:
    before = await transactions(ledger)
    members = [f"m{n}" for n in range(20)]
    bought = [ledger.purchase(f"p-{member}", member=member) for member in members]
    back = [ledger.return_(f"p-{member}", f"r-{member}", member=member) for member in members]
    outcomes = await queue.submit_together(bought + back)
    assert [outcome.refusal for outcome in outcomes] == [None] * 40
    assert await transactions(ledger) - before == 1
