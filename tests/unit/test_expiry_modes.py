"""How points end: with the month, on a fixed day of the year, or when their member was inactive for too long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.common.errors import Refusal
from services.common.program_section import ProgramError
from services.ledger.domain.earning import expiry_of
from services.ledger.domain.events import (
    Event,
    MemberActive,
    MemberLapsed,
    PointsAccrued,
    PointsExpired,
)
from services.ledger.domain.inactivity import lapsing_within
from services.ledger.domain.postings import postings_of
from services.ledger.domain.program import Program, parse_program
from tests.unit.ledger_given import (
    CHAIN,
    DAY,
    LEDGER,
    NOON,
    Given,
    capture,
    clock,
    hold,
    program,
    purchase,
    release,
    return_,
    tier,
)

LAPSE = datetime(2027, 1, 6, tzinfo=UTC)
"""The end of the day a year after NOON."""


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def in_zone(zone: str, **expiry: Any) -> Program:
    document = {"program": "grocer", "time_zone": zone, "ledger": {**LEDGER, "expiry": expiry}}
    return parse_program(document, "v1")


def inactive(**ledger: Any) -> Program:
    """The grocer's points live a year from the last purchase or redemption."""
    return program(**{"expiry": {"inactivity_months": 12}, **ledger})


def lapses(events: list[Event]) -> list[MemberLapsed]:
    return [event for event in events if isinstance(event, MemberLapsed)]


@pytest.mark.parametrize(
    ("earned", "zone", "expires"),
    [
        ("2026-01-05T12:00", "UTC", "2026-07-05T12:00"),
        ("2026-08-31T12:00", "UTC", "2027-02-28T12:00"),
        ("2026-01-05T12:00", "America/New_York", "2026-07-05T11:00"),
    ],
)
def test_after_months_points_expire_at_the_same_local_time(earned: str, zone: str, expires: str) -> None:
    assert expiry_of(in_zone(zone, months=6), utc(earned)) == utc(expires)


@pytest.mark.parametrize(
    ("earned", "zone", "expires"),
    [
        ("2026-01-05T12:00", "UTC", "2027-02-01T00:00"),
        ("2026-01-31T23:59", "UTC", "2027-02-01T00:00"),
        ("2026-02-01T00:00", "UTC", "2027-03-01T00:00"),
        ("2025-12-31T12:00", "UTC", "2027-01-01T00:00"),
        ("2026-02-01T04:59", "America/New_York", "2027-02-01T05:00"),
        ("2026-02-01T05:00", "America/New_York", "2027-03-01T05:00"),
        ("2026-06-15T12:00", "Asia/Kolkata", "2027-06-30T18:30"),
    ],
)
def test_to_month_end_points_live_through_the_last_day_of_their_month(
    earned: str, zone: str, expires: str
) -> None:
    assert expiry_of(in_zone(zone, months=12, to="month_end"), utc(earned)) == utc(expires)


@pytest.mark.parametrize(
    ("earned", "day", "months", "expires"),
    [
        ("2026-01-05T12:00", "12-31", 12, "2028-01-01T00:00"),
        ("2026-12-31T12:00", "12-31", 12, "2028-01-01T00:00"),
        ("2027-01-01T00:00", "12-31", 12, "2029-01-01T00:00"),
        ("2026-01-05T12:00", "12-31", 1, "2027-01-01T00:00"),
        ("2026-11-30T12:00", "12-31", 1, "2027-01-01T00:00"),
        ("2026-12-01T12:00", "12-31", 1, "2028-01-01T00:00"),
        ("2026-01-05T12:00", "01-05", 12, "2027-01-06T00:00"),
        ("2026-01-06T12:00", "01-05", 12, "2028-01-06T00:00"),
    ],
)
def test_a_fixed_day_is_the_first_one_that_is_far_enough(
    earned: str, day: str, months: int, expires: str
) -> None:
    assert expiry_of(in_zone("UTC", fixed_day=day, after_months=months), utc(earned)) == utc(expires)


