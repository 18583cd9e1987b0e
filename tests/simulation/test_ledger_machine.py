"""The ledger's core against a naive reading of the same commands, in any order, with repeats and mistakes.

Every command that the decider knows is sent; in a long look every event follows. The test looks at both.

| what | rules | naively |
|---|---|---|
| purchases, returns, tiers, holds, clock, versions, ids sent again | here | naive_ledger, naive_lots, naive_earning |
| captures in parts, refunds, money held, ids with other content | hold_rules | naive_holds, naive_money_holds |
| top-ups, reversals, gifts; stored value as a reward, taken back | stored_value_rules | naive_stored_value |
| cards, suspending, closing, points by hand | members_rules | naive_members |
| merges; profiles and erasure | merge_rules | naive_merge |
| interactions, referrals, budgets | social_rules | naive_social |
| activities of somebody who enrols later | parking_rules | naive_ledger |

`TALLY_SIMULATION_EXAMPLES=2500` looks longer.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, get_args

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from services.ledger.domain import lots
from services.ledger.domain.commands import Command
from services.ledger.domain.decide import DECIDERS
from services.ledger.domain.events import Event
from services.ledger.handle import Outcome
from tests.simulation import real_book as real
from tests.simulation.hold_rules import HoldRules, code_again
from tests.simulation.members_rules import MemberRules
from tests.simulation.merge_rules import MergeRules
from tests.simulation.naive_ledger import NaiveLedger, Refused
from tests.simulation.naive_lots import RULES
from tests.simulation.naive_social import NaiveSocial
from tests.simulation.parking_rules import ParkingRules, was_parked
from tests.simulation.social_rules import SocialRules
from tests.simulation.stored_value_rules import StoredValueRules

EXAMPLES = int(os.environ.get("TALLY_SIMULATION_EXAMPLES", "200"))
STEPS = 50
LONG = 2_000
"""So many examples meet every event there is."""

members = st.sampled_from(["ann", "bob"])
ids = st.integers(0, 30).map("p{}".format)
hold_ids = st.integers(0, 30).map("h{}".format)
small = st.integers(1, 5)
lines = st.lists(
    st.tuples(st.sampled_from(["FOOD", "FOOD", "TEA", "FUEL"]), small, st.integers(100, 20_000)),
    min_size=1,
    max_size=3,
)
hours = st.integers(-30, 30) | st.integers(-24 * 45, 24 * 2)
versions = st.sampled_from(["v1", *RULES])
tiers = st.sampled_from(["member", "silver", "gold"])


class LedgerMachine(
    HoldRules, MemberRules, StoredValueRules, SocialRules, MergeRules, ParkingRules, RuleBasedStateMachine
):
    """Every rule sends one command to both, and both must say the same."""

    def __init__(self, asked: set[type[Command]], told: set[str]) -> None:
        """`asked` gets the types of all commands, `told` those of all events that followed."""
        super().__init__()
        self.asked, self.told = asked, told
        self.real = real.RealBook()
        self.naive = NaiveLedger(real.WALL)
        self.social = NaiveSocial(self.naive)
        self.sent: list[tuple[Callable[[], Command], Outcome]] = []
        self.known: dict[tuple[str, str], tuple[Command, Outcome]] = {}
        self.number = 0

    @initialize(version=versions, parks=st.integers(0, 4).map(lambda dice: dice == 4), there=st.booleans())
    def begin(self, version: str, parks: bool, there: bool) -> None:
        self.real.activate(f"{version}-park" if parks else version)
        self.naive.version, self.naive.parks = version, parks
        self.real.advance(real.WALL)
        for member in ("ann", "bob") if there else ():
            self.enrol(member)

    @rule(member=members)
    def enrol(self, member: str) -> None:
        id_ = self.next_id()
        self.both(lambda: real.enrolment_of(id_, member), lambda: self.naive.enrol(member))

    @rule(id_=ids, member=members, later=hours, bought=lines)
    def purchase(self, id_: str, member: str, later: int, bought: list[tuple[str, int, int]]) -> None:
        at = self.at(later)
        self.both(
            lambda: real.purchase_of(id_, member, at, bought),
            lambda: self.naive.purchase(id_, member, at, bought, real.WALL),
        )

    @rule(
        of=ids | st.just(""),
        member=members,
        later=hours,
        units=st.dictionaries(st.integers(1, 3), small, min_size=1),
    )
    def give_back(self, of: str, member: str, later: int, units: dict[int, int]) -> None:
        at, id_ = self.at(later), self.next_id()
        self.both(
            lambda: real.return_of(id_, of, member, at, units),
            lambda: self.naive.give_back(of, member, at, units, real.WALL),
        )

    @rule(
        id_=hold_ids,
        member=members,
        amount=st.integers(1, 300),
        seconds=st.sampled_from([60, 86_400, 5_000_000]),
    )
    def hold(self, id_: str, member: str, amount: int, seconds: int) -> None:
        self.both(
            lambda: real.hold_of(id_, member, amount, seconds),
            lambda: self.naive.hold(id_, real.order_of(id_), member, amount, seconds),
        )

    @rule(hold=hold_ids, member=members, amount=st.none() | st.integers(1, 300))
    def capture(self, hold: str, member: str, amount: int | None) -> None:
        id_ = self.next_id()
        self.both(
            lambda: real.capture_of(id_, hold, member, amount),
            lambda: self.naive.capture(hold, member, amount),
        )

    @rule(hold=hold_ids, member=members)
    def release(self, hold: str, member: str) -> None:
        id_ = self.next_id()
        self.both(lambda: real.release_of(id_, hold, member), lambda: self.naive.release(hold, member))

    @rule(data=st.data(), later=hours)
    def give_back_something(self, data: st.DataObject, later: int) -> None:
        """Units that can be brought back: most returns are no mistake."""
        left = [
            (member, of, number, units - bought.back.get(number, 0))
            for member, account in self.naive.members.items()
            for of, bought in account.bought.items()
            for number, (_, units, _) in enumerate(bought.lines, 1)
            if units > bought.back.get(number, 0)
        ]
        if left:
            member, of, number, most = data.draw(st.sampled_from(left))
            self.give_back(of, member, later, {number: data.draw(st.integers(1, most))})

    @rule(data=st.data(), id_=hold_ids, seconds=st.sampled_from([86_400, 5_000_000]))
    def hold_much(self, data: st.DataObject, id_: str, seconds: int) -> None:
        """A hold near what the member has."""
        able = {name: account.posted - account.held for name, account in self.naive.members.items()}
        able = {name: points for name, points in able.items() if points > 0}
        if able:
            member = data.draw(st.sampled_from(sorted(able)))
            self.hold(id_, member, data.draw(st.integers(1, able[member] + 1)), seconds)

    @rule(data=st.data(), end=st.sampled_from(["capture", "part", "release"]))
    def end_a_hold(self, data: st.DataObject, end: str) -> None:
        holds = [
            (member, id_, hold.left)
            for member, account in self.naive.members.items()
            for id_, hold in account.holds.items()
            if hold.state == "open"
        ]
        if not holds:
            return
        member, id_, amount = data.draw(st.sampled_from(holds))
        if end == "release":
            self.release(id_, member)
        else:
            self.capture(id_, member, None if end == "capture" else data.draw(st.integers(1, max(1, amount))))

    @rule(member=members, tier=tiers, hours_ago=st.integers(0, 24 * 40))
    def assign(self, member: str, tier: str, hours_ago: int) -> None:
        """Tiering may be late, but the tiers of a member come in the order of time."""
        since = self.at(-hours_ago)
        known = self.naive.members.get(member)
        if known is not None and known.tiers:
            since = max(since, known.tiers[-1][0])
        self.unkeyed(
            lambda: self.real.assign(member, tier, since), lambda: self.naive.assign(member, tier, since)
        )

    @rule(hours=st.integers(-24, 24 * 20))
    def advance(self, hours: int) -> None:
        to = self.at(hours)
        self.unkeyed(lambda: self.real.advance(to), lambda: self.naive.advance(to))

    @rule(data=st.data(), member=members)
    def meet_an_instant(self, data: st.DataObject, member: str) -> None:
        """The clock stops exactly where something ends, or a tier begins exactly when a purchase was made."""
        account = self.naive.members.get(member)
        if account is None:
            return
        ends = [c.expires for c in account.credits if c.expires] + [
            hold.ends for hold in account.holds.values()
        ]
        ends += [c.matures for c in account.credits if c.matures] + (
            [account.lapses] if account.lapses else []
        )
        last = account.tiers[-1][0] if account.tiers else real.EARLIEST
        begins = [bought.at for bought in account.bought.values() if bought.at >= last]
        if begins and data.draw(st.booleans()):
            since, name = data.draw(st.sampled_from(begins)), data.draw(tiers)
            self.unkeyed(
                lambda: self.real.assign(member, name, since), lambda: self.naive.assign(member, name, since)
            )
        elif ends:
            to = data.draw(st.sampled_from(ends))
            self.unkeyed(lambda: self.real.advance(to), lambda: self.naive.advance(to))

    @rule(version=versions)
    def activate(self, version: str) -> None:
        self.real.activate(version)
        self.naive.version = version
        self.naive.parks = False

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """The same request again changes nothing and gets the first outcome."""
        if not self.sent:
            return
        make, first = data.draw(st.sampled_from(self.sent))
        before, rows = copy.deepcopy(self.real.book.members), len(self.real.rows)
        again = self.real.take(make())
        assert again.duplicate
        if was_parked(first):
            # It answers with what became of it by now.
            return
        assert (again.chain, again.position) == (first.chain, first.position)
        assert (again.refusal and again.refusal[0]) == (first.refusal and first.refusal[0])
        assert len(self.real.rows) == rows
        assert self.real.book.members == before

    @invariant()
    def members_agree(self) -> None:
        clock = self.real.book.programs[0, real.PROGRAM].clock
        assert clock == self.naive.clock
        assert {name for _, name in self.real.book.members} == set(self.naive.members)
        for name, account in self.naive.members.items():
            member = self.real.member(name)
            assert (member.posted, member.held, member.debt) == (account.posted, account.held, account.debt)
            assert (member.pending, member.lapses_at) == (account.pending, account.lapses)
            found = [
                (lot.remaining, lot.held, lot.expires_at, lot.purchase, lot.matures_at)
                for lot in member.lots.values()
            ]
            naive = [(c.left, c.held, c.expires, c.purchase, c.matures) for c in account.credits]
            assert [lot for lot in found if lot[0]] == [credit for credit in naive if credit[0]]
            assert member.merged_into == self.naive.heirs.get(name, "")
            # What was merged stands under the survivor.
            here = {} if member.merged_into else member.holds
            assert {
                id_: (h.state, h.left, h.captured, h.money.left, h.money.captured) for id_, h in here.items()
            } == {
                id_: (h.state, h.left, h.captured, h.coins.left, h.coins.captured)
                for id_, h in account.holds.items()
            }
            self.spends_agree(name)
            assert {of: len(waiting) for of, waiting in member.parked.items()} == {
                of: len(waiting) for of, waiting in account.parked.items()
            }
            carry = member.counters.get("carry")
            assert account.carry == (carry.value if carry else 0)
            if name not in self.naive.heirs:
                counted = {
                    n.split()[-1]: c.value for n, c in member.counters.items() if n not in ("carry", "visits")
                }
                assert +account.earned == {period: value for period, value in counted.items() if value}
            assert member.posted == sum(lot.remaining for lot in member.lots.values()) - member.debt
            assert member.available >= 0 or member.debt > 0
            assert lots.spendable(member, clock) <= max(0, member.available)

    @invariant()
    def the_book_balances(self) -> None:
        accounts = self.real.check_postings()
        assert accounts["rewarded", "JPY.bonus"] == -self.naive.rewarded

    def teardown(self) -> None:
        self.real.check_replay()
        self.asked |= self.real.asked
        self.told |= {row[4] for row in self.real.rows}

    def at(self, hours: int) -> datetime:
        return self.naive.clock + timedelta(hours=hours)

    def next_id(self) -> str:
        self.number += 1
        return f"n{self.number}"

    def both(self, make: Callable[[], Command], naive: Callable[[], None]) -> Outcome:
        """One request with an id: an id that was used counts once."""
        command = make()
        key = (command.cause.source, command.cause.id)
        if key in self.known:
            return self.reused(command, *self.known[key])
        outcome = self.unkeyed(lambda: self.real.take(command), naive)
        self.known[key] = (command, outcome)
        self.sent.append((make, outcome))
        return outcome

    def reused(self, command: Command, first: Command, outcome: Outcome) -> Outcome:
        """An id that was used: the same content is a repeat, any other is refused, and neither changes a member."""
        before, rows = copy.deepcopy(self.real.book.members), len(self.real.rows)
        again = self.real.take(command)
        unknown = outcome.refusal is not None and outcome.refusal[0] == "unknown_member"
        same = command.cause.digest == first.cause.digest and (
            self.naive.heir(command.member) == self.naive.heir(first.member) or unknown
        )
        assert again.duplicate == same
        assert same or (
            again.refusal and again.refusal[0] == code_again(command, first, outcome, self.naive.heir)
        )
        assert len(self.real.rows) == rows + (not same)
        assert self.real.book.members == before
        return again

    def unkeyed(self, take: Callable[[], Outcome], naive: Callable[[], Any]) -> Outcome:
        """One command; both refuse with the same code, or both take it."""
        code = None
        try:
            naive()
            self.naive.take_waiting()
        except Refused as refused:
            code = refused.args[0]
        outcome = take()
        assert (outcome.refusal and outcome.refusal[0]) == code
        return outcome


def test_the_ledger_does_what_a_naive_reading_of_its_rules_does() -> None:
    asked: set[type[Command]] = set()
    told: set[str] = set()
    run_state_machine_as_test(
        lambda: LedgerMachine(asked, told),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
    # What is new to the decider needs a rule here.
    assert asked == set(DECIDERS)
    if EXAMPLES >= LONG:
        assert told == {event.__name__ for event in get_args(Event)}
