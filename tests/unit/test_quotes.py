"""Quotes: given a program and a member, when a basket is brought, then this is what it costs, and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import Refusal
from services.rewards.domain.program import Program, parse_program
from services.rewards.domain.quote import Basket, Customer, Quote, QuoteLine, quote
from services.rewards.domain.standing import Segments, Standing
from services.rewards.domain.voucher_terms import Line, Terms, discount
from services.rewards.domain.vouchers import Voucher, VoucherState

DOCS = Path(__file__).parents[2] / "docs"
TUESDAY = datetime(2026, 11, 3, 15, tzinfo=UTC)
"""10 o'clock in New York; in Tokyo it is Wednesday."""
TEA = QuoteLine(1, "T1", "tea", 2, 4_000)
CAKE = QuoteLine(2, "C1", "cake", 1, 1_999)


def program(**rewards: Any) -> Program:
    return parse_program(
        {
            "program": "club",
            "time_zone": "America/New_York",
            "ledger": {"currency": "USD", "stores": {"tokyo": {"time_zone": "Asia/Tokyo"}}},
            "tiering": {"tiers": [{"name": "member"}, {"name": "gold"}]},
            "rewards": rewards,
        },
        "v1",
    )


def voucher(kind: str, value: int = 0, *, id_: str = "v1", days: int | None = None, **terms: Any) -> Voucher:
    expires_at = None if days is None else TUESDAY + timedelta(days=days)
    return Voucher(
        id_, "club", "ann", Terms(terms.pop("name", kind), kind, kind, value, **terms), VoucherState.ISSUED, "ops", "k",
        TUESDAY, TUESDAY, expires_at, 1,
    )  # fmt: skip


STRANGER = Customer()
"""A member of whom nothing is known but that there is one."""


def ask(
    rewards: dict[str, Any],
    *lines: QuoteLine,
    customer: Customer = STRANGER,
    store: str = "",
    at: datetime = TUESDAY,
) -> Quote:
    return quote(program(**rewards), customer, Basket(lines, store), at)


def told(quoted: Quote) -> dict[str, tuple[int, list[str]]]:
    """(off, why not) by price."""
    return {one.price.id: (one.off, one.why_not) for one in quoted.prices}


GOLD = Customer(Standing("gold", Segments("active", "loyal", frozenset({"vip"}))))


def test_a_program_without_prices_charges_what_anybody_pays() -> None:
    quoted = ask({}, TEA, CAKE)
    assert (quoted.before, quoted.total, quoted.prices, quoted.vouchers) == (5_999, 5_999, [], [])
    assert (quoted.points.most, quoted.points.why_not) == (0, "points_not_taken")
    assert (quoted.money.most, quoted.money.why_not) == (0, "insufficient_value")


@pytest.mark.parametrize(
    ("kind", "value", "left"),
    [
        ("percent", 10, 1_800),  # 199.9 off is 199
        ("percent", 100, 0),
        ("amount", 500, 1_499),
        ("amount", 5_000, 0),
        ("price", 990, 990),
        ("price", 0, 0),
        ("price", 2_500, 1_999),  # a price that is no lower is none
    ],
)
def test_a_price_takes_off_what_it_says_and_never_more_than_the_line_costs(
    kind: str, value: int, left: int
) -> None:
    assert ask({"prices": [{"id": "p", kind: value}]}, CAKE).total == left


def test_amounts_and_prices_are_of_each_unit() -> None:
    assert ask({"prices": [{"id": "p", "amount": 300}]}, TEA).total == 3_400
    assert ask({"prices": [{"id": "p", "price": 990}]}, TEA).total == 1_980


def test_a_price_for_new_products_goes_by_the_till_or_by_the_program() -> None:
    rewards = {
        "prices": [{"id": "new", "percent": 10, "new": True}],
        "new_products": {"categories": ["launch"], "skus": ["N1"]},
    }
    for new in (
        QuoteLine(1, "", "", 1, 1_000, new=True),
        QuoteLine(1, "N1", "", 1, 1_000),
        QuoteLine(1, "", "launch", 1, 1_000),
    ):
        assert ask(rewards, new).total == 900
    assert told(ask(rewards, TEA)) == {}


@pytest.mark.parametrize(
    ("gate", "code"),
    [
        ({"tiers": ["gold"]}, "price_not_for_tier"),
        ({"segments": {"lifecycle": ["active"]}}, "price_not_for_segment"),
        ({"segments": {"class": ["loyal"]}}, "price_not_for_segment"),
        ({"tags": ["vip"]}, "price_not_for_tag"),
    ],
)
def test_a_price_can_be_for_some_members(gate: dict[str, Any], code: str) -> None:
    rewards = {"prices": [{"id": "p", "percent": 50, **gate}]}
    assert ask(rewards, TEA, customer=GOLD).total == 2_000
    assert told(ask(rewards, TEA)) == {"p": (2_000, [code])}
    assert ask(rewards, TEA).total == 4_000


