"""Stored value: what a top-up gives, what its reversal hands back, who pays a gift, and when a bonus runs out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.common.errors import Refusal
from services.common.program_section import ProgramError
from services.ledger.domain import money
from services.ledger.domain.events import (
    GiftReceived,
    GiftSent,
    MemberEnrolled,
    MoneyCredited,
    MoneyExpired,
    PointsAccrued,
    PointsClawedBack,
    TopUpReversed,
)
from services.ledger.domain.ladders import StoredValue
from services.ledger.domain.postings import postings_of
from tests.unit import ledger_given as g
from tests.unit.ledger_given import DAY, NOON, Given

LADDER = [
    {"load": 5_000, "bonus_points": 50},
    {"load": 10_000, "bonus": 1_000},
    {"load": 50_000, "bonus": 2_000, "bonus_share": "0.15", "bonus_points": 100},
]
SOON = datetime(2026, 4, 5, 12, tzinfo=UTC)
"""Three months after noon."""


def club(**stored_value: Any) -> Given:
    """A program with the ladder above; bonus lives three months."""
    section = {"ladder": LADDER, "expiry": {"bonus_months": 3}, **stored_value}
    given = Given(rules=g.program(stored_value=section))
    given.when(g.clock(NOON))
    return given


def buckets(given: Given, member: str = "ann") -> tuple[int, int]:
    """(principal, bonus) that are left."""
    lots = given.member(member).money.values()
    return (
        sum(lot.remaining for lot in lots if lot.asset == "USD.principal"),
        sum(lot.remaining for lot in lots if lot.asset == "USD.bonus"),
    )


def spent(given: Given, principal: int = 0, bonus: int = 0) -> None:
    """Ann has so much less of each bucket, oldest lots first."""
    for lot in given.member().money.values():
        part = min(lot.free, principal if lot.asset == "USD.principal" else bonus)
        lot.remaining -= part
        if lot.asset == "USD.principal":
            principal -= part
        else:
            bonus -= part
    assert (principal, bonus) == (0, 0)


# --- the ladder


@pytest.mark.parametrize(
    ("amount", "bonus", "points"),
    [(4_999, 0, 0), (5_000, 0, 50), (9_999, 0, 50), (10_000, 1_000, 0), (50_007, 9_501, 100)],
)
def test_the_highest_step_that_is_reached_gives_its_bonus(amount: int, bonus: int, points: int) -> None:
    given = club()
    given.when(g.top_up(amount=amount))
    assert buckets(given) == (amount, bonus)
    assert given.member().posted == points


def test_principal_does_not_expire_and_bonus_does_where_the_program_says_so() -> None:
    given = club()
    events = given.when(g.top_up(amount=10_000))
    assert isinstance(events[0], MemberEnrolled)
    assert events[2:] == [
        MoneyCredited("t1", "USD.principal", 10_000, "paid_in", None),
        MoneyCredited("t1", "USD.bonus", 1_000, "bonus", SOON),
    ]


def test_a_step_may_be_for_the_first_top_up_or_for_reloads_only() -> None:
    ladder = [
        {"load": 1_000, "bonus_share": "1", "top_ups": "first"},
        {"load": 1_000, "bonus_share": "0.05", "top_ups": "reload"},
    ]
    given = club(ladder=ladder)
    given.when(g.top_up("t1", 1_000))
    assert buckets(given) == (1_000, 1_000)
    given.when(g.top_up("t2", 1_000))
    assert buckets(given) == (2_000, 1_050)


def test_a_first_top_up_that_was_reversed_was_none() -> None:
    given = club(ladder=[{"load": 1_000, "bonus": 500, "top_ups": "first"}])
    for id_ in ("t1", "t2"):
        given.when(g.top_up(id_, 1_000))
        assert buckets(given) == (1_000, 500)
        given.when(g.reverse_top_up(id_))
        assert buckets(given) == (0, 0)


def test_points_of_a_top_up_repay_debt_first_and_expire_like_others() -> None:
    given = club()
    given.when(g.purchase(amount=3_000))
    given.when(g.hold(30))
    given.when(g.capture())
    given.when(g.return_())
    assert given.balance() == (-30, 0, 30)
    (accrued,) = [e for e in given.when(g.top_up(amount=5_000)) if isinstance(e, PointsAccrued)]
    assert (accrued.points, accrued.debt_repaid, accrued.reason) == (50, 30, "top_up")
    assert accrued.expires_at == NOON.replace(year=2027)
    assert given.balance() == (20, 0, 0)


def test_paid_money_comes_from_paid_in_and_given_money_from_given() -> None:
    given = club()
    given.when(g.top_up())
    moved = [p for position, d in given.journal for p in postings_of(d.event, "ann", position)]
    assert [posting[:4] for posting in moved] == [
        ("paid_in", "member/ann", "USD.principal", 10_000),
        ("given", "member/ann", "USD.bonus", 1_000),
    ]


def test_the_bonus_counts_towards_the_most_that_a_member_may_have() -> None:
    given = club(balance={"max": 10_999})
    with pytest.raises(Refusal, match="10999 allowed"):
        given.when(g.top_up(amount=10_000))
    given.when(g.top_up(amount=9_999))


# --- reversal


def test_a_top_up_that_is_reversed_goes_back_with_its_bonus() -> None:
    given = club()
    given.when(g.top_up())
    principal, bonus = given.member().money
    (undone,) = given.when(g.reverse_top_up())
    assert isinstance(undone, TopUpReversed)
    assert (undone.paid_out, undone.kept, undone.bonus) == ([(principal, 10_000)], [], [(bonus, 1_000)])
    assert buckets(given) == (0, 0)


def test_bonus_that_was_spent_is_kept_back_from_the_principal() -> None:
    given = club()
    given.when(g.top_up())
    spent(given, principal=4_000, bonus=300)
    principal, bonus = given.member().money
    (undone,) = given.when(g.reverse_top_up())
    assert isinstance(undone, TopUpReversed)
    assert undone.paid_out == [(principal, 5_700)]
    assert undone.kept == [(principal, 300)]
    assert undone.bonus == [(bonus, 700)]
    assert [posting[1:4] for posting in postings_of(undone, "ann", 9)] == [
        ("paid_out", "USD.principal", 5_700),
        ("clawed_back", "USD.principal", 300),
        ("clawed_back", "USD.bonus", 700),
    ]


def test_nothing_below_zero_is_kept_back_and_other_top_ups_are_not_touched() -> None:
    given = club()
    given.when(g.top_up("t1"))
    spent(given, principal=9_500, bonus=1_000)
    given.when(g.top_up("t2"))
    (undone,) = given.when(g.reverse_top_up("t1"))
    assert isinstance(undone, TopUpReversed)
    assert (undone.paid_out, sum(amount for _, amount in undone.kept)) == ([], 500)
    assert buckets(given) == (10_000, 1_000)


def test_bonus_that_ran_out_was_not_spent() -> None:
    given = club()
    given.when(g.top_up())
    spent(given, bonus=400)
    assert MoneyExpired(given.lot_of("USD.bonus"), "USD.bonus", 600) in given.when(g.clock(SOON))
    (undone,) = given.when(g.reverse_top_up(at=SOON))
    assert isinstance(undone, TopUpReversed)
    assert sum(amount for _, amount in undone.paid_out) == 9_600


def test_points_of_a_reversed_top_up_are_taken_back_and_spent_ones_become_debt() -> None:
    given = club()
    given.when(g.top_up(amount=5_000))
    given.when(g.hold(20))
    given.when(g.capture())
    events = given.when(g.reverse_top_up())
    assert isinstance(events[1], PointsClawedBack)
    assert given.balance() == (-20, 0, 20)


# --- gifts


@pytest.mark.parametrize(
    ("order", "amount", "left"),
    [
        ("bonus_first", 300, (10_000, 700)), ("bonus_first", 1_300, (9_700, 0)),
        ("principal_first", 300, (9_700, 1_000)), ("principal_first", 10_300, (0, 700)),
        ("pro_rata", 110, (9_900, 990)), ("pro_rata", 1, (10_000, 999)), ("pro_rata", 11_000, (0, 0)),
    ],
)  # fmt: skip
def test_the_program_says_which_bucket_pays(order: str, amount: int, left: tuple[int, int]) -> None:
    given = club(spend_order=order)
    given.when(g.top_up())
    given.when(g.enrol("bob"))
    given.when(g.gift(amount))
    assert buckets(given) == left
    assert buckets(given, "bob") == (10_000 - left[0], 1_000 - left[1])


def test_a_gift_keeps_its_bucket_and_its_day() -> None:
    given = club()
    given.when(g.top_up("t1"))
    given.when(g.top_up("t2", at=NOON - DAY))
    given.when(g.enrol("bob"))
    sent, *received = given.when(g.gift(2_500))
    assert isinstance(sent, GiftSent)
    assert received == [
        GiftReceived("g1", "ann", "USD.principal", 500, None),
        GiftReceived("g1", "ann", "USD.bonus", 1_000, SOON - DAY),
        GiftReceived("g1", "ann", "USD.bonus", 1_000, SOON),
    ]
    assert given.when(g.clock(SOON - DAY))[1:] == [
        MoneyExpired(max(id_ for id_, lot in given.member("bob").money.items() if lot.expires_at == SOON - DAY),
                     "USD.bonus", 1_000),
    ]  # fmt: skip
    assert buckets(given, "bob") == (500, 1_000)


def test_a_bonus_past_its_day_pays_nothing_though_the_clock_was_not_there_yet() -> None:
    given = club()
    given.when(g.top_up())
    assert money.spendable(given.member(), "USD", SOON - DAY) == 11_000
    assert money.spendable(given.member(), "USD", SOON) == 10_000


def test_bonus_that_was_given_away_counts_as_spent() -> None:
    given = club()
    given.when(g.top_up())
    given.when(g.enrol("bob"))
    given.when(g.gift(1_000))
    (undone,) = given.when(g.reverse_top_up())
    assert isinstance(undone, TopUpReversed)
    assert sum(amount for _, amount in undone.paid_out) == 9_000
    assert buckets(given, "bob") == (0, 1_000)


# --- the document


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ({"laddder": []}, "ledger.stored_value.laddder"),
        ({"ladder": [{"load": 100}]}, "ledger.stored_value.ladder[0].bonus"),
        ({"ladder": [{"load": 100, "bonus_share": "1.5"}]}, "ledger.stored_value.ladder[0].bonus_share"),
        ({"ladder": [{"load": 100, "bonus": 1}, {"load": 99, "bonus": 1}]}, "ledger.stored_value.ladder[1].load"),
        ({"ladder": [{"load": 100, "bonus": 1}, {"load": 100, "bonus": 2, "top_ups": "first"}]},
         "ledger.stored_value.ladder[1].load"),
        ({"top_up": {"min": 10, "max": 9}}, "ledger.stored_value.top_up.min"),
        ({"spend_order": "oldest"}, "ledger.stored_value.spend_order"),
        ({"expiry": {"bonus_months": 0}}, "ledger.stored_value.expiry.bonus_months"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(section: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as wrong:
        g.program(stored_value=section)
    assert wrong.value.field == field


def test_an_empty_section_keeps_money_without_any_bonus() -> None:
    assert isinstance(g.program(stored_value={}).stored_value, StoredValue)
    assert g.program().stored_value is None
