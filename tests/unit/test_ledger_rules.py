"""The ledger's rules: given what has happened, when one more command comes, then these events."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain.checks import FUTURE_TOLERANCE
from services.ledger.domain.clock import tick_before
from services.ledger.domain.commands import RecordPurchase
from services.ledger.domain.earning import explain
from services.ledger.domain.events import (
    ClockAdvanced,
    Decided,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    IdentifiersLinked,
    MemberEnrolled,
    PointsAccrued,
    PointsClawedBack,
    PointsExpired,
    PurchaseRecorded,
    ReturnedLine,
    ReturnRecorded,
    TierAssigned,
)
from services.ledger.domain.evolve import evolve
from services.ledger.domain.postings import postings_of
from tests.unit.ledger_given import (
    CHAIN,
    DAY,
    NOON,
    Given,
    capture,
    clock,
    enrol,
    hold,
    line,
    program,
    purchase,
    release,
    return_,
    tier,
)

YEAR_ON = NOON.replace(year=2027)
MINUTE = timedelta(minutes=1)
ANN = "member/ann"


def test_the_first_purchase_enrols_and_earns() -> None:
    bought = purchase(amount=3_745)
    assert Given().when(bought) == [
        MemberEnrolled("first_activity"),
        PurchaseRecorded(bought.purchase),
        PointsAccrued("p1", "purchase", 37, "", 3_745, program().version, YEAR_ON, 0),
    ]


def test_a_purchase_that_earns_nothing_is_recorded_all_the_same() -> None:
    given = Given(enrol())
    bought = purchase(lines=[line(1, 9_900, category="FUEL"), line(2, 99)])
    assert given.when(bought) == [PurchaseRecorded(bought.purchase)]
    assert given.balance() == (0, 0, 0)


def test_points_are_rounded_once_over_the_whole_purchase() -> None:
    given = Given(enrol())
    given.when(purchase(lines=[line(1, 150), line(2, 150)]))
    assert given.balance() == (3, 0, 0)


@pytest.mark.parametrize(
    ("amount", "floor", "half_up"), [(149, 1, 1), (150, 1, 2), (151, 1, 2), (49, 0, 0), (50, 0, 1)]
)
def test_rounding_is_the_programs(amount: int, floor: int, half_up: int) -> None:
    for rounding, points in (("floor", floor), ("half_up", half_up)):
        rules = program(earning={"points_per_unit": 1, "rounding": rounding})
        given = Given(enrol(), purchase(amount=amount), rules=rules)
        assert given.balance() == (points, 0, 0)


def test_a_tier_counts_for_what_comes_after_it() -> None:
    given = Given(enrol(), tier("gold", NOON))
    given.when(purchase("at", 10_000, at=NOON))
    assert given.balance() == (100, 0, 0)
    (_, accrued) = given.when(purchase("after", 10_000, at=NOON + timedelta(microseconds=1)))
    assert isinstance(accrued, PointsAccrued)
    assert (accrued.points, accrued.tier) == (150, "gold")
    assert accrued.amount == 10_000


def test_a_tier_learnt_late_is_made_good_for_the_purchases_since() -> None:
    given = Given(enrol(), purchase("before", 10_000, at=NOON))
    given.when(purchase("after", 10_000, at=NOON + MINUTE))
    assert given.when(tier("gold", NOON))[1:] == [
        PointsAccrued("after", "tier_change", 50, "gold", 10_000, program().version, YEAR_ON + MINUTE, 0)
    ]
    assert given.balance() == (250, 0, 0)


def test_an_accrual_is_explained_rule_by_rule() -> None:
    assert explain(program(), 3_745, "") == [
        ("base", "3745 USD minor units x 1/100 = 37.45"),
        ("rounding floor", "37.45 -> 37"),
    ]
    assert explain(program(), 10_000, "gold") == [
        ("base", "10000 USD minor units x 1/100 = 100"),
        ("tier gold", "x 1.5 = 150"),
        ("rounding floor", "150 -> 150"),
    ]


def test_a_lower_tier_learnt_late_takes_the_difference_back() -> None:
    given = Given(enrol(), tier("gold", NOON - DAY), purchase("p1", 10_000, at=NOON + MINUTE))
    assert given.balance() == (150, 0, 0)
    assigned, taken = given.when(tier("member", NOON))
    assert isinstance(assigned, TierAssigned)
    lot = next(iter(given.member().lots))
    assert taken == PointsClawedBack("p1", "tier_change", 50, "member", [(lot, 50)], 0)
    assert given.balance() == (100, 0, 0)


def test_a_return_takes_back_what_its_units_earned_from_its_own_lot() -> None:
    given = Given(purchase("old", 10_000), purchase(lines=[line(1, 9_000, 3), line(2, 1_000)]))
    brought = return_(units=[(1, 2)])
    lot = max(given.member().lots)
    assert given.when(brought) == [
        ReturnRecorded(brought.activity, [ReturnedLine(1, "sku-1", "FOOD", 2, 6_000)], NOON),
        PointsClawedBack("p1", "return", 60, "", [(lot, 60)], 0),
    ]
    assert given.balance() == (140, 0, 0)


def test_a_line_named_twice_in_a_return_counts_together() -> None:
    given = Given(purchase(lines=[line(1, 9_000, 3)]))
    given.when(return_(units=[(1, 1), (1, 2)]))
    assert given.balance() == (0, 0, 0)
    with pytest.raises(Refusal, match="quantity_exceeds_purchase"):
        given.when(return_(id_="r2"))


def test_a_return_of_what_earned_nothing_takes_nothing() -> None:
    given = Given(purchase(lines=[line(1, 5_000), line(2, 9_000, category="FUEL")]))
    assert [type(event) for event in given.when(return_(units=[(2, 1)]))] == [ReturnRecorded]
    assert given.balance() == (50, 0, 0)


def test_what_was_spent_already_becomes_debt_and_later_points_repay_it() -> None:
    given = Given(purchase(amount=10_000), hold(80), capture())
    assert given.when(return_())[1] == PointsClawedBack("p1", "return", 100, "", [(given.lot(), 20)], 80)
    assert given.balance() == (-80, 0, 80)
    accrued = given.when(purchase("p2", 5_000))[1]
    assert isinstance(accrued, PointsAccrued)
    assert (accrued.points, accrued.debt_repaid) == (50, 50)
    assert given.balance() == (-30, 0, 30)
    given.when(purchase("p3", 5_000))
    assert given.balance() == (20, 0, 0)
    assert [lot.amount for lot in given.member().lots.values() if lot.remaining] == [20]


def test_points_set_aside_are_not_clawed_back() -> None:
    given = Given(purchase(amount=10_000), hold(100))
    assert given.when(return_())[1] == PointsClawedBack("p1", "return", 100, "", [], 100)
    assert given.balance() == (0, 100, 100)
    given.when(release())
    assert given.member().available == 0
    with pytest.raises(Refusal, match="0 available"):
        given.when(hold(1, "h2"))


def test_a_hold_takes_the_lots_that_expire_first_then_the_oldest() -> None:
    given = Given(enrol())
    for id_, at in (("late", NOON + DAY), ("early", NOON), ("also_early", NOON)):
        given.when(purchase(id_, 1_000, at=at))
    late, early, also_early = given.member().lots
    placed = given.when(hold(25))
    assert placed == [
        HoldPlaced("h1", "order-h1", 25, given.book.programs[CHAIN, "grocer"].clock + 15 * MINUTE,
                   [(early, 10), (also_early, 10), (late, 5)])
    ]  # fmt: skip
    assert given.balance() == (30, 25, 0)


def test_the_last_point_can_be_held_and_not_one_more() -> None:
    given = Given(purchase(amount=10_000), hold(60))
    given.when(hold(40, "h2"))
    with pytest.raises(Refusal, match="insufficient_points"):
        given.when(hold(1, "h3"))


def test_a_part_captured_frees_the_rest() -> None:
    given = Given(purchase(amount=10_000), hold(60))
    assert given.when(capture(amount=45)) == [
        HoldCaptured("h1", "order-h1", 45, [(given.lot(), 45)], [(given.lot(), 15)])
    ]
    assert given.balance() == (55, 0, 0)


def test_a_released_hold_frees_everything() -> None:
    given = Given(purchase(amount=10_000), hold(60))
    assert given.when(release()) == [HoldReleased("h1", "order-h1", 60, "released", [(given.lot(), 60)])]
    assert given.balance() == (100, 0, 0)


def test_a_hold_times_out_at_its_instant_and_not_before() -> None:
    given = Given(clock(NOON), purchase(amount=10_000), hold(60, ttl=60))
    end = NOON + MINUTE
    before = end - timedelta(microseconds=1)
    assert given.when(clock(before)) == [ClockAdvanced(before)]
    assert given.when(clock(end)) == [
        ClockAdvanced(end), HoldReleased("h1", "order-h1", 60, "expired", [(given.lot(), 60)])
    ]  # fmt: skip
    with pytest.raises(Refusal, match="hold_expired"):
        given.when(capture())


def test_points_expire_at_their_instant_and_not_before() -> None:
    given = Given(purchase(amount=10_000))
    given.when(clock(YEAR_ON - timedelta(microseconds=1)))
    assert given.balance() == (100, 0, 0)
    assert given.when(clock(YEAR_ON)) == [ClockAdvanced(YEAR_ON), PointsExpired(given.lot(), 100)]
    assert given.balance() == (0, 0, 0)


def test_expiry_happens_in_the_order_of_time_whenever_the_clock_comes() -> None:
    given = Given(purchase("b", 2_000, at=NOON + MINUTE), purchase("a", 1_000, at=NOON))
    happened = given.decided(clock(YEAR_ON + DAY))
    assert [(type(d.event), d.occurred_at) for d in happened[1:]] == [
        (PointsExpired, YEAR_ON), (PointsExpired, YEAR_ON + MINUTE)
    ]  # fmt: skip


def test_a_hold_protects_its_lots_from_expiry() -> None:
    given = Given(clock(YEAR_ON - MINUTE), purchase(amount=10_000), hold(60, ttl=3_600))
    assert given.when(clock(YEAR_ON))[1:] == [PointsExpired(given.lot(), 40)]
    assert given.balance() == (60, 60, 0)
    given.when(capture())
    assert given.balance() == (0, 0, 0)


@pytest.mark.parametrize("end", [release(), capture(amount=10), clock(YEAR_ON + 60 * MINUTE)])
def test_what_a_hold_protected_past_its_day_expires_with_the_hold(end: RecordPurchase) -> None:
    given = Given(clock(YEAR_ON - MINUTE), purchase(amount=10_000), hold(60, ttl=3_600), clock(YEAR_ON))
    happened = given.when(end)
    assert isinstance(happened[-1], PointsExpired)
    assert given.balance() == (0, 0, 0)


def test_points_past_their_day_cant_be_set_aside_though_the_ticker_has_not_come_yet() -> None:
    given = Given(clock(NOON), purchase(amount=10_000), rules=program(clock="wall"))
    with pytest.raises(Refusal, match="0 available"):
        given.when(hold(1, now=YEAR_ON))
    given.when(hold(1, now=YEAR_ON - timedelta(microseconds=1)))


def test_points_past_their_day_dont_stand_for_debt_though_the_ticker_has_not_come_yet() -> None:
    """60 points are owed. The day of the old 50 is over, so of the new 100 only 40 are the member's to spend."""
    given = Given(enrol(), rules=program(clock="wall"))
    for id_, amount, at in (("spent", 6_000, NOON), ("old", 5_000, NOON), ("new", 10_000, NOON + DAY)):
        given.when(purchase(id_, amount, at=at))
    given.when(hold(60, "h0"))
    given.when(hold(150))
    given.when(capture("h0"))
    given.when(return_("spent"))
    given.when(release())
    assert given.balance() == (90, 0, 60)
    with pytest.raises(Refusal, match="40 available"):
        given.when(hold(41, "h2", now=YEAR_ON))
    assert given.when(hold(40, "h2", now=YEAR_ON))


