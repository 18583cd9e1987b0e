"""Every tool of the auditors on two real years in one book (tests/integration/real_years.py)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio

from services.common.chain import chain_of
from services.common.codec import time_of
from services.common.db import Reader
from services.ledger import explain, liability
from services.ledger.domain.book import POINTS
from services.ledger.domain.postings import member_account
from services.ledger.store import Programs
from services.ops.importing.online_retail import UNKNOWN_PURCHASE
from services.ops.install import SERVICES
from services.ops.local.stack import Stack
from services.ops.redecide.run import redecide
from services.ops.replay.fold import SHAPES
from services.ops.replay.run import replay
from services.ops.verify.findings import CHECKS
from services.ops.verify.run import Book, verify_book
from tallybook.activities.v1.activities_pb2 import Purchase
from tests.integration.real_instants import by_business_time, by_recorded_time, tiers_by_recorded_time
from tests.integration.real_years import ENDS, GROCER, RETAIL, RealBook, filled_with_years

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PROCESSES = 2
MEMBERS_EXPLAINED = 25
NOT_LOOKED_AT = ("budgets", "seals")
"""Nobody campaigns in these years, and nobody has sealed them."""


@pytest_asyncio.fixture(scope="module")
async def book(file_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> RealBook:
    return await filled_with_years(file_stack, tmp_path_factory.mktemp("years"))


@pytest_asyncio.fixture(scope="module")
async def reader(book: RealBook) -> AsyncIterator[Reader]:
    reader = Reader.connect(book.urls["ledger"])
    yield reader
    await reader.close()


async def test_verify_finds_nothing(book: RealBook) -> None:
    state = book.stack.state
    found = await asyncio.to_thread(
        verify_book, Book(book.urls, state.bootstrap, state.topic_prefix), PROCESSES
    )
    assert found.report.findings == []
    assert [check for check in CHECKS if not found.report.looked[check]] == list(NOT_LOOKED_AT)


@pytest.mark.parametrize("service", SERVICES)
async def test_what_is_rebuilt_is_what_is_live(book: RealBook, service: str) -> None:
    found = await asyncio.to_thread(replay, service, book.urls, PROCESSES)
    assert [part for part in found.compared if not part.same] == []
    assert {part.table for part in found.compared} == {shape.table for shape in SHAPES[service]}
    assert found.rows > 10_000


async def test_every_decision_is_taken_again(book: RealBook) -> None:
    found = (await asyncio.to_thread(redecide, book.urls["ledger"], PROCESSES)).report
    assert (found.differences, found.same, found.left_out) == ([], True, 0)
    sent = sum((imported.account.messages for imported in book.imported.values()), Counter())
    refused = sum(sum((imported.rejections or {}).values()) for imported in book.imported.values())
    assert (found.decided["RecordPurchase"], found.decided["RecordReturn"]) == (
        sent["purchase"],
        sent["return"],
    )
    assert found.untold.total() == refused > 0
    assert {"AssignTier", "AdvanceClock", "PlaceHold", "CaptureHold", "ReleaseHold", "Adjust"} <= set(
        found.decided
    )


@pytest.mark.parametrize("program", [RETAIL, GROCER])
async def test_as_of_100_random_instants_is_a_replay_up_to_there(
    book: RealBook, reader: Reader, program: str
) -> None:
    await by_recorded_time(book, reader, program)
    await by_business_time(book, reader, program)


@pytest.mark.parametrize("program", [RETAIL, GROCER])
async def test_tiers_of_100_random_instants_are_those_decided_by_then(book: RealBook, program: str) -> None:
    reader = Reader.connect(book.urls["tiering"])
    try:
        await tiers_by_recorded_time(book, reader, program)
    finally:
        await reader.close()


@pytest.mark.parametrize("program", [RETAIL, GROCER])
@pytest.mark.parametrize("time", liability.TIMES)
async def test_what_is_owed_is_proved_to_the_point(reader: Reader, program: str, time: str) -> None:
    async with reader.snapshot() as connection:
        found = await liability.liability(connection, program, ("month", "store"), time)
        totals = await liability.liability(connection, program, (), time)
    assert found.same
    (points,) = found.reconciled
    (line,) = totals.lines
    assert line.closing == points.postings > 0
    assert {"issued", "expired", "redeemed"} <= set(line.movements)
    by_month: Counter[str] = Counter()
    for each in found.lines:
        by_month.update(each.movements)
    assert by_month == Counter(line.movements)


@pytest.mark.parametrize("program", [RETAIL, GROCER])
async def test_an_explanation_adds_up_to_the_balance(book: RealBook, reader: Reader, program: str) -> None:
    rows = await book.rows("ledger", "SELECT member FROM members WHERE program = $1 ORDER BY member", program)
    some = random.Random(program).sample([row["member"] for row in rows], MEMBERS_EXPLAINED)
    with_lots = 0
    for member in some:
        told, moved = await explained(reader, (chain_of(member, book.chains), program, member))
        points = told["points"]
        assert sum(moved.values()) == points["posted"], member
        if len(told["lots"]) < explain.LOTS_MAX:
            in_lots = {lot["lot"]: lot["remaining"] for lot in told["lots"]}
            assert {lot: left for lot, left in moved.items() if left and lot is not None} == in_lots, member
            with_lots += bool(in_lots)
    assert with_lots > MEMBERS_EXPLAINED // 4


async def explained(
    reader: Reader, place: tuple[int, str, str]
) -> tuple[dict[str, Any], Counter[int | None]]:
    """The explanation of (chain, program, member), and what its postings left in each lot; what is no lot's is debt."""
    known, account = Programs(), member_account(place[2])
    moved: Counter[int | None] = Counter()
    before, first = None, None
    while True:
        async with reader.snapshot() as connection:
            told = await explain.member(connection, known, place, before, limit=50)
        first = first or told
        for entry in told["entries"]:
            for posting in entry["postings"]:
                if posting["asset"] == POINTS:
                    sign = 1 if posting["credit"] == account else -1
                    moved[posting["lot"]] += sign * posting["amount"]
        if told["next"] is None:
            return first, moved
        before = int(told["next"])


