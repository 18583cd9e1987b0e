"""What the state machine knows of parking: somebody enrols later, a purchase is told after its return."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import rule

from services.ledger.domain.events import ActivityParked
from services.ledger.handle import Outcome
from tests.simulation import real_book as real
from tests.simulation.naive_ledger import NaiveLedger
from tests.simulation.naive_lots import RULES


def was_parked(outcome: Outcome) -> bool:
    """The request was kept for later at first."""
    return bool(outcome.events) and isinstance(outcome.events[0][1].event, ActivityParked)


class ParkingRules:
    """The program's version may be one that parks."""

    real: real.RealBook
    naive: NaiveLedger
    next_id: Callable[[], str]
    enrol: Callable[[str], None]
    purchase: Callable[[str, str, int, list[tuple[str, int, int]]], None]
    give_back: Callable[[str, str, int, dict[int, int]], None]
    activate: Callable[[str], None]

    @rule(version=st.sampled_from(sorted(RULES)))
    def begin_to_park(self, version: str) -> None:
        self.real.activate(f"{version}-park")
        self.naive.version, self.naive.parks = version, True

    @rule(
        member=st.sampled_from(["ann", "bob", "cid", "dan"]),
        yen=st.integers(1_000, 50_000),
        later=st.integers(-48, 20),
        units=st.integers(0, 4),
        enrols=st.booleans(),
    )
    def come_before_enrolling(self, member: str, yen: int, later: int, units: int, enrols: bool) -> None:
        """A purchase, perhaps a return of it or of too much, then perhaps the enrolment."""
        bought = self.next_id()
        self.purchase(bought, member, later, [("FOOD", 3, yen)])
        if units:
            self.give_back(bought, member, later, {1: units})
        if enrols:
            self.enrol(member)

    @rule(
        member=st.sampled_from(["ann", "bob"]),
        yen=st.integers(1_000, 50_000),
        units=st.sampled_from([1, 3, 4, 4]),
        keeps=st.sampled_from([True, True, False]),
        buys=st.sampled_from([True, True, False]),
    )
    def come_back_before_buying(self, member: str, yen: int, units: int, keeps: bool, buys: bool) -> None:
        """A return of it or of too much, perhaps where such are kept, then perhaps the purchase."""
        bought = self.next_id()
        if keeps:
            self.activate("v2")
        self.give_back(bought, member, 0, {1: units})
        if buys:
            self.purchase(bought, member, 0, [("FOOD", 3, yen)])