def test_points_of_a_fixed_day_expire_together() -> None:
    given = Given(rules=program(expiry={"fixed_day": "12-31", "after_months": 1}))
    given.when(purchase("a"))
    given.when(purchase("b", at=NOON + 30 * DAY, now=NOON + 30 * DAY))
    assert given.when(clock(utc("2026-12-31T23:59")))[1:] == []
    happened = given.decided(clock(utc("2027-01-01T00:00")))[1:]
    assert [one.occurred_at for one in happened] == [utc("2027-01-01T00:00")] * 2
    assert all(isinstance(one.event, PointsExpired) for one in happened)
    assert given.balance() == (0, 0, 0)


def test_points_lapse_with_the_end_of_the_day_when_nothing_happened_for_so_long() -> None:
    given = Given(rules=inactive())
    assert given.when(purchase("a", 10_000))[-1] == MemberActive("purchase", LAPSE)
    given.when(purchase("b", at=NOON - DAY))
    first, second = given.member().lots
    assert given.member().lots[first].expires_at is None

    assert given.when(clock(LAPSE - timedelta(microseconds=1)))[1:] == []
    happened = given.decided(clock(LAPSE + DAY))[1:]
    assert [(one.event, one.occurred_at) for one in happened] == [
        (MemberLapsed(150, [(first, 100), (second, 50)], 0), LAPSE)
    ]
    assert given.balance() == (0, 0, 0)
    assert given.member().lapses_at is None


def test_what_lapses_goes_to_breakage_lot_by_lot() -> None:
    assert postings_of(MemberLapsed(150, [(3, 100), (5, 50)], 0), "ann", 9) == [
        ("member/ann", "breakage", "points", 100, 3),
        ("member/ann", "breakage", "points", 50, 5),
    ]


def test_lots_lapse_in_their_order_whichever_was_read_first() -> None:
    given = Given(purchase("a", 10_000), purchase("b"), rules=inactive())
    member = given.member()
    (first, _), (second, _) = member.lots.items()
    member.lots = {lot: member.lots[lot] for lot in (second, first)}
    assert given.when(clock(LAPSE))[-1] == MemberLapsed(150, [(first, 100), (second, 50)], 0)


def test_a_purchase_puts_the_lapse_off_for_all_lots() -> None:
    given = Given(purchase("a"), clock(LAPSE - DAY), rules=inactive())
    given.when(purchase("b", at=LAPSE - DAY))
    assert given.when(clock(LAPSE + 300 * DAY))[1:] == []
    assert given.balance() == (100, 0, 0)


def test_a_purchase_without_points_puts_it_off_too() -> None:
    given = Given(purchase("a"), rules=inactive())
    assert given.when(purchase("b", amount=0, at=NOON + DAY))[-1] == MemberActive("purchase", LAPSE + DAY)


def test_several_purchases_on_a_day_are_one_activity() -> None:
    given = Given(purchase("a"), rules=inactive())
    happened = given.when(purchase("b", at=NOON + timedelta(hours=3)))
    assert not any(isinstance(event, MemberActive) for event in happened)


def test_a_late_purchase_does_not_bring_the_lapse_nearer() -> None:
    given = Given(purchase("a"), rules=inactive())
    happened = given.when(purchase("late", at=NOON - 100 * DAY))
    assert isinstance(happened[-1], PointsAccrued)
    assert given.member().lapses_at == LAPSE


def test_it_does_not_matter_in_which_order_activities_are_told() -> None:
    told = [purchase(f"p{n}", at=NOON + n * 20 * DAY, now=NOON + 90 * DAY) for n in range(4)]
    there, back = Given(*told, rules=inactive()), Given(*reversed(told), rules=inactive())
    assert there.member().lapses_at == back.member().lapses_at


