"""Whatever is changed behind rewards' back in the tables that `verify` reads, it finds it and names the place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import asyncpg
import pytest
import pytest_asyncio

from services.common.errors import Refusal
from services.ops.local.postgres import LocalPostgres
from services.ops.verify.broker import STREAMS, check_applied
from services.ops.verify.chain import verify_chain
from services.ops.verify.draws import check_counters
from services.ops.verify.findings import Findings, Report
from services.ops.verify.service_tables import check_service
from services.rewards.domain.reservation import Reserve
from services.rewards.tables import metadata
from tests.integration.drawing import CAR, DRINK, NOTHING, TEN, WHEEL, settle, turn, with_draws
from tests.integration.rewards_stack import NeverSent, RewardsStack, rewards_stack
from tests.integration.tampering import (
    MECHANISM,
    columns_of,
    committed,
    delete_last,
    in_catalogue,
    is_found,
    superuser,
    swap,
    unfound,
)
from tests.integration.verify_book import OFFSETS, RELAYED

pytestmark = pytest.mark.integration
PLACES = columns_of(metadata)
READ = (
    "installation", "journal", "inbox", "chain_heads", "consumer_offsets", "stream_positions", "relay_positions",
    "draw_turns", "draw_players", "draw_counters", "awards", "reward_stock",
)  # fmt: skip
LEFT_TO_REPLAY = {
    "programs", "program_clocks", "wallets", "member_segments", "redemptions", "vouchers", "voucher_codes",
    "member_grants", "grant_budgets", "member_money", "heirs",
}  # fmt: skip
"""Rebuilt from the three journals by `replay`, which compares every byte."""
NO_PROJECTION = {
    "redemption_steps", "ledger_steps", "code_guesses", "birthday_days", "member_birthdays",
}  # fmt: skip
"""Work under way, and what no journal may say."""


READ_TO = "SELECT chain, position FROM read_to"
NOTHING_COUNTED = "DELETE FROM draw_counters WHERE used = 0"
"""A turn locks the count of each prize that it might win; one to which nothing was added says nothing."""


@pytest_asyncio.fixture(scope="module")
async def book(postgres: LocalPostgres) -> AsyncIterator[str]:
    """The owner's URL of a rewards database with turns and points in every state."""
    async with rewards_stack(postgres.url) as servers:
        await _refuse(await servers.with_program("closing"))
        await _draw(await servers.with_program("drawing"))
        async with committed(servers.owner_url) as connection:
            await connection.execute(OFFSETS)
            await connection.execute(RELAYED)
            await connection.execute(NOTHING_COUNTED)
        yield servers.owner_url


async def _draw(stack: RewardsStack) -> None:
    document = with_draws({**WHEEL, "budget": {"day": 1_000}})
    document["rewards"]["catalogue"] = [{"id": "mug", "kind": "product", "points": 10, "stock": 9}]
    await stack.activate(document)
    for member in ("ann", "bob", "cat", "dan", "eve"):
        await stack.buy(member, 300)
        await stack.carry()
        await turn(stack, f"{member}-1", TEN, member=member)
        await turn(stack, f"{member}-2", DRINK, "ticket", member)
        await turn(stack, f"{member}-3", CAR, "ticket", member)
        await turn(stack, f"{member}-4", NOTHING, "points", member)
        await stack.redeemer.reserve(
            stack.program, Reserve(f"r-{member}", member, "mug", f"o-{member}", None)
        )
    with pytest.raises(Refusal):
        for number in range(9):
            await turn(stack, f"ann-poor-{number}", NOTHING, "points")
    await settle(stack)
    with pytest.raises(Refusal):
        await turn(stack, "bob-waits", TEN, "points", "bob", stack.draws_over(NeverSent())[0])


async def _refuse(stack: RewardsStack) -> None:
    """Members who are promised points and have closed their accounts before they come."""
    await stack.activate(with_draws(WHEEL))
    for member in ("ann", "bob", "cat", "dan", "eve"):
        await stack.buy(member, 10)
        await stack.carry()
        path = f"/v1/programs/{stack.program}/members/{member}/close"
        answer = await stack.ledger.post(path, json={"reason": "asked"}, headers={"Idempotency-Key": member})
        answer.raise_for_status()
    await settle(stack)


async def look(connection: asyncpg.Connection, *some: int) -> Report:
    """What `verify` says of a rewards database, without Kafka: of all chains, or of `some`."""
    chains = await connection.fetchval("SELECT chains FROM installation")
    found = Findings("rewards", None)
    await check_service(connection, "rewards", chains, found)
    rows = await connection.fetch(READ_TO)
    await check_applied(connection, {(STREAMS["ledger"], chain): end for chain, end in rows}, found)
    report = found.report
    for chain in [one for one in some if 0 <= one < chains] or range(chains):
        report.add(await verify_chain(connection, "rewards", chain, chains))
    if not some:
        whole = Findings("rewards", None)
        await check_counters(connection, chains, report.counted, whole)
        report.add(whole.report)
    return report


async def test_an_untouched_book_is_in_order_and_no_column_is_forgotten(book: str) -> None:
    async with superuser(book) as connection:
        await keep_ends(connection)
        report = await look(connection)
        there = await in_catalogue(connection)
        states = {tuple(row) for row in await connection.fetch("SELECT 'turn', state FROM draw_turns")}
        states |= {tuple(row) for row in await connection.fetch("SELECT 'award', state FROM awards")}
    assert report.findings == []
    assert there == {table: sorted(columns) for table, columns in PLACES.items()}
    assert set(READ) | LEFT_TO_REPLAY | NO_PROJECTION == set(PLACES)
    assert states == {
        ("turn", "made"), ("turn", "refused"), ("turn", "paying"), ("award", "given"), ("award", "refused"),
    }  # fmt: skip
    assert all(report.looked[check] for check in ("chain", "L4", "L5", "L6", "draws", "tables"))


async def keep_ends(connection: asyncpg.Connection) -> None:
    """The ends of the ledger's journal, in this transaction: as far as rewards has read it."""
    await connection.execute(
        "CREATE TEMPORARY TABLE read_to ON COMMIT DROP AS "
        "SELECT chain, position FROM stream_positions WHERE topic = 'ledger.v1'"
    )


@pytest.mark.parametrize("table", READ)
async def test_a_changed_column_is_found(book: str, table: str) -> None:
    async with superuser(book) as connection:
        await keep_ends(connection)
        left = await unfound(connection, table, PLACES[table], partial(look, connection))
    assert left == {column for of, column in MECHANISM if of == table}


@pytest.mark.parametrize("table", ["journal", "inbox", "draw_turns", "draw_players", "awards"])
async def test_two_rows_that_changed_their_content_are_found(book: str, table: str) -> None:
    async with superuser(book) as connection:
        await keep_ends(connection)
        chains = await swap(connection, table)
        assert chains
        assert await is_found(table, chains, partial(look, connection))


@pytest.mark.parametrize(
    "table", ["journal", "inbox", "draw_turns", "draw_players", "draw_counters", "reward_stock"]
)
async def test_a_deleted_row_is_found(book: str, table: str) -> None:
    async with superuser(book) as connection:
        await keep_ends(connection)
        await delete_last(connection, table)
        assert await is_found(table, set(), partial(look, connection))
