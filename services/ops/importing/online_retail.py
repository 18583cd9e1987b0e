"""Online Retail: a year of a British gift shop's invoices and credit notes, read as purchases and returns.

Source: UCI "Online Retail" (Chen, Sain & Guo 2012, doi 10.24432/C5BW33) as one Parquet file. `classify` says
which rows count; they make purchases (invoices) and returns (credit notes, numbered `C...`, which name no
invoice: `Originals` finds what they give back).

What was decided about the data (docs/data.md has the figures):
- `InvoiceDate` is London time, to the minute. An invoice that carries two times happened at the later one.
- Order: by time, then by invoice number, which invoices and credit notes share; so a credit note never gives
  back what was bought after it.
- A row is a line; repeated rows stay apart, for an invoice may list a product twice.
- An amount is quantity x price, rounded to pence once.
- Units given back that no earlier purchase of the customer holds are sent all the same, as a return of
  the purchase `unknown`: the ledger refuses it and its book says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
from google.protobuf.timestamp_pb2 import Timestamp

from services.ops.importing.account import RowAccount
from services.ops.importing.credit_notes import Originals
from services.ops.importing.money import minor_units
from tallybook.activities.v1.activities_pb2 import Purchase, Return

COLUMNS = frozenset({"InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"})
"""What a file of these invoices is recognised by."""

TIME_ZONE = ZoneInfo("Europe/London")
STORE = "online"
CHANNEL = "web"
CURRENCY = "GBP"
CATEGORY = "giftware"
"""The file names no categories; the shop sold one kind of goods."""

UNKNOWN_PURCHASE = "unknown"
"""What a return names when no earlier purchase holds its units."""

NOT_PRODUCTS = frozenset({"POST", "DOT", "C2", "M", "m", "D", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK"})
"""Postage, carriage, corrections by hand, discounts, samples, fees and charity: rows that sell nothing."""

_ROWS_AT_ONCE = 50_000


@dataclass(slots=True)
class Line:
    """A row that counts: line `number` (from 1) of its invoice, `quantity` units at `price` pounds each."""

    number: int
    sku: str
    quantity: int
    price: float


@dataclass(slots=True)
class Invoice:
    """An invoice or a credit note with the rows that count."""

    number: str
    customer: int
    at: datetime
    lines: list[Line] = field(default_factory=list)

    @property
    def is_credit(self) -> bool:
        """True when it gives back."""
        return self.number.startswith("C")

    def place(self) -> tuple[datetime, int]:
        """Where it stands in the order of events."""
        return self.at, int(self.number.lstrip("C"))


def classify(invoice: str, stock_code: str, quantity: int, price: float, customer: int | None) -> str | None:
    """Why a row is left out, or None when it counts. The first reason that fits is reported."""
    if invoice.startswith("A"):
        return "bad debt adjustment"
    if quantity < 0 and not invoice.startswith("C"):
        return "stock write-off"
    if customer is None:
        return "no customer"
    if stock_code in NOT_PRODUCTS:
        return "not a product"
    if price <= 0:
        return "no price"
    if quantity == 0:
        return "no quantity"
    return None


def read_activities(file: Path, program: str, account: RowAccount) -> Iterator[Purchase | Return]:
    """Every invoice as a purchase and every credit note as returns of `program`, in order of `Invoice.place`.

    Raises:
        AccountError: at the end, when the rows do not add up.
    """
    invoices = sorted(_invoices(file, account).values(), key=Invoice.place)
    originals = Originals({(i.customer, line.sku) for i in invoices if i.is_credit for line in i.lines})
    sold = {(i.customer, line.sku) for i in invoices if not i.is_credit for line in i.lines}
    for invoice in invoices:
        if invoice.is_credit:
            yield from _returns(invoice, program, originals, sold, account)
        else:
            for line in invoice.lines:
                originals.bought(
                    invoice.customer, line.sku, invoice.number, line.number, line.price, line.quantity
                )
            account.events["purchase line"] += len(invoice.lines)
            account.messages["purchase"] += 1
            yield _purchase(invoice, program)
    account.close()


def _invoices(file: Path, account: RowAccount) -> dict[str, Invoice]:
    """All rows that count, by invoice; those that do not are put into the account."""
    invoices: dict[str, Invoice] = {}
    codes: dict[str, str] = {}  # one string object a product: half a million rows name four thousand products
    table = pq.read_table(file, columns=list(_READ_COLUMNS))
    account.rows = table.num_rows
    for piece in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        for number, code, quantity, at, price, customer in zip(
            *(piece.column(name).to_pylist() for name in _READ_COLUMNS), strict=True
        ):
            reason = classify(number, code, quantity, price, customer)
            if reason is not None:
                account.exclusions[reason] += 1
                continue
            local = at.replace(tzinfo=TIME_ZONE)
            invoice = invoices.get(number)
            if invoice is None:
                invoice = invoices[number] = Invoice(number, customer, local)
            elif local > invoice.at:
                invoice.at = local
            invoice.lines.append(
                Line(len(invoice.lines) + 1, codes.setdefault(code, code), abs(quantity), price)
            )
    return invoices


_READ_COLUMNS = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")


def _purchase(invoice: Invoice, program: str) -> Purchase:
    purchase = Purchase(
        id=invoice.number,
        program=program,
        member=_member(invoice),
        occurred_at=_timestamp(invoice.at),
        store=STORE,
        channel=CHANNEL,
        currency=CURRENCY,
    )
    for line in invoice.lines:
        purchase.lines.add(
            id=line.number,
            sku=line.sku,
            category=CATEGORY,
            quantity=line.quantity,
            amount=minor_units(line.price, line.quantity),
        )
    return purchase


def _returns(
    credit: Invoice, program: str, originals: Originals, sold: set[tuple[int, str]], account: RowAccount
) -> Iterator[Return]:
    """One return for each purchase that the credit note takes units from, then one for the units of none."""
    by_purchase: dict[str, dict[int, int]] = {}
    for line in credit.lines:
        taken, missing = originals.take_back(credit.customer, line.sku, line.price, line.quantity)
        for original in taken:
            units = by_purchase.setdefault(original.purchase, {})
            units[original.line] = units.get(original.line, 0) + original.quantity
        if missing:
            by_purchase.setdefault(UNKNOWN_PURCHASE, {})[line.number] = missing
        if not missing:
            account.events["return line"] += 1
        elif taken:
            account.events["return line, only in part bought before"] += 1
        else:
            account.rejections[_why_no_original(credit.customer, line.sku, originals, sold)] += 1
    unknown = by_purchase.pop(UNKNOWN_PURCHASE, None)
    for purchase, units in by_purchase.items():
        account.messages["return"] += 1
        yield _return(credit, program, purchase, units)
    if unknown is not None:
        account.messages["return of an unknown purchase"] += 1
        yield _return(credit, program, UNKNOWN_PURCHASE, unknown)


def _why_no_original(customer: int, sku: str, originals: Originals, sold: set[tuple[int, str]]) -> str:
    if originals.knows(customer, sku):
        return "return line, all that was bought before was given back before"
    if (customer, sku) in sold:
        return "return line, bought only later"
    return "return line, never bought"


def _return(credit: Invoice, program: str, purchase: str, units: dict[int, int]) -> Return:
    message = Return(
        id=f"{credit.number}/{purchase}",
        program=program,
        member=_member(credit),
        occurred_at=_timestamp(credit.at),
        of=purchase,
        store=STORE,
        channel=CHANNEL,
    )
    for line, quantity in sorted(units.items()):
        message.lines.add(line=line, quantity=quantity)
    return message


def _member(invoice: Invoice) -> str:
    return f"c{invoice.customer}"


def _timestamp(at: datetime) -> Timestamp:
    return Timestamp(seconds=int(at.astimezone(UTC).timestamp()))
