"""`tally liability` on a book with something of everything: lines follow from lines, and every sum is proved."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from services.common.db import Reader
from services.common.errors import Refusal
from services.ledger.domain.breakage import Cohort
from services.ledger.domain.commands import Command
from services.ledger.domain.liability import MOVEMENTS, Line, next_month
from services.ledger.handle import handle
from services.ledger.liability import BUSINESS, RECORDED, Liability, breakage, liability
from services.ops.cli import create_cli
from services.ops.local.postgres import LocalPostgres
from tallybook.activities.v1 import activities_pb2 as activities
from tests.databases import fresh_url, service_database
from tests.integration.ledger_http import GROCER, served
from tests.integration.ledger_rows import (
    DOCUMENT,
    NOON,
    Ledger,
    member_on,
    purchase_message,
)
from tests.integration.verify_book import DAY, filled_ledger

pytestmark = pytest.mark.integration

PROGRAMS = ("club", "counting", "grocer", "parker")
POSTINGS = """
SELECT p.asset, p.debit, p.credit, p.amount, p.lot, p.chain, j.occurred_at, j.recorded_at
FROM postings AS p JOIN journal AS j USING (chain, position) WHERE p.program = $1
"""
ZONED: dict[str, Any] = {**DOCUMENT, "program": "zoned", "time_zone": "America/New_York"}


@pytest_asyncio.fixture(scope="module")
async def book(postgres: LocalPostgres) -> AsyncIterator[tuple[str, Ledger]]:
    """The owner's URL of a filled ledger's database, and the ledger."""
    url = fresh_url(postgres.url, "_ledger")
    async with filled_ledger(url) as ledger:
        yield url, ledger


@pytest_asyncio.fixture
async def shops(postgres: LocalPostgres) -> AsyncIterator[tuple[str, Ledger]]:
    """An empty ledger with the grocer's program."""
    async with (
        service_database(postgres.url, "ledger", "_ledger") as (owner, url),
        Ledger.open(url) as ledger,
    ):
        await ledger.activate()
        yield owner, ledger


async def report(url: str, program: str, *by: str, **options: Any) -> Liability:
    reader = Reader.connect(url)
    try:
        async with reader.snapshot() as connection:
            return await liability(connection, program, by, **options)
    finally:
        await reader.close()


def last_closings(lines: Sequence[Line]) -> dict[tuple[str, str | None], int]:
    return {(line.key.asset, line.key.store): line.closing for line in lines}


@pytest.mark.parametrize("time", [RECORDED, BUSINESS])
@pytest.mark.parametrize("program", PROGRAMS)
async def test_every_line_is_the_sum_of_the_postings_of_its_month(
    book: tuple[str, Ledger], program: str, time: str
) -> None:
    url, ledger = book
    found = await report(url, program, "month", time=time)
    assert found.same and found.lines
    by_hand: dict[tuple[str, date], Counter[str]] = defaultdict(Counter)
    for asset, debit, credit, amount, _, _, occurred, recorded in await ledger.rows(POSTINGS, program):
        month = (recorded if time == RECORDED else occurred).date().replace(day=1)
        gains = credit.startswith("member/")
        name = MOVEMENTS[debit if gains else credit, gains]
        by_hand[asset, month][name] += amount if gains else -amount
    shown = {(line.key.asset, line.key.month): dict(line.movements) for line in found.lines}
    assert {key: movements for key, movements in shown.items() if movements} == by_hand
    for before, after in pairwise(found.lines):
        if before.key.asset == after.key.asset:
            assert before.key.month and after.key.month == next_month(before.key.month)
            assert after.opening == before.closing
        else:
            assert after.opening == 0