def test_an_expiry_of_31_january_plus_a_month_is_the_last_of_february() -> None:
    given = Given(rules=program(expiry={"months": 1}))
    given.when(purchase(at=datetime(2026, 1, 31, 8, tzinfo=UTC), now=NOON + 30 * DAY))
    assert given.member().lots[given.lot()].expires_at == datetime(2026, 2, 28, 8, tzinfo=UTC)


def test_points_of_a_program_without_expiry_stay() -> None:
    given = Given(purchase(amount=10_000), rules=replace(program(), expiry_months=None))
    given.when(clock(datetime(2900, 1, 1, tzinfo=UTC)))
    assert given.balance() == (100, 0, 0)


def test_a_clock_never_goes_back() -> None:
    given = Given(clock(NOON))
    assert given.when(clock(NOON)) == []
    assert given.when(clock(NOON - DAY)) == []


def test_enrolment_links_what_is_new_once() -> None:
    given = Given()
    assert given.when(enrol("ann", ("card", b"1"), ("card", b"1"))) == [
        MemberEnrolled("enrolment"), IdentifiersLinked([("card", b"1")])
    ]  # fmt: skip
    assert given.when(enrol("ann", ("card", b"1"), ("phone", b"2"))) == [IdentifiersLinked([("phone", b"2")])]


