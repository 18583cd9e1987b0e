"""Sums of money as files write them, made into minor units without a float in between."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

_MINOR_UNITS_IN_ONE = 100


def minor_units(price: float | str, quantity: int = 1) -> int:
    """`price` x `quantity` in minor units (cents, pence), half a unit rounded away from zero.

    A float stands for the shortest decimal text that reads back as it (what the file's author wrote), and the
    product is rounded once, at the end: 3 x 0.835 is 2.505 and so 251.
    """
    exact = Decimal(str(price)) * quantity * _MINOR_UNITS_IN_ONE
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
