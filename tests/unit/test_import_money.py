"""Money in files: exact decimals, rounded once."""

from __future__ import annotations

import pytest

from services.ops.importing.money import minor_units


@pytest.mark.parametrize(
    ("price", "quantity", "expected"),
    [
        (2.55, 6, 1530),
        ("2.78", 1, 278),
        (0.005, 1, 1),
        (0.004999, 1, 0),
        (0.001, 1, 0),
        (2.08, 80_995, 16_846_960),
        (8.881784197001252e-16, 1, 0),
        (1.005, 1, 101),  # a binary float would say 100.49999999999999
    ],
)
def test_a_price_becomes_minor_units_by_its_text(price: float | str, quantity: int, expected: int) -> None:
    assert minor_units(price, quantity) == expected