@pytest.mark.parametrize("program", PROGRAMS)
async def test_stores_add_up_to_the_program_and_nothing_stays_in_transit(
    book: tuple[str, Ledger], program: str
) -> None:
    url, _ = book
    whole, by_store = await report(url, program), await report(url, program, "store", "month")
    assert by_store.same
    sums: Counter[str] = Counter()
    for (asset, _), closing in last_closings(by_store.lines).items():
        sums[asset] += closing
    assert sums == Counter({line.key.asset: line.closing for line in whole.lines})
    for line in whole.lines:
        assert line.movements.get("transferred", 0) == 0
    # A merge moves lots between chains and leaves them with their store.
    assert {line.key.store for line in by_store.lines if line.key.asset == "points"} <= {"", "s1"}
    # Held and pending are among what is in lots.
    assert all(each.held + each.pending <= each.lots for each in by_store.reconciled)


async def test_the_richest_book_has_every_movement(book: tuple[str, Ledger]) -> None:
    url, _ = book
    found = await report(url, "grocer", "month", time=BUSINESS)
    assert {name for line in found.lines for name in line.movements} == set(MOVEMENTS.values())


async def test_the_triangle_is_that_of_a_walk_over_the_lots(book: tuple[str, Ledger]) -> None:
    url, ledger = book
    reader = Reader.connect(url)
    try:
        async with reader.snapshot() as connection:
            found = (await breakage(connection, "grocer"))["points"]
    finally:
        await reader.close()
    # The clock stands at NOON + 400 days, in February 2027: January is the last whole month.
    end, earned = date(2027, 2, 1), {}
    for chain, lot, at in await ledger.rows(
        "SELECT chain, lot, earned_at FROM lots WHERE program = 'grocer' AND asset = 'points'"
    ):
        earned[chain, lot] = at.date().replace(day=1)
    cohorts: dict[date, list[Any]] = {}
    for asset, debit, credit, amount, lot, chain, occurred, _ in await ledger.rows(POSTINGS, "grocer"):
        month = occurred.date().replace(day=1)
        if asset != "points" or lot is None or max(month, earned[chain, lot]) >= end:
            continue
        start = earned[chain, lot]
        of = cohorts.setdefault(start, [0, Counter(), 0])
        signed = amount if credit.startswith("member/") else -amount
        other = debit if signed > 0 else credit
        if other == "redeemed":
            of[1][max(0, (month.year - start.year) * 12 + month.month - start.month)] -= signed
        elif other == "breakage":
            of[2] -= signed
        else:
            of[0] += signed
    ages = {start: (end.year - start.year) * 12 + end.month - start.month for start in cohorts}
    assert [each.cohort for each in found.expected] == [
        Cohort(
            start, amount, tuple(sum(spent[n] for n in range(age + 1)) for age in range(ages[start])), expired
        )
        for start, (amount, spent, expired) in sorted(cohorts.items())
    ]
    assert any(each.cohort.redeemed[-1] for each in found.expected)


async def test_what_is_left_of_the_cohorts_is_what_is_left_in_lots(shops: tuple[str, Ledger]) -> None:
    url, ledger = shops
    ann, bob = member_on(0), member_on(1)
    for number in range(4):
        at = NOON + number * 31 * DAY
        for member in (ann, bob):
            await ledger.take(ledger.purchase(f"{member}-{number}", member=member, at=at))
        await ledger.take(ledger.hold(20, f"h{number}", ann), ledger.capture(f"h{number}", member=ann))
    await ledger.take(ledger.merge(ann, bob))
    await ledger.advance(datetime(2026, 6, 10, tzinfo=UTC))
    reader = Reader.connect(url)
    async with reader.snapshot() as connection:
        found = (await breakage(connection, "grocer"))["points"]
        until_march = (await breakage(connection, "grocer", date(2026, 3, 1)))["points"]
    await reader.close()
    # Bob's lots are Ann's now, and as old as they were.
    assert [each.cohort.amount for each in found.expected] == [200] * 4
    assert sum(each.cohort.left for each in found.expected) == await ledger.value(
        "SELECT sum(remaining)::bigint FROM lots"
    )
    assert [each.cohort.age for each in until_march.expected] == [2, 1, 0]


