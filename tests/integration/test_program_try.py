"""`tally program try` over a book with something of everything: every program of it, and nothing is written."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
import yaml
from typer.testing import CliRunner, Result

from services.common.program_document import canonical, version_of
from services.ops.cli import create_cli
from services.ops.install import on_server
from services.ops.local.postgres import LocalPostgres
from services.ops.trying.figures import EXPIRED, ISSUED, REDEEMED
from services.ops.trying.run import Tried, TryRefused, try_document
from services.ops.trying.world import Document
from services.ops.verify.snapshot import exported
from services.ops.yaml_document import DocumentError
from services.tiering.domain.events import TierGranted
from services.tiering.wire import payload_of
from tests.databases import service_role
from tests.integration.ledger_rows import (
    CHAINS,
    DOCUMENT,
    NOON,
    PARKS,
    SOCIAL,
    WINDOWED,
    member_on,
)
from tests.integration.verify_book import COUNTING, filled_ledger

pytestmark = pytest.mark.integration

TIERING: dict[str, Any] = {
    "metric": "spend",
    "window": {"months": 12},
    "review": {"months": 12},
    "tiers": [
        {"name": "member", "from": 0},
        {"name": "silver", "from": 40_000},
        {"name": "gold", "from": 10**9},
    ],
}
GRANT = """
INSERT INTO journal (chain, position, program, member, type, occurred_at, recorded_at, cause_source, cause_id,
                     cause_digest, program_version, payload, hash)
VALUES ($1, 1, 'grocer', $2, 'TierGranted', $3, now(), 'grocer/tier_grant', 'g', 'g', 'v', $4, sha256('g'))
"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"


@dataclass
class Place:
    """The databases of one installation."""

    prefix: str
    urls: dict[str, str]


