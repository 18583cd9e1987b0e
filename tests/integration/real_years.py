"""One book with two real years in it, told to a whole stack: Online Retail, and households of The Complete Journey.

The programs are those of deploy/programs with segments, and with grants that rewards gives by itself. When all
purchases are in, some members redeem, and the clock goes on until points, holds and vouchers have run out.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from services.ops import programs
from services.ops.api import Api, endpoints_of
from services.ops.importing.account import RowAccount
from services.ops.importing.complete_journey import packaged_transactions
from services.ops.importing.errors import DataMissingError
from services.ops.importing.publish import Activity
from services.ops.importing.sources import Source, open_source
from services.ops.importing.stream import Imported, stream
from services.ops.install import SERVICES
from services.ops.level import LevelGauge
from services.ops.local.stack import Stack
from services.ops.verify.snapshot import connect
from tests.poll import eventually

ONLINE_RETAIL = (
    Path(__file__).parents[2] / ".." / "shared" / "data" / "online_retail" / "online_retail.parquet"
)
HOUSEHOLDS = int(os.environ.get("TALLY_TEST_HOUSEHOLDS", "200"))
"""How many of the 2,469 households are taken: as many as a run can wait for. The whole year takes minutes."""
RETAIL, GROCER = "online_retail", "grocer"
ENDS = {
    RETAIL: ("2011-12-10T00:00:00Z", "2012-02-20T00:00:00Z"),
    GROCER: ("2018-01-02T00:00:00Z", "2018-03-20T00:00:00Z"),
}
"""When members are sorted into segments, behind the last purchase; and how far the clock goes in the end."""
REWARDS = {RETAIL: "ten_off", GROCER: "five_off"}
SHOPPERS = "SELECT member FROM accounts WHERE program = $1 AND posted - held - pending >= 2000 ORDER BY member LIMIT $2"
PROMISED = "SELECT count(*) FROM awards WHERE state = 'promised'"
SHOPPERS_EACH = 12
STALL_SECONDS = 120.0


def document(program: str) -> dict[str, Any]:
    """A program of deploy/programs in which rewards and segments have something to do."""
    found = programs.load_program(programs.find_program(program)).data
    return {
        **found,
        "ledger": {**found["ledger"], "adjustments": {"reasons": ["reward"], "limit": 1_000}},
        "tiering": {**found["tiering"], "segments": {}},
        "rewards": {
            **found["rewards"],
            "vouchers": [{"id": "tenth", "kind": "percent", "value": 10, "valid_days": 30}],
            "grants": [
                {"id": "welcome", "occasion": "enrolled", "give": [{"voucher": "tenth"}]},
                {
                    "id": "golden",
                    "occasion": "tier_reached",
                    "when": {"tiers": ["gold"]},
                    "give": [{"points": 50}],
                },
                {
                    "id": "large",
                    "occasion": "purchase",
                    "when": {"minimum_spend": 100_000},
                    "give": [{"voucher": "tenth"}],
                    "once": "month",
                },
            ],
        },
    }


@dataclass
class RealBook:
    """The stack with the years in it. `imported` is by program, `retail` all that was sent of Online Retail."""

    stack: Stack
    imported: dict[str, Imported] = field(default_factory=dict)
    retail: list[Activity] = field(default_factory=list)

    @property
    def urls(self) -> dict[str, str]:
        """The owner's, by service."""
        return {service: self.stack.owner_url(service) for service in SERVICES}

    @property
    def chains(self) -> int:
        """How many the stack has."""
        return self.stack.state.chains

    async def rows(self, service: str, sql: str, *parameters: object) -> list[Any]:
        """What a query gives the owner."""
        owner = await connect(self.urls[service])
        try:
            return list(await owner.fetch(sql, *parameters))
        finally:
            await owner.close()


def some_households(folder: Path) -> Path:
    """The transactions of HOUSEHOLDS households, products beside them, in `folder`. Skips the test without the data."""
    try:
        whole = packaged_transactions()
    except DataMissingError as missing:
        pytest.skip(str(missing))
    rows = pq.read_table(whole)
    known = pc.unique(rows.column("household_id"))
    some = known.take(pc.sort_indices(known)).slice(0, HOUSEHOLDS)
    part = folder / "transactions.parquet"
    pq.write_table(rows.filter(pc.is_in(rows.column("household_id"), some)), part)
    (folder / "products.parquet").symlink_to(whole.with_name("products.parquet"))
    return part


def sources(folder: Path) -> Iterator[Source]:
    """Both years. Skips the test where one is missing, and says which."""
    if not ONLINE_RETAIL.exists():
        pytest.skip("the Online Retail file is not beside this checkout (../shared/data/online_retail)")
    yield open_source(str(ONLINE_RETAIL))
    yield open_source(str(some_households(folder)))


async def filled_with_years(stack: Stack, folder: Path) -> RealBook:
    """Import both, and let them come to their ends."""
    book = RealBook(stack)
    years = list(sources(folder))
    async with Api(endpoints_of(stack)) as api, LevelGauge(api) as gauge:
        for source in years:
            await programs.activate(api, document(source.program))
            told = _kept(source, book.retail) if source.program == RETAIL else source
            quiet = Console(file=io.StringIO())
            book.imported[source.program] = await stream(api, told, source.program, quiet)
        for program, (sorted_at, _) in ENDS.items():
            await api.post("ledger", f"/v1/programs/{program}/clock", {"to": sorted_at})
        await gauge.wait(STALL_SECONDS)
        for program in ENDS:
            await api.post("tiering", f"/v1/programs/{program}/segment_runs", {}, "the-year")
            await _redeem(book, api, program)
        for program, (_, to) in ENDS.items():
            await api.post("ledger", f"/v1/programs/{program}/clock", {"to": to})
        await eventually(lambda: _nothing_is_promised(book), "all points of grants are given", STALL_SECONDS)
        await gauge.wait(STALL_SECONDS)
    return book


def _kept(source: Source, into: list[Activity]) -> Source:
    """The source, what is read from it being kept too."""

    def read(file: Path, program: str, account: RowAccount) -> Iterator[Activity]:
        for activity in source.read(file, program, account):
            into.append(activity)
            yield activity

    return replace(source, read=read)


async def _redeem(book: RealBook, api: Api, program: str) -> None:
    """Some take a reward; of three one keeps it, one gives it back, and one never comes for it."""
    shoppers = [row["member"] for row in await book.rows("ledger", SHOPPERS, program, SHOPPERS_EACH)]
    for number, member in enumerate(shoppers):
        path, name = f"/v1/programs/{program}/members/{member}/redemptions", f"{member}-order"
        await api.post("rewards", path, {"reward": REWARDS[program], "order": name}, name)
        if number % 3 < 2:
            step = ("capture", "cancel")[number % 3]
            await api.post("rewards", f"{path}/{name}/{step}", {}, f"{name}-{step}")


async def _nothing_is_promised(book: RealBook) -> bool:
    (row,) = await book.rows("rewards", PROMISED)
    return not row["count"]
