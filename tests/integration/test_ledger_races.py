"""Transactions that meet: exactly as many points are spent, and requests counted, as if they had come in a row."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.common.clock import utc_now
from services.ledger.domain.commands import Command
from services.ledger.handle import Outcome, handle
from tests.integration.ledger_pair import ledger_pair, take
from tests.integration.ledger_rows import Ledger, member_on

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def pair(database: str) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """A grocer."""
    async with ledger_pair(database) as both:
        yield both


def told(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(
        "duplicate" if o.duplicate else o.refusal[0] if o.refusal else "recorded" for o in outcomes
    )


async def test_of_50_holds_of_100_on_1000_points_exactly_10_stand(pair: tuple[Ledger, Ledger]) -> None:
    await pair[0].take(pair[0].purchase(amount=100_000))
    outcomes = await asyncio.gather(*(take(pair[n % 2], pair[n % 2].hold(100, f"h{n}")) for n in range(50)))
    assert told([o for batch in outcomes for o in batch]) == {"recorded": 10, "insufficient_points": 40}
    assert await pair[0].balance() == (1_000, 1_000, 0)


async def test_of_two_holds_for_the_same_money_exactly_one_stands(pair: tuple[Ledger, Ledger]) -> None:
    await pair[0].take(pair[0].top_up(amount=4_000), pair[0].purchase(amount=100_000))
    for n in range(10):
        outcomes = await asyncio.gather(
            *(take(ledger, ledger.hold(10, f"h{n}-{i}", money=2_500)) for i, ledger in enumerate(pair))
        )
        assert told([o for batch in outcomes for o in batch]) == {"recorded": 1, "insufficient_value": 1}
        (won,) = [i for i, (outcome,) in enumerate(outcomes) if outcome.refusal is None]
        await pair[0].take(pair[0].release(f"h{n}-{won}"))
    assert await pair[0].balance() == (1_000, 0, 0)
    assert await pair[0].value("SELECT sum(held)::bigint FROM accounts") == 0


async def test_the_same_purchase_at_once_in_two_processes_counts_once(pair: tuple[Ledger, Ledger]) -> None:
    batches = await asyncio.gather(
        *(take(pair[n % 2], *(pair[0].purchase(f"p{i}") for i in range(n % 3, 20))) for n in range(8))
    )
    assert told([o for batch in batches for o in batch])["recorded"] == 20
    assert await pair[0].balance() == (2_000, 0, 0)


async def test_one_id_for_two_members_on_two_chains_is_one_purchase(pair: tuple[Ledger, Ledger]) -> None:
    one, two = member_on(1), member_on(2)
    for n in range(10):
        outcomes = await asyncio.gather(
            take(pair[0], pair[0].purchase(f"p{n}", member=one)),
            take(pair[1], pair[1].purchase(f"p{n}", member=two)),
        )
        assert told([o for batch in outcomes for o in batch]) == {"recorded": 1, "id_reused": 1}
    assert sum([(await pair[0].balance(m))[0] for m in (one, two) if await known(pair[0], m)]) == 1_000


async def known(ledger: Ledger, member: str) -> bool:
    return bool(await ledger.value("SELECT count(*) FROM members WHERE member = $1", member))


async def test_ids_that_two_batches_meet_in_opposite_order_are_settled(pair: tuple[Ledger, Ledger]) -> None:
    """Each batch waits for an inbox row of the other: PostgreSQL ends one, and its next try sees the rows."""
    one, two = member_on(1), member_on(2)
    ids = [f"p{n}" for n in range(30)]
    outcomes = await asyncio.gather(
        take(pair[0], *(pair[0].purchase(i, member=one) for i in ids)),
        take(pair[1], *(pair[1].purchase(i, member=two) for i in reversed(ids))),
    )
    assert told([o for batch in outcomes for o in batch]) == {"recorded": 30, "id_reused": 30}


async def test_one_card_for_two_members_at_once_goes_to_one(pair: tuple[Ledger, Ledger]) -> None:
    one, two = member_on(1), member_on(2)
    outcomes = await asyncio.gather(
        take(pair[0], pair[0].enrol(one, "6001")), take(pair[1], pair[1].enrol(two, "6001"))
    )
    assert told([o for batch in outcomes for o in batch]) == {"recorded": 1, "identifier_taken": 1}
    assert await pair[0].value("SELECT count(*) FROM identifiers") == 1


async def test_positions_have_no_gap_after_transactions_that_failed(pair: tuple[Ledger, Ledger]) -> None:
    one, two = member_on(1), member_on(2)
    await asyncio.gather(
        *(take(pair[n % 2], pair[0].purchase(f"p{n // 2}", member=(one, two)[n % 2])) for n in range(20))
    )
    rows = await pair[0].rows(
        "SELECT chain, count(*) AS rows, max(j.position) AS last, max(h.position) AS head "
        "FROM journal AS j JOIN chain_heads AS h USING (chain) GROUP BY chain"
    )
    assert all(row["rows"] == row["last"] == row["head"] for row in rows)


@pytest.mark.parametrize("members", [1, 50])
async def test_a_batch_asks_as_often_whether_it_has_5_purchases_or_500(
    pair: tuple[Ledger, Ledger], members: int
) -> None:
    """No query a row anywhere: the statements of a transaction are counted by PostgreSQL's own client."""
    ledger, chain = pair[0], 1
    names = [member_on(chain, n) for n in range(members)]
    await ledger.take(*(ledger.purchase(f"w{n}", member=name) for n, name in enumerate(names)))
    counts = []
    for size in (5, 500):
        commands: list[Command] = [
            ledger.purchase(f"s{size}-{n}", member=names[n % members]) for n in range(size)
        ]
        counts.append(await statements(ledger, commands))
    assert counts[0] == counts[1]
    assert counts[0] <= 15


async def statements(ledger: Ledger, commands: list[Command]) -> int:
    """How many statements one transaction with these commands sends."""
    sent: list[str] = []
    async with ledger.writer.session() as connection:
        with connection.query_logger(lambda record: sent.append(record.query)):
            async with connection.transaction():
                await handle(connection, commands, ledger.programs, ledger.chains, utc_now())
    return len(sent)
