"""Every number of a book with something of everything in it can say why it is what it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.common.db import Reader
from services.common.errors import Refusal
from services.ledger import explain
from services.ledger.store import Programs
from services.ops.local.postgres import LocalPostgres
from services.ops.verify.snapshot import connect
from tests.databases import fresh_url
from tests.integration.ledger_rows import CHAINS, member_on
from tests.integration.verify_book import MEMBERS_EACH, filled_ledger

pytestmark = pytest.mark.integration

PAGE = 7
PURCHASES = """
SELECT i.event_id AS order, i.journal_chain AS chain, i.position, i.rejection IS NULL AS recorded,
       array_agg(j.position) AS caused
FROM inbox AS i LEFT JOIN journal AS j ON j.chain = i.journal_chain AND j.cause_source = i.source
    AND j.cause_id = i.event_id AND j.type IN ('PurchaseRecorded', 'PointsAccrued', 'PurchaseRecounted')
WHERE i.source = 'grocer/purchase' GROUP BY i.event_id, i.journal_chain, i.position, i.rejection
"""
HELD_FOR = "SELECT DISTINCT order_id FROM holds WHERE program = 'grocer'"


@pytest_asyncio.fixture(scope="module")
async def url(postgres: LocalPostgres) -> AsyncIterator[str]:
    """The owner's URL of a ledger with something of everything in it."""
    found = fresh_url(postgres.url)
    async with filled_ledger(found):
        yield found


@pytest_asyncio.fixture
async def owner(url: str) -> AsyncIterator[asyncpg.Connection]:
    owner = await connect(url)
    yield owner
    await owner.close()


@pytest_asyncio.fixture
async def reader(url: str) -> AsyncIterator[Reader]:
    reader = Reader.connect(url)
    yield reader
    await reader.close()


async def test_a_balance_is_the_sum_of_its_lots_and_of_its_postings_row_by_row(
    owner: asyncpg.Connection, reader: Reader
) -> None:
    known = Programs()
    everybody = await owner.fetch("SELECT chain, program, member FROM members")
    rows = 0
    for place in everybody:
        async with reader.snapshot() as connection:
            told = await explain.member(connection, known, tuple(place))
        points = told["points"]
        in_lots = sum(lot["remaining"] for lot in told["lots"] if lot["asset"] == "points")
        assert points["posted"] == in_lots - points["debt"]
        newest = told["entries"][0]["balance_after"]
        assert newest.get("points", 0) == points["posted"]
        for currency, money in told["money"].items():
            for bucket in ("principal", "bonus"):
                assert newest.get(f"{currency}.{bucket}", 0) == money[bucket]
        # What each row says that it changed is what its postings changed.
        for entry, before in zip(told["entries"], [*told["entries"][1:], {"balance_after": {}}], strict=True):
            changed = Counter(entry["balance_after"])
            changed.subtract(before["balance_after"])
            said = {"points": entry["points"], **entry["money"]}
            assert {k: v for k, v in changed.items() if v} == {k: v for k, v in said.items() if v}, entry
        rows += len(told["entries"])
    assert rows == await owner.fetchval(
        "SELECT count(*) FROM journal WHERE member IN (SELECT member FROM members)"
    )


async def test_pages_are_the_whole_in_parts(reader: Reader) -> None:
    known, place = Programs(), (0, "grocer", member_on(0))
    async with reader.snapshot() as connection:
        whole = (await explain.member(connection, known, place))["entries"]
        parts: list[dict[str, Any]] = []
        before = None
        while before is None or parts[-1]["position"] > 1:
            page = await explain.member(connection, known, place, before, PAGE)
            parts += page["entries"]
            if page["next"] is None:
                break
            before = int(page["next"])
    assert len(whole) > 3 * PAGE
    assert parts == whole


async def test_an_accrual_names_its_rules_its_arithmetic_its_lot_and_its_postings(
    owner: asyncpg.Connection, reader: Reader
) -> None:
    member = member_on(1)
    position = await owner.fetchval(
        "SELECT min(position) FROM journal WHERE chain = 1 AND member = $1 AND type = 'PointsAccrued'", member
    )
    async with reader.snapshot() as connection:
        told = await explain.position(connection, Programs(), CHAINS, "grocer", 1, position)
    assert told["text"] == f"300 points earned by purchase {member}-1"
    assert told["rules"][0] == {"rule": "base", "arithmetic": "30000 USD minor units x 1/100 = 300"}
    assert told["postings"] == [
        {"debit": "issued", "credit": f"member/{member}", "asset": "points", "amount": 300, "lot": position}
    ]
    assert (told["lot"]["lot"], told["lot"]["amount"], told["lot"]["from"]) == (position, 300, f"{member}-1")
    assert told["purchase_at"] == f"1:{told['same_request'][0]['position']}"
    assert [row["type"] for row in told["same_request"]] == ["PurchaseRecorded"]
    assert told["says"]["purchase"] == f"{member}-1"


