"""Stored value as a reward: it is bonus, from an account of its own, and goes back whole or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.common.errors import Refusal
from services.ledger.domain.events import MemberAbsorbed, MoneyCredited, MoneyExpired, MoneyTakenBack
from services.ledger.domain.postings import postings_of
from tallybook.ledger.v1 import events_pb2 as pb
from tests.unit import ledger_given as g
from tests.unit.ledger_given import NOON, Given
from tests.unit.test_verify_money import LATER
from tests.unit.test_verify_reading import Reading, parts

SOON = datetime(2026, 4, 5, 12, tzinfo=UTC)
"""Three months after noon."""


def club(**stored_value: Any) -> Given:
    """A program whose bonus lives three months, and its member ann."""
    given = Given(rules=g.program(stored_value={"expiry": {"bonus_months": 3}, **stored_value}))
    given.when(g.clock(NOON))
    given.when(g.top_up("t1", 1_000))
    return given


def test_a_reward_is_bonus_which_runs_out_as_bonus_does() -> None:
    given = club()
    assert given.when(g.award_money("a1", 500)) == [MoneyCredited("a1", "USD.bonus", 500, "reward", SOON)]
    lot = given.lot_of("USD.bonus")
    assert given.when(g.clock(SOON))[1:] == [MoneyExpired(lot, "USD.bonus", 500)]


def test_a_reward_is_posted_from_an_account_of_its_own_and_back_to_it() -> None:
    credited = MoneyCredited("a1", "USD.bonus", 500, "reward", None)
    assert postings_of(credited, "ann", 9) == [("rewarded", "member/ann", "USD.bonus", 500, 9)]
    taken = MoneyTakenBack("a1", "USD.bonus", [(9, 500)])
    assert postings_of(taken, "ann", 12) == [("member/ann", "rewarded", "USD.bonus", 500, 9)]


def test_what_was_paid_for_is_given_over_the_balance_limit_too() -> None:
    given = club(balance={"max": 1_200})
    assert given.when(g.award_money("a1", 500))


def test_a_reward_is_taken_back_from_its_own_lot() -> None:
    given = club()
    given.when(g.award_money("a1", 500))
    given.when(g.award_money("a2", 900))
    lot = next(lot.id for lot in given.member().money.values() if lot.purchase == "a1")
    assert given.when(g.take_back_money("a1", 500)) == [MoneyTakenBack("a1", "USD.bonus", [(lot, 500)])]
    with pytest.raises(Refusal) as refused:
        given.when(g.take_back_money("a1", 500))
    assert refused.value.code == "insufficient_value"


def test_what_a_top_up_of_the_same_id_gave_is_no_reward() -> None:
    given = club(ladder=[{"load": 1_000, "bonus": 100}])
    with pytest.raises(Refusal) as refused:
        given.when(g.take_back_money("t1", 100))
    assert refused.value.code == "insufficient_value"
    given.when(g.award_money("t1", 70))
    with pytest.raises(Refusal, match="70 available"):
        given.when(g.take_back_money("t1", 71))
    assert given.when(g.take_back_money("t1", 70))


def test_a_reward_of_which_one_unit_was_spent_stays_whole() -> None:
    given = club()
    given.when(g.award_money("a1", 500))
    given.member().money[given.lot_of("USD.bonus")].remaining -= 1
    with pytest.raises(Refusal, match="499 available"):
        given.when(g.take_back_money("a1", 500))


def test_a_reward_moves_with_its_member_and_is_taken_back_from_the_survivor() -> None:
    given = club()
    given.when(g.award_money("a1", 500))
    given.when(g.top_up("t2", 700, member="bob"))
    assert any(isinstance(event, MemberAbsorbed) for event in given.when(g.merge("bob", "ann")))
    (taken,) = given.when(g.take_back_money("a1", 500, member="bob"))
    assert isinstance(taken, MoneyTakenBack)


def rewarded() -> Reading:
    """The verifier has read that ann was given 500 in the lot 4."""
    reading = Reading()
    reading.take(pb.MoneyCredited(top_up="a1", asset="USD.bonus", amount=500, reason="reward"))
    return reading


def test_the_verifier_reads_a_reward_and_what_was_taken_back_of_it() -> None:
    reading = rewarded()
    taken = pb.MoneyTakenBack(award="a1", asset="USD.bonus", allocations=parts({4: 500}))
    assert reading.take(taken, at=LATER) == [("grocer", "member/ann", "rewarded", "USD.bonus", 500, 4)]
    assert reading.wrong == []


@pytest.mark.parametrize(
    "message",
    [
        pb.MoneyTakenBack(award="a2", asset="USD.bonus", allocations=parts({4: 500})),
        pb.MoneyTakenBack(award="a1", asset="USD.bonus", allocations=parts({4: 501})),
        pb.MoneyTakenBack(award="a1", asset="USD.principal", allocations=parts({4: 500})),
        pb.MoneyCredited(top_up="a2", asset="USD.principal", amount=500, reason="reward"),
    ],
    ids=["another_award", "more_than_there_is", "another_bucket", "a_reward_as_principal"],
)
def test_the_verifier_finds_what_a_reward_can_not_be(message: Any) -> None:
    reading = rewarded()
    reading.take(message)
    assert {check for check, _ in reading.wrong} == {"L2"}
