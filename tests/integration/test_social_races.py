"""Interactions and referrals of several processes at once: budgets hold, rewards are given once, no loop begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.common.clock import utc_now
from services.ledger.command_queue import CommandQueue
from services.ledger.domain.events import AwardWithheld, PointsAwarded
from services.ledger.handle import Outcome
from services.ledger.referral_rewards import owed
from services.ledger.ticker import Ticker
from tests.integration.ledger_pair import ledger_pair, take
from tests.integration.ledger_rows import CHAINS, SOCIAL, Ledger, member_on
from tests.integration.test_ledger_races import statements, told

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def pair(database: str) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """With interactions, referrals and a campaign."""
    async with ledger_pair(database, SOCIAL) as both:
        yield both


def outcomes_of(batches: list[list[Outcome]]) -> list[int | str]:
    """Points given, or why there were none."""
    last = [outcome.events[-1][1].event for batch in batches for outcome in batch]
    return sorted(
        (event.points if isinstance(event, PointsAwarded) else event.reason if isinstance(event, AwardWithheld) else "?"
         for event in last),
        key=str,
    )  # fmt: skip


async def test_two_on_different_chains_who_race_for_the_last_award_of_a_budget_get_one(
    pair: tuple[Ledger, Ledger],
) -> None:
    one, two = member_on(1), member_on(2)
    await take(pair[0], *(pair[0].interaction(f"i{n}", "photo", member=one) for n in range(9)))
    batches = await asyncio.gather(
        take(pair[0], pair[0].interaction("last-1", "photo", member=one)),
        take(pair[1], pair[1].interaction("last-2", "photo", member=two)),
    )
    assert outcomes_of(list(batches)) == [100, "budget_exhausted"]
    assert await pair[0].value("SELECT given FROM budgets") == 1_000


async def test_a_second_waits_for_the_budget_that_a_first_has_not_committed(
    pair: tuple[Ledger, Ledger],
) -> None:
    """What is left is read under the lock: the second decides on what the first has left."""
    one, two = member_on(1), member_on(2)
    await take(pair[0], *(pair[0].interaction(f"i{n}", "photo", member=one) for n in range(9)))
    async with pair[0].writer.transaction() as first:
        await first.execute("SELECT given FROM budgets FOR UPDATE")
        second = asyncio.create_task(take(pair[1], pair[1].interaction("x", "photo", member=two)))
        done, _ = await asyncio.wait([second], timeout=0.5)
        assert not done
        await first.execute("UPDATE budgets SET given = 950")
    assert outcomes_of([await second]) == ["budget_exhausted"]


async def test_of_40_photos_on_all_chains_in_two_processes_the_budget_pays_ten(
    pair: tuple[Ledger, Ledger],
) -> None:
    batches = await asyncio.gather(
        *(
            take(pair[n % 2], *(pair[0].interaction(f"i{n}-{c}", "photo", member=member_on(c)) for c in range(CHAINS)))
            for n in range(10)
        )
    )  # fmt: skip
    assert outcomes_of(list(batches)) == [100] * 10 + ["budget_exhausted"] * 30
    assert await pair[0].value("SELECT sum(posted) FROM accounts") == 1_000


async def test_two_who_refer_each_other_at_once_make_no_loop(pair: tuple[Ledger, Ledger]) -> None:
    for n in range(5):
        one, two = member_on(1, n), member_on(2, n)
        await take(pair[0], pair[0].enrol(one), pair[0].enrol(two))
        batches = await asyncio.gather(
            take(pair[0], pair[0].referral(f"a{n}", one, referrer=two)),
            take(pair[1], pair[1].referral(f"b{n}", two, referrer=one)),
        )
        assert told([o for batch in batches for o in batch]) == {"recorded": 1, "referral_loop": 1}


async def test_two_tickers_reward_a_referral_once(pair: tuple[Ledger, Ledger]) -> None:
    ledger = pair[0]
    ann, bob = member_on(1), member_on(2)
    await ledger.take(ledger.enrol(ann, "6001"))
    await ledger.take(ledger.referral("f1", bob, referrer="card:6001"))
    await ledger.take(ledger.purchase(member=bob, amount=2_000))
    async with ledger.writer.session() as session:
        (reward,) = await owed(session, CHAINS, utc_now())
    assert (reward.member, reward.referrer) == (bob, ann)
    tickers = [
        Ticker(one.writer, CommandQueue(one.writer, one.programs, CHAINS, lambda: None), one.programs)
        for one in pair
    ]
    await asyncio.gather(*(ticker.tick() for ticker in tickers))
    assert await ledger.balance(ann) == (500, 0, 0)
    assert await ledger.balance(bob) == (20, 0, 0)
    await ledger.take(ledger.referral("t1", bob, task="bind_phone"))
    await tickers[1].tick()
    await tickers[0].tick()
    assert await ledger.balance(bob) == (220, 0, 0)
    assert await ledger.value("SELECT count(*) FROM journal WHERE type = 'PointsAwarded'") == 2


async def test_purchases_ask_once_more_a_batch_where_there_are_referrals_and_never_without(
    pair: tuple[Ledger, Ledger],
) -> None:
    ledger = pair[0]
    await ledger.take(ledger.purchase("w"))
    counts = [
        await statements(ledger, [ledger.purchase(f"a{size}-{n}") for n in range(size)]) for size in (5, 200)
    ]
    await ledger.activate()
    await ledger.take(ledger.purchase("w2"))
    without = await statements(ledger, [ledger.purchase(f"b{n}") for n in range(200)])
    assert counts == [without + 1] * 2
