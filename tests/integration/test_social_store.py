"""Interactions and referrals through the database: what one transaction leaves, the next one reads."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise

import pytest
import pytest_asyncio

from services.common.program_document import canonical, version_of
from services.ledger.domain.commands import ActivateProgram, Cause, Command
from services.ledger.domain.events import AwardWithheld, PointsAwarded, ReferralQualified
from services.ledger.referral_rewards import owed
from tests.databases import service_role
from tests.integration.ledger_rows import NOON, SOCIAL, Ledger, member_on
from tests.integration.test_ledger_store import check_replay, content, empty

pytestmark = pytest.mark.integration
HOUR = timedelta(hours=1)


@pytest_asyncio.fixture
async def url(database: str) -> AsyncIterator[str]:
    async with service_role("ledger", database) as url:
        yield url


@pytest_asyncio.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    async with Ledger.open(url) as ledger:
        await ledger.activate(SOCIAL)
        yield ledger


async def reasons(ledger: Ledger, *commands: Command) -> list[int | str]:
    """What each command, in a transaction of its own, has earned, or why nothing."""
    told: list[int | str] = []
    for command in commands:
        (outcome,) = await ledger.take(command)
        last = outcome.events[-1][1].event
        assert isinstance(last, PointsAwarded | AwardWithheld)
        told.append(last.points if isinstance(last, PointsAwarded) else last.reason)
    return told


async def test_contents_and_caps_are_read_again(ledger: Ledger) -> None:
    contents = ["c1", "c1", "c2", "c3", "c4"]
    told = [ledger.interaction(f"i{n}", "review", content) for n, content in enumerate(contents)]
    assert await reasons(ledger, *told) == [10, "repeated", 10, 10, "cap_reached"]
    assert await ledger.balance() == (30, 0, 0)


async def test_a_campaign_can_be_drawn_on_in_the_transaction_that_brings_it(url: str) -> None:
    async with Ledger.open(url) as ledger:
        await ledger.activate()
        content_ = canonical(SOCIAL)
        version, photo = version_of(content_), ledger.interaction("i1", "photo")
        activate = ActivateProgram(
            "grocer", "", photo.chain, Cause("program", version), NOON, version, content_
        )
        _, outcome = await ledger.take(activate, photo)
        assert outcome.refusal is None
        assert await ledger.value("SELECT given FROM budgets") == 100


async def test_a_version_that_comes_again_keeps_what_was_given(ledger: Ledger) -> None:
    await ledger.take(ledger.interaction("i1", "photo"))
    await ledger.activate()
    await ledger.activate(SOCIAL)
    await ledger.take(ledger.interaction("i2", "photo"))
    assert await ledger.value("SELECT given FROM budgets") == 200


async def test_a_purchase_that_came_first_and_was_made_after_its_referral_qualifies_it(
    ledger: Ledger,
) -> None:
    ann, bob = member_on(1), member_on(2)
    await ledger.take(ledger.enrol(ann))
    await ledger.take(ledger.purchase(member=bob, at=NOON + HOUR))
    (outcome,) = await ledger.take(ledger.referral("f1", bob, referrer=ann))
    assert isinstance(outcome.events[-1][1].event, ReferralQualified)


@pytest.mark.parametrize("referrer", ["ann", "card:6001"])
async def test_nobody_refers_themselves_under_another_name(ledger: Ledger, referrer: str) -> None:
    await ledger.take(ledger.enrol("ann", "6001"))
    (outcome,) = await ledger.take(ledger.referral("f1", "card:6001", referrer=referrer))
    assert outcome.refusal is not None
    assert outcome.refusal[0] == "self_referral"


async def test_who_has_bought_before_or_was_referred_by_whom_the_referrer_brought_is_refused(
    ledger: Ledger,
) -> None:
    names = [member_on(chain, start) for start in range(2) for chain in range(4)]
    await ledger.take(ledger.enrol(names[0]))
    for above, below in pairwise(names):
        await ledger.take(ledger.referral(f"f-{below}", below, referrer=above))
    (loop,) = await ledger.take(ledger.referral("loop", names[0], referrer=names[-1]))
    assert loop.refusal is not None
    assert loop.refusal[0] == "referral_loop"
    await ledger.take(ledger.purchase(member="old", at=NOON - HOUR))
    (old,) = await ledger.take(ledger.referral("old", "old", referrer=names[0]))
    assert old.refusal is not None
    assert old.refusal[0] == "referee_not_new"


def stream(ledger: Ledger, seed: int, count: int) -> list[Command]:
    """Purchases, interactions and referrals of a few members on several chains."""
    rng = random.Random(seed)
    members = [member_on(chain, start) for chain in range(3) for start in range(3)]
    commands: list[Command] = []
    for n in range(count):
        member, at = rng.choice(members), NOON + timedelta(hours=n)
        kind = rng.randrange(8)
        if kind < 2:
            commands.append(ledger.purchase(f"p{n}", rng.randrange(4_000), member=member, at=at))
        elif kind == 2:
            commands.append(ledger.return_(f"p{rng.randrange(n or 1)}", f"r{n}", member=member, at=at))
        elif kind < 5:
            what = rng.choice(["review", "review", "photo"])
            commands.append(ledger.interaction(f"i{n}", what, f"c{rng.randrange(4)}", member=member, at=at))
        elif kind < 7:
            commands.append(ledger.referral(f"f{n}", member, referrer=rng.choice(members), at=at - 9 * HOUR))
        else:
            commands.append(ledger.referral(f"t{n}", member, task="bind_phone", at=at))
        commands[-1].now = at
    return commands + commands[:: max(1, count // 7)]


@pytest.mark.parametrize("seed", range(3))
async def test_batches_of_any_size_give_the_same_book(url: str, database: str, seed: int) -> None:
    books = []
    for size in (1, 7, 1_000):
        async with Ledger.open(url) as ledger:
            await ledger.activate(SOCIAL)
            commands = stream(ledger, seed, 150)
            for chain in range(ledger.chains):
                of_chain = [command for command in commands if command.chain == chain]
                for start in range(0, len(of_chain), size):
                    await ledger.take(*of_chain[start : start + size])
            async with ledger.writer.session() as session:
                rewards = await owed(session, ledger.chains, NOON)
            for start in range(0, len(rewards), size):
                await ledger.take(*rewards[start : start + size])
            books.append(await content(ledger))
            await check_replay(ledger)
        await empty(database)
    assert books[0] == books[1] == books[2]
    for table in ("referrals", "award_counts", "budgets"):
        assert books[0][table]