def test_a_return_is_settled_by_the_version_that_its_purchase_was_made_under() -> None:
    given = Given(purchase(amount=10_000))
    given.activate(program("v2", earning={"points_per_unit": 5}))
    given.when(purchase("p2", 10_000))
    assert given.balance() == (600, 0, 0)
    given.when(return_())
    assert given.balance() == (500, 0, 0)
    given.when(return_("p2"))
    assert given.balance() == (0, 0, 0)


@pytest.mark.parametrize("at", [NOON + FUTURE_TOLERANCE, datetime(1970, 1, 1, tzinfo=UTC)])
def test_the_first_and_the_last_time_that_are_taken(at: datetime) -> None:
    given = Given(clock(NOON))
    assert given.when(purchase(at=at))


def test_a_new_day_in_the_stream_moves_the_clock_of_a_program_that_runs_on_events() -> None:
    given = Given(purchase())
    tick = tick_before(given.book, purchase("p2", at=NOON + DAY))
    assert tick is not None
    assert tick.to == (NOON + DAY).replace(hour=0)
    given.when(tick)
    assert tick_before(given.book, purchase("p2", at=NOON + DAY + MINUTE)) is None
    assert tick_before(given.book, purchase("late", at=NOON)) is None
    assert tick_before(given.book, purchase("future", at=NOON + DAY + FUTURE_TOLERANCE + DAY)) is None
    assert tick_before(given.book, hold(1)) is None


