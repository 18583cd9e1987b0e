"""What comes over by a merge beside points: orders, money, what was counted, who brought whom, and who is suspended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.common.errors import Refusal
from services.ledger.domain.book import CLOSED, SUSPENDED
from services.ledger.domain.events import (
    AwardsMoved,
    LotMoved,
    MemberSuspended,
    ReferralMoved,
    ReturnParked,
    ReturnRecorded,
    TopUpMoved,
)
from services.ledger.heirs import follow
from tests.unit import ledger_given as g
from tests.unit import members_given as m
from tests.unit import social_given as s
from tests.unit.ledger_given import NOON, Given

STORED = {"ladder": [{"load": 1_000, "bonus": 100}], "expiry": {"bonus_months": 3}}


def code_of(given: Given, command: Any) -> str:
    try:
        given.when(command)
    except Refusal as refusal:
        return refusal.code
    return ""


def test_an_order_is_refunded_to_the_survivor_and_not_twice() -> None:
    given = Given(g.purchase("p0"), g.purchase("p1", member="bob"), g.hold(40, member="bob"))
    given.when(g.capture(member="bob"))
    given.when(g.refund(amount=10, member="bob"))
    given.when(g.merge())
    given.when(g.refund())
    assert given.balance() == (100, 0, 0)
    assert code_of(given, g.refund()) == "order_already_refunded"


def test_a_hold_captured_in_part_goes_on_with_what_is_left() -> None:
    given = Given(g.purchase("p0"), g.purchase("p1", member="bob"), g.hold(40, member="bob"))
    given.when(g.capture(amount=15, member="bob", final=False))
    given.when(g.merge())
    assert given.balance() == (85, 25, 0)
    given.when(g.capture())
    given.when(g.refund())
    assert given.balance() == (100, 0, 0)


def test_money_comes_over_by_asset_and_a_reversal_finds_its_top_up() -> None:
    given = Given(rules=g.program(stored_value=STORED))
    given.when(g.enrol("ann"))
    given.when(g.top_up(member="bob"))
    given.when(g.gift(60, to="ann", member="bob"))
    events = given.when(g.merge())
    assert [(e.asset, e.points) for e in events if isinstance(e, LotMoved)] == [
        ("USD.principal", 10_000),
        ("USD.bonus", 40),
    ]
    assert [e.top_up for e in events if isinstance(e, TopUpMoved)] == ["t1"]
    assert not [lot for lot in given.member("bob").money.values() if lot.remaining]
    assert code_of(given, g.reverse_top_up(member="ann")) == ""
    assert sum(lot.remaining for lot in given.member("ann").money.values()) == 60
    assert code_of(given, g.reverse_top_up(member="ann")) == "top_up_reversed"


def test_a_parked_return_waits_on_or_is_taken_where_the_purchase_is_there() -> None:
    rules = g.program(returns={"unknown_purchase": "park"})
    given = Given(rules=rules)
    given.when(g.purchase("p0"))
    given.when(g.enrol("bob"))
    given.when(g.return_("p0", member="bob", id_="r0"))
    given.when(g.return_("p9", member="bob", id_="r9"))
    events = given.when(g.merge())
    assert [e.activity.id for e in events if isinstance(e, ReturnParked)] == ["r0", "r9"]
    assert [e.activity.id for e in events if isinstance(e, ReturnRecorded)] == ["r0"]
    assert (list(given.member("ann").parked), given.member("bob").parked) == (["p9"], {})
    assert given.balance() == (0, 0, 0)


def test_awards_add_up_so_nobody_is_given_the_same_twice() -> None:
    given = s.given(s.interaction(), s.interaction(content="c2", member="bob", id_="i2"))
    events = given.when(g.merge())
    assert [e for e in events if isinstance(e, AwardsMoved)]
    before = given.balance()
    given.when(s.interaction(content="c2", id_="i3"))
    assert given.balance() == before


def test_a_referral_comes_over_where_the_survivor_has_none() -> None:
    given = s.given(g.enrol("ann"), g.enrol("cid"), s.referral("cid", "bob"))
    events = given.when(g.merge())
    assert [(e.referrer, e.qualified_at) for e in events if isinstance(e, ReferralMoved)] == [("cid", None)]
    given.when(g.purchase("p1", 5_000))
    given.when(s.reward("ann", "cid"))
    assert given.balance("cid") == (500, 0, 0)


def test_nobody_refers_themselves_by_another_id() -> None:
    given = s.given(g.enrol("ann"), s.referral("ann", "bob"))
    events = given.when(g.merge())
    assert not [e for e in events if isinstance(e, ReferralMoved)]
    other = s.given(g.enrol("bob"), s.referral("bob", "ann"))
    other.when(g.merge())
    other.when(g.purchase("p1", 5_000))
    assert other.book.referrals["grocer", "ann"].qualified_at is None


def test_what_is_owed_to_a_merged_referrer_is_the_survivors() -> None:
    given = s.given(
        g.enrol("ann"), g.enrol("cid"), s.referral("cid", "bob"), g.purchase("p1", 5_000, member="bob")
    )
    given.when(g.merge("ann", "cid"))
    reward = s.reward("bob", "cid")
    follow(reward, {("grocer", "cid"): "ann"}, 16)
    assert reward.referrer == "ann"
    given.when(replace(reward, referrer_chain=reward.chain))
    assert given.balance("ann") == (500, 0, 0)


def test_a_reward_that_is_owed_blocks_until_it_is_given() -> None:
    given = s.given(
        g.enrol("ann"), g.enrol("cid"), s.referral("cid", "bob"), g.purchase("p1", 5_000, member="bob")
    )
    assert code_of(given, g.merge()) == "merge_blocked"
    given.when(s.reward("bob", "cid"))
    assert code_of(given, g.merge()) == ""


def test_an_adjustment_is_decided_before_a_merge() -> None:
    given = Given(rules=m.adjusting())
    given.when(g.enrol("ann"))
    given.when(g.enrol("bob"))
    given.when(m.adjust(500, member="bob"))
    assert code_of(given, g.merge()) == "merge_blocked"
    given.when(m.approve(member="bob"))
    assert code_of(given, g.merge()) == ""
    assert given.balance() == (500, 0, 0)


def test_a_suspension_is_the_survivors_too_and_who_is_closed_is_not_merged() -> None:
    given = Given(g.enrol("ann"), g.enrol("bob"), g.enrol("cid"))
    given.member("bob").status = SUSPENDED
    assert [e for e in given.when(g.merge()) if isinstance(e, MemberSuspended)]
    assert given.member("ann").status == SUSPENDED
    given.member("cid").status = CLOSED
    assert code_of(given, g.merge("ann", "cid")) == "member_closed"


def test_a_gift_to_the_old_id_is_the_survivors() -> None:
    gift = g.gift(60, to="bob", member="cid")
    follow(gift, {("grocer", "bob"): "ann"}, 16)
    assert gift.receiver == "ann"
    assert gift.now == NOON