async def test_a_lot_stays_with_the_store_that_it_was_earned_in(shops: tuple[str, Ledger]) -> None:
    url, ledger = shops
    ann, bob = member_on(0), member_on(1)
    await ledger.take(_bought(ledger, "a1", ann, "north", 10_000))
    await ledger.take(_bought(ledger, "b1", bob, "south", 20_000))
    await ledger.take(_bought(ledger, "b2", bob, "", 1_000))
    await ledger.take(_loaded(ledger, "t1", bob, "south"))
    # The tier is learnt late: 25 and 50 points more, by rows of another cause.
    await ledger.take(
        ledger.tier("silver", NOON - DAY, member=ann), ledger.tier("silver", NOON - DAY, member=bob)
    )
    await ledger.take(ledger.merge(ann, bob))
    await ledger.take(ledger.hold(30, "h", ann), ledger.capture("h", member=ann))
    found = await report(url, "grocer", "store")
    assert found.same
    spent = {
        line.key.store: line.movements.get("redeemed", 0)
        for line in found.lines
        if line.key.asset == "points"
    }
    assert sum(spent.values()) == -30
    assert last_closings(found.lines) == {
        # 10 for the purchase that names no store, with 2 more for the tier.
        ("points", ""): 12 + spent[""],
        ("points", "north"): 125 + spent["north"],
        # 200 and 50, and 20 on top of the top-up.
        ("points", "south"): 270 + spent["south"],
        ("USD.principal", "south"): 10_000,
        ("USD.bonus", "south"): 1_000,
    }


async def test_a_closed_month_stays_as_it_was_when_a_late_purchase_comes(shops: tuple[str, Ledger]) -> None:
    url, ledger = shops
    await _take_at(ledger, NOON, ledger.purchase("p1"))
    await _take_at(ledger, NOON + 31 * DAY, ledger.purchase("p2", at=NOON + 31 * DAY))
    books, business = [await report(url, "grocer", "month", time=time) for time in (RECORDED, BUSINESS)]
    assert books.lines == business.lines
    # It happened in January, and is told in March.
    await _take_at(ledger, NOON + 60 * DAY, ledger.purchase("p0", at=NOON + DAY))
    later, happened = [await report(url, "grocer", "month", time=time) for time in (RECORDED, BUSINESS)]
    assert later.lines[:2] == books.lines
    assert [line.closing for line in later.lines] == [100, 200, 300]
    assert [line.closing for line in happened.lines] == [200, 300]


async def test_months_are_those_of_the_programs_own_time_zone(shops: tuple[str, Ledger]) -> None:
    url, ledger = shops
    await ledger.activate(ZONED)
    # Still January in New York.
    at = datetime(2026, 2, 1, 4, 59, tzinfo=UTC)
    await ledger.take(ledger.purchase("p1", at=at, program="zoned"))
    await ledger.take(ledger.purchase("p2", at=at + timedelta(minutes=1), program="zoned"))
    found = await report(url, "zoned", "month", time=BUSINESS)
    assert ZoneInfo(found.zone) == ZoneInfo("America/New_York")
    assert [(line.key.month, line.closing) for line in found.lines] == [
        (date(2026, 1, 1), 100),
        (date(2026, 2, 1), 200),
    ]


async def test_a_balance_edited_by_hand_is_found_and_named(shops: tuple[str, Ledger]) -> None:
    url, ledger = shops
    for member in ("ann", "bob"):
        await ledger.take(ledger.purchase(f"{member}-1", member=member))
    owner = await asyncpg.connect(url)
    # The sum stays what it was.
    await owner.execute("UPDATE accounts SET posted = posted + CASE member WHEN 'ann' THEN 1 ELSE -1 END")
    await owner.close()
    found = await report(url, "grocer")
    (points,) = found.reconciled
    assert not found.same
    assert (points.wrong, points.first_wrong) == (2, ("member/ann", "member/bob"))
    assert points.report == points.accounts
    result = await asyncio.to_thread(
        CliRunner().invoke, create_cli(), ["liability", *_place_of(url), "--program", "grocer"]
    )
    assert result.exit_code == 1
    assert "NOT the same" in result.stdout and "member/ann" in result.stdout


