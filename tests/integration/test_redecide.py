"""L8 of the ledger: a book with something of everything is decided again; what was decided otherwise is found."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from services.common.program_document import canonical, version_of
from services.ledger.domain.program import parse_program
from services.ledger.handle import KINDS
from services.ledger.store import Programs
from services.ops.cli import create_cli
from services.ops.local.postgres import LocalPostgres
from services.ops.redecide.differences import Report
from services.ops.redecide.run import pieces_of, redecide, redecide_group
from tallybook.ledger.v1 import events_pb2 as pb
from tests.databases import fresh_url, service_database
from tests.integration.ledger_rows import DOCUMENT, NOON, Ledger, member_on
from tests.integration.verify_book import filled_ledger

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)


@pytest_asyncio.fixture(scope="module")
async def book(postgres: LocalPostgres) -> AsyncIterator[tuple[str, Ledger]]:
    """The owner's URL of a filled ledger's database, and the ledger."""
    url = fresh_url(postgres.url, "_ledger")
    async with filled_ledger(url) as ledger:
        yield url, ledger


@pytest_asyncio.fixture
async def year(postgres: LocalPostgres) -> AsyncIterator[str]:
    """The owner's URL of ann's year: two purchases, one as silver, a part of one brought back, and points expired."""
    async with (
        service_database(postgres.url, "ledger", "_ledger") as (owner, url),
        Ledger.open(url) as ledger,
    ):
        await ledger.activate()
        await ledger.take(ledger.purchase("p1", 10_000, quantity=2))
        await ledger.take(ledger.tier("silver", NOON + DAY))
        await ledger.take(ledger.purchase("p2", 20_000, at=NOON + 2 * DAY))
        await ledger.take(ledger.return_("p1", "r1", at=NOON + 3 * DAY))
        await ledger.advance(NOON + 370 * DAY)
        yield owner


async def found_in(url: str) -> Report:
    return (await asyncio.to_thread(redecide, url)).report


async def found_under(url: str, document: dict[str, Any]) -> Report:
    """Decided again as if the recorded version had said what `document` says."""
    programs, report = Programs(), Report()
    version = version_of(canonical(DOCUMENT))
    programs.versions[version] = parse_program(json.loads(canonical(document)), version)
    async with AsyncExitStack() as stack:
        for piece in await pieces_of(url, stack):
            report.add(await redecide_group(piece, programs))
    return report


def earning(**change: Any) -> dict[str, Any]:
    section = DOCUMENT["ledger"]
    return {**DOCUMENT, "ledger": {**section, "earning": {**section["earning"], **change}}}


@asynccontextmanager
async def tampering(url: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner, past the triggers that keep the journal as it is."""
    owner = await asyncpg.connect(url)
    try:
        await owner.execute("SET session_replication_role = replica")
        yield owner
    finally:
        await owner.close()


async def rewrite(url: str, type_: str, change: Callable[[Any], None], which: str = "min") -> tuple[int, int]:
    """Change the payload of the first (or last) row of a type. Returns where it stands."""
    async with tampering(url) as owner:
        row = await owner.fetchrow(
            f"SELECT chain, position, payload FROM journal WHERE type = $1 AND position = "  # noqa: S608
            f"(SELECT {which}(position) FROM journal WHERE type = $1)",
            type_,
        )
        message = getattr(pb, type_).FromString(row["payload"])
        change(message)
        await owner.execute(
            "UPDATE journal SET payload = $3 WHERE chain = $1 AND position = $2",
            row["chain"], row["position"], message.SerializeToString(),
        )  # fmt: skip
    return row["chain"], row["position"]


async def test_everything_is_decided_as_it_was(book: tuple[str, Ledger]) -> None:
    url, ledger = book
    report = await found_in(url)
    assert [str(each) for each in report.differences] == []
    assert report.same
    assert report.left_out == 0
    assert report.rows == await ledger.value("SELECT count(*) FROM journal")
    assert set(report.decided) == set(KINDS)
    refused = await ledger.value("SELECT count(*) FROM journal WHERE type = 'ActivityRejected'")
    taken = await ledger.value("SELECT count(*) FROM journal WHERE type = 'ActivityUnparked'")
    assert taken > 0
    assert sum(report.untold.values()) == refused + taken


async def test_another_rate_is_found_in_each_accrual_and_nowhere_else(year: str) -> None:
    report = await found_under(year, earning(points_per_unit=2))
    found = [(each.event, each.field, each.recorded, each.now) for each in report.differences]
    assert found == [
        ("PointsAccrued", "points", "100", "200"),
        ("PointsAccrued", "points", "250", "500"),
        # What p1 should have given by now is 100 of 200: nothing to take back.
        ("PointsClawedBack", "", "there", "nothing"),
    ]
    assert "base: 20000 USD minor units x 1/50 = 400; tier silver: x 1.25 = 500" in report.differences[1].why
    assert report.differing == {"RecordPurchase": 2, "RecordReturn": 1}
    assert report.left_out == 0


async def test_another_multiplier_is_found_where_the_tier_was_used(year: str) -> None:
    report = await found_under(year, earning(tier_multipliers={"silver": "1.5", "gold": "1.5"}))
    (found,) = report.differences
    assert (found.member, found.event, found.field, found.recorded, found.now) == (
        "ann", "PointsAccrued", "points", "250", "300",
    )  # fmt: skip


