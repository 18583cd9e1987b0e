"""Grants: which occasions they are for, once for what, and what several purchases reach."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.common.program_section import ProgramError
from services.rewards.domain.gifts import PointsGift, TicketsGift
from services.rewards.domain.grant_events import GrantGiven, GrantProgressed, GrantWithheld
from services.rewards.domain.grants import Grant, Occasion, Progress, decide_grant, fits, is_for, slot_of
from services.rewards.domain.program import parse_program
from services.rewards.domain.standing import Audience, Segments, Standing
from services.rewards.domain.voucher_terms import Pack, Terms
from services.rewards.wire import event_of, payload_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 11, 12, tzinfo=UTC)
DRINK = Terms("drink", "drink", "bogo")
WELCOME = Grant("welcome", "enrolled", (Pack(DRINK, 3),), "ever")
STAGED = Grant(
    "staged", "purchase", (Pack(DRINK, 1),), "ever", minimum_spend=10, purchases=3, spend=100,
    first_day=date(2026, 11, 1), last_day=date(2026, 11, 11),
)  # fmt: skip


def bought(amount: int, at: datetime = NOON, name: str = "p1") -> Occasion:
    return Occasion("purchase", name, at, amount=amount)


def test_a_grant_gives_once() -> None:
    enrolled = Occasion("enrolled", "enrolment", NOON)
    assert fits(WELCOME, enrolled, SHANGHAI)
    assert not fits(WELCOME, bought(5), SHANGHAI)
    assert decide_grant(WELCOME, enrolled, "ever", False, Progress(), 0) == [
        GrantGiven("welcome", "ever", "enrolment", 3)
    ]
    assert decide_grant(WELCOME, enrolled, "ever", True, Progress(), 0) == []


@pytest.mark.parametrize(("given", "kind"), [(0, GrantGiven), (4, GrantGiven), (5, GrantWithheld)])
def test_a_budget_is_never_passed(given: int, kind: type) -> None:
    (event,) = decide_grant(
        replace(WELCOME, budget=7), Occasion("enrolled", "e", NOON), "ever", False, Progress(), given
    )
    assert isinstance(event, kind)


def test_a_staged_bonus_comes_with_the_purchase_that_reaches_both_and_nothing_counts_after_it() -> None:
    first = decide_grant(STAGED, bought(50), "ever", False, Progress(), 0)
    assert first == [GrantProgressed("staged", "ever", "p1", 1, 50)]
    enough_spent = decide_grant(STAGED, bought(50), "ever", False, Progress(1, 50), 0)
    assert enough_spent == [GrantProgressed("staged", "ever", "p1", 2, 100)]
    reached = decide_grant(STAGED, bought(10), "ever", False, Progress(2, 100), 0)
    assert reached == [GrantProgressed("staged", "ever", "p1", 3, 110), GrantGiven("staged", "ever", "p1", 1)]


@pytest.mark.parametrize(
    ("occasion", "counts"),
    [
        (bought(10), True),
        (bought(9), False),
        (bought(10, datetime(2026, 10, 31, 16, tzinfo=UTC)), True),
        (bought(10, datetime(2026, 10, 31, 15, 59, tzinfo=UTC)), False),
        (bought(10, datetime(2026, 11, 11, 15, 59, tzinfo=UTC)), True),
        (bought(10, datetime(2026, 11, 11, 16, tzinfo=UTC)), False),
    ],
)
def test_days_are_the_program_s_and_a_late_event_counts_by_when_it_occurred(
    occasion: Occasion, counts: bool
) -> None:
    assert fits(STAGED, occasion, SHANGHAI) == counts


def test_a_tier_and_a_side_are_asked_for() -> None:
    gold = Grant("g", "tier_reached", (Pack(DRINK, 1),), "year", tiers=("gold",))
    assert fits(gold, Occasion("tier_reached", "x", NOON, tier="gold"), SHANGHAI)
    assert not fits(gold, Occasion("tier_reached", "x", NOON, tier="silver"), SHANGHAI)
    shared = Grant("s", "referral_qualified", (Pack(DRINK, 1),), "always", side="referee")
    assert fits(shared, Occasion("referral_qualified", "f1", NOON, side="referee"), SHANGHAI)
    assert not fits(shared, Occasion("referral_qualified", "f1", NOON, side="referrer"), SHANGHAI)


@pytest.mark.parametrize(
    ("once", "slot"),
    [("ever", "ever"), ("year", "2027"), ("month", "2027-01"), ("day", "2027-01-01"), ("always", "p1")],
)
def test_once_is_for_ever_for_the_program_s_year_month_day_or_for_the_occasion(once: str, slot: str) -> None:
    new_year = datetime(2026, 12, 31, 16, tzinfo=UTC)
    assert slot_of(replace(WELCOME, once=once), bought(1, new_year), SHANGHAI) == slot


@pytest.mark.parametrize(
    ("days", "counts"),
    [
        ({"weekdays": ("wed",)}, True),
        ({"weekdays": ("tue", "thu")}, False),
        ({"month_days": (11, 22)}, True),
        ({"month_days": (12,)}, False),
        ({"weekdays": ("wed",), "month_days": (12,)}, False),
    ],
)
def test_a_member_day_is_a_weekday_or_a_day_of_the_month_where_the_program_is(
    days: dict[str, Any], counts: bool
) -> None:
    grant = Grant("g", "purchase", (Pack(DRINK, 1),), "day", **days)
    assert fits(grant, bought(1, datetime(2026, 11, 10, 16, tzinfo=UTC)), SHANGHAI) == counts


@pytest.mark.parametrize(
    ("family", "segment", "counts"),
    [
        ("lifecycle", "dormant", True),
        ("lifecycle", "lost", True),
        ("lifecycle", "active", False),
        ("class", "dormant", False),
        ("tag", "vip", True),
        ("rfm", "dormant", False),
    ],
)
def test_who_falls_asleep_is_woken(family: str, segment: str, counts: bool) -> None:
    asked = Audience(lifecycle=("dormant", "lost"), tags=("vip",))
    grant = Grant("wake", "segment_entered", (Pack(DRINK, 1),), "year", entered=asked)
    moved = Occasion("segment_entered", "3-7", NOON, family=family, segment=segment)
    assert fits(grant, moved, SHANGHAI) == counts


GOLD_VIP = Standing("gold", Segments("active", "loyal", frozenset({"vip", "press"})))
NOBODY = Standing()


@pytest.mark.parametrize(
    ("aimed", "standing", "is_it"),
    [
        ({"audience": Audience(tiers=("gold",), tags=("vip",))}, GOLD_VIP, True),
        ({"audience": Audience(tiers=("gold",), tags=("staff",))}, GOLD_VIP, False),
        ({"audience": Audience(tiers=("green",))}, NOBODY, True),
        ({"excepted": Audience(tiers=("green",))}, NOBODY, False),
        ({"excepted": Audience(classes=("low_low",))}, GOLD_VIP, True),
        ({"excepted": Audience(classes=("low_low",))}, NOBODY, False),
        ({"excepted": Audience(tags=("press",), tiers=("green",))}, GOLD_VIP, False),
        (
            {"audience": Audience(tiers=("gold",)), "excepted": Audience(lifecycle=("active",))},
            GOLD_VIP,
            False,
        ),
    ],
)
def test_a_grant_is_aimed(aimed: dict[str, Any], standing: Standing, is_it: bool) -> None:
    grant = replace(WELCOME, **aimed)
    assert grant.is_aimed and not WELCOME.is_aimed
    assert is_for(grant, standing, "green") == is_it


def test_a_budget_counts_vouchers_points_or_tickets() -> None:
    purse = Grant("g", "enrolled", (PointsGift(50), PointsGift(30)), "ever", budget=200)
    joined = Occasion("enrolled", "e", NOON)
    (given,) = decide_grant(purse, joined, "ever", False, Progress(), 120)
    assert given == GrantGiven("g", "ever", "e", 0, True, points=80)
    assert given.size == 80
    assert isinstance(decide_grant(purse, joined, "ever", False, Progress(), 121)[0], GrantWithheld)
    tickets = replace(purse, give=(TicketsGift("wheel", 3),), budget=3)
    assert decide_grant(tickets, joined, "ever", False, Progress(), 0) == [
        GrantGiven("g", "ever", "e", 0, True, tickets=3)
    ]


@pytest.mark.parametrize(
    "event",
    [
        GrantProgressed("g", "ever", "p1", 2, 30),
        GrantGiven("g", "2026", "p1", 3, budgeted=True),
        GrantGiven("g", "2026", "p1", 0, points=5, tickets=2),
        GrantWithheld("g", "ever", "p1", "budget_exhausted"),
    ],
)
def test_an_event_is_the_same_after_the_journal(event: Any) -> None:
    assert event_of(*payload_of(event)) == event


def read(**grant: Any) -> Grant:
    entry = {"id": "g", "occasion": "purchase", "give": [{"voucher": "drink"}]} | grant
    rewards = {
        "vouchers": [{"id": "drink", "kind": "bogo"}],
        "catalogue": [{"id": "mug", "kind": "product", "points": 1}],
        "draws": [{"id": "wheel", "prizes": [{"id": "none", "weight": 1}], "price": {"tickets": 1}}],
        "grants": [entry],
    }
    return parse_program({"program": "cafe", "rewards": rewards}, "v").grants[0]


def test_a_program_says_what_it_gives() -> None:
    drink = Terms("drink", "drink", "bogo")
    assert read() == Grant("g", "purchase", (Pack(drink, 1),), "ever")
    assert read(
        when={"minimum_spend": 10, "purchases": 3, "spend": 100, "dates": {"from": "2026-11-01", "to": "2026-11-11"}},
        id="staged",
    ) == replace(STAGED, give=(Pack(drink, 1),))  # fmt: skip


@pytest.mark.parametrize(
    ("grant", "field"),
    [
        ({"occasion": "anniversary"}, "occasion"),
        ({"occasion": "birthday", "once": "ever"}, "once"),
        ({"when": {"span": "day"}}, "when.span"),
        ({"occasion": "birthday", "when": {"span": "year"}}, "when.span"),
        ({"give": []}, "give"),
        ({"give": [{"voucher": "cake"}]}, "give[0].voucher"),
        ({"give": [{"points": 5}]}, "give[0].points"),
        ({"when": {"tiers": ["gold"]}}, "when.tiers"),
        ({"occasion": "enrolled", "when": {"minimum_spend": 5}}, "when.minimum_spend"),
        ({"occasion": "referral_qualified"}, "when.side"),
        ({"when": {"purchases": 2}, "once": "always"}, "once"),
        ({"when": {"dates": {"from": "soon"}}}, "when.dates.from"),
        ({"budget": -1}, "budget"),
        ({"budget": 5, "give": [{"voucher": "drink"}, {"draw": "wheel"}]}, "budget"),
        ({"give": [{"reward": "mug"}]}, "give"),
        ({"give": [{"voucher": "drink"}, {"voucher": "drink"}]}, "give[1].voucher"),
        ({"occasion": "segment_entered"}, "when"),
        (
            {"occasion": "segment_entered", "when": {"segments": {"lifecycle": ["asleep"]}}},
            "when.segments.lifecycle",
        ),
        ({"when": {"segments": {"lifecycle": ["dormant"]}}}, "when.segments"),
        ({"when": {"weekdays": ["tuesday"]}}, "when.weekdays"),
        ({"when": {"month_days": [32]}}, "when.month_days"),
        ({"for": {"tiers": ["platinum"]}}, "for.tiers"),
        ({"for": {"stores": ["s1"]}}, "for.stores"),
        ({"except": {"tags": []}}, "except.tags"),
    ],
)
def test_a_wrong_field_is_named(grant: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as wrong:
        read(**grant)
    assert wrong.value.field == f"rewards.grants[0].{field}"
