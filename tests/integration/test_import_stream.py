"""A file of sales through the whole of Tallybook: counted once, refusals on record, and the same when sent again."""

from __future__ import annotations

import io
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from services.ops import programs
from services.ops.api import Api, endpoints_of
from services.ops.import_ import account_table
from services.ops.importing.sources import open_source
from services.ops.importing.stream import Imported, stream
from services.ops.local.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROWS = [
    # invoice, product, quantity, day, price, customer
    ("100", "A1", 5, 1, 20.0, 7),
    ("100", "B1", 1, 1, 9.99, 7),
    ("100", "POST", 1, 1, 18.0, 7),
    ("101", "A1", 2, 2, 20.0, 8),
    ("102", "A1", 2, 2, 20.0, None),
    ("C103", "A1", -2, 3, 20.0, 7),
    ("C104", "B1", -1, 3, 9.99, 8),
    ("C105", "A1", -1, 3, 20.0, 9),
]


def retail_file(folder: Path) -> Path:
    names = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
    rows = [(i, s, q, datetime(2011, 1, day, 12), p, c) for i, s, q, day, p, c in ROWS]  # noqa: DTZ001
    columns = {name: pa.array([row[place] for row in rows]) for place, name in enumerate(names)}
    pq.write_table(pa.table(columns), folder / "retail.parquet")
    return folder / "retail.parquet"


def shown(imported: Imported) -> str:
    console = Console(width=120, file=io.StringIO())
    with console.capture() as capture:
        console.print(account_table(imported))
    return " ".join(capture.get().split())


async def test_a_file_counts_once_however_often_it_is_sent(stack: Stack, tmp_path: Path) -> None:
    source = open_source(str(retail_file(tmp_path)))
    program = f"retail-{secrets.token_hex(4)}"
    document: dict[str, Any] = programs.load_program(programs.find_program("online_retail")).data
    console = Console(file=io.StringIO())
    async with Api(endpoints_of(stack)) as api:
        await programs.activate(api, {**document, "program": program})
        first = await stream(api, source, program, console)
        after_first = await everything(api, program)
        again = await stream(api, source, program, console)
        after_again = await everything(api, program)

    assert first.account == again.account
    assert first.account.accounted() == len(ROWS)
    # Of the 109 points of invoice 100 line 1 has 99; two of its five units take 39 back.
    # Customer 8 never bought B1, customer 9 nothing at all.
    assert after_first["members"] == {"c7": 109 - 39, "c8": 40}
    assert first.rejections == {"purchase_unknown": 1, "unknown_member": 1}
    assert after_again == after_first
    assert again.rejections == first.rejections
    table = shown(first)
    assert "event purchase line 3 " in table
    assert "excluded no customer 1 " in table
    assert "all rows of the file 8 " in table
    assert "refused by the ledger purchase_unknown 1" in table


async def everything(api: Api, program: str) -> dict[str, Any]:
    """What an import can change."""
    here = f"/v1/programs/{program}"
    return {
        "totals": await api.get("ledger", f"{here}/totals"),
        "tiers": await api.get("tiering", f"{here}/distribution"),
        "members": {
            member: (await api.get("ledger", f"{here}/members/{member}"))["points"]["available"]
            for member in ("c7", "c8")
        },
    }
