"""A rebuild can stop anywhere and go on from there; a checkpoint keeps where it stood, or is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from services.ledger.domain.commands import UnlinkIdentifiers
from services.ops.local.postgres import LocalPostgres
from services.ops.replay import checkpoint
from services.ops.replay.checkpoint import CheckpointRefused
from services.ops.replay.fold import TABLES, compare_own
from services.ops.replay.ledger import rebuild
from services.ops.replay.run import How
from services.ops.replay.schema import replay_schema
from services.ops.replay.sources import Journals, Stretch
from services.ops.verify.snapshot import connect, exported
from tests.integration.ledger_rows import CHAINS, IDENTIFIERS, NOON, Ledger, member_on
from tests.integration.replay_runs import Filled, filled
from tests.integration.verify_book import DAY

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module")
async def book(postgres: LocalPostgres) -> AsyncIterator[Filled]:
    """A filled ledger."""
    async with filled(postgres.url) as book:
        yield book


async def go_on(ledger: Ledger) -> None:
    """Something more of what moves rows that are there, and cards that go to a member on another chain."""
    for chain in range(CHAINS):
        ann, bob = member_on(chain), member_on((chain + 1) % CHAINS, 1)
        at = NOON + 410 * DAY
        await ledger.take(ledger.purchase(f"{ann}-on", 7_000, member=ann, at=at))
        await ledger.take(ledger.return_(f"{ann}-on", f"{ann}-onr", member=ann, at=at))
        await ledger.take(ledger.refund(f"{ann}-onf", 1, f"order-{ann}-a", ann))
        await ledger.take(ledger.purchase(f"{ann}-never", 7_000, member=ann, at=at))
        card = ("card", IDENTIFIERS.digest("card", f"{ann}-card"))
        unlink = ledger.member_command(UnlinkIdentifiers, f"{ann}-onu", ann, [card])
        await ledger.take(unlink)
        await ledger.take(ledger.enrol(bob, f"{ann}-card", id_=f"{ann}-one"))
        await ledger.take(ledger.profile(ann, name="Ann Another"))
    await ledger.advance(NOON + 800 * DAY)


@pytest.mark.parametrize("rows", [1, 17])
async def test_a_rebuild_in_steps_gives_what_one_step_gives(book: Filled, rows: int) -> None:
    async with AsyncExitStack() as stack:
        schema = await stack.enter_async_context(replay_schema(book.url, TABLES["ledger"]))
        live, _ = await stack.enter_async_context(exported(book.url))
        build = await connect(book.url, search_path=schema)
        stack.push_async_callback(build.close)
        streams = Journals("ledger", live, {"ledger": book.url}, stack)
        for chain in range(CHAINS):
            head = await live.fetchval("SELECT position FROM chain_heads WHERE chain = $1", chain)
            assert head > 100
            async with build.transaction():
                for start in range(0, head, rows):
                    after, up_to = {"ledger.v1": start}, {"ledger.v1": min(start + rows, head)}
                    await rebuild(Stretch(live, build, streams, chain, CHAINS, after, up_to, spread=False))
                compared = await compare_own("ledger", live, build, schema, chain)
            assert [part.difference for part in compared if not part.same] == []


async def test_a_replay_behind_a_checkpoint_equals_one_from_the_first_row(book: Filled) -> None:
    kept = await book.replayed(How(checkpoint="monday"))
    assert kept.same
    await go_on(book.ledger)
    from_start, behind = (
        await book.replayed(How()),
        await book.replayed(How(after="monday", checkpoint="tuesday"), 2),
    )
    assert sorted(map(str, behind.compared)) == sorted(map(str, from_start.compared))
    assert behind.same
    assert 0 < behind.rows == from_start.rows - kept.rows
    # Nothing has come since, and a checkpoint that was begun at another is as good.
    again = await book.replayed(How(after="tuesday"))
    assert again.rows == 0
    assert again.same
    assert [one.name for one in await checkpoint.listed(book.url)] == ["monday", "tuesday"]
    for name in ("monday", "tuesday"):
        assert await checkpoint.drop(book.url, name)
    assert not await checkpoint.drop(book.url, "monday")
    assert await book.schemas() == []


async def test_a_replay_behind_a_checkpoint_names_a_live_row_that_differs(book: Filled) -> None:
    await book.replayed(How(checkpoint="before"))
    owner = await connect(book.url)
    try:
        await owner.execute("UPDATE accounts SET posted = posted + 1 WHERE member = $1", member_on(2))
        result = await book.replayed(How(after="before"))
        await owner.execute("UPDATE accounts SET posted = posted - 1 WHERE member = $1", member_on(2))
    finally:
        await owner.close()
    assert [(part.table, part.chain) for part in result.compared if not part.same] == [("accounts", 2)]
    await checkpoint.drop(book.url, "before")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            "UPDATE {}.lots SET purchase = 'x' WHERE chain = 1",
            "the rows of lots, chain 1, don't agree with its digest",
        ),
        ("DELETE FROM {}.identifiers WHERE chain = 2", "the rows of identifiers, chain 2, don't agree"),
        (
            "UPDATE {}.replay_positions SET position = 1 WHERE chain = 3",
            "the rows of replay_positions, chain 3",
        ),
        ("ALTER TABLE {}.holds DROP COLUMN captured", "is of another version: its table holds has"),
    ],
)
async def test_a_checkpoint_that_can_not_be_used_is_refused(book: Filled, change: str, reason: str) -> None:
    await book.replayed(How(checkpoint="spoilt"))
    owner = await connect(book.url)
    try:
        await owner.execute(change.format("checkpoint_spoilt"))
    finally:
        await owner.close()
    with pytest.raises(CheckpointRefused, match=reason):
        await book.replayed(How(after="spoilt"))
    await checkpoint.drop(book.url, "spoilt")
    assert await book.schemas() == []


async def test_the_command_keeps_lists_and_drops(book: Filled) -> None:
    assert (await book.tally("ledger", "--checkpoint", "weekly", "--json"))[0] == 0
    status, told, _ = await book.tally("ledger", "--list", "--json")
    (row,) = json.loads(told)
    assert (status, row["service"], row["name"], row["chains"]) == (0, "ledger", "weekly", CHAINS)
    assert row["journal_rows"] == await book.ledger.value("SELECT count(*) FROM journal")
    assert "already" in (await book.tally("ledger", "--checkpoint", "weekly"))[2]
    assert "no name" in (await book.tally("ledger", "--checkpoint", "Robert'); DROP"))[2]
    assert "it has: weekly" in (await book.tally("ledger", "--after", "daily"))[2]
    assert (await book.tally("ledger", "--drop", "weekly"))[0] == 0
    assert "see --list" in (await book.tally("ledger", "--drop", "weekly"))[2]
    assert await book.schemas() == []
