"""How an order is paid: what its basket costs, what is taken off it, and who pays the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.common.errors import Refusal

LINES_MAX = 500
"""Lines of a redemption's basket: they are kept with it, for refunds by line."""


@dataclass(slots=True, frozen=True)
class BasketLine:
    """A line of an order; `amount` is minor units for all its units. `new`: the till calls it a new product."""

    line: int
    sku: str
    category: str
    quantity: int
    amount: int
    new: bool = False


@dataclass(slots=True, frozen=True)
class PayingVoucher:
    """A voucher of the member that pays, and what it takes off, minor units."""

    voucher: str
    discount: int


def check_lines(lines: Sequence[BasketLine]) -> None:
    """Raises Refusal("line_repeated")."""
    if len({line.line for line in lines}) < len(lines):
        raise Refusal("line_repeated", "two lines of the basket have the same id")


def check_paid(total: int, value: int, worth: int, money: int, outside: int) -> None:
    """An order's `total`, less the reward's `value`, is paid to the last unit. Raises Refusal("payment_mismatch")."""
    due = max(0, total - value)
    if worth + money + outside != due:
        raise Refusal(
            "payment_mismatch",
            f"the order comes to {total}, less {value} by the reward that is {due}; points worth {worth}, {money} of "
            f"stored value and {outside} from outside are {worth + money + outside}",
        )


def share(amount: int, part: int, whole: int) -> int:
    """What is given back of `amount` in all, once `part` of a `whole` has come back: floored."""
    return amount * part // whole if whole else 0
