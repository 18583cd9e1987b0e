"""Two members are one person: what moves, what stays, and who answers to the old id."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.common.errors import InvariantBroken, Refusal
from services.ledger.domain.commands import ActivateProgram, AssignTier, Command, MergeMembers
from services.ledger.domain.events import (
    CountersMoved,
    HoldMoved,
    IdentifiersLinked,
    LotMoved,
    MemberAbsorbed,
    MembersMerged,
    PointsAccrued,
    PointsExpired,
    SettlementMoved,
    TierAssigned,
)
from services.ledger.domain.postings import postings_of
from services.ledger.heirs import follow
from tests.unit import ledger_given as g
from tests.unit.ledger_given import CHAIN, DAY, NO_CAUSE, NOON, Given

THERE = CHAIN + 1
"""The chain of bob."""


def merge(survivor: str = "ann", absorbed: str = "bob", chain: int = THERE) -> MergeMembers:
    return MergeMembers("grocer", survivor, CHAIN, NO_CAUSE, NOON, absorbed, chain)


def bobs(command: Command) -> Command:
    """The command on bob's chain."""
    return replace(command, chain=THERE)


def given(*commands: Command) -> Given:
    """Ann on one chain, bob on another; then the commands."""
    given_ = Given(g.clock(NOON))
    given_.when(ActivateProgram("grocer", "", THERE, NO_CAUSE, NOON, "v1", b"{}"))
    given_.when(bobs(g.clock(NOON)))
    given_.when(g.enrol("ann", ("card", b"ann's")))
    given_.when(bobs(g.enrol("bob", ("card", b"bob's"), ("phone", b"bobs phone"))))
    for command in commands:
        given_.when(command)
    return given_


def refused(given_: Given, command: Command) -> str:
    before = given_.position
    with pytest.raises(Refusal) as refusal:
        given_.when(command)
    assert given_.position == before
    return refusal.value.code


def bought(id_: str = "p1", amount: int = 10_000, **more: Any) -> Command:
    """A purchase of bob's."""
    return bobs(g.purchase(id_, amount, member="bob", **more))


def test_lots_move_one_row_each_and_keep_expiry_and_day_of_earning() -> None:
    given_ = given(g.purchase("p0"), bought(), bought("p2", 5_000, at=NOON + DAY))
    old = given_.member("bob").lots
    events = given_.when(merge())
    moved = [event for event in events if isinstance(event, LotMoved)]
    assert [(m.lot, m.amount, m.points, m.earned_at, m.expires_at, m.purchase) for m in moved] == [
        (lot.id, lot.amount, lot.amount, lot.earned_at, lot.expires_at, lot.purchase) for lot in old.values()
    ]
    assert given_.balance("ann") == (200, 0, 0)
    assert given_.balance("bob") == (0, 0, 0)
    assert given_.member("bob").merged_into == "ann"
    assert [lot.purchase for lot in given_.member("ann").lots.values()] == ["p0", "p1", "p2"]


def test_a_lot_that_was_spent_in_part_moves_with_what_is_left() -> None:
    given_ = given(bought(), bobs(g.hold(30, member="bob")), bobs(g.capture(member="bob")))
    (moved,) = [event for event in given_.when(merge()) if isinstance(event, LotMoved)]
    assert (moved.amount, moved.points) == (100, 70)


def test_a_lot_that_is_spent_comes_with_the_hold_that_spent_it() -> None:
    given_ = given(bought(), bobs(g.hold(100, member="bob")), bobs(g.capture(member="bob")))
    events = given_.when(merge())
    (lot,) = [event for event in events if isinstance(event, LotMoved)]
    (hold,) = [event for event in events if isinstance(event, HoldMoved)]
    assert (lot.amount, lot.points, hold.state, [points for _, points in hold.spent]) == (
        100,
        0,
        "captured",
        [100],
    )
    given_.when(g.refund("order-h1", 60))
    assert given_.balance("ann") == (60, 0, 0)


def test_each_chains_postings_balance_by_themselves_through_in_transit() -> None:
    given_ = given(bought(), bobs(g.hold(40, member="bob")))
    owing(given_)
    start = given_.position
    given_.when(merge())
    by_chain: dict[int, dict[str, int]] = {CHAIN: {}, THERE: {}}
    for position, decided in given_.journal[start:]:
        sums = by_chain[decided.chain or CHAIN]
        for debit, credit, _, amount, _ in postings_of(decided.event, decided.member or "", position):
            sums[debit] = sums.get(debit, 0) - amount
            sums[credit] = sums.get(credit, 0) + amount
    assert by_chain == {
        CHAIN: {"in_transit": -25, "member/ann": 25},
        THERE: {"in_transit": 25, "member/bob": -25},
    }