async def test_rfm_of_online_retail_is_what_pandas_says(book: RealBook) -> None:
    pandas = pytest.importorskip("pandas")
    rows = await book.rows("tiering", "SELECT * FROM segments WHERE program = $1", RETAIL)
    frame = pandas.DataFrame(bought_and_returned(book), columns=["member", "purchase", "at", "amount"])
    kept = frame.groupby(["member", "purchase", "at"], as_index=False)["amount"].sum()
    # A year back from the run, and nothing that came back whole.
    end = datetime.fromisoformat(ENDS[RETAIL][0])
    kept = kept[(kept["amount"] > 0) & (kept["at"] > end.replace(year=end.year - 1)) & (kept["at"] <= end)]
    of = kept.groupby("member").agg(r=("at", "max"), f=("purchase", "count"), m=("amount", "sum"))
    scores = of.rank(method="min").sub(1).mul(5).floordiv(len(of)).add(1).astype(int)
    high = scores > scores.mean()
    named = {
        (1, 1, 1): "important_value", (1, 0, 1): "important_develop", (0, 1, 1): "important_keep",
        (0, 0, 1): "important_retain", (1, 1, 0): "general_value", (1, 0, 0): "general_develop",
        (0, 1, 0): "general_keep", (0, 0, 0): "general_retain",
    }  # fmt: skip
    expected = {
        member: (*scores.loc[member], named[tuple(int(each) for each in high.loc[member])])
        for member in of.index
    }
    actual = {
        row["member"]: (row["recency"], row["frequency"], row["monetary"], row["rfm"])
        for row in rows
        if row["rfm"]
    }
    assert actual == expected
    assert {row[3] for row in actual.values()} == set(named.values())
    assert len(rows) > len(actual) > 4000


def bought_and_returned(book: RealBook) -> list[tuple[str, str, datetime, int]]:
    """(member, purchase, its time, minor units: negative for what came back) of Online Retail, line by line."""
    lines: list[tuple[str, str, datetime, int]] = []
    bought: dict[str, Purchase] = {}
    returned: Counter[tuple[str, int]] = Counter()
    for activity in book.retail:
        if isinstance(activity, Purchase):
            bought[activity.id] = activity
            at = time_of(activity.occurred_at)
            lines += [(activity.member, activity.id, at, line.amount) for line in activity.lines]
            continue
        if activity.of == UNKNOWN_PURCHASE:
            continue  # the ledger refuses it
        original = bought[activity.of]
        by_id = {line.id: line for line in original.lines}
        for part in activity.lines:
            line, before = by_id[part.line], returned[original.id, part.line]
            returned[original.id, part.line] += part.quantity
            upto = line.amount * (before + part.quantity) // line.quantity
            amount = upto - line.amount * before // line.quantity
            lines.append((activity.member, original.id, time_of(original.occurred_at), -amount))
    return lines
