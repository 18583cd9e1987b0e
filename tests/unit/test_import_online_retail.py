"""Online Retail as purchases and returns: which rows count, and what a credit note gives back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.ops.importing import online_retail
from services.ops.importing.account import RowAccount
from tallybook.activities.v1.activities_pb2 import Purchase, Return

REAL_FILE = Path(__file__).parents[2] / ".." / "shared" / "data" / "online_retail" / "online_retail.parquet"

Row = tuple[str, str, int, datetime, float, int | None]


def at(day: int, hour: int = 12, month: int = 1) -> datetime:
    return datetime(2011, month, day, hour)  # noqa: DTZ001  the file's times carry no zone


def read(folder: Path, rows: list[Row]) -> tuple[list[Purchase | Return], RowAccount]:
    """What rows of (invoice, product, quantity, time, price, customer) become."""
    names = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
    types = (pa.string(), pa.string(), pa.int32(), pa.timestamp("us"), pa.float64(), pa.int32())
    columns = {
        name: pa.array([row[place] for row in rows], type_)
        for place, (name, type_) in enumerate(zip(names, types, strict=True))
    }
    pq.write_table(pa.table(columns), folder / "retail.parquet")
    account = RowAccount()
    return list(online_retail.read_activities(folder / "retail.parquet", "gifts", account)), account


def returned(activities: list[Purchase | Return]) -> list[tuple[str, str, list[tuple[int, int]]]]:
    return [
        (activity.id, activity.of, [(line.line, line.quantity) for line in activity.lines])
        for activity in activities
        if isinstance(activity, Return)
    ]


def test_an_invoice_becomes_a_purchase_in_pence_at_london_time(tmp_path: Path) -> None:
    summer = at(1, 12, month=7)
    (purchase,), account = read(
        tmp_path, [("536365", "85123A", 6, summer, 2.55, 17850), ("536365", "71053", 1, summer, 3.39, 17850)]
    )
    assert isinstance(purchase, Purchase)
    assert (purchase.id, purchase.member, purchase.currency) == ("536365", "c17850", "GBP")
    assert purchase.occurred_at.ToJsonString() == "2011-07-01T11:00:00Z"
    assert [(line.id, line.sku, line.quantity, line.amount) for line in purchase.lines] == [
        (1, "85123A", 6, 1530),
        (2, "71053", 1, 339),
    ]
    assert account.events == {"purchase line": 2}


def test_a_price_with_three_decimals_is_rounded_once_for_the_whole_line(tmp_path: Path) -> None:
    (purchase,), _ = read(tmp_path, [("1", "85123A", 3, at(1), 0.835, 17850)])
    assert isinstance(purchase, Purchase)
    assert purchase.lines[0].amount == 251


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("A563186", "B", 1, at(1), -11062.06, None), "bad debt adjustment"),
        (("536589", "21777", -10, at(1), 0.0, None), "stock write-off"),
        (("536544", "21773", 1, at(1), 2.51, None), "no customer"),
        (("536370", "POST", 3, at(1), 18.0, 12583), "not a product"),
        (("C536379", "D", -1, at(1), 27.5, 14527), "not a product"),
        (("536370", "22841", 1, at(1), 0.0, 12647), "no price"),
        (("536370", "22841", 0, at(1), 1.0, 12647), "no quantity"),
    ],
)
def test_a_row_that_does_not_count_is_left_out_with_its_reason(tmp_path: Path, row: Row, reason: str) -> None:
    activities, account = read(tmp_path, [row])
    assert activities == []
    assert account.exclusions == {reason: 1}


def test_a_credit_note_gives_back_the_latest_purchase_first(tmp_path: Path) -> None:
    activities, account = read(
        tmp_path,
        [
            ("100", "A1", 5, at(1), 2.0, 7),
            ("101", "A1", 2, at(2), 2.0, 7),
            ("C102", "A1", -3, at(3), 2.0, 7),
        ],
    )
    assert returned(activities) == [("C102/101", "101", [(1, 2)]), ("C102/100", "100", [(1, 1)])]
    assert account.events == {"purchase line": 2, "return line": 1}


def test_a_line_at_the_credited_price_comes_before_a_later_one_at_another_price(tmp_path: Path) -> None:
    activities, _ = read(
        tmp_path,
        [
            ("100", "A1", 5, at(1), 2.0, 7),
            ("101", "A1", 5, at(2), 1.5, 7),
            ("C102", "A1", -3, at(3), 2.0, 7),
        ],
    )
    assert returned(activities) == [("C102/100", "100", [(1, 3)])]


def test_units_are_given_back_once(tmp_path: Path) -> None:
    activities, account = read(
        tmp_path,
        [
            ("100", "A1", 5, at(1), 2.0, 7),
            ("C101", "A1", -4, at(2), 2.0, 7),
            ("C102", "A1", -4, at(3), 2.0, 7),
        ],
    )
    assert returned(activities) == [
        ("C101/100", "100", [(1, 4)]),
        ("C102/100", "100", [(1, 1)]),
        ("C102/unknown", "unknown", [(1, 3)]),
    ]
    assert account.events["return line, only in part bought before"] == 1


def test_units_never_bought_are_sent_as_a_return_that_the_ledger_refuses(tmp_path: Path) -> None:
    activities, account = read(tmp_path, [("100", "A1", 5, at(1), 2.0, 8), ("C101", "A1", -4, at(2), 2.0, 7)])
    assert returned(activities) == [("C101/unknown", "unknown", [(1, 4)])]
    assert account.rejections == {"return line, never bought": 1}
    assert account.messages == {"purchase": 1, "return of an unknown purchase": 1}


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("100", "A1", 5, at(1), 2.0, 8)], "never bought"),
        ([("100", "A1", 5, at(3), 2.0, 7)], "bought only later"),
        (
            [("100", "A1", 5, at(1), 2.0, 7), ("C101", "A1", -5, at(1), 2.0, 7)],
            "all that was bought before was given back before",
        ),
    ],
)
def test_a_return_without_an_original_is_reported_with_why(
    tmp_path: Path, rows: list[Row], reason: str
) -> None:
    _, account = read(tmp_path, [*rows, ("C102", "A1", -4, at(2), 2.0, 7)])
    assert account.rejections == {f"return line, {reason}": 1}


def test_a_credit_note_does_not_take_what_is_bought_after_it_even_in_the_same_minute(tmp_path: Path) -> None:
    activities, _ = read(tmp_path, [("102", "A1", 5, at(1), 2.0, 7), ("C101", "A1", -4, at(1), 2.0, 7)])
    assert returned(activities) == [("C101/unknown", "unknown", [(1, 4)])]
    assert [activity.id for activity in activities] == ["C101/unknown", "102"]


def test_two_credit_lines_that_find_one_purchase_line_become_one_return_line(tmp_path: Path) -> None:
    activities, account = read(
        tmp_path,
        [
            ("100", "A1", 5, at(1), 2.0, 7),
            ("C101", "A1", -2, at(2), 2.0, 7),
            ("C101", "A1", -1, at(2), 2.0, 7),
        ],
    )
    assert returned(activities) == [("C101/100", "100", [(1, 3)])]
    assert account.events["return line"] == 2


@pytest.mark.slow
def test_every_row_of_the_real_file_ends_as_event_exclusion_or_reported_rejection() -> None:
    if not REAL_FILE.exists():
        pytest.skip("the Online Retail file is not beside this checkout (../shared/data/online_retail)")
    account = RowAccount()
    activities = list(online_retail.read_activities(REAL_FILE, "gifts", account))

    assert account.accounted() == account.rows == 541_909
    # 135,080 rows have no customer; 1,336 of them write stock off and 3 adjust bad debt.
    assert account.exclusions == {
        "no customer": 135_080 - 1_336 - 3,
        "stock write-off": 1_336,
        "bad debt adjustment": 3,
        "not a product": 1_916,
        "no price": 34,
    }
    # 8,539 credited product lines with a customer: of 693 the product was never bought, of 338 only later.
    assert account.rejections == {
        "return line, never bought": 693,
        "return line, bought only later": 338,
        "return line, all that was bought before was given back before": 25,
    }
    in_part = account.events["return line, only in part bought before"]
    assert account.events["return line"] + in_part + account.rejections.total() == 8_539
    assert account.events["purchase line"] == 396_340
    assert account.messages.total() == len(activities) == len({activity.id for activity in activities})
    # The jar that was given back within the hour (541431) comes back whole.
    jar = [activity for activity in activities if activity.id == "C541433/541431"]
    assert returned(jar) == [("C541433/541431", "541431", [(1, 74_215)])]
