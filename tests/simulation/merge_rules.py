"""The state machine's merges: a part of LedgerMachine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from services.ledger.domain.commands import Command
from tests.simulation import naive_merge
from tests.simulation import real_book as real
from tests.simulation.naive_ledger import NaiveLedger
from tests.simulation.naive_social import NaiveSocial

people = st.sampled_from(["ann", "bob", "cid"])


class MergeRules:
    """Two members become one; what comes later for the old id is the survivor's."""

    real: real.RealBook
    naive: NaiveLedger
    social: NaiveSocial
    both: Callable[[Callable[[], Command], Callable[[], Any]], None]
    next_id: Callable[[], str]
    purchase: Callable[[str, str, int, list[tuple[str, int, int]]], None]
    hold: Callable[[str, str, int, int], None]
    capture: Callable[[str, str, int | None], None]
    release: Callable[[str, str], None]
    top_up: Callable[[str, str, int, int], None]
    enrol: Callable[[str], None]
    refer: Callable[[str, str, int], None]
    reward_all: Callable[[str], None]
    advance: Callable[[int], None]
    give_back: Callable[[str, str, int, dict[int, int]], None]

    @rule(survivor=people, absorbed=people)
    def merge(self, survivor: str, absorbed: str) -> None:
        id_ = self.next_id()
        self.both(
            lambda: real.merge_of(id_, survivor, absorbed),
            lambda: naive_merge.merge(self.naive, self.social, survivor, absorbed),
        )

    @rule(member=people, erase=st.booleans())
    def tell(self, member: str, erase: bool) -> None:
        """Personal data comes and goes, and moves no point."""
        id_ = self.next_id()
        make = real.erasure_of if erase else real.profile_of
        naive = naive_merge.erase if erase else NaiveLedger.account
        self.both(lambda: make(id_, member), lambda: naive(self.naive, member))

    @rule(
        absorbed=people,
        survivor=people,
        yen=st.integers(5_000, 50_000),
        held=st.integers(0, 300),
        units=st.integers(0, 3),
        owes=st.booleans(),
    )
    def merge_much(self, absorbed: str, survivor: str, yen: int, held: int, units: int, owes: bool) -> None:
        """Somebody who has lots, a hold, a settled purchase, perhaps debt; most merges at random are of nobody."""
        if absorbed in self.naive.heirs:
            return
        bought = self.next_id()
        self.purchase(bought, absorbed, 0, [("FOOD", 3, yen)])
        if held:
            self.hold(self.next_id(), absorbed, held, 86_400)
        if owes and absorbed in self.naive.members:
            spent = self.next_id()
            account = self.naive.members[absorbed]
            self.hold(spent, absorbed, max(1, account.posted - account.held), 86_400)
            self.capture(spent, absorbed, None)
        if units:
            self.give_back(bought, absorbed, 0, {1: units})
        self.purchase(self.next_id(), survivor, 0, [("FOOD", 1, 1_000)])
        self.merge(survivor, absorbed)

    @rule(
        absorbed=people,
        survivor=people,
        paid=st.sampled_from([500, 1_000, 5_000]),
        coins=st.integers(1, 900),
        points=st.integers(0, 20),
        captured=st.integers(0, 900),
        then=st.sampled_from(["capture", "release", "refund", "wait", ""]),
    )
    def merge_an_order(
        self, absorbed: str, survivor: str, paid: int, coins: int, points: int, captured: int, then: str
    ) -> None:
        """Somebody who pays with points and money, in part perhaps, and is merged before the order is over."""
        if absorbed in self.naive.heirs:
            return
        hold = self.next_id()
        order = real.order_of(hold)
        self.top_up(self.next_id(), absorbed, 0, paid)
        self.purchase(self.next_id(), absorbed, 0, [("FOOD", 1, 3_000)])
        self.both(
            lambda: real.hold_of(hold, absorbed, points, 86_400, coins),
            lambda: self.naive.hold(hold, order, absorbed, points, 86_400, coins),
        )
        if captured:
            part, spends = min(captured, coins), self.next_id()
            self.both(
                lambda: real.capture_of(spends, hold, absorbed, None, False, part),
                lambda: self.naive.capture(hold, absorbed, None, False, part),
            )
        self.enrol(survivor)
        self.merge(survivor, absorbed)
        if then == "capture":
            self.capture(hold, survivor, None)
        elif then == "release":
            self.release(hold, absorbed)
        elif then == "refund":
            gives_back = self.next_id()
            self.both(
                lambda: real.refund_of(gives_back, order, survivor, None),
                lambda: self.naive.refund(order, survivor, None),
            )
        elif then == "wait":
            self.advance(25)

    @rule(
        absorbed=people | st.just(""),
        survivor=people,
        referrer=st.sampled_from(["ann", "bob", "cid", "dan"]),
        yen=st.sampled_from([0, 500, 6_000]),
        rewards=st.booleans(),
    )
    def merge_a_friend(self, absorbed: str, survivor: str, referrer: str, yen: int, rewards: bool) -> None:
        """Somebody, perhaps new, who was brought by another, perhaps by the survivor, and may have bought by then."""
        absorbed = absorbed or self.next_id()
        if absorbed in self.naive.heirs:
            return
        for member in (referrer, survivor):
            self.enrol(member)
        self.refer(absorbed, referrer, 0)
        if yen:
            self.purchase(self.next_id(), absorbed, 0, [("FOOD", 1, yen)])
        if rewards and absorbed in self.social.referred:
            self.reward_all(absorbed)
        self.merge(survivor, absorbed)
