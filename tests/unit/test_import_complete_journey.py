"""The Complete Journey as purchases: every row is a line, every basket a purchase, in order of time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.ops.importing import complete_journey
from services.ops.importing.account import RowAccount
from services.ops.importing.errors import AccountError, DataMissingError
from tallybook.activities.v1.activities_pb2 import Purchase

NOON = datetime(2017, 3, 1, 12)  # noqa: DTZ001  the file's times carry no zone
LATER = datetime(2017, 3, 1, 13)  # noqa: DTZ001


def file_of(folder: Path, rows: list[tuple[int, int, int, int, int, float, datetime]]) -> Path:
    """A file of (household, store, basket, product, quantity, value, time) beside a product file."""
    names = ("household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value")
    columns: dict[str, pa.Array] = {
        name: pa.array([row[place] for row in rows]) for place, name in enumerate(names)
    }
    columns["transaction_timestamp"] = pa.array([row[6] for row in rows], pa.timestamp("ns"))
    pq.write_table(pa.table(columns), folder / "transactions.parquet")
    products = pa.table({"product_id": [7, 8], "department": ["GROCERY", "FUEL"]})
    pq.write_table(products, folder / "products.parquet")
    return folder / "transactions.parquet"


def read(file: Path) -> tuple[list[Purchase], RowAccount]:
    account = RowAccount()
    return list(complete_journey.read_purchases(file, "grocer", account)), account


def test_a_basket_becomes_one_purchase_with_a_line_for_each_row(tmp_path: Path) -> None:
    file = file_of(tmp_path, [(3, 330, 50, 7, 2, 2.78, NOON), (3, 330, 50, 8, 1, 20.0, NOON)])
    (purchase,), account = read(file)
    assert (purchase.id, purchase.program, purchase.member) == ("50", "grocer", "h3")
    assert (purchase.store, purchase.channel, purchase.currency) == ("s330", "pos", "USD")
    assert purchase.occurred_at.ToJsonString() == "2017-03-01T12:00:00Z"
    assert [(line.id, line.sku, line.category, line.quantity, line.amount) for line in purchase.lines] == [
        (1, "7", "GROCERY", 2, 278),
        (2, "8", "FUEL", 1, 2000),
    ]
    assert account.events == {"purchase line": 2}
    assert account.messages == {"purchase": 1}


def test_rows_of_one_product_in_one_basket_keep_their_own_lines(tmp_path: Path) -> None:
    (purchase,), _ = read(file_of(tmp_path, [(3, 1, 50, 7, 1, 1.0, NOON), (3, 1, 50, 7, 1, 0.99, NOON)]))
    assert [(line.id, line.amount) for line in purchase.lines] == [(1, 100), (2, 99)]


def test_a_row_of_quantity_0_is_sent_as_one_unit_and_said_so(tmp_path: Path) -> None:
    (purchase,), account = read(file_of(tmp_path, [(3, 1, 50, 7, 0, 0.0, NOON)]))
    assert [(line.quantity, line.amount) for line in purchase.lines] == [(1, 0)]
    assert account.treatments == {"quantity 0 sent as 1": 1}


def test_float_dust_is_no_money(tmp_path: Path) -> None:
    (purchase,), _ = read(file_of(tmp_path, [(3, 1, 50, 7, 1, 8.881784197001252e-16, NOON)]))
    assert purchase.lines[0].amount == 0


def test_a_product_that_the_product_file_lacks_is_unlisted(tmp_path: Path) -> None:
    (purchase,), _ = read(file_of(tmp_path, [(3, 1, 50, 99, 1, 1.0, NOON)]))
    assert purchase.lines[0].category == "UNLISTED"


def test_purchases_come_by_time_and_then_by_basket_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [(3, 1, 52, 7, 1, 1.0, LATER), (4, 1, 51, 7, 1, 1.0, NOON), (3, 1, 50, 8, 1, 1.0, NOON)]
    rows.append((4, 1, 51, 8, 1, 2.0, NOON))
    purchases, account = read(file_of(tmp_path, rows))
    assert [purchase.id for purchase in purchases] == ["50", "51", "52"]
    assert [line.sku for line in purchases[1].lines] == ["7", "8"]
    assert account.accounted() == account.rows == 4


def test_an_account_that_does_not_add_up_is_an_error() -> None:
    account = RowAccount(rows=3)
    account.events["purchase line"] = 2
    with pytest.raises(AccountError, match="3 rows, but 2"):
        account.close()


@pytest.mark.slow
def test_the_whole_year_gives_155848_baskets_of_2469_households() -> None:
    try:
        file = complete_journey.packaged_transactions()
    except DataMissingError as missing:
        pytest.skip(str(missing))
    account = RowAccount()
    households: set[str] = set()
    cents = 0
    last = 0
    for purchase in complete_journey.read_purchases(file, "grocer", account):
        households.add(purchase.member)
        cents += sum(line.amount for line in purchase.lines)
        assert purchase.occurred_at.seconds >= last
        last = purchase.occurred_at.seconds
    assert len(households) == 2_469
    assert account.messages == {"purchase": 155_848}
    assert account.rows == account.events["purchase line"] == 1_469_307
    assert account.treatments == {"quantity 0 sent as 1": 8_869}
    assert cents == 459_603_958