def test_a_redemption_puts_it_off_and_a_hold_alone_does_not() -> None:
    given = Given(purchase("a", 10_000), clock(NOON + 10 * DAY), rules=inactive())
    given.when(hold(30))
    assert given.member().lapses_at == LAPSE
    assert given.when(capture())[-1] == MemberActive("redemption", LAPSE + 10 * DAY)


def test_only_listed_activities_count() -> None:
    rules = inactive(expiry={"inactivity_months": 12, "activities": ["return"]})
    given = Given(purchase("a", 10_000), rules=rules)
    assert given.member().lapses_at == LAPSE, "the first points begin the count"
    given.when(purchase("b", at=NOON + DAY))
    given.when(hold(10))
    given.when(capture())
    assert given.member().lapses_at == LAPSE
    given.when(return_("b", at=NOON + 2 * DAY, now=NOON + 2 * DAY))
    assert given.member().lapses_at == LAPSE + 2 * DAY


def test_only_what_is_told_late_can_lapse_by_a_batch_that_moves_the_clock() -> None:
    given = Given(rules=inactive(expiry={"inactivity_months": 24}))
    late, timely, never = (
        purchase("a"),
        purchase("b", at=NOON + 700 * DAY),
        purchase("c", at=utc("9998-06-01")),
    )
    until = {(CHAIN, "grocer"): NOON + 800 * DAY}
    assert list(lapsing_within(given.book, [late, timely, never], until)) == [(CHAIN, "grocer", "ann")]


def test_a_hold_protects_its_points_from_the_lapse_and_they_lapse_with_its_end() -> None:
    given = Given(
        purchase("a", 10_000), clock(LAPSE - timedelta(hours=1)), hold(60, ttl=7_200), rules=inactive()
    )
    lot = given.lot()
    assert lapses(given.when(clock(LAPSE))) == [MemberLapsed(40, [(lot, 40)], 0)]
    assert given.balance() == (60, 60, 0)
    assert lapses(given.when(clock(LAPSE + timedelta(minutes=30)))) == []
    happened = given.decided(release())
    assert happened[-1].event == MemberLapsed(60, [(lot, 60)], 0)
    assert happened[-1].occurred_at == LAPSE
    assert given.balance() == (0, 0, 0)
    assert given.member().lapses_at is None


def test_a_hold_that_times_out_after_the_lapse_leaves_nothing() -> None:
    given = Given(
        purchase("a", 10_000), clock(LAPSE - timedelta(hours=1)), hold(60, ttl=7_200), rules=inactive()
    )
    assert [event.points for event in lapses(given.when(clock(LAPSE + DAY)))] == [40, 60]
    assert given.balance() == (0, 0, 0)


def test_spending_a_hold_after_the_lapse_is_an_activity_that_saves_its_rest() -> None:
    given = Given(
        purchase("a", 10_000), clock(LAPSE - timedelta(hours=1)), hold(60, ttl=7_200), rules=inactive()
    )
    given.when(clock(LAPSE))
    given.when(capture(amount=10))
    assert given.balance() == (50, 0, 0)
    assert given.member().lapses_at is not None


def test_lapsed_points_cant_be_set_aside_though_the_ticker_has_not_come_yet() -> None:
    given = Given(clock(NOON), purchase("a", 10_000), rules=inactive())
    wall = Given(
        clock(NOON), purchase("a", 10_000), rules=program(clock="wall", expiry={"inactivity_months": 12})
    )
    with pytest.raises(Refusal, match="0 available"):
        wall.when(hold(1, now=LAPSE))
    assert wall.when(hold(1, now=LAPSE - timedelta(microseconds=1)))
    assert given.when(hold(1))


def test_pending_points_lapse_too() -> None:
    rules = inactive(pending={"days": 20}, expiry={"inactivity_months": 1, "activities": ["redemption"]})
    given = Given(purchase("a"), clock(NOON + 25 * DAY), rules=rules)
    given.when(purchase("b", at=NOON + 25 * DAY, now=NOON + 25 * DAY))
    lapsed = lapses(given.when(clock(NOON + 40 * DAY)))
    assert [(event.points, event.pending) for event in lapsed] == [(100, 50)]
    assert given.member().pending == 0