def test_only_commands_move_the_clock_of_a_program_that_runs_on_the_wall() -> None:
    given = Given(purchase(), rules=program(clock="wall"))
    assert tick_before(given.book, purchase("p2", at=NOON + DAY)) is None


@pytest.mark.parametrize(
    ("event", "accounts"),
    [
        (PointsAccrued("p", "purchase", 10, "", 999, "v", None, 4),
         [("issued", ANN, 6, 7), ("issued", ANN, 4, None)]),
        (PointsAccrued("p", "purchase", 4, "", 400, "v", None, 4), [("issued", ANN, 4, None)]),
        (PointsClawedBack("p", "return", 5, "", [(1, 2)], 3),
         [(ANN, "clawed_back", 2, 1), (ANN, "clawed_back", 3, None)]),
        (HoldCaptured("h", "o", 5, [(1, 2), (2, 3)], [(2, 1)]),
         [(ANN, "redeemed", 2, 1), (ANN, "redeemed", 3, 2)]),
        (PointsExpired(1, 9), [(ANN, "breakage", 9, 1)]),
        (HoldPlaced("h", "o", 5, NOON, [(1, 5)]), []),
    ],
)  # fmt: skip
def test_postings_move_points_between_two_accounts(
    event: object, accounts: list[tuple[str, str, int, int | None]]
) -> None:
    found = postings_of(event, "ann", 7)  # type: ignore[arg-type]
    assert [(debit, credit, amount, lot) for debit, credit, _, amount, lot in found] == accounts


@pytest.mark.parametrize(
    "event",
    [
        MemberEnrolled("enrolment"), HoldCaptured("h9", "o", 1, []), PointsExpired(9, 1), PointsExpired(4, 101),
        HoldReleased("h9", "o", 1, "released", []), PointsClawedBack("p1", "return", 101, "", [(4, 101)], 0),
    ],
    ids=lambda event: type(event).__name__,
)  # fmt: skip
def test_an_event_that_cant_follow_is_refused_by_the_book(event: object) -> None:
    given = Given(purchase(amount=10_000))
    with pytest.raises(InvariantBroken):
        evolve(given.book, CHAIN, "grocer", Decided(event, "ann", NOON), 99)  # type: ignore[arg-type]
