"""How an order is paid: what its basket costs, what is taken off it, and who pays the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.common.errors import Refusal

LINES_MAX = 500
"""Lines of a redemption's basket: they are kept with it, for refunds by line."""


@dataclass(slots=True, frozen=True)
class BasketLine:
    """A line of an order; `amount` is minor units for all its units."""

    line: int
    sku: str
    category: str
    quantity: int
    amount: int


def adds_up(lines: Sequence[BasketLine], discount: int, value: int, money: int, outside: int) -> None:
    """What the basket costs, less the voucher's `discount` and then the reward's `value`, is paid to the last unit.

    Raises:
        Refusal: `line_repeated`, then `payment_mismatch`. Without a basket there is nothing to compare.
    """
    if not lines:
        return
    if len({line.line for line in lines}) < len(lines):
        raise Refusal("line_repeated", "two lines of the basket have the same id")
    total = sum(line.amount for line in lines)
    due = max(0, total - discount - value)
    if money + outside != due:
        raise Refusal(
            "payment_mismatch",
            f"the basket costs {total}, less {discount} by the voucher and {value} by the reward that is {due}; "
            f"{money} of stored value and {outside} from outside are {money + outside}",
        )


def share(amount: int, part: int, whole: int) -> int:
    """What is given back of `amount` in all, once `part` of a `whole` has come back: floored."""
    return amount * part // whole if whole else 0