def test_after_a_lapse_new_points_begin_a_new_count() -> None:
    given = Given(purchase("a"), clock(LAPSE), rules=inactive())
    given.when(purchase("b", at=LAPSE, now=LAPSE))
    assert given.balance() == (50, 0, 0)
    assert given.member().lapses_at == datetime(2028, 1, 7, tzinfo=UTC)


def test_points_of_a_tier_learnt_after_the_lapse_lapse_as_if_it_had_been_known() -> None:
    given = Given(purchase("a", 10_000), clock(LAPSE), rules=inactive())
    given.when(tier("gold", NOON - DAY))
    assert given.member().lapses_at == LAPSE
    given.when(clock(LAPSE + DAY))
    assert given.balance() == (0, 0, 0)


def test_a_purchase_told_after_its_own_lapse_lapses_when_the_clock_comes_by() -> None:
    given = Given(clock(LAPSE + 30 * DAY), rules=inactive())
    given.when(purchase("late"))
    with pytest.raises(Refusal, match="0 available"):
        given.when(hold(1))
    happened = given.decided(clock(LAPSE + 31 * DAY))
    assert [one.occurred_at for one in happened if isinstance(one.event, MemberLapsed)] == [LAPSE]


def test_who_has_nothing_left_lapses_without_points() -> None:
    given = Given(purchase("a"), rules=inactive())
    given.when(return_("a"))
    assert lapses(given.when(clock(LAPSE))) == [MemberLapsed(0, [], 0)]
    assert given.member().lapses_at is None


def test_the_first_activity_under_another_version_moves_the_member_over() -> None:
    given = Given(purchase("a"), rules=inactive())
    given.activate(program("v2"))
    assert given.member().lapses_at == LAPSE
    happened = given.when(purchase("b", at=NOON + DAY))
    assert happened[-1] == MemberActive("purchase", None)
    given.when(clock(LAPSE + DAY * 2))
    assert given.balance() == (50, 0, 0), "b's points had a day of their own, a's have none any more"


def test_a_member_who_does_nothing_keeps_the_promise_of_the_version_before() -> None:
    given = Given(purchase("a"), rules=inactive())
    given.activate(program("v2"))
    given.when(clock(LAPSE))
    assert given.balance() == (0, 0, 0)


def test_a_shorter_count_does_not_take_back_a_longer_promise() -> None:
    given = Given(purchase("a"), rules=inactive())
    given.activate(program("v2", expiry={"inactivity_months": 3}))
    given.when(purchase("b", at=NOON + DAY))
    assert given.member().lapses_at == LAPSE


@pytest.mark.parametrize(
    ("expiry", "field"),
    [
        ({"months": 12, "fixed_day": "12-31", "after_months": 1}, "fixed_day"),
        ({"months": 12, "inactivity_months": 12}, "inactivity_months"),
        ({"fixed_day": "12-31"}, "after_months"),
        ({"fixed_day": "02-29", "after_months": 12}, "fixed_day"),
        ({"fixed_day": "31 December", "after_months": 12}, "fixed_day"),
        ({"after_months": 12}, "after_months"),
        ({"to": "month_end"}, "to"),
        ({"months": 12, "to": "year_end"}, "to"),
        ({"fixed_day": "12-31", "after_months": 1, "to": "month_end"}, "to"),
        ({"months": 12, "activities": ["purchase"]}, "activities"),
        ({"inactivity_months": 12, "activities": []}, "activities"),
        ({"inactivity_months": 12, "activities": ["visit"]}, "activities"),
        ({"inactivity_months": 0}, "inactivity_months"),
        ({"days": 3}, "days"),
    ],
)
def test_an_expiry_that_cant_be_is_refused(expiry: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as refused:
        program(expiry=expiry)
    assert refused.value.field == f"ledger.expiry.{field}"
