"""What is owed, month by month, from sums of postings; and the chain ladder, against numbers worked out by hand."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.domain.breakage import Cohort, chain_ladder, decimal, half_up
from services.ledger.domain.liability import OTHER, Sum, lines, next_month
from services.ledger.domain.postings import (
    ADJUSTMENT,
    BREAKAGE,
    CLAWED_BACK,
    GIVEN,
    IN_TRANSIT,
    ISSUED,
    PAID_IN,
    PAID_OUT,
    REDEEMED,
)
from services.ledger.liability import cohort

JAN, FEB, MAR, APR = (date(2026, month, 1) for month in range(1, 5))
ACCOUNTS = (ISSUED, REDEEMED, BREAKAGE, CLAWED_BACK, ADJUSTMENT, PAID_IN, GIVEN, PAID_OUT, IN_TRANSIT, "odd")
SUMS = st.lists(
    st.builds(
        Sum,
        st.sampled_from([JAN, FEB, APR]),
        st.sampled_from(["points", "USD.bonus"]),
        st.sampled_from(["", "s1", "s2"]),
        st.sampled_from(ACCOUNTS),
        st.integers(-1_000, 1_000).filter(bool),
        st.integers(-9, 9),
    ),
    max_size=30,
)


def test_a_month_without_movements_has_a_line_too() -> None:
    found = lines(
        [
            Sum(JAN, "points", "", ISSUED, 100, 0),
            Sum(JAN, "points", "", REDEEMED, -30, 0),
            Sum(MAR, "points", "", REDEEMED, 10, 0),
            Sum(MAR, "points", "", CLAWED_BACK, -90, -10),
        ],
        ["month"],
    )
    assert [(line.key.month, line.opening, line.closing, line.debt) for line in found] == [
        (JAN, 0, 70, 0),
        (FEB, 70, 70, 0),
        (MAR, 70, -10, 10),
    ]
    assert [dict(line.movements) for line in found] == [
        {"issued": 100, "redeemed": -30}, {}, {"refunded": 10, "reversed": -90},
    ]  # fmt: skip


def test_what_came_before_the_months_shown_is_in_the_opening() -> None:
    sums = [Sum(month, "points", "", ISSUED, 10, 0) for month in (JAN, FEB, MAR, APR)]
    (shown,) = lines(sums, ["month"], MAR, MAR)
    assert (shown.opening, shown.closing) == (20, 30)
    (whole,) = lines(sums, [], FEB, MAR)
    assert (whole.key.month, whole.opening, dict(whole.movements), whole.closing) == (
        None, 10, {"issued": 20}, 30,
    )  # fmt: skip


def test_a_posting_that_the_book_never_makes_is_shown() -> None:
    (line,) = lines([Sum(JAN, "points", "", "somewhere", 5, 0)], ["month"])
    assert dict(line.movements) == {OTHER: 5}


@given(SUMS, st.sets(st.sampled_from(["month", "store"])))
def test_lines_add_up_whatever_they_are_told_apart_by(sums: list[Sum], by: set[str]) -> None:
    found = lines(sums, by)
    for line in found:
        assert line.opening + sum(line.movements.values()) == line.closing
    for before, after in pairwise(found):
        if before.key[:2] == after.key[:2]:
            assert before.key.month and after.key.month == next_month(before.key.month)
            assert after.opening == before.closing
        else:
            assert after.opening == 0
    last = {line.key[:2]: line for line in found}
    for asset in ("points", "USD.bonus"):
        closing = sum(line.closing for (of, _), line in last.items() if of == asset)
        assert closing == sum(each.amount for each in sums if each.asset == asset)
        debt = sum(line.debt for (of, _), line in last.items() if of == asset)
        assert debt == -sum(each.debt for each in sums if each.asset == asset)


TRIANGLE = [
    Cohort(JAN, 1_000, (100, 300, 450, 450), 400),
    Cohort(FEB, 2_000, (300, 500, 600), 0),
    Cohort(MAR, 1_500, (200, 500), 0),
    Cohort(APR, 800, (90,), 0),
]
"""January: 450 of 1,000 spent and 400 expired in its fourth month."""


def test_the_chain_ladder_is_what_a_hand_works_out() -> None:
    found = chain_ladder(TRIANGLE)
    # (300 + 500 + 500) / (100 + 300 + 200); (450 + 600) / (300 + 500); 450 / 450
    assert found.factors == (Fraction(13, 6), Fraction(21, 16), Fraction(1))
    ultimates = [each.ultimate for each in found.expected]
    assert ultimates == [450, 600, Fraction(500 * 21, 16), Fraction(90 * 13 * 21, 96)]
    # 500 x 21/16 = 656.25; of the 1,000 left 156.25 will be spent. 90 x 273/96 = 255.9375, of 710 left 165.9375.
    assert [each.unused for each in found.expected] == [150, 1_400, 844, 544]
    assert found.unused == 2_938
    spent = 450 + 600 + Fraction(2_625, 4) + Fraction(4_095, 16)
    assert found.rate == 1 - spent / 5_300
    assert found.expected[3].breakage == 1 - Fraction(4_095, 16) / 800


def test_no_cohort_spends_more_than_it_has_left() -> None:
    found = chain_ladder([Cohort(JAN, 100, (10, 90), 0), Cohort(FEB, 100, (50,), 20)])
    assert found.factors == (9,)
    assert found.expected[1].ultimate == 80
    assert found.unused == 10


@pytest.mark.parametrize("rows", [[], [Cohort(JAN, 0, (0,), 0)], [Cohort(JAN, 10, (0, 0), 0)]])
def test_nothing_spent_is_no_division_by_nothing(rows: list[Cohort]) -> None:
    found = chain_ladder(rows)
    assert all(factor == 1 for factor in found.factors)
    assert found.rate in (None, 1)


def test_a_cohort_is_what_was_earned_less_what_was_reversed() -> None:
    moved = [
        (JAN, ISSUED, 100), (JAN, REDEEMED, -20), (FEB, CLAWED_BACK, -10), (FEB, REDEEMED, 5),
        (MAR, BREAKAGE, -30), (MAR, IN_TRANSIT, -40), (MAR, IN_TRANSIT, 40),
    ]  # fmt: skip
    found = cohort(JAN, moved, APR)
    assert (found.amount, found.redeemed, found.expired, found.age, found.left) == (
        90, (20, 15, 15), 30, 2, 45,
    )  # fmt: skip


def test_rounding_is_as_said() -> None:
    assert [half_up(Fraction(n, 2)) for n in (-3, -1, 1, 3)] == [-1, 0, 1, 2]
    assert [decimal(Fraction(n, 8), 2) for n in (-9, -1, 0, 1, 9)] == [
        "-1.13",
        "-0.13",
        "0.00",
        "0.13",
        "1.13",
    ]
    assert decimal(Fraction(-1, 1_000), 2) == "0.00"