async def test_another_expiry_is_found_in_accruals_and_in_the_clocks_row(year: str) -> None:
    later = {**DOCUMENT, "ledger": {**DOCUMENT["ledger"], "expiry": {"months": 13}}}
    report = await found_under(year, later)
    assert [(each.event, each.field) for each in report.differences] == [("PointsAccrued", "expires_at")] * 2
    assert "2027-01-05" in report.differences[0].recorded
    assert "2027-02-05" in report.differences[0].now


async def test_a_flipped_amount_is_found_in_its_accrual(year: str) -> None:
    def more(message: Any) -> None:
        message.points += 1

    chain, position = await rewrite(year, "PointsAccrued", more, "max")
    report = await found_in(year)
    first = report.differences[0]
    assert (first.chain, first.position, first.field) == (chain, position, "points")
    assert (first.recorded, first.now) == ("251", "250")
    # The lot has a point more now, and so more of it expires.
    assert [(each.event, each.field) for each in report.differences[1:]] == [("PointsExpired", "points")]


async def test_an_expiry_of_too_little_is_found(year: str) -> None:
    def less(message: Any) -> None:
        message.points -= 1

    chain, position = await rewrite(year, "PointsExpired", less)
    (found,) = (await found_in(year)).differences
    assert (found.chain, found.position, found.event, found.field) == (
        chain,
        position,
        "PointsExpired",
        "points",
    )
    assert found.why.startswith("clock.advance_clock")


async def test_an_expiry_that_nobody_recorded_is_found(year: str) -> None:
    async with tampering(year) as owner:
        await owner.execute(
            "DELETE FROM journal WHERE type = 'PointsExpired' AND position = (SELECT max(position) FROM journal)"
        )
    (found,) = (await found_in(year)).differences
    assert (found.event, found.recorded) == ("PointsExpired", "nothing")
    assert "points 250" in found.now


async def test_rows_behind_what_cannot_be_are_left_out_and_counted(year: str) -> None:
    async with tampering(year) as owner:
        await owner.execute("DELETE FROM journal WHERE type = 'MemberEnrolled'")
        rows = await owner.fetchval("SELECT sum(position) FROM chain_heads")
    report = await found_in(year)
    assert not report.same
    assert report.differences[0].now.startswith("MemberEnrolled")
    assert report.left_out > 0
    assert report.rows + report.left_out == rows


async def test_a_fact_that_should_have_been_refused_is_found(year: str) -> None:
    def too_many(message: Any) -> None:
        message.activity.lines[0].quantity = 9

    chain, position = await rewrite(year, "ReturnRecorded", too_many)
    (found,) = (await found_in(year)).differences
    assert (found.chain, found.position, found.now) == (chain, position, "a refusal")
    assert found.why.startswith("quantity_exceeds_purchase")


async def test_bytes_that_are_no_message_are_found(year: str) -> None:
    async with tampering(year) as owner:
        await owner.execute("UPDATE journal SET payload = '\\xff' WHERE type = 'ReturnRecorded'")
    report = await found_in(year)
    (found,) = report.differences
    assert (found.event, found.now) == ("ReturnRecorded", "no row that can follow")
    assert report.left_out > 0


@pytest.mark.parametrize(
    ("missing", "event", "recorded", "now"),
    [
        ("GiftReceived", "GiftReceived", "nothing", "gift g1"),
        ("GiftSent", "GiftReceived", "there", "nothing"),
    ],
)
async def test_either_half_of_what_two_chains_share_is_missed(
    postgres: LocalPostgres, missing: str, event: str, recorded: str, now: str
) -> None:
    giver, receiver = member_on(0), member_on(1)
    async with (
        service_database(postgres.url, "ledger", "_ledger") as (owner_url, url),
        Ledger.open(url) as ledger,
    ):
        await ledger.activate()
        await ledger.take(ledger.enrol(receiver))
        await ledger.take(ledger.top_up(member=giver, amount=4_000))
        await ledger.take(ledger.gift(1_000, receiver, member=giver))
        assert (await found_in(owner_url)).same
        async with tampering(owner_url) as owner:
            await owner.execute("DELETE FROM journal WHERE type = $1", missing)
        (found,) = (await found_in(owner_url)).differences
    assert (found.event, found.recorded) == (event, recorded)
    assert found.now.startswith(now)


async def test_two_processes_find_the_same_as_one(book: tuple[str, Ledger]) -> None:
    one, two = await asyncio.gather(
        *(asyncio.to_thread(redecide, book[0], processes) for processes in (1, 2))
    )
    assert one.report == two.report


async def test_the_command_says_that_nothing_differs(book: tuple[str, Ledger]) -> None:
    result = await command(book[0], "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["same"]
    assert answer["differences"] == []
    assert answer["decided"]["RecordPurchase"] > 0
    assert answer["not_told"]["refused merge (already_merged)"] > 0


async def test_the_command_names_what_differs_and_ends_with_1(year: str) -> None:
    def less(message: Any) -> None:
        message.points -= 1

    chain, position = await rewrite(year, "PointsExpired", less)
    result = await command(year)
    assert result.exit_code == 1
    assert (
        f"{chain}-{position} of ann: PointsExpired.points was recorded as 49 and is 50 now" in result.stdout
    )
    assert "NOT the same: 1 came out otherwise" in result.stdout


async def command(url: str, *options: str) -> Any:
    prefix = urlsplit(url).path[1:].removesuffix("_ledger")
    arguments = ["re-decide", "--database-url", url, "--database-prefix", prefix, *options]
    return await asyncio.to_thread(CliRunner().invoke, create_cli(), arguments)
