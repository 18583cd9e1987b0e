"""What `rewards:` says of prices and of points as payment: what points can pay, and errors that name the field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.program_section import ProgramError
from services.rewards.domain.prices import PRICES_MAX, PointsAsPayment
from services.rewards.domain.program import parse_program


@pytest.mark.parametrize(
    ("available", "due", "expected"),
    [
        (10_000, 4_000, (4_000, 2_000, "")),  # half of the order
        (1_250, 4_000, (1_200, 600, "")),  # whole steps
        (499, 4_000, (0, 0, "insufficient_points")),
        (500, 500, (500, 250, "")),
        (500, 499, (0, 0, "order_too_small")),
        (500, 0, (0, 0, "order_too_small")),
    ],
)
def test_points_pay_from_a_minimum_in_steps_up_to_a_share(
    available: int, due: int, expected: tuple[int, int, str]
) -> None:
    assert PointsAsPayment(100, 50, 500, 100, 50).most(available, due) == expected


def test_no_more_points_are_taken_than_their_worth_needs() -> None:
    assert PointsAsPayment(100, 1, 1, 1, 100).most(299, 1_000) == (200, 2, "")
    assert PointsAsPayment(100, 1, 1, 1, 100).most(99, 1_000) == (0, 0, "points_worth_nothing")
    assert PointsAsPayment(100, 1, 250, 100, 100).most(399, 1_000) == (300, 3, "")


@given(
    st.integers(1, 500), st.integers(1, 500), st.integers(1, 2_000), st.integers(1, 300), st.integers(1, 100),
    st.integers(0, 5_000), st.integers(0, 5_000),
)  # fmt: skip
def test_the_most_points_are_the_most_and_a_few_less_would_pay_less(
    points: int, value: int, minimum: int, step: int, percent: int, available: int, due: int
) -> None:
    terms = PointsAsPayment(points, value, minimum, step, percent)
    most, worth, why_not = terms.most(available, due)

    def pays(count: int) -> int:
        return count * value // points

    allowed = [
        n
        for n in range(0, available + 1, step)
        if n >= minimum and pays(n) * 100 <= due * percent and pays(n)
    ]
    assert worth == max(map(pays, allowed), default=0)
    assert most == min((n for n in allowed if pays(n) == worth), default=0)
    assert bool(why_not) == (most == 0)


@pytest.mark.parametrize(
    ("rewards", "field"),
    [
        ({"prices": {}}, "rewards.prices"),
        ({"prices": [{"id": "p", "percent": 1}] * (PRICES_MAX + 1)}, "rewards.prices"),
        ({"prices": [{"id": "p", "percent": 1}] * 2}, "rewards.prices[1].id"),
        ({"prices": [{"id": "p q", "percent": 1}]}, "rewards.prices[0].id"),
        ({"prices": [{"id": "p", "name": "", "percent": 1}]}, "rewards.prices[0].name"),
        ({"prices": [{"id": "p"}]}, "rewards.prices[0]"),
        ({"prices": [{"id": "p", "percent": 1, "price": 1}]}, "rewards.prices[0]"),
        ({"prices": [{"id": "p", "percent": 0}]}, "rewards.prices[0].percent"),
        ({"prices": [{"id": "p", "percent": 101}]}, "rewards.prices[0].percent"),
        ({"prices": [{"id": "p", "amount": 0}]}, "rewards.prices[0].amount"),
        ({"prices": [{"id": "p", "price": -1}]}, "rewards.prices[0].price"),
        ({"prices": [{"id": "p", "price": "9.9"}]}, "rewards.prices[0].price"),
        ({"prices": [{"id": "p", "percent": 1, "new": "yes"}]}, "rewards.prices[0].new"),
        ({"prices": [{"id": "p", "percent": 1, "skus": []}]}, "rewards.prices[0].skus"),
        ({"prices": [{"id": "p", "percent": 1, "tiers": ["silver"]}]}, "rewards.prices[0].tiers"),
        ({"prices": [{"id": "p", "percent": 1, "when": {"day": 1}}]}, "rewards.prices[0].when.day"),
        ({"prices": [{"id": "p", "percent": 1, "sku": ["a"]}]}, "rewards.prices[0].sku"),
        ({"new_products": {"categories": []}}, "rewards.new_products.categories"),
        ({"new_products": {"brands": ["x"]}}, "rewards.new_products.brands"),
        ({"stacking": {"prices": "all"}}, "rewards.stacking.prices"),
        ({"stacking": {"vouchers": True}}, "rewards.stacking.vouchers"),
        ({"stacking": "best_of"}, "rewards.stacking"),
        ({"points_as_payment": {}}, "rewards.points_as_payment.points"),
        ({"points_as_payment": {"points": 1}}, "rewards.points_as_payment.value"),
        ({"points_as_payment": {"points": 1, "value": 1, "step": 0}}, "rewards.points_as_payment.step"),
        ({"points_as_payment": {"points": 1, "value": 1, "minimum": 0}}, "rewards.points_as_payment.minimum"),
        ({"points_as_payment": {"points": 1, "value": 1, "most_percent": 0}}, "rewards.points_as_payment.most_percent"),
        ({"points_as_payment": {"points": 1, "value": 1, "rate": 1}}, "rewards.points_as_payment.rate"),
    ],
)  # fmt: skip
def test_an_error_in_the_document_names_the_field(rewards: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as caught:
        parse_program({"program": "club", "rewards": rewards}, "v1")
    assert caught.value.field == field