def test_a_member_day_is_by_the_store_s_own_time() -> None:
    rewards = {"prices": [{"id": "tuesday", "percent": 50, "when": {"weekdays": ["tue"]}}]}
    assert ask(rewards, TEA).total == 2_000
    assert told(ask(rewards, TEA, store="tokyo")) == {"tuesday": (2_000, ["price_not_now"])}
    assert ask(rewards, TEA, store="tokyo", at=TUESDAY - timedelta(hours=12)).total == 2_000


def test_a_price_can_be_for_stores_and_tells_all_that_keeps_a_member_from_it() -> None:
    price = {"id": "p", "percent": 1, "stores": ["s1"], "tiers": ["gold"], "when": {"weekdays": ["wed"]}}
    assert ask({"prices": [{"id": "p", "percent": 50, "stores": ["s1"]}]}, TEA, store="s1").total == 2_000
    assert told(ask({"prices": [price]}, TEA))["p"][1] == [
        "price_not_now",
        "price_not_for_store",
        "price_not_for_tier",
    ]


def test_of_prices_the_best_of_each_line_counts_and_the_first_of_equals() -> None:
    prices = [
        {"id": "ten", "percent": 10},
        {"id": "tea", "categories": ["tea"], "amount": 300},
        {"id": "tea_too", "skus": ["T1"], "amount": 300},
        {"id": "dear", "price": 9_999},
    ]
    quoted = ask({"prices": prices}, TEA, CAKE)
    assert [[(one.price.id, one.off) for one in line.prices] for line in quoted.lines] == [
        [("tea", 600)],
        [("ten", 199)],
    ]
    assert told(quoted) == {
        "ten": (199, []), "tea": (600, []), "tea_too": (600, ["another_takes_more"]),
        "dear": (0, ["price_is_no_lower"]),
    }  # fmt: skip


def test_in_order_each_price_takes_off_what_the_one_before_left() -> None:
    prices = [
        {"id": "half", "percent": 50},
        {"id": "five", "amount": 500},
        {"id": "cheap", "price": 400},
        {"id": "no", "price": 900},
    ]
    quoted = ask({"prices": prices, "stacking": {"prices": "in_order"}}, TEA)
    assert told(quoted) == {
        "half": (2_000, []),
        "five": (1_000, []),
        "cheap": (200, []),
        "no": (2_200, ["another_takes_more"]),
    }
    assert quoted.total == 800


def test_of_vouchers_the_best_counts_after_prices_and_is_shared_out_to_its_lines() -> None:
    held = [voucher("percent", 20, id_="a", categories=("tea",)), voucher("amount", 1_000, id_="b")]
    rewards = {"prices": [{"id": "ten", "percent": 10}]}
    quoted = ask(rewards, TEA, CAKE, customer=Customer(vouchers=held))
    assert [(one.voucher.id, one.off, one.why_not) for one in quoted.vouchers] == [
        ("a", 720, ["another_takes_more"]), ("b", 1_000, []),
    ]  # fmt: skip
    assert [line.off_by_vouchers for line in quoted.lines] == [666, 334]
    assert quoted.total == 3_600 + 1_800 - 1_000


def test_in_order_each_voucher_is_judged_by_what_the_one_before_left() -> None:
    rewards = {
        "vouchers": [
            {"id": "amount", "kind": "amount", "value": 1},
            {"id": "percent", "kind": "percent", "value": 1},
        ],
        "stacking": {"vouchers": "in_order"},
    }
    held = [
        voucher("percent", 50, id_="a"),
        voucher("amount", 1_000, id_="b", days=9),
        voucher("amount", 1_000, id_="c", days=2),
        voucher("amount", 9_999, id_="d", name="gone", minimum_spend=1_001),
    ]
    quoted = ask(rewards, TEA, customer=Customer(vouchers=held))
    # By the document, then by what expires first; those that the document has no more come last.
    assert [(one.voucher.id, one.off, one.why_not) for one in quoted.vouchers] == [
        ("c", 1_000, []), ("b", 1_000, []), ("a", 1_000, []), ("d", 0, ["voucher_minimum_spend"]),
    ]  # fmt: skip
    assert quoted.total == 1_000


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"stores": ("s9",)}, "voucher_not_for_store"),
        ({"minimum_spend": 4_001}, "voucher_minimum_spend"),
        ({"skus": ("X",)}, "voucher_nothing_eligible"),
    ],
)
def test_a_voucher_that_can_t_be_used_says_why_as_its_use_would(terms: dict[str, Any], code: str) -> None:
    quoted = ask({}, TEA, customer=Customer(vouchers=[voucher("amount", 5, **terms)]))
    assert [(one.off, one.why_not) for one in quoted.vouchers] == [(0, [code])]


def test_vouchers_that_are_over_or_not_the_member_s_to_use_are_not_told() -> None:
    held = [voucher("amount", 5, days=0)]
    assert ask({}, TEA, customer=Customer(vouchers=held)).vouchers == []
    assert ask({}, TEA, customer=Customer(vouchers=held), at=TUESDAY - timedelta(seconds=1)).total == 3_995


