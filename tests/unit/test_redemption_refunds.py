"""Refunds: whole, by amount, by line; what they do to stock and vouchers; and which refusal is told first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from services.common.errors import Refusal
from services.rewards.domain import value_sales
from services.rewards.domain.award_events import MoneyPromised
from services.rewards.domain.awards import Award, AwardState
from services.rewards.domain.consequences import follow, pack_of
from services.rewards.domain.decide import LedgerRefused, RefundStands, hear, settle
from services.rewards.domain.events import RedemptionCaptured, RedemptionEvent, RedemptionRequested
from services.rewards.domain.facts import SpendRefunded
from services.rewards.domain.payment import BasketLine, PayingVoucher
from services.rewards.domain.redemption import Redemption, RefundState, State, begin, evolve
from services.rewards.domain.refund_events import RedemptionRefunded, RefundRefused, RefundRequested
from services.rewards.domain.refunds import (
    REFUNDS_MAX,
    AskRefund,
    from_ledger_key,
    ledger_key,
    outcome_of_refund,
    request_refund,
)
from services.rewards.domain.voucher_events import VoucherUnused, VoucherVoided
from services.rewards.domain.voucher_terms import Pack, Terms
from services.rewards.domain.vouchers import Voucher, VoucherState
from services.rewards.wire import event_of, payload_of

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
BASKET = (BasketLine(1, "A", "", 3, 1000), BasketLine(2, "B", "", 1, 0), BasketLine(7, "C", "", 2, 501))
REQUESTED = RedemptionRequested(
    "r1", "kit", "o1", 100, 600, "product", "Kit", 0, None, "USD", 1001, "s1", (), 500, True, lines=BASKET
)
DRINK = Terms("drink", "drink", "product")


def captured(requested: RedemptionRequested = REQUESTED) -> Redemption:
    redemption = begin("beauty", "ann", "v1", requested, NOON, 7)
    return replace(redemption, state=State.CAPTURED)


def refunded(redemption: Redemption, asked: AskRefund) -> Redemption:
    """The redemption once the ledger has given back what was asked for."""
    redemption = then(redemption, request_refund(redemption, asked))
    if redemption.state is State.REFUNDING:
        redemption = then(redemption, settle(redemption, RefundStands(redemption.refunding.number)))
    return redemption


def then(redemption: Redemption, events: Sequence[RedemptionEvent]) -> Redemption:
    for event in events:
        redemption = evolve(redemption, event, NOON)
    return redemption


def ask(refund: str = "k1", **what: Any) -> AskRefund:
    return AskRefund("r1", refund, **what)


def test_a_refund_of_nothing_in_particular_is_of_all_that_is_left() -> None:
    (event,) = request_refund(captured(), ask())
    assert event == RefundRequested("r1", "k1", 1, 100, 1001, 500, (), False)
    redemption = refunded(captured(), ask())
    assert (redemption.state, redemption.left) == (State.REFUNDED, (0, 0, 0))


def test_a_refund_by_amount_leaves_the_rest() -> None:
    redemption = refunded(captured(), ask(points=60, money=1))
    assert (redemption.state, redemption.left) == (State.CAPTURED, (40, 1000, 500))
    (event,) = request_refund(redemption, ask("k2"))
    assert isinstance(event, RefundRequested)
    assert (event.number, event.points, event.money, event.outside) == (2, 40, 1000, 500)


def test_what_was_paid_outside_only_is_refunded_without_the_ledger() -> None:
    redemption = refunded(captured(), ask(points=100, money=1001))
    events = request_refund(redemption, ask("k2"))
    assert events[1] == RedemptionRefunded("r1", "k2", 0, 0, 500, True)
    assert then(redemption, events).state is State.REFUNDED


def test_a_line_is_worth_its_share_of_everything_that_was_paid() -> None:
    """1501 in all: one of three units of 1000 is 333, floored shares of it 22 of 100, 222 of 1001, 110 of 500."""
    (event,) = request_refund(captured(), ask(lines=((1, 1),)))
    assert isinstance(event, RefundRequested)
    assert (event.points, event.money, event.outside) == (22, 222, 110)


@examples(st.permutations([1, 1, 1, 2, 7, 7]), st.integers(0, 99))
def test_line_by_line_in_any_order_all_comes_back_and_never_more(order: list[int], by_amount: int) -> None:
    redemption = captured()
    if by_amount:
        redemption = refunded(redemption, ask("first", points=by_amount))
    for number, line in enumerate(order):
        if redemption.state is State.REFUNDED:
            assert set(order[number:]) == {2}, "only what cost nothing may be left"
            break
        redemption = refunded(redemption, ask(f"k{number}", lines=((line, 1),)))
        assert min(redemption.left) >= 0
    assert (redemption.state, redemption.left) == (State.REFUNDED, (0, 0, 0))


def test_a_refused_refund_counts_for_nothing() -> None:
    redemption = then(captured(), request_refund(captured(), ask(lines=((1, 3),))))
    closed = LedgerRefused("member_closed", "the member was closed")
    redemption = then(redemption, settle(redemption, closed))
    assert (redemption.state, redemption.left) == (State.CAPTURED, (100, 1001, 500))
    with pytest.raises(Refusal, match="member_closed"):
        outcome_of_refund(redemption, "k1")
    assert refunded(redemption, ask("k2", lines=((1, 3),))).left[0] < 100


def test_the_answer_to_another_refund_tells_nothing() -> None:
    redemption = then(captured(), request_refund(captured(), ask()))
    assert settle(redemption, RefundStands(2)) == []
    assert settle(captured(), RefundStands(1)) == []
    assert settle(refunded(captured(), ask()), RefundStands(1)) == []


def test_the_ledger_s_stream_finishes_a_refund() -> None:
    redemption = then(captured(), request_refund(captured(), ask()))
    assert hear(redemption, SpendRefunded("r1:refund1", "o1", 100)) == [
        RedemptionRefunded("r1", "k1", 100, 1001, 500, True)
    ]
    assert hear(redemption, SpendRefunded("r1:refund1", "o2", 100)) == []
    assert hear(redemption, SpendRefunded("by-hand", "o1", 100)) == []


@pytest.mark.parametrize("redemption", ["r1", "a:refund2", "x" * 100])
def test_a_refund_s_key_at_the_ledger_names_it(redemption: str) -> None:
    assert from_ledger_key(ledger_key(redemption, REFUNDS_MAX)) == (redemption, REFUNDS_MAX)
    assert len(ledger_key(redemption, REFUNDS_MAX)) <= 128
    assert from_ledger_key("r1:capture") is None
    assert from_ledger_key("r1:refund") is None


def test_stock_comes_back_with_the_refund_that_says_so_once() -> None:
    redemption = captured()
    assert redemption.takes_stock
    redemption = then(redemption, request_refund(redemption, ask(points=1, restock=True)))
    assert redemption.takes_stock, "not before the ledger has answered"
    redemption = then(redemption, settle(redemption, RefundStands(1)))
    assert not redemption.takes_stock
    with pytest.raises(Refusal, match="not_stocked"):
        request_refund(redemption, ask("k2", points=1, restock=True))
    assert refunded(captured(), ask()).takes_stock, "a whole refund alone puts nothing back"


def test_what_never_was_paid_takes_no_stock() -> None:
    for state in (State.CANCELLED, State.TIMED_OUT, State.REFUSED):
        assert not replace(captured(), state=state).takes_stock


def voucher(id_: str, state: VoucherState = VoucherState.ISSUED, order: str | None = None) -> Voucher:
    return Voucher(id_, "beauty", "ann", DRINK, state, "ops", "k", NOON, NOON, None, 1, order=order)


def test_the_voucher_that_paid_is_good_again_when_all_is_given_back() -> None:
    paying = voucher("v1", VoucherState.USED, "o1")
    redemption = captured(replace(REQUESTED, vouchers=(PayingVoucher("v1", 5),)))
    whole = RedemptionRefunded("r1", "k1", 100, 1001, 500, True)
    assert follow(redemption, whole, {"v1": paying}, NOON) == [VoucherUnused("v1", "o1")]
    assert follow(redemption, replace(whole, whole=False), {"v1": paying}, NOON) == []
    # Used for another order meanwhile, by hand.
    assert follow(redemption, whole, {"v1": replace(paying, order="o2")}, NOON) == []


def test_a_pack_comes_back_whole_or_not_at_all() -> None:
    redemption = captured(replace(REQUESTED, pack=Pack(DRINK, 2)))
    ids = pack_of(redemption)
    held = {id_: voucher(id_) for id_ in ids}
    used = [voucher(ids[0]), voucher(ids[1], VoucherState.USED, "o9")]
    with pytest.raises(Refusal, match="voucher_pack_used"):
        request_refund(redemption, ask(), used)
    assert request_refund(redemption, ask(points=1), used)
    (event,) = request_refund(redemption, ask(), list(held.values()))
    asked = then(redemption, [event])
    assert follow(asked, event, held, NOON) == [VoucherVoided(id_, "refunded") for id_ in ids]


CARD = replace(REQUESTED, kind="stored_value", value=700)
GIVEN = Award(
    "a", "beauty", "ann", 0, "redemption", "r1", AwardState.GIVEN, NOON, NOON, 8, money=700, currency="USD"
)


def test_stored_value_is_promised_with_the_capture() -> None:
    card = captured(CARD)
    (promised,) = value_sales.follow(card, RedemptionCaptured("r1"))
    assert promised == MoneyPromised(value_sales.award_of(card), 700, "USD", "redemption", "r1")
    assert value_sales.follow(captured(), RedemptionCaptured("r1")) == []
    assert value_sales.award_of(replace(card, member="bob")) == promised.award, "whoever ann is merged into"


def test_stored_value_is_taken_back_with_the_last_of_its_price_only() -> None:
    (part,) = request_refund(captured(CARD), ask(points=99), credit=GIVEN)
    (rest,) = request_refund(captured(CARD), ask(), credit=GIVEN)
    assert isinstance(part, RefundRequested)
    assert isinstance(rest, RefundRequested)
    assert (part.value, rest.value) == (0, 700)
    assert then(captured(CARD), [rest]).refunding.value == 700
    assert event_of(*payload_of(rest)) == rest


def test_the_ledger_is_asked_for_stored_value_where_nothing_else_is_left() -> None:
    outside_only = replace(captured(CARD), points=0, money=0)
    events = request_refund(outside_only, ask(), credit=GIVEN)
    assert [type(event) for event in events] == [RefundRequested]


def test_stored_value_that_is_on_its_way_is_waited_for_and_what_was_refused_is_not_there() -> None:
    waiting = replace(GIVEN, state=AwardState.PROMISED)
    with pytest.raises(Refusal, match="stored_value_on_its_way"):
        request_refund(captured(CARD), ask(), credit=waiting)
    assert request_refund(captured(CARD), ask(points=1), credit=waiting)
    (event,) = request_refund(captured(CARD), ask(), credit=replace(GIVEN, state=AwardState.REFUSED))
    assert isinstance(event, RefundRequested)
    assert event.value == 0


def refusals(state: State = State.CAPTURED, refunds: int = 0, **what: Any) -> str:
    redemption = captured()
    if refunds:
        redemption = refunded(redemption, ask("one", lines=((1, 3),), restock=True))
        redemption = replace(
            redemption, refunds=tuple(replace(redemption.refunds[0], number=n, points=0, money=0, outside=0)
                                      for n in range(1, refunds + 1)),
        )  # fmt: skip
    if what.pop("no_basket", False):
        redemption = replace(redemption, lines=())
    with pytest.raises(Refusal) as caught:
        request_refund(replace(redemption, state=state), ask(**what))
    return caught.value.code


def test_refusals_come_in_the_order_of_the_page() -> None:
    everything: dict[str, Any] = {"lines": ((9, 1), (1, 4)), "restock": True}
    assert refusals(State.REFUNDED, REFUNDS_MAX, **everything) == "already_refunded"
    assert refusals(State.CAPTURED, REFUNDS_MAX, **everything) == "refunds_exhausted"
    assert refusals(no_basket=True, **everything) == "basket_unknown"
    assert refusals(**everything) == "line_unknown"
    assert refusals(lines=((1, 4), (9, 1))) == "quantity_exceeds_basket"
    assert refusals(points=101, restock=True) == "refund_exceeds_payment"
    assert refusals(money=1002) == "refund_exceeds_payment"
    assert refusals(points=0, restock=True, refunds=1) == "nothing_to_refund"
    assert refusals(points=1, restock=True, refunds=1) == "not_stocked"
    page = (Path(__file__).parents[2] / "docs" / "redemptions.md").read_text()
    table = page.partition("## A refund")[2].partition("## A crash")[0]
    assert [row.split("`")[1] for row in table.splitlines() if row[2:3].isdigit()] == [
        "unknown_redemption", "refunds_exhausted", "basket_unknown", "line_unknown", "quantity_exceeds_basket",
        "refund_exceeds_payment", "nothing_to_refund", "not_stocked", "voucher_pack_used",
        "stored_value_on_its_way", "draw_tickets_used",
    ]  # fmt: skip


def test_whoever_asks_again_is_told_what_became_of_it() -> None:
    redemption = then(captured(), request_refund(captured(), ask()))
    with pytest.raises(Refusal, match="temporarily_unavailable"):
        outcome_of_refund(redemption, "k1")
    done = refunded(captured(), ask())
    assert outcome_of_refund(done, "k1").refunds[0].state is RefundState.REFUNDED
    refused = then(redemption, [RefundRefused("r1", "k1", "order_unknown", "no such order")])
    assert outcome_of_refund(refused, "another") is refused
