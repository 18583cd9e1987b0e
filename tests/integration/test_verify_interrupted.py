"""A run of `verify` that is interrupted, and the one that goes on from where it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.ops.verify.run import Book, Verified, verify_book
from services.ops.verify.state import StateUnusable
from tests.databases import service_role
from tests.integration.ledger_rows import CHAINS, Ledger, member_on
from tests.integration.tampering import committed

pytestmark = pytest.mark.integration
LONGEST = 0
"""This chain is read first, for it has the most rows."""


class Interrupted(Exception):
    """What a Ctrl-C would be."""


@pytest_asyncio.fixture
async def ledger(database: str) -> AsyncIterator[Ledger]:
    """A member on every chain; the first chain is the longest."""
    async with service_role("ledger", database) as url, Ledger.open(url) as ledger:
        await ledger.activate()
        for chain in range(CHAINS):
            for number in range(5 - chain):
                member = member_on(chain)
                await ledger.take(ledger.purchase(f"{member}-{number}", 5_000, member=member))
        yield ledger


async def interrupted(url: str, state: Path) -> None:
    """A run that ends when one chain has been read."""

    def stop(done: int, total: int) -> None:
        if 0 < done < total:
            raise Interrupted

    with pytest.raises(Interrupted):
        await asyncio.to_thread(verify_book, Book({"ledger": url}), 1, stop, state)


async def whole(url: str, state: Path) -> Verified:
    return await asyncio.to_thread(verify_book, Book({"ledger": url}), 1, state=state)


async def test_the_next_run_goes_on_and_the_one_after_it_begins_anew(
    ledger: Ledger, database: str, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    await interrupted(database, state)
    first = await ledger.value("SELECT position FROM chain_heads WHERE chain = $1", LONGEST)
    all_rows = await ledger.value("SELECT count(*) FROM journal")
    verified = await whole(database, state)
    assert (verified.report.findings, verified.rows, verified.read_before) == ([], all_rows, first)
    assert verified.report.looked["chain"] == all_rows
    assert not state.exists()
    assert (await whole(database, state)).read_before == 0


async def test_a_chain_that_has_gone_on_is_read_again(ledger: Ledger, database: str, tmp_path: Path) -> None:
    await interrupted(database, tmp_path / "state")
    await ledger.take(ledger.purchase("one-more", 5_000, member=member_on(LONGEST)))
    verified = await whole(database, tmp_path / "state")
    assert (verified.report.findings, verified.read_before) == ([], 0)


async def test_what_was_found_before_is_told_and_what_is_wrong_in_the_rest_is_found(
    ledger: Ledger, database: str, tmp_path: Path
) -> None:
    lots = "UPDATE lots SET earned_at = earned_at + interval '1 day' WHERE chain = $1"
    async with committed(database) as connection:
        await connection.execute(lots, LONGEST)
    await interrupted(database, tmp_path / "state")
    async with committed(database) as connection:
        await connection.execute(lots, CHAINS - 1)
    verified = await whole(database, tmp_path / "state")
    assert verified.read_before > 0
    assert {finding.chain for finding in verified.report.findings} == {LONGEST, CHAINS - 1}


async def test_a_state_of_another_book_is_refused(ledger: Ledger, database: str, tmp_path: Path) -> None:
    await interrupted(database, tmp_path / "state")
    async with committed(database) as connection:
        await connection.execute("UPDATE installation SET id = gen_random_uuid()")
    with pytest.raises(StateUnusable, match="another book"):
        await whole(database, tmp_path / "state")