def owing(given_: Given) -> None:
    """Bob has 40 points held and owes 15: all but the held ones were taken back, and more."""
    given_.when(bought("p2", 2_000, at=NOON))
    given_.when(bobs(g.hold(75, "h2", member="bob")))
    given_.when(bobs(g.capture("h2", member="bob")))
    given_.when(bobs(g.return_("p2", member="bob")))


def test_debts_add_up() -> None:
    given_ = given(bought(), bobs(g.hold(40, member="bob")))
    owing(given_)
    assert given_.balance("bob") == (25, 40, 15)
    given_.when(g.purchase("q", 1_000))
    given_.when(g.hold(10, "h9"))
    given_.when(g.capture("h9"))
    given_.when(g.return_("q", id_="r9"))
    assert given_.balance("ann") == (-10, 0, 10)
    merged = given_.when(merge())[0]
    assert isinstance(merged, MembersMerged)
    assert (merged.points, merged.held, merged.debt) == (40, 40, 15)
    assert given_.balance("ann") == (15, 40, 25)


def test_an_open_hold_keeps_its_id_and_is_captured_under_the_survivor() -> None:
    given_ = given(bought(), bobs(g.hold(40, member="bob")))
    (moved,) = [event for event in given_.when(merge()) if isinstance(event, HoldMoved)]
    assert moved.allocations == [(given_.lot("ann"), 40)]
    assert given_.balance("ann") == (100, 40, 0)
    assert given_.member("bob").holds["h1"].state == "moved"
    given_.when(g.capture(amount=25))
    assert given_.balance("ann") == (75, 0, 0)


def test_a_moved_hold_protects_its_lots_and_times_out() -> None:
    given_ = given(bought(), bobs(g.hold(40, member="bob", ttl=60)))
    given_.when(merge())
    assert refused(given_, g.hold(61, "h2")) == "insufficient_points"
    given_.when(g.clock(NOON + DAY))
    assert given_.member("ann").holds["h1"].state == "expired"
    assert given_.balance("ann") == (100, 0, 0)


@pytest.mark.parametrize(
    ("over", "code"), [(g.capture, "hold_already_captured"), (g.release, "hold_already_released")]
)
def test_a_hold_that_was_over_before_is_over_for_the_survivor(over: Any, code: str) -> None:
    given_ = given(bought(), bobs(g.hold(40, member="bob")), bobs(over(member="bob")))
    given_.when(merge())
    assert refused(given_, g.capture()) == code


def test_a_return_of_what_the_absorbed_one_bought_takes_from_its_own_lot() -> None:
    given_ = given(g.purchase("p0", at=NOON - DAY), bought(lines=[g.line(1, 9_000, 3)]))
    given_.when(bobs(g.return_("p1", [(1, 1)], member="bob")))
    (moved,) = [event for event in given_.when(merge()) if isinstance(event, SettlementMoved)]
    assert moved == SettlementMoved("p1", [(1, 1)], -30)
    given_.when(g.return_("p1", [(1, 2)], id_="r2"))
    assert given_.balance("ann") == (50, 0, 0)
    assert refused(given_, g.return_("p1", [(1, 1)], id_="r3")) == "quantity_exceeds_purchase"


def test_what_each_one_bought_goes_on_earning_by_the_tier_of_who_bought_it() -> None:
    silver = g.tier("silver", NOON - DAY, member="bob")
    given_ = given(g.purchase("p0", lines=[g.line(1, 8_000, 2)]), bobs(silver))
    given_.when(bought(lines=[g.line(1, 8_000, 2)]))
    events = given_.when(merge())
    assert TierAssigned("silver", NOON - DAY, 0, "bob") in events
    assert given_.member("ann").tier == ""
    given_.when(g.return_("p0", id_="r0"))
    given_.when(g.return_("p1"))
    assert given_.balance("ann") == (40 + 50, 0, 0)


def test_a_tier_that_is_learnt_after_the_merge_counts_for_what_its_member_bought() -> None:
    given_ = given(g.purchase("p0"), bought())
    given_.when(merge())
    tier = g.tier("gold", NOON - DAY, member="bob")
    follow(tier, {("grocer", "bob"): "ann"}, 16)
    assert (tier.member, tier.of) == ("ann", "bob")
    (_, accrued) = given_.when(replace(tier, chain=CHAIN))
    assert isinstance(accrued, PointsAccrued)
    assert (accrued.purchase, accrued.points, accrued.tier) == ("p1", 50, "gold")
    given_.when(g.purchase("p9", 1_000))
    assert given_.balance("ann") == (50 + 150 + 10, 0, 0)


