"""Who may do what: identifiers that come and go, members who are suspended, reactivated, closed."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.errors import Refusal
from services.ledger.domain.commands import Command
from services.ledger.domain.events import (
    AwardWithheld,
    IdentifiersLinked,
    IdentifiersUnlinked,
    MemberClosed,
    MemberReactivated,
    MemberSuspended,
    PointsAccrued,
    PointsAwarded,
    PointsClawedBack,
)
from services.ledger.domain.postings import postings_of
from tests.unit import social_given as social
from tests.unit.ledger_given import (
    DAY,
    NOON,
    Given,
    capture,
    clock,
    enrol,
    hold,
    program,
    purchase,
    release,
    return_,
    tier,
)
from tests.unit.members_given import adjust, adjusting, approve, close, reactivate, suspend, unlink

CARD, PHONE = ("card", b"1"), ("phone", b"2")
ANN = "member/ann"


def refused(given: Given, command: Command) -> str:
    with pytest.raises(Refusal) as refusal:
        given.when(command)
    return refusal.value.code


def test_an_identifier_that_is_unlinked_may_go_to_another_member() -> None:
    given = Given(enrol("ann", CARD, PHONE))
    assert refused(given, enrol("bob", CARD)) == "identifier_taken"
    assert given.when(unlink(CARD)) == [IdentifiersUnlinked([CARD])]
    assert IdentifiersLinked([CARD]) in given.when(enrol("bob", CARD))
    assert given.book.identifiers == {("grocer", b"1"): "bob", ("grocer", b"2"): "ann"}


def test_an_identifier_may_come_back() -> None:
    given = Given(enrol("ann", CARD), unlink(CARD))
    assert given.when(enrol("ann", CARD)) == [IdentifiersLinked([CARD])]


def test_a_suspended_member_earns_and_gives_back() -> None:
    given = Given(purchase(amount=5_000))
    assert given.when(suspend()) == [MemberSuspended("fraud?", "carol")]
    assert isinstance(given.when(purchase("p2", 3_000))[-1], PointsAccrued)
    assert isinstance(given.when(return_("p2", id_="r2"))[-1], PointsClawedBack)
    assert given.balance() == (50, 0, 0)


def test_a_suspended_member_spends_nothing_and_what_was_held_can_only_be_released() -> None:
    given = Given(purchase(amount=5_000), hold(20), suspend())
    assert refused(given, hold(1, "h2")) == "member_suspended"
    assert refused(given, capture()) == "member_suspended"
    assert given.when(release())
    assert given.balance() == (50, 0, 0)


def test_a_reactivated_member_spends_again() -> None:
    given = Given(purchase(amount=5_000), hold(20), suspend())
    assert given.when(reactivate()) == [MemberReactivated("no fraud", "carol")]
    assert given.when(capture())
    assert given.balance() == (30, 0, 0)


def test_a_suspended_members_points_expire_and_holds_time_out() -> None:
    given = Given(purchase(amount=5_000), hold(20), suspend())
    given.when(clock(NOON + 400 * DAY))
    assert given.balance() == (0, 0, 0)


def test_who_is_closed_leaves_all_points_to_breakage() -> None:
    given = Given(purchase("p1", 3_000), purchase("p2", 2_000))
    one, two = sorted(given.member().lots)
    assert given.when(close()) == [MemberClosed("as asked", "carol", 50, [(one, 30), (two, 20)], 0)]
    assert given.balance() == (0, 0, 0)
    assert given.when(clock(NOON + 400 * DAY))[1:] == [], "nothing is left to expire"


def test_who_is_closed_owes_nothing() -> None:
    given = Given(purchase("p1", 3_000), hold(30), capture(), return_("p1"))
    assert given.when(close()) == [MemberClosed("as asked", "carol", 0, [], 30)]
    assert given.balance() == (0, 0, 0)


def test_nothing_comes_after_the_closing() -> None:
    given = Given(enrol("ann", CARD), purchase(amount=5_000), adjust(101), close(), rules=adjusting())
    later: list[Any] = [
        purchase("p2"), return_(), enrol("ann", PHONE), hold(1), tier("gold", NOON), adjust(1, "a2"), approve(),
        suspend(), reactivate(), close(),
    ]  # fmt: skip
    assert {refused(given, command) for command in later} == {"member_closed"}


def test_a_closed_members_card_may_go_to_another_member() -> None:
    given = Given(enrol("ann", CARD), close())
    assert refused(given, enrol("bob", CARD)) == "identifier_taken"
    given.when(unlink(CARD))
    assert given.when(enrol("bob", CARD))


def test_a_suspended_member_can_be_closed() -> None:
    assert Given(purchase(), suspend()).when(close())


def test_closing_posts_points_and_debt_against_breakage() -> None:
    closed = MemberClosed("r", "c", 5, [(1, 2), (2, 3)], 4)
    found = [(debit, credit, amount, lot) for debit, credit, _, amount, lot in postings_of(closed, "ann", 7)]
    assert found == [(ANN, "breakage", 2, 1), (ANN, "breakage", 3, 2), ("breakage", ANN, 4, None)]


def test_who_is_closed_leaves_pending_points_too_and_lapses_no_more() -> None:
    rules = program(pending={"days": 14}, expiry={"inactivity_months": 1, "activities": ["purchase"]})
    given = Given(purchase(amount=5_000), rules=rules)
    (closed,) = given.when(close())
    assert isinstance(closed, MemberClosed)
    assert (closed.points, closed.pending) == (50, 50)
    assert (given.member().pending, given.member().lapses_at) == (0, None)
    assert len(given.when(clock(NOON + 400 * DAY))) == 1, "the clock alone"


def test_what_a_closed_member_is_owed_for_a_referral_is_withheld_and_the_other_side_is_rewarded() -> None:
    given = Given(enrol(), social.referral(), purchase(member="bob"), close(), rules=social.program())
    given.when(social.reward())
    awards = [
        decided for _, decided in given.journal if isinstance(decided.event, AwardWithheld | PointsAwarded)
    ]
    told = {decided.member: getattr(decided.event, "reason", "given") for decided in awards}
    assert told == {"ann": "member_closed", "bob": "given"}
    assert given.balance() == (0, 0, 0)
