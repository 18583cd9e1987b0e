"""Commands of every kind, under rules of every kind, that another version replaces and that come again: one book,
however the stream is cut into transactions."""

from __future__ import annotations

import copy
import os
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.common.program_document import canonical, version_of
from services.ledger.domain.commands import (
    ActivateProgram,
    Adjust,
    ApproveAdjustment,
    Cause,
    CloseMember,
    Command,
    DeclineAdjustment,
    MergeMembers,
    ReactivateMember,
    SuspendMember,
)
from services.ledger.referral_rewards import owed
from tests.databases import service_role
from tests.integration.ledger_rows import NOON, SOCIAL, Ledger, member_on
from tests.integration.test_ledger_store import content, empty
from tests.integration.verify_book import look

pytestmark = pytest.mark.integration

SEEDS = int(os.environ.get("TALLY_BATCH_SEEDS", "2"))
DAY = timedelta(days=1)
MEMBERS = [member_on(chain, start) for chain in range(3) for start in range(3)]
NEAR = 6
"""What a command is about is one of the last so many of its kind: so it mostly succeeds."""
RULES: list[dict[str, Any]] = [
    {"id": "welcome", "when": {"first_purchase": True}, "earn": {"points_per_visit": 30}},
    {"id": "third", "when": {"visits": {"every": 3}}, "earn": {"multiplier": 2}},
    {"id": "big", "earn": {"bands": [{"from": 5_000, "points": 7}, {"from": 20_000, "points": 31}]}},
    {"id": "for_gold", "when": {"tiers": ["gold"]}, "earn": {"points_per_item": 2}},
]
EXPIRIES: list[dict[str, Any]] = [
    {"months": 1},
    {"months": 1, "to": "month_end"},
    {"fixed_day": "02-28", "after_months": 1},
    {"inactivity_months": 1},
    {"inactivity_months": 1, "activities": ["return", "redemption"]},
]


@pytest_asyncio.fixture
async def url(database: str) -> AsyncIterator[str]:
    async with service_role("ledger", database) as url:
        yield url


def document(rng: random.Random) -> dict[str, Any]:
    """A program that asks for everything, in one way or another."""
    earning = {
        **SOCIAL["ledger"]["earning"],
        "points_per_unit": rng.choice([1, "0.7"]),
        "rounding": rng.choice(["floor", "half_up", "carry"]),
        "rules": rng.choice([[], RULES]),
        "caps": rng.choice([{}, {"day": 150}, {"month": 500, "lifetime": 1_200}]),
    }
    ledger = {
        **SOCIAL["ledger"],
        "earning": earning,
        "pending": rng.choice([{}, {"days": 14}]),
        "expiry": rng.choice(EXPIRIES),
        "returns": {
            "expired_lots": rng.choice(["forfeit", {"reinstate_days": 5}]),
            "shortfall": rng.choice(["debt", "forgive"]),
            "unknown_purchase": rng.choice(["park", "refuse"]),
            "without_purchase": rng.choice(["record", "refuse"]),
        },
        "stored_value": {
            "ladder": [
                {"load": 3_000, "bonus": 500, "top_ups": "first"},
                {"load": 3_000, "bonus_share": "0.1", "bonus_points": 20, "top_ups": "reload"},
            ],
            "expiry": rng.choice([{}, {"bonus_months": 1}, {"bonus_months": 1, "principal_months": 2}]),
            "spend_order": rng.choice(["bonus_first", "principal_first", "pro_rata"]),
        },
        "campaigns": [{"id": "welcome", "budget": rng.choice([250, 3_000])}],
    }
    zone = rng.choice(["UTC", "America/New_York", "Asia/Kolkata"])
    return {**SOCIAL, "time_zone": zone, "ledger": ledger}


