"""Returns whose purchase is not known: refused, kept until it comes, or recorded without one."""

from __future__ import annotations

import pytest

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain.events import (
    Decided,
    MemberEnrolled,
    ParkedReturnRefused,
    PointsAccrued,
    PointsClawedBack,
    PurchaseRecorded,
    ReturnedLine,
    ReturnParked,
    ReturnRecorded,
)
from services.ledger.domain.evolve import evolve
from tests.unit.ledger_given import (
    CHAIN,
    DAY,
    NOON,
    Given,
    capture,
    enrol,
    hold,
    line,
    program,
    purchase,
    return_,
)

PARK = program(returns={"unknown_purchase": "park"})
RECORD = program(returns={"without_purchase": "record"})
FORGIVE = program(returns={"shortfall": "forgive"})


def test_a_return_before_its_purchase_is_refused_unless_the_program_parks_it() -> None:
    with pytest.raises(Refusal, match="purchase_unknown"):
        Given(enrol()).when(return_())
    brought = return_()
    assert Given(enrol(), rules=PARK).when(brought) == [ReturnParked(brought.activity)]


def test_a_parked_return_is_settled_behind_its_purchase() -> None:
    brought, bought = return_(at=NOON + DAY), purchase(lines=[line(1, 9_000, 3)])
    given = Given(enrol(), brought, rules=PARK)
    recorded, accrued, returned, taken = given.when(bought)
    assert recorded == PurchaseRecorded(bought.purchase)
    assert isinstance(accrued, PointsAccrued)
    assert accrued.points == 90
    assert returned == ReturnRecorded(
        brought.activity, [ReturnedLine(1, "sku-1", "FOOD", 1, 3_000)], NOON, parked=True
    )
    assert taken == PointsClawedBack("p1", "return", 30, "", [(given.lot(), 30)], 0)
    assert given.balance() == (60, 0, 0)
    assert given.member().parked == {}


def test_in_whichever_order_they_come_the_balance_is_the_same() -> None:
    bought = purchase(lines=[line(1, 10_000, 3)])
    back = [return_(id_=f"r{n}") for n in range(3)]
    for first in range(4):
        given = Given(enrol(), *back[:first], bought, *back[first:], rules=PARK)
        assert given.balance() == (0, 0, 0)


def test_a_parked_return_waits_for_its_own_purchase_and_member() -> None:
    given = Given(enrol(), enrol("bob"), return_("p1"), rules=PARK)
    given.when(purchase("p2"))
    given.when(purchase("p1", member="bob"))
    assert given.balance() == (50, 0, 0)
    assert given.balance("bob") == (50, 0, 0)
    assert list(given.member().parked) == ["p1"]


@pytest.mark.parametrize(
    ("units", "code"), [(((2, 1),), "line_unknown"), (((1, 2),), "quantity_exceeds_purchase")]
)
def test_a_parked_return_that_does_not_fit_its_purchase_is_refused_then(
    units: tuple[tuple[int, int], ...], code: str
) -> None:
    given = Given(enrol(), return_(units=units), return_(id_="r2"), rules=PARK)
    refused, returned = given.when(purchase())[2:4]
    assert isinstance(refused, ParkedReturnRefused)
    assert (refused.id, refused.of, refused.code) == ("r1", "p1", code)
    assert isinstance(returned, ReturnRecorded)
    assert given.balance() == (0, 0, 0)
    assert given.member().parked == {}


def test_a_parked_return_can_be_the_first_that_is_heard_of_a_member() -> None:
    brought = return_()
    given = Given(rules=PARK)
    assert given.when(brought) == [MemberEnrolled("first_activity"), ReturnParked(brought.activity)]
    given.when(purchase())
    assert given.balance() == (0, 0, 0)
    with pytest.raises(Refusal, match="unknown_member"):
        Given(rules=program(enrolment="required", returns={"unknown_purchase": "park"})).when(brought)
    with pytest.raises(Refusal, match="unknown_member"):
        Given(rules=PARK).when(return_(member="card:ff"))


def test_what_can_be_no_quantity_is_not_parked() -> None:
    with pytest.raises(Refusal, match="quantity_out_of_range"):
        Given(rules=PARK).when(return_(units=[(1, 0)]))


def test_what_is_parked_is_settled_under_a_version_that_parks_no_more() -> None:
    given = Given(enrol(), return_(), rules=PARK)
    given.activate(program("v2"))
    given.when(purchase())
    assert given.balance() == (0, 0, 0)


def test_a_return_of_no_purchase_is_refused_by_its_own_code_or_is_a_fact_without_claw_back() -> None:
    for rules in (program(), PARK):
        with pytest.raises(Refusal, match="return_without_purchase"):
            Given(purchase(), rules=rules).when(return_(""))
    brought = return_("")
    given = Given(purchase(), rules=RECORD)
    assert given.when(brought) == [ReturnRecorded(brought.activity, [], NOON)]
    assert given.balance() == (50, 0, 0)
    assert given.member().settlements == {}
    with pytest.raises(Refusal, match="purchase_unknown"):
        given.when(return_("p9"))


def test_what_no_lot_can_pay_is_forgiven_where_the_program_says_so() -> None:
    given = Given(purchase(lines=[line(1, 10_000, 2)]), hold(80), capture(), rules=FORGIVE)
    assert given.when(return_())[1] == PointsClawedBack(
        "p1", "return", 20, "", [(given.lot(), 20)], 0, forgiven=30
    )
    assert given.balance() == (0, 0, 0)
    assert given.when(return_(id_="r2"))[1] == PointsClawedBack("p1", "return", 0, "", [], 0, forgiven=50)
    assert given.balance() == (0, 0, 0)
    given.when(purchase("p2", 5_000))
    assert given.balance() == (50, 0, 0)


def test_only_a_return_is_forgiven_and_only_by_the_version_of_its_purchase() -> None:
    given = Given(purchase(amount=10_000), hold(100), capture())
    given.activate(program("v2", returns={"shortfall": "forgive"}))
    given.when(return_())
    assert given.balance() == (-100, 0, 100)


@pytest.mark.parametrize(
    "event",
    [
        ParkedReturnRefused("r9", "p9", "line_unknown", ""),
        ReturnRecorded(return_("p9", id_="r9").activity, [], NOON, parked=True),
    ],
)
def test_what_does_not_wait_cant_be_let_go(event: object) -> None:
    given = Given(enrol(), return_("p9"), rules=PARK)
    with pytest.raises(InvariantBroken):
        evolve(given.book, CHAIN, "grocer", Decided(event, "ann", NOON), 99)  # type: ignore[arg-type]