async def test_every_row_of_the_book_can_be_explained(owner: asyncpg.Connection, reader: Reader) -> None:
    known = Programs()
    rows = await owner.fetch(
        # Of each type the first and the last of each chain.
        "SELECT chain, program, type, unnest(ARRAY[min(position), max(position)]) AS position "
        "FROM journal GROUP BY 1, 2, 3"
    )
    types = set()
    for chain, program, type_, position in rows:
        async with reader.snapshot() as connection:
            told = await explain.position(connection, known, CHAINS, program, chain, position)
        assert (told["type"], told["position"]) == (type_, position)
        assert told["text"]
        assert json.dumps(told)
        types.add(type_)
    assert len(types) > 45


async def test_an_order_has_all_rows_of_its_purchase_or_its_hold(
    owner: asyncpg.Connection, reader: Reader
) -> None:
    known = Programs()
    purchases = await owner.fetch(PURCHASES)
    assert {row["recorded"] for row in purchases} == {True, False}
    for order, chain, position, _, caused in purchases:
        async with reader.snapshot() as connection:
            told = await explain.order(connection, known, CHAINS, "grocer", order)
        there = {(entry["chain"], entry["position"]) for entry in told["entries"]}
        assert {(chain, at) for at in (position, *caused) if at} <= there
    for (order,) in await owner.fetch(HELD_FOR):
        async with reader.snapshot() as connection:
            told = await explain.order(connection, known, CHAINS, "grocer", order)
        assert "HoldPlaced" in {entry["type"] for entry in told["entries"]}


async def test_an_order_says_what_it_earned_and_what_came_of_its_points(reader: Reader) -> None:
    member = member_on(0)
    async with reader.snapshot() as connection:
        told = await explain.order(connection, Programs(), CHAINS, "grocer", f"{member}-1")
        paid = await explain.order(connection, Programs(), CHAINS, "grocer", f"order-{member}-a")
    assert (told["members"], told["earned"], told["taken_back"]) == ([member], 300, 200)
    assert [lot["amount"] for lot in told["lots"]] == [300]
    types = Counter(entry["type"] for entry in told["entries"])
    assert types["PurchaseRecorded"] == types["PointsAccrued"] == types["ReturnRecorded"] == 1
    # Its lot paid for other orders.
    assert types["HoldCaptured"] > 0
    assert (paid["spent"], paid["given_back"], paid["earned"], paid["money"]) == (30, 13, 0, {})
    async with reader.snapshot() as connection:
        both = await explain.order(connection, Programs(), CHAINS, "grocer", f"order-{member}-m")
    # Points and money in parts: 2 and 400, then what was left; some of it came back, twice.
    assert (both["spent"], both["given_back"]) == (5, 1)
    assert both["money"] == {"USD": {"spent": 1_000, "given_back": 820}}


async def test_after_a_merge_an_order_goes_on_with_the_survivor(reader: Reader) -> None:
    survivor, absorbed = member_on(0), member_on(1, MEMBERS_EACH)
    async with reader.snapshot() as connection:
        told = await explain.order(connection, Programs(), CHAINS, "grocer", f"{absorbed}-1")
        merged = await explain.member(connection, Programs(), (1, "grocer", absorbed))
    assert told["members"] == [absorbed, survivor]
    assert {entry["member"] for entry in told["entries"]} == {absorbed, survivor}
    assert merged["merged_into"] == survivor


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda c: explain.member(c, Programs(), (0, "grocer", "nobody")), "unknown_member"),
        (lambda c: explain.order(c, Programs(), CHAINS, "grocer", "no such order"), "order_unknown"),
        (lambda c: explain.order(c, Programs(), CHAINS, "nobodys", "m"), "order_unknown"),
        (lambda c: explain.position(c, Programs(), CHAINS, "grocer", 0, 10**9), "position_unknown"),
        (lambda c: explain.position(c, Programs(), CHAINS, "grocer", 9_999, 1), "position_unknown"),
        (lambda c: explain.position(c, Programs(), CHAINS, "nobodys", 0, 1), "position_unknown"),
    ],
)  # fmt: skip
async def test_what_is_not_there_is_said_by_name(reader: Reader, ask: Any, code: str) -> None:
    async with reader.snapshot() as connection:
        with pytest.raises(Refusal) as refused:
            await ask(connection)
    assert refused.value.code == code


async def test_a_history_over_the_limit_is_refused_over_http(reader: Reader) -> None:
    async with reader.snapshot() as connection:
        with pytest.raises(Refusal, match="more than 5 rows"):
            await explain.order(connection, Programs(), CHAINS, "grocer", f"{member_on(0)}-1", rows_max=5)
