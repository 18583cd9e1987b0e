"""The words of a scenario about quotes. They are the API's words."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field, StrictInt

from services.ops.scenario.words import Words


class BasketLine(Words):
    """A line; `amount` is what anybody would pay for all its units."""

    id: StrictInt
    sku: str = ""
    category: str = ""
    quantity: StrictInt = 1
    amount: StrictInt
    new: bool = False
    brand: str = ""


class QuoteStep(Words):
    """What a basket would cost the member, at the time of the step."""

    member: str
    store: str = ""
    channel: str = ""
    lines: list[BasketLine] = Field(min_length=1)


class Payable(Words):
    """The most that points or money can pay."""

    available: StrictInt | None = None
    most: StrictInt | None = None
    worth: StrictInt | None = None
    why_not: str | None = None


class Reduction(Words):
    """A member price that a line has."""

    price: str
    off: StrictInt | None = None


class Line(Words):
    """A line of the quote, found by its id."""

    id: StrictInt
    before: StrictInt | None = None
    off_by_prices: StrictInt | None = None
    off_by_vouchers: StrictInt | None = None
    total: StrictInt | None = None
    prices: list[Reduction] | None = None


class Price(Words):
    """A member price that is about something in the basket, found by its id."""

    id: str
    off: StrictInt | None = None
    applied: bool | None = None
    why_not: list[str] | None = None


class Voucher(Words):
    """A voucher that can be used; `reward` is the program's entry."""

    reward: str
    off: StrictInt | None = None
    applied: bool | None = None
    why_not: list[str] | None = None


class Earns(Words):
    """What the order will earn."""

    points: StrictInt | None = None
    why_not: str | None = None


class Quote(Words):
    """What the last `quote` step was answered."""

    tier: str | None = None
    before: StrictInt | None = None
    total: StrictInt | None = None
    lines: list[Line] | None = None
    prices: list[Price] | None = None
    vouchers: list[Voucher] | None = None
    points: Payable | None = None
    money: Payable | None = None
    earns: Earns | None = None


def quote_body(step: QuoteStep, at: datetime | None) -> dict[str, Any]:
    """The body that asks for it."""
    lines = [line.model_dump() for line in step.lines]
    body = {"member": step.member, "store": step.store, "channel": step.channel, "lines": lines}
    return body if at is None else {**body, "occurred_at": at.isoformat()}