def test_stored_value_pays_up_to_the_order() -> None:
    assert ask({}, TEA, customer=Customer(money=9_000)).money.most == 4_000
    assert ask({}, TEA, customer=Customer(money=90)).money.most == 90
    free = ask({"prices": [{"id": "p", "price": 0}]}, TEA, customer=Customer(money=90))
    assert (free.money.most, free.money.why_not) == (0, "nothing_to_pay")


MISTAKES: dict[str, Callable[[dict[str, Any]], None]] = {
    "line_repeated": lambda asked: asked.update(basket=Basket([TEA, TEA])),
    "unknown_program": lambda asked: asked.update(program=None),
    "unknown_member": lambda asked: asked.update(customer=None),
}
"""In the order in which they are told."""


def refused(*mistakes: str) -> str:
    asked: dict[str, Any] = {
        "program": program(),
        "customer": Customer(),
        "basket": Basket([TEA]),
        "at": TUESDAY,
    }
    for mistake in mistakes:
        MISTAKES[mistake](asked)
    with pytest.raises(Refusal) as caught:
        quote(**asked)
    return caught.value.code


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_refused(mistake: str) -> None:
    assert refused(mistake) == mistake


@pytest.mark.parametrize(("first", "second"), list(combinations(MISTAKES, 2)))
def test_of_two_mistakes_the_earlier_in_the_table_is_told(first: str, second: str) -> None:
    assert refused(second, first) == first


def test_the_page_tells_the_order_and_every_code() -> None:
    page = (DOCS / "programs" / "quotes.md").read_text()
    told_in_order = [
        line.split("`")[1] for line in page.splitlines() if line.startswith("| ") and line[2].isdigit()
    ]
    assert told_in_order[-3:] == list(MISTAKES)
    for code in (
        "price_not_now", "price_not_for_store", "price_not_for_tier", "price_not_for_segment", "price_not_for_tag",
        "price_is_no_lower", "another_takes_more", "voucher_not_for_store", "voucher_minimum_spend",
        "voucher_nothing_eligible", "voucher_takes_nothing", "points_not_taken", "insufficient_points",
        "order_too_small", "points_worth_nothing", "insufficient_value", "nothing_to_pay", "ledger_did_not_answer",
    ):  # fmt: skip
        assert f"`{code}`" in page


LINES = st.lists(
    st.builds(
        lambda sku, quantity, amount, new: (sku, "cat" + sku, quantity, amount, new),
        st.sampled_from("abc"), st.integers(1, 5), st.integers(0, 3_000), st.booleans(),
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip
PRICES = st.lists(
    st.builds(
        lambda kind, value, skus, new: {kind: value, "new": new, **({"skus": skus} if skus else {})},
        st.sampled_from(["percent", "amount", "price"]), st.integers(1, 100), st.lists(st.sampled_from("abc")),
        st.booleans(),
    ),
    max_size=5,
)  # fmt: skip
VOUCHERS = st.lists(
    st.builds(
        lambda kind, value, skus, spend: (kind, value, tuple(skus), spend),
        st.sampled_from(["percent", "amount", "product", "bogo"]), st.integers(1, 100),
        st.lists(st.sampled_from("abc")), st.integers(0, 4_000),
    ),
    max_size=5,
)  # fmt: skip
STACKINGS = st.sampled_from(["best_of", "in_order"])


@given(LINES, PRICES, VOUCHERS, STACKINGS, STACKINGS)
def test_whatever_is_brought_parts_add_up_and_nothing_is_below_zero(
    lines: list[Any], prices: list[Any], vouchers: list[Any], by_price: str, by_voucher: str
) -> None:
    rewards = {
        "prices": [{"id": f"p{n}", **price} for n, price in enumerate(prices)],
        "stacking": {"prices": by_price, "vouchers": by_voucher},
    }
    held = [
        voucher(kind, value, id_=f"v{n}", skus=skus, minimum_spend=spend)
        for n, (kind, value, skus, spend) in enumerate(vouchers)
    ]
    basket = [QuoteLine(n, *line) for n, line in enumerate(lines)]
    quoted = ask(rewards, *basket, customer=Customer(points=5_000, money=700, vouchers=held))
    for line in quoted.lines:
        assert line.left >= 0
        assert line.off_by_vouchers >= 0
        assert line.line.amount == line.left + line.off_by_vouchers + sum(one.off for one in line.prices)
        assert len(line.prices) <= (1 if by_price == "best_of" else len(prices))
    assert quoted.total == sum(line.left for line in quoted.lines)
    applied = [one for one in quoted.vouchers if not one.why_not]
    assert sum(one.off for one in applied) == sum(line.off_by_vouchers for line in quoted.lines)
    assert sum(one.off for one in quoted.prices if not one.why_not) == sum(
        one.off for line in quoted.lines for one in line.prices
    )
    if by_voucher == "best_of":
        assert len(applied) <= 1
        assert all(one.off <= applied[0].off for one in quoted.vouchers if applied)
    if applied:
        # The first one takes off what its use takes off the lines as prices left them.
        left = [
            Line(q.line.sku, q.line.category, q.line.quantity, q.left + q.off_by_vouchers)
            for q in quoted.lines
        ]
        assert applied[0].off == discount(applied[0].voucher.terms, "", left)
