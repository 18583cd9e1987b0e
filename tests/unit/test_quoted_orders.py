"""A redemption of an order that the program prices: what the quote told is what is held, or it is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import Refusal
from services.rewards.domain.catalogue import Looked
from services.rewards.domain.decide import RefundStands, settle
from services.rewards.domain.events import RedemptionRequested
from services.rewards.domain.payment import BasketLine, PayingVoucher
from services.rewards.domain.prices import PointsAsPayment
from services.rewards.domain.program import parse_program
from services.rewards.domain.quote import Basket, Customer, Quote, QuoteLine, quote
from services.rewards.domain.redemption import Redemption, State, begin, evolve
from services.rewards.domain.refunds import AskRefund, request_refund
from services.rewards.domain.reservation import Reserve, reserve
from services.rewards.domain.standing import Standing
from services.rewards.domain.voucher_terms import Terms
from services.rewards.domain.vouchers import Voucher, VoucherState
from services.rewards.wire import event_of, payload_of

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def program(stacking: str = "in_order", **rewards: Any) -> Any:
    document = {
        "program": "cafe",
        "ledger": {"currency": "USD", "stored_value": {}},
        "tiering": {"tiers": [{"name": "green"}, {"name": "gold"}]},
        "rewards": {
            "prices": [{"id": "gold_tea", "skus": ["TEA"], "tiers": ["gold"], "price": 900},
                       {"id": "new_10", "new": True, "percent": 10}],
            "vouchers": [{"id": "ten", "kind": "percent", "value": 10},
                         {"id": "three", "kind": "amount", "value": 300}],
            "stacking": {"vouchers": stacking},
            "points_as_payment": {"points": 100, "value": 50, "minimum": 200, "step": 100, "most_percent": 50},
            "catalogue": [{"id": "five_off", "kind": "discount", "points": 500, "value": 500, "stock": 1}],
            **rewards,
        },
    }  # fmt: skip
    return parse_program(document, "v1")


CAFE = program()
LOOKED = Looked(NOON, CAFE.zone)
LINES = (
    BasketLine(1, "TEA", "", 2, 2_400),
    BasketLine(2, "CAKE", "", 1, 1_001, new=True),
    BasketLine(3, "MUG", "", 3, 700),
)


def voucher(kind: str, **changes: Any) -> Voucher:
    terms = {"ten": Terms("ten", "ten", "percent", 10), "three": Terms("three", "three", "amount", 300)}[kind]
    made = Voucher(kind, "cafe", "ann", terms, VoucherState.ISSUED, "ops", "k", NOON, NOON, None, 1)
    return replace(made, **changes)


GOLD = Customer(Standing("gold"), vouchers=(voucher("ten"), voucher("three")))


def quoted(lines: tuple[BasketLine, ...] = LINES, customer: Customer = GOLD, terms: Any = CAFE) -> Quote:
    asked = [QuoteLine(x.line, x.sku, x.category, x.quantity, x.amount, x.new) for x in lines]
    return quote(terms, customer, Basket(asked, "s1"), NOON)


def order(points: int = 0, outside: int | None = None, **changes: Any) -> Reserve:
    """The order at what it comes to; who pays the rest pays it outside."""
    total = quoted(changes.get("lines", LINES)).total
    rest = total - points // 2 if outside is None else outside
    made = Reserve("r1", "ann", "", "o1", None, "s1", 0, "", rest, LINES, points, total)
    return replace(made, **changes)


def held(command: Reserve, terms: Any = CAFE, customer: Customer = GOLD) -> RedemptionRequested:
    (event,) = reserve(terms, None, command, LOOKED, customer=customer)
    assert isinstance(event, RedemptionRequested)
    return event


def test_prices_stacked_vouchers_and_points_are_those_of_the_quote() -> None:
    # Tea at 9.00 each, a tenth off the new cake, a tenth off the rest, and then 3.00.
    told = quoted()
    assert (told.before, told.total) == (4_101, 2_761)
    event = held(order(points=200, money=61, outside=2_600))
    assert (event.points, event.paying_points, event.worth, event.money, event.outside) == (
        200,
        200,
        100,
        61,
        2_600,
    )
    assert event.vouchers == (PayingVoucher("ten", 340), PayingVoucher("three", 300))
    assert [(line.line, line.amount) for line in event.lines] == [(q.line.id, q.left) for q in told.lines]
    assert sum(line.amount for line in event.lines) == told.total
    assert event_of(*payload_of(event)) == event


def test_where_one_voucher_may_pay_the_best_one_does() -> None:
    best = program("best_of")
    total = quoted(terms=best).total
    event = held(replace(order(points=200), expected=total, outside=total - 100), best)
    assert event.vouchers == (PayingVoucher("ten", 340),)


def test_the_price_of_a_reward_comes_on_top_of_the_points_that_pay() -> None:
    event = held(order(points=300, reward="five_off", outside=2_761 - 150 - 500))
    assert (event.points, event.paying_points, event.worth, event.value) == (800, 300, 150, 500)


def test_a_voucher_that_ran_out_or_was_used_since_the_quote_changes_the_price() -> None:
    for change in ({"state": VoucherState.USED}, {"expires_at": NOON}):
        fewer = replace(GOLD, vouchers=(voucher("ten", **change), voucher("three")))
        with pytest.raises(Refusal, match="price_changed: the order comes to 3101, not to 2761"):
            reserve(CAFE, None, order(points=200), LOOKED, customer=fewer)
    living = replace(
        GOLD, vouchers=(voucher("ten", expires_at=NOON + timedelta(seconds=1)), voucher("three"))
    )
    assert held(order(points=200), customer=living)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("unknown_reward", {"reward": "sofa"}),
    ("line_repeated", {"lines": (LINES[0], LINES[0])}),
    ("price_changed", {"expected": 1}),
    ("points_not_taken", {"terms": replace(CAFE, pricing=replace(CAFE.pricing, points=None))}),
    ("points_below_minimum", {"points": 150}),
    ("points_not_in_steps", {"points": 250}),
    ("points_exceed_share", {"points": 2_800}),
    ("payment_mismatch", {"outside": 1}),
    ("out_of_stock", {"taken": 1}),
]
"""One mistake each, in the order of the table in docs/redemptions.md."""


def asked(*mistakes: dict[str, Any]) -> str:
    """The code of a request with these mistakes."""
    made: dict[str, Any] = {}
    for mistake in reversed(mistakes):
        made |= mistake
    terms, looked = made.pop("terms", CAFE), replace(LOOKED, taken=made.pop("taken", 0))
    command = replace(order(points=200, reward="five_off", outside=2_761 - 100 - 500), **made)
    try:
        reserve(terms, None, command, looked, customer=GOLD)
    except Refusal as refusal:
        return refusal.code
    return "ok"


@pytest.mark.parametrize(("code", "mistake"), REFUSED, ids=[code for code, _ in REFUSED])
def test_of_two_mistakes_the_first_in_the_table_is_told(code: str, mistake: dict[str, Any]) -> None:
    assert asked() == "ok"
    assert asked(mistake) == code
    for second, other in REFUSED[[first for first, _ in REFUSED].index(code) + 1 :]:
        if set(mistake) & set(other):
            continue  # Both are of one field, so both can't be.
        assert asked(mistake, other) == code, second


def test_the_page_has_the_refusals_in_this_order() -> None:
    page = (Path(__file__).parents[2] / "docs" / "redemptions.md").read_text()
    table = page.partition("## A reservation")[2].partition("## A refund")[0]
    rows = [row.split("`")[1] for row in table.splitlines() if row[2:3].isdigit()]
    tested = [code for code, _ in REFUSED]
    tested.insert(tested.index("payment_mismatch"), "points_worth_nothing")
    assert [code for code in rows if code in tested] == tested


rates = st.builds(
    PointsAsPayment,
    st.integers(1, 300), st.integers(1, 300), st.integers(0, 500), st.integers(1, 100), st.integers(1, 100),
)  # fmt: skip


@given(rates, st.integers(0, 5_000), st.integers(0, 5_000))
def test_the_points_that_a_quote_names_are_taken_for_what_it_says(
    terms: PointsAsPayment, available: int, due: int
) -> None:
    most, worth, why_not = terms.most(available, due)
    if not why_not:
        assert terms.worth_of(most, due) == worth


@given(rates, st.integers(0, 3_000), st.integers(0, 5_000))
def test_points_never_pay_more_than_their_share_nor_more_points_than_needed(
    terms: PointsAsPayment, points: int, due: int
) -> None:
    try:
        worth = terms.worth_of(points, due)
    except Refusal:
        return
    assert 0 < worth <= due * terms.most_percent // 100
    assert points % terms.step == 0
    fewer = points - terms.step
    assert fewer < terms.minimum or fewer * terms.value // terms.points < worth


def test_points_that_are_worth_no_more_than_fewer_are_not_taken() -> None:
    three_a_cent = PointsAsPayment(3, 1, 0, 1, 100)
    assert three_a_cent.worth_of(6, 100) == 2
    for points in (2, 4, 5):
        with pytest.raises(Refusal, match="points_worth_nothing"):
            three_a_cent.worth_of(points, 100)


def captured(event: RedemptionRequested) -> Redemption:
    return replace(begin("cafe", "ann", "v1", event, NOON, 7), state=State.CAPTURED)


@given(st.permutations([(1, 1), (1, 1), (2, 1), (3, 1), (3, 1), (3, 1)]), st.sampled_from([0, 200, 1_300]))
def test_lines_that_come_back_bring_their_share_of_the_points_and_all_of_them_all(
    returned: list[tuple[int, int]], points: int
) -> None:
    worth = points // 2
    redemption = captured(held(order(points=points, money=700, outside=2_761 - worth - 700)))
    back = [0, 0, 0]
    for number, line in enumerate(returned, 1):
        (event, *_) = request_refund(redemption, AskRefund("r1", f"k{number}", lines=(line,)))
        redemption = evolve(redemption, event, NOON)  # type: ignore[arg-type]
        for settled in settle(redemption, RefundStands(number)):
            redemption = evolve(redemption, settled, NOON)
        asked_for = redemption.refunds[-1]
        part = (asked_for.points, asked_for.money, asked_for.outside)
        assert all(amount >= 0 for amount in part)
        back = [a + b for a, b in zip(back, part, strict=True)]
    assert back == [points, 700, 2_761 - worth - 700]
    assert redemption.state is State.REFUNDED
