"""Which purchases a credit note gives back, when it does not say."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(slots=True)
class _Bought:
    """Units of one purchase line that have not been given back."""

    purchase: str
    line: int
    price: float
    left: int


@dataclass(frozen=True, slots=True)
class Original:
    """`quantity` units found in a line of a purchase."""

    purchase: str
    line: int
    quantity: int


class Originals:
    """What each customer has bought and not given back, of the products in `wanted` only (customer, product).

    The rule: the latest purchase first, for people bring back what they have just bought; lines at the price
    that the credit note shows come before lines at other prices, for it repeats the price that was paid.
    """

    def __init__(self, wanted: Collection[tuple[int, str]]) -> None:
        self._wanted = wanted
        self._bought: dict[tuple[int, str], list[_Bought]] = {}

    def bought(self, customer: int, sku: str, purchase: str, line: int, price: float, quantity: int) -> None:
        """Remember a purchase line; call it in order of time."""
        if (customer, sku) in self._wanted:
            self._bought.setdefault((customer, sku), []).append(_Bought(purchase, line, price, quantity))

    def knows(self, customer: int, sku: str) -> bool:
        """True when the customer has bought the product before, whatever was given back since."""
        return (customer, sku) in self._bought

    def take_back(self, customer: int, sku: str, price: float, quantity: int) -> tuple[list[Original], int]:
        """Units of earlier purchases that cover `quantity`, and how many units no purchase covers."""
        latest_first = self._bought.get((customer, sku), [])[::-1]
        same_price = [bought for bought in latest_first if bought.price == price]
        other_price = [bought for bought in latest_first if bought.price != price]
        found: list[Original] = []
        missing = quantity
        for bought in same_price + other_price:
            units = min(bought.left, missing)
            if units:
                bought.left -= units
                missing -= units
                found.append(Original(bought.purchase, bought.line, units))
        return found, missing