@pytest_asyncio.fixture(scope="module")
async def place(postgres: LocalPostgres) -> AsyncIterator[Place]:
    """A filled ledger, and a tiering that gave somebody gold by hand."""
    prefix = f"trying_{secrets.token_hex(4)}"
    # The command line finds them by the prefix.
    urls = {service: on_server(postgres.url, f"{prefix}_{service}") for service in ("ledger", "tiering")}
    found = Place(prefix, urls)
    async with (
        service_role("tiering", found.urls["tiering"]),
        filled_ledger(found.urls["ledger"]) as ledger,
    ):
        last = await ledger.value("SELECT max(position) FROM journal WHERE chain = 0")
        granted = TierGranted("g", "gold", NOON + timedelta(days=9_999), "sorry", last // 2)
        owner = await asyncpg.connect(found.urls["tiering"])
        try:
            await owner.execute(GRANT, 0, member_on(0, 1), NOON, payload_of(granted)[1])
        finally:
            await owner.close()
        yield found


def version(document: dict[str, Any]) -> Document:
    content = canonical(document)
    return Document(version_of(content), content)


def changed(document: dict[str, Any], rate: str = "2", **sections: Any) -> dict[str, Any]:
    ledger = document["ledger"]
    earning = {**ledger["earning"], "points_per_unit": rate}
    return {**document, "ledger": {**ledger, "earning": earning}, **sections}


async def tried(place: Place, document: dict[str, Any], processes: int = 1) -> Tried:
    return await asyncio.to_thread(
        try_document, place.urls, document["program"], version(document), processes=processes
    )


async def everything(place: Place) -> dict[tuple[str, str], tuple[int, str]]:
    """Rows and digest of every table."""
    found = {}
    for service, url in place.urls.items():
        connection = await asyncpg.connect(url)
        try:
            for row in await connection.fetch(TABLES):
                table = row["tablename"]
                found[service, table] = tuple(
                    await connection.fetchrow(
                        f"SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} AS t"  # noqa: S608
                    )
                )
        finally:
            await connection.close()
    return found


@pytest.mark.parametrize("document", [SOCIAL, COUNTING, PARKS, {**WINDOWED, "program": "club"}])
async def test_every_program_can_be_tried_and_adds_up(place: Place, document: dict[str, Any]) -> None:
    found = await tried(place, changed(document))
    for figures, side in ((found.part.before, "before"), (found.part.after, "after")):
        balances = sum(getattr(moved, side).balance for moved in found.part.members)
        assert figures.outstanding == balances
    assert found.part.after.total(ISSUED) > found.part.before.total(ISSUED) > 0
    assert found.rows > 0


async def test_nothing_is_written(place: Place) -> None:
    before = await everything(place)
    assert len(before) > 30
    await tried(place, changed(SOCIAL, tiering=TIERING))
    assert await everything(place) == before


async def test_what_reads_the_book_cannot_write(place: Place) -> None:
    for url in place.urls.values():
        async with exported(url) as (connection, _):
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await connection.execute("DELETE FROM journal")


async def test_redemptions_that_were_refused_for_less_points_are_counted(place: Place) -> None:
    found = await tried(place, changed(DOCUMENT, rate="0.1"))
    after = found.part.after
    assert after.refused["PlaceHold", "insufficient_points"].requests > 0
    assert after.refused["PlaceHold", "insufficient_points"].points > 0
    assert after.total(REDEEMED) < found.part.before.total(REDEEMED)
    # This document has no interactions, where the recorded one had.
    assert after.refused["RecordInteraction", "kind_unknown"].requests > 0
    assert found.part.untold["ActivityRejected"] > 0


async def test_tiers_are_those_of_the_tried_document_and_of_grants_by_hand(place: Place) -> None:
    found = await tried(place, changed(SOCIAL, tiering=TIERING))
    by_name = {moved.member: moved.after.tier for moved in found.part.members}
    assert by_name[member_on(0, 1)] == "gold"
    # Who was silver in the year is so no more after it; what was bought as silver has earned by it.
    assert by_name[member_on(1, 1)] == "member"
    assert found.part.after.by_rule["tier silver"] > 0
    assert {moved.before.tier for moved in found.part.members} == {""}
    (note,) = found.notes
    assert note.startswith(f"{2 * CHAINS} members were merged into others")


async def test_two_processes_find_the_same_as_one(place: Place) -> None:
    document = changed(COUNTING)
    one, two = [await tried(place, document, processes) for processes in (1, 2)]
    assert one.part.before == two.part.before
    assert one.part.after == two.part.after
    assert one.part.members == two.part.members


async def test_a_program_that_the_book_does_not_know_is_said(place: Place) -> None:
    with pytest.raises(
        TryRefused, match=r"no facts of program 'other'; it knows: club, counting, grocer, parker"
    ):
        await tried(place, {**DOCUMENT, "program": "other"})


async def command(place: Place, *arguments: str) -> Result:
    where = ["--database-url", place.urls["ledger"], "--database-prefix", place.prefix]
    return await asyncio.to_thread(CliRunner().invoke, create_cli(), ["program", "try", *arguments, *where])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A document of the grocer's with tiers, and points that pay."""
    rewards = {"points_as_payment": {"points": 100, "value": 50}}
    path = tmp_path / "new.yaml"
    path.write_text(yaml.safe_dump(changed(SOCIAL, tiering=TIERING, rewards=rewards)), encoding="utf-8")
    return path


async def test_the_command_prints_tables_and_writes_files(place: Place, file: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    report, folder = tmp_path / "report.html", tmp_path / "tables"
    result = await command(place, str(file), "--html", str(report), "--parquet", str(folder))
    assert result.exit_code == 0, result.output
    for words in ("issued", "expired (breakage)", "outstanding at the end", "silver", "at 0.005 a point"):
        assert words in result.stdout
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
    members = pq.read_table(folder / "members.parquet").to_pylist()
    totals = {row["what"]: row for row in pq.read_table(folder / "totals.parquet").to_pylist()}
    assert sum(row["balance_after"] for row in members) == totals["outstanding at the end"]["after"]
    money = {row["what"]: row for row in pq.read_table(folder / "money.parquet").to_pylist()}
    left = totals["outstanding at the end"]["after"]
    worth = (Decimal(left) / 200).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert money["points outstanding at the end"]["after"] == worth


async def test_json_has_every_table(place: Place, file: Path) -> None:
    result = await command(place, str(file), "--json", "--point-value", "0.02", "--against", str(file))
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["program"] == "grocer"
    assert all(row["change"] == 0 for row in answer["totals"])
    assert len({row["member"] for row in answer["members"]}) == len(answer["members"]) > CHAINS
    assert answer["currency"] == "USD"
    breakage = next(row for row in answer["totals"] if row["what"].startswith(EXPIRED))
    assert breakage["before"] > 0


async def test_a_bad_document_is_refused_as_check_does(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(changed(DOCUMENT, rate="lots")), encoding="utf-8")
    result = await command(place, str(path))
    assert isinstance(result.exception, DocumentError)
    assert "ledger.earning.points_per_unit: is 'lots'" in str(result.exception)


async def test_documents_of_two_programs_are_not_held_against_each_other(place: Place, file: Path) -> None:
    result = await command(place, str(file), "--against", "youshu")
    assert isinstance(result.exception, DocumentError)
    assert "is a document of 'grocer'" in str(result.exception)


async def test_a_document_is_tried_from_a_day_on(place: Place, file: Path) -> None:
    late = await command(place, str(file), "--json", "--since", "2999-01-01")
    assert late.exit_code == 0, late.output
    answer = json.loads(late.stdout)
    assert all(row["change"] == 0 for row in answer["totals"])
    early = await command(place, str(file), "--json", "--since", "2020-01-01T00:00:00+01:00")
    assert any(row["change"] for row in json.loads(early.stdout)["totals"])
    wrong = await command(place, str(file), "--since", "soon")
    assert wrong.exit_code == 2
    assert "is no day" in wrong.output


@pytest.mark.parametrize("amount", ["a lot", "-1", "NaN"])
async def test_a_point_value_is_an_amount(place: Place, file: Path, amount: str) -> None:
    result = await command(place, str(file), f"--point-value={amount}")
    assert result.exit_code == 2
    assert "is no amount of USD" in result.output


async def test_a_report_that_cannot_be_written_is_said(place: Place, file: Path, tmp_path: Path) -> None:
    result = await command(place, str(file), "--html", str(tmp_path / "nowhere" / "report.html"))
    assert isinstance(result.exception, TryRefused)
    assert "report.html can't be written: No such file or directory" in str(result.exception)