class Stream:
    """Draws commands one after another; what was made before can be named again."""

    def __init__(self, ledger: Ledger, rng: random.Random) -> None:
        self.ledger, self.rng = ledger, rng
        self.made: dict[str, list[tuple[str, str]]] = defaultdict(list)
        """(member, id) by kind."""

    def commands(self, count: int, versions: list[dict[str, Any]]) -> list[Command]:
        """`count` draws, with the versions put in force one after another, and some commands again."""
        found: list[Command] = []
        for n in range(count):
            if n % (count // len(versions)) == 0:
                found += self._activate(versions[n * len(versions) // count % len(versions)])
            at = NOON + timedelta(hours=8 * n)
            command = self._draw(str(n), at, at - self.rng.choice([0, 0, 0, 20, 45]) * DAY)
            command.now = at
            found.append(command)
            if self.rng.random() < 0.06:
                found.append(copy.deepcopy(self.rng.choice(found)))
        return found

    def _activate(self, document: dict[str, Any]) -> list[Command]:
        told = canonical(document)
        version = version_of(told)
        cause = Cause("program", f"grocer@{version}")
        chains = range(self.ledger.chains)
        return [ActivateProgram("grocer", "", chain, cause, NOON, version, told) for chain in chains]

    def _draw(self, n: str, at: Any, told: Any) -> Command:
        rng, to = self.rng, self.ledger
        member, other = rng.choice(MEMBERS), rng.choice(MEMBERS)

        def new(kind: str) -> str:
            self.made[kind].append((member, kind + n))
            return kind + n

        def near(kind: str) -> tuple[str, str]:
            return rng.choice(self.made[kind][-NEAR:] or [(member, "nothing")])

        def about(kind: str, make: Callable[[str, str], Command]) -> Callable[[], Command]:
            return lambda: make(*near(kind))

        def by_hand(kind: type[Any], *content: object) -> Callable[[], Command]:
            return about("a", lambda m, a: to.member_command(kind, f"{kind.__name__}{n}", m, a, *content))

        def status(kind: type[Any]) -> Callable[[], Command]:
            return lambda: to.member_command(kind, f"s{n}", member, "why", "k1")

        amount, part = rng.choice([rng.randrange(30_000), 999, 70]), rng.randrange(1, 150)
        money = rng.choice([None, None, rng.randrange(1, 4_000)])
        draws: list[tuple[int, Callable[[], Command]]] = [
            (7, lambda: to.purchase(new("p"), amount, at=told, quantity=3, member=member)),
            (1, about("late", lambda m, p: to.purchase(p, amount, member=m, at=told, quantity=3))),
            (3, about("p", lambda m, p: to.return_(p, f"r{n}", member=m, at=at, units=rng.choice([1, 3])))),
            (1, lambda: to.return_(rng.choice([new("late"), ""]), f"r{n}", at=at, member=member)),
            (3, lambda: to.hold(part, new("h"), member, rng.choice([60, 864_000]), money)),
            (2, about("h", lambda m, h: to.capture(h, rng.choice([None, 10]), m))),
            (1, about("h", lambda m, h: to.capture_part(part % 40, f"c{n}", h, m, rng.choice([None, 100])))),
            (1, about("h", lambda m, h: to.release(h, m))),
            (2, about("h", lambda m, h: to.refund(f"f{n}", rng.choice([None, 7]), f"order-{h}", m))),
            (1, lambda: to.tier(rng.choice(["silver", "gold", ""]), told, int(n), member)),
            (1, lambda: to.enrol(member, str(rng.randrange(9)), id_=f"e{n}")),
            (3, lambda: to.top_up(new("t"), rng.choice([2_000, 4_000, 9_000]), at=told, member=member)),
            (1, about("t", lambda m, t: to.reverse_top_up(t, f"u{n}", member=m, at=at))),
            (1, lambda: to.gift(rng.randrange(1, 2_000), other, f"g{n}", member)),
            (2, lambda: to.interaction(f"i{n}", rng.choice(["review", "photo"]), "c1", at=told, member=member)),
            (1, lambda: to.referral(f"n{n}", member, at=told, referrer=other)),
            (1, lambda: to.referral(f"n{n}", member, at=told, task="bind_phone")),
            (2, lambda: to.member_command(
                Adjust, new("a"), member, f"a{n}", rng.choice([50, -20, 300, -150]), "goodwill", "", "k1")),
            (1, by_hand(ApproveAdjustment, "k2")),
            (1, by_hand(DeclineAdjustment, "", "k1")),
            (1, status(rng.choice([SuspendMember, ReactivateMember, ReactivateMember, CloseMember]))),
            (1, lambda: to.merge(member, other, f"m{n}")),
        ]  # fmt: skip
        weights = [weight for weight, _ in draws]
        return rng.choices([draw for _, draw in draws], weights)[0]()


def batches(commands: list[Command], size: int) -> Iterator[list[Command]]:
    """At most so many; a merge goes by itself, as it does in the queue."""
    batch: list[Command] = []
    for command in commands:
        if batch and (len(batch) == size or isinstance(command, MergeMembers)):
            yield batch
            batch = []
        batch.append(command)
        if isinstance(command, MergeMembers):
            yield batch
            batch = []
    if batch:
        yield batch


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_one_book_comes_of_a_stream_however_it_is_cut(url: str, database: str, seed: int) -> None:
    books = []
    for size in (1, 9, 1_000):
        rng = random.Random(seed)
        async with Ledger.open(url) as ledger:
            versions = [document(rng), document(rng)]
            await ledger.activate(versions[0])
            commands = Stream(ledger, rng).commands(240, [*versions, versions[0]])
            for batch in batches(commands, size):
                await ledger.take(*batch)
            async with ledger.writer.session() as session:
                rewards = await owed(session, ledger.chains, NOON)
            for reward in rewards:
                await ledger.take(reward)
            await ledger.advance(NOON + 500 * DAY)
            books.append(await content(ledger))
        owner = await asyncpg.connect(database)
        async with owner.transaction():
            report = await look(owner)
        await owner.close()
        # Nobody has published or consumed anything here.
        assert [str(finding) for finding in report.findings if finding.check != "L6"] == []
        await empty(database)
    assert len(books[0]["journal"]) > 240
    for table, rows in books[0].items():
        assert rows == books[1][table] == books[2][table], table
