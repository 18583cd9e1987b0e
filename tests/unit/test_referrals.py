"""Referrals: registered, qualified by the referee's purchase or task, and both sides rewarded once."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from services.common.errors import Refusal
from services.common.program_section import ProgramError
from services.ledger.domain.events import (
    AwardWithheld,
    Event,
    MemberEnrolled,
    PointsAwarded,
    ReferralQualified,
    ReferralRegistered,
    ReferralRewarded,
    ReferralTaskDone,
)
from services.ledger.domain.referrals import ANCESTORS_MAX
from tests.unit import ledger_given as g
from tests.unit import social_given as s
from tests.unit.ledger_given import DAY, NOON, Given

HOUR = timedelta(hours=1)
BOTH = ["referrer", "referee"]
BY_TASK = {
    "qualified_by": "task",
    "task": "bind_phone",
    "referrer": {"points": 500},
    "referee": {"points": 200},
}
AFTER_TASK = {**s.REFERRALS, "referee": {"points": 200, "task": "bind_phone"}}


def bought(amount: int = 2_000, id_: str = "p1", **more: Any) -> Any:
    return g.purchase(id_, amount, **{"member": "bob", **more})


def registered(**ledger: Any) -> Given:
    """Ann has referred Bob."""
    return s.given(g.enrol("ann"), s.referral(), **ledger)


def social(events: list[Event]) -> list[Event]:
    return [event for event in events if type(event).__name__.startswith(("Referral", "PointsAw", "AwardW"))]


def test_a_registered_referral_enrols_the_referee_and_gives_nothing_yet() -> None:
    given = s.given(g.enrol("ann"))
    assert given.when(s.referral()) == [
        MemberEnrolled("first_activity"),
        ReferralRegistered("f1", "ann"),
    ]
    assert given.when(s.reward()) == []
    assert given.balance() == given.balance("bob") == (0, 0, 0)


def test_the_first_purchase_over_the_minimum_qualifies_and_both_sides_are_rewarded_once() -> None:
    given = registered()
    assert social(given.when(bought(1_999))) == []
    assert social(given.when(bought(id_="p2", at=NOON + HOUR))) == [
        ReferralQualified("f1", "ann", "purchase", "p2", BOTH)
    ]
    rewarded, to_ann, to_bob = given.decided(s.reward())
    assert rewarded.event == ReferralRewarded("f1", "ann", BOTH)
    assert (to_ann.member, to_bob.member) == ("ann", "bob")
    assert isinstance(to_ann.event, PointsAwarded)
    assert isinstance(to_bob.event, PointsAwarded)
    assert (to_ann.event.source, to_bob.event.source) == ("referrer", "referee")
    assert {decided.occurred_at for decided in (rewarded, to_ann, to_bob)} == {NOON + HOUR}
    assert given.balance() == (500, 0, 0)
    assert given.balance("bob") == (19 + 20 + 200, 0, 0)
    assert given.when(s.reward()) == []
    assert social(given.when(bought(id_="p3"))) == []


def test_a_purchase_qualifies_by_what_earns_in_it() -> None:
    given = registered()
    assert social(given.when(bought(lines=[g.line(1, 1_000), g.line(2, 9_000, category="FUEL")]))) == []


def test_a_purchase_that_was_booked_before_its_referral_counts_when_it_was_made_after() -> None:
    """Purchases and referrals come by two topics, and either may be ahead."""
    given = s.given(g.enrol("ann"), bought(at=NOON + HOUR), bought(1, "p2", at=NOON))
    assert social(given.when(s.referral(at=NOON))) == [
        ReferralRegistered("f1", "ann"),
        ReferralQualified("f1", "ann", "purchase", "p1", BOTH),
    ]


def test_a_late_purchase_from_before_the_referral_does_not_qualify() -> None:
    given = registered()
    assert social(given.when(bought(at=NOON - HOUR))) == []
    assert len(social(given.when(bought(id_="p2", at=NOON)))) == 1


def test_a_task_can_qualify() -> None:
    given = registered(referrals=BY_TASK)
    assert social(given.when(bought())) == []
    assert given.when(s.task()) == [
        ReferralTaskDone("f1", "bind_phone", []),
        ReferralQualified("f1", "ann", "task", "bind_phone", BOTH),
    ]
    given.when(s.reward())
    assert given.balance() == (500, 0, 0)


@pytest.mark.parametrize("task_first", [True, False])
def test_the_referee_is_rewarded_only_after_the_task(task_first: bool) -> None:
    given = registered(referrals=AFTER_TASK)
    steps = [bought(), s.task(at=NOON + DAY)]
    owed: list[list[str]] = []
    for step in reversed(steps) if task_first else steps:
        events = given.when(step)
        owed += [e.owed for e in events if isinstance(e, (ReferralQualified, ReferralTaskDone))]
        given.when(s.reward())
    assert owed == ([[], BOTH] if task_first else [["referrer"], ["referee"]])
    assert given.balance() == (500, 0, 0)
    assert given.balance("bob") == (220, 0, 0)


def test_what_is_owed_counts_from_when_it_was_due_however_late_it_is_given() -> None:
    given = registered(referrals=AFTER_TASK)
    given.when(bought())
    given.when(s.task(at=NOON + DAY))
    _, to_ann, to_bob = given.decided(s.reward())
    assert (to_ann.occurred_at, to_bob.occurred_at) == (NOON, NOON + DAY)


@pytest.mark.parametrize(("side", "owed"), [("referrer", ["referee"]), ("referee", ["referrer"])])
def test_either_side_may_get_nothing(side: str, owed: list[str]) -> None:
    rules = {name: value for name, value in s.REFERRALS.items() if name != side}
    given = registered(referrals=rules)
    assert social(given.when(bought())) == [ReferralQualified("f1", "ann", "purchase", "p1", owed)]


def test_a_referrers_rewards_are_capped_and_the_referees_are_not() -> None:
    given = s.given(g.enrol("ann"))
    got = []
    for n, day in enumerate([0, 1, 2, 30, 60]):
        name = f"friend{n}"
        given.when(s.referral(referee=name, id_=f"f{n}"))
        given.when(g.clock(NOON + day * DAY))
        given.when(bought(member=name, id_=f"p{n}", at=NOON + day * DAY))
        _, to_ann, to_friend = given.when(s.reward(name))
        assert isinstance(to_friend, PointsAwarded)
        got.append(to_ann.points if isinstance(to_ann, PointsAwarded) else to_ann.reason)  # type: ignore[union-attr]
    # Two in January; one more in February, and that is all that Ann ever gets.
    assert got == [500, 500, "cap_reached", 500, "cap_reached"]


def test_a_campaigns_budget_pays_the_referrer_first() -> None:
    campaigns = [{"id": "friends", "budget": 699}]
    given = registered(campaigns=campaigns, interactions=[], referrals={**s.REFERRALS, "campaign": "friends"})
    given.when(bought())
    _, to_ann, to_bob = given.when(s.reward())
    assert isinstance(to_ann, PointsAwarded)
    assert to_bob == AwardWithheld("referee", "f1", "budget_exhausted", 200, "friends", 199)
    assert given.when(s.reward()) == []


def test_what_was_owed_when_the_program_gave_referrals_up_is_withheld() -> None:
    given = registered()
    given.when(bought())
    given.activate(g.program("v2"))
    events = given.when(s.reward())
    assert [e.reason for e in events if isinstance(e, AwardWithheld)] == ["not_running"] * 2


def test_whom_a_member_referred_may_refer_others() -> None:
    given = registered()
    for n, (referrer, referee) in enumerate([("bob", "cid"), ("cid", "dan"), ("ann", "eve")]):
        assert ReferralRegistered(f"g{n}", referrer) in given.when(s.referral(referrer, referee, id_=f"g{n}"))


@pytest.mark.parametrize("length", [2, 3, ANCESTORS_MAX])
def test_loops_of_any_length_are_refused(length: int) -> None:
    names = [f"m{n}" for n in range(length)]
    given = s.given(g.enrol(names[0]))
    for above, below in pairwise(names):
        given.when(s.referral(above, below))
    with pytest.raises(Refusal) as refused:
        given.when(s.referral(names[-1], names[0]))
    assert refused.value.code == "referral_loop"


def test_a_program_without_referrals_takes_purchases_as_ever() -> None:
    assert social(Given(g.enrol("ann")).when(bought())) == []


@pytest.mark.parametrize(
    ("referrals", "field"),
    [
        ({"qualified_by": "task"}, "ledger.referrals.task"),
        ({"task": "bind_phone"}, "ledger.referrals.task"),
        ({"qualified_by": "task", "task": "t", "minimum": 5}, "ledger.referrals.minimum"),
        ({"referrer": {"points": -1}}, "ledger.referrals.referrer.points"),
        ({"referrer": {"points": 1, "task": "t"}}, "ledger.referrals.referrer.task"),
        ({"caps": {"month": "5"}}, "ledger.referrals.caps.month"),
        ({"campaign": "x"}, "ledger.referrals.campaign"),
    ],
)
def test_a_wrong_document_is_refused_by_its_field(referrals: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as error:
        g.program(referrals=referrals)
    assert error.value.field == field