async def test_an_unknown_program_is_told(shops: tuple[str, Ledger]) -> None:
    with pytest.raises(Refusal, match="nobody"):
        await report(shops[0], "nobody")


async def test_over_http_it_is_the_same_report(postgres: LocalPostgres, bootstrap: str) -> None:
    async with served(postgres.url, bootstrap) as ledger:
        audit, till = await ledger.token("audit"), await ledger.token("pos")
        async with ledger.client(till) as pos:
            for number in range(3):
                body = {
                    "id": f"p{number}", "member": "ann", "occurred_at": f"2026-0{number + 1}-05T10:00:00Z",
                    "store": f"s{number}", "channel": "pos", "currency": "USD",
                    "lines": [{"id": 1, "sku": "A", "category": "FOOD", "quantity": 1, "amount": 1_000}],
                }  # fmt: skip
                assert (await pos.post(f"{GROCER}/purchases", json=body)).status_code == 201
            assert (await pos.get(f"{GROCER}/liability")).status_code == 403
        async with ledger.client(audit) as client:
            asked = f"{GROCER}/liability?by=month,store&time=business&from=2026-02&to=2026-02"
            answer = (await client.get(asked)).json()
            assert [(line["store"], line["month"], line["opening"], line["closing"]) for line in answer["lines"]] == [
                ("s0", "2026-02", 10, 10), ("s1", "2026-02", 0, 10),
            ]  # fmt: skip
            assert answer["same"] and answer["reconciliation"][0]["accounts"] == 30
            ladder = (await client.get(f"{GROCER}/liability/breakage")).json()
            assert [each["month"] for each in ladder["assets"][0]["cohorts"]] == ["2026-01", "2026-02"]
            for wrong in ("from=2026-13", "to=1", "by=week", "time=mine"):
                assert (await client.get(f"{GROCER}/liability?{wrong}")).status_code == 422
            assert (await client.get("/v1/programs/nobody/liability")).status_code == 404


async def test_the_command_prints_tables_json_and_csv(book: tuple[str, Ledger], tmp_path: Path) -> None:
    url, _ = book
    file = tmp_path / "lines.csv"
    run, cli = CliRunner().invoke, create_cli()
    shown = await asyncio.to_thread(
        run, cli, ["liability", *_place_of(url), "--by", "month,store", "--csv", str(file)]
    )
    assert shown.exit_code == 0, shown.output
    reconciled = [each for program in PROGRAMS for each in (await report(url, program)).reconciled]
    assert shown.stdout.count("the same to the point") == len(reconciled)
    told = await asyncio.to_thread(run, cli, ["liability", *_place_of(url), "--by", "month,store", "--json"])
    answers = json.loads(told.stdout)
    assert [answer["program"] for answer in answers] == list(PROGRAMS)
    assert len(file.read_text().splitlines()) == 1 + sum(len(answer["lines"]) for answer in answers)
    for wrong in (["--by", "week"], ["--from", "2026-1"], ["--to", "never"]):
        assert (await asyncio.to_thread(run, cli, ["liability", *_place_of(url), *wrong])).exit_code == 2


async def _take_at(ledger: Ledger, now: datetime, command: Command) -> None:
    """As the service does it, at a time of its own."""
    async with ledger.writer.transaction() as tx:
        (outcome,) = await handle(tx, [command], ledger.programs, ledger.chains, now)
    assert outcome.refusal is None


def _bought(ledger: Ledger, id_: str, member: str, store: str, amount: int) -> Any:
    message = purchase_message(id_, amount, member=member)
    message.store = store
    return ledger.activity(message)


def _loaded(ledger: Ledger, id_: str, member: str, store: str) -> Any:
    message = activities.TopUp(
        id=id_, program="grocer", member=member, currency="USD", amount=10_000, store=store
    )
    message.occurred_at.FromDatetime(NOON)
    return ledger.activity(message)


def _place_of(url: str) -> list[str]:
    """The flags that name a book by its ledger's URL."""
    database = urlsplit(url).path.strip("/")
    return ["--database-url", url, "--database-prefix", database.removesuffix("_ledger")]