def test_identifiers_lead_to_the_survivor() -> None:
    given_ = given()
    events = given_.when(merge())
    linked = [event for event in events if isinstance(event, IdentifiersLinked)]
    assert linked == [IdentifiersLinked([("card", b"bob's"), ("phone", b"bobs phone")])]
    assert set(given_.book.identifiers.values()) == {"ann"}
    assert refused(given_, g.enrol("cid", ("card", b"bob's"))) == "identifier_taken"


def test_points_that_are_past_their_day_on_the_survivors_chain_expire_at_once() -> None:
    given_ = given(bought(), bobs(g.hold(40, member="bob", ttl=86_400)))
    given_.when(g.clock(NOON + 400 * DAY))
    events = given_.when(merge())
    assert [event.points for event in events if isinstance(event, PointsExpired)] == [60]
    given_.when(g.clock(NOON + 401 * DAY))
    assert given_.balance("ann") == (0, 0, 0)


def test_merges_of_merges_are_followed_to_the_end() -> None:
    given_ = given(bought(), g.enrol("cid"), g.purchase("p3", member="cid"))
    given_.when(replace(bobs(g.tier("gold", NOON - DAY, member="bob")), tiering_position=7))
    given_.when(MergeMembers("grocer", "cid", CHAIN, NO_CAUSE, NOON, "bob", THERE))
    merged = given_.when(merge("ann", "cid", CHAIN))[0]
    assert isinstance(merged, MembersMerged)
    assert merged.before == ["bob"]
    assert given_.balance("ann") == (200, 0, 0)
    given_.when(g.return_("p1"))
    given_.when(g.return_("p3", id_="r3"))
    assert given_.balance("ann") == (0, 0, 0)
    heirs = {("grocer", "bob"): "cid", ("grocer", "cid"): "ann"}
    late = g.purchase("p9", member="bob")
    follow(late, heirs, 16)
    assert late.member == "ann"
    assert late.purchase.content.endswith(b"\x1a\x03ann")
    tier: AssignTier = g.tier("gold", NOON, member="bob")
    follow(tier, heirs, 16)
    assert (tier.member, tier.of) == ("ann", "bob")


def test_who_was_merged_is_not_merged_again() -> None:
    given_ = given(g.enrol("cid"))
    given_.when(merge())
    assert refused(given_, merge("cid", "bob")) == "already_merged"
    assert refused(given_, merge("ann", "bob")) == "already_merged"
    assert refused(given_, merge("ann", "ann", CHAIN)) == "merge_into_itself"


def test_a_command_that_was_not_led_to_the_survivor_stops_the_process() -> None:
    given_ = given(bought())
    given_.when(merge())
    with pytest.raises(InvariantBroken):
        given_.when(bobs(g.hold(1, member="bob")))


def test_ten_thousand_lots_move() -> None:
    given_ = given(*(bought(f"p{n}", 100, at=NOON + timedelta(seconds=n)) for n in range(10_000)))
    events = given_.when(merge())
    assert sum(isinstance(event, LotMoved) for event in events) == 10_000
    (left,) = [event for event in events if isinstance(event, MemberAbsorbed)]
    assert len(left.allocations) == 10_000
    assert given_.balance("ann") == (10_000, 0, 0)


def test_visits_and_the_carried_fraction_add_up() -> None:
    stamp = {"id": "stamp", "when": {"visits": {"every": 3}}, "earn": {"points_per_visit": 20}}
    rules = g.program(earning={"points_per_unit": 1, "rounding": "carry", "rules": [stamp]})
    given_ = Given(rules=rules)
    given_.when(g.purchase("p0", 160))
    given_.when(g.purchase("p1", 170, member="bob"))
    (moved,) = [event for event in given_.when(g.merge()) if isinstance(event, CountersMoved)]
    assert moved.counters == [("carry", "0.6", "1.3"), ("visits", "1", "2")]
    given_.when(g.purchase("p2", 100))
    # The third visit of the two together, and a whole point of what was carried.
    assert given_.balance() == (1 + 1 + 1 + 1 + 20, 0, 0)


def test_purchases_from_before_a_program_counted_are_visits_of_the_survivor() -> None:
    given_ = given(g.purchase("p0"), bought())
    (moved,) = [event for event in given_.when(merge()) if isinstance(event, CountersMoved)]
    assert moved.counters == [("visits", "1", "2")]
