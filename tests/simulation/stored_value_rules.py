"""What the state machine does with money."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from services.ledger.domain.commands import Cause, Command, SendGift
from services.ledger.domain.events import TopUpReversed
from tallybook.activities.v1 import activities_pb2 as activities
from tests.simulation import real_book as real

members = st.sampled_from(["ann", "bob"])
top_up_ids = st.integers(0, 30).map("t{}".format)
hours = st.integers(-30, 30) | st.integers(-24 * 45, 24 * 2)
amounts = st.integers(50, 6_000) | st.sampled_from([500, 1_000, 5_000])


class StoredValueRules:
    """The rules of money, for the machine that holds both books."""

    @rule(id_=top_up_ids, member=members, later=hours, amount=amounts)
    def top_up(self: Any, id_: str, member: str, later: int, amount: int) -> None:
        at = self.at(later)
        self.both(
            lambda: top_up_of(id_, member, at, amount),
            lambda: self.naive.top_up(id_, member, at, amount, real.WALL),
        )

    @rule(of=top_up_ids, member=members, later=hours)
    def undo_a_top_up(self: Any, of: str, member: str, later: int) -> None:
        self.undo(of, member, later)

    @rule(data=st.data(), later=st.integers(0, 48))
    def undo_something(self: Any, data: st.DataObject, later: int) -> None:
        """A top-up that is there: most reversals are no mistake."""
        there = [
            (member, id_)
            for member, some in self.naive.top_ups.items()
            for id_, top_up in some.items()
            if not top_up.undone
        ]
        if there:
            member, of = data.draw(st.sampled_from(there))
            self.undo(of, member, later)

    @rule(data=st.data(), giver=members)
    def give_what_is_there(self: Any, data: st.DataObject, giver: str) -> None:
        """Most of what the giver has, or all, to the other one."""
        there = sum(self.naive.money_of(giver).values())
        receiver = "bob" if giver == "ann" else "ann"
        if there and receiver in self.naive.members:
            self.gift(giver, receiver, data.draw(st.integers(1, min(there, 3_000))))

    @rule(data=st.data(), id_=top_up_ids, member=members, amount=st.sampled_from([1_000, 1_234, 5_000]))
    def load_and_undo(self: Any, data: st.DataObject, id_: str, member: str, amount: int) -> None:
        """A top-up of today, some of it given on, perhaps its bonus run out, and then undone."""
        self.top_up(id_, member, 0, amount)
        self.give_what_is_there(data, member)
        if data.draw(st.booleans()):
            to = self.at(24 * data.draw(st.integers(1, 70)))
            self.unkeyed(lambda: self.real.advance(to), lambda: self.naive.advance(to))
        self.undo(id_, member, 1)

    def undo(self: Any, of: str, member: str, later: int) -> None:
        at, id_, handed = self.at(later), self.next_id(), []
        outcome = self.both(
            lambda: reversal_of(id_, of, member, at),
            lambda: handed.append(self.naive.undo_top_up(of, member, at, real.WALL)),
        )
        paid = [
            sum(amount for _, amount in decided.event.paid_out)
            for _, decided in outcome.events
            if isinstance(decided.event, TopUpReversed)
        ]
        assert paid == handed

    @rule(giver=members, receiver=members, amount=st.integers(0, 4_000))
    def gift(self: Any, giver: str, receiver: str, amount: int) -> None:
        id_ = self.next_id()
        self.both(
            lambda: gift_of(id_, giver, receiver, amount),
            lambda: self.naive.gift(id_, giver, receiver, amount),
        )

    @invariant()
    def money_agrees(self: Any) -> None:
        for name in self.naive.members:
            found: Counter[Any] = Counter()
            for lot in self.real.member(name).money.values():
                assert 0 <= lot.held <= lot.remaining <= lot.amount
                found[lot.asset.removeprefix("JPY."), lot.expires_at, lot.purchase] += lot.remaining
            merged = name in self.naive.heirs
            there = {} if merged else self.naive.money_of(name)
            assert {key: left for key, left in found.items() if left} == there
            held = sum(lot.held for lot in self.real.member(name).money.values())
            assert held == (0 if merged else self.naive.held_of(name))


def top_up_of(id_: str, member: str, at: Any, amount: int) -> Command:
    message = activities.TopUp(id=id_, program=real.PROGRAM, member=member, currency="JPY", amount=amount)
    message.occurred_at.FromDatetime(at)
    return real.activity_of(message)


def reversal_of(id_: str, of: str, member: str, at: Any) -> Command:
    message = activities.TopUpReversal(id=id_, program=real.PROGRAM, member=member, of=of)
    message.occurred_at.FromDatetime(at)
    return real.activity_of(message)


def gift_of(id_: str, giver: str, receiver: str, amount: int) -> Command:
    cause = Cause(f"{real.PROGRAM}/gift", id_, repr((receiver, amount)).encode())
    return SendGift(real.PROGRAM, giver, 0, cause, real.WALL, id_, receiver, 0, "JPY", amount)
