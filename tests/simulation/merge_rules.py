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

people = st.sampled_from(["ann", "bob", "cid"])


class MergeRules:
    """Two members become one; what comes later for the old id is the survivor's."""

    real: real.RealBook
    naive: NaiveLedger
    both: Callable[[Callable[[], Command], Callable[[], Any]], None]
    next_id: Callable[[], str]
    purchase: Callable[[str, str, int, list[tuple[str, int, int]]], None]
    hold: Callable[[str, str, int, int], None]
    capture: Callable[[str, str, int | None], None]
    give_back: Callable[[str, str, int, dict[int, int]], None]

    @rule(survivor=people, absorbed=people)
    def merge(self, survivor: str, absorbed: str) -> None:
        id_ = self.next_id()
        self.both(
            lambda: real.merge_of(id_, survivor, absorbed),
            lambda: naive_merge.merge(self.naive, survivor, absorbed),
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
