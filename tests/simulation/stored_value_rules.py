"""What the state machine does with money."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from services.ledger.domain.commands import AwardMoney, Cause, Command, SendGift, TakeBackMoney
from services.ledger.domain.events import TopUpReversed
from tallybook.activities.v1 import activities_pb2 as activities
from tests.simulation import real_book as real

members = st.sampled_from(["ann", "bob"])
people = st.sampled_from(["ann", "bob", "cid"])
top_up_ids = st.integers(0, 30).map("t{}".format)
award_ids = st.integers(0, 30).map("w{}".format)
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

    @rule(id_=award_ids, member=members, amount=st.integers(0, 3_000))
    def award_money(self: Any, id_: str, member: str, amount: int) -> None:
        self.both(lambda: award_of(id_, member, amount), lambda: self.naive.award_money(id_, member, amount))

    @rule(award=award_ids | top_up_ids, member=people, amount=st.integers(0, 3_000))
    def take_back_money(self: Any, award: str, member: str, amount: int) -> None:
        id_ = self.next_id()
        self.both(
            lambda: taking_back_of(id_, award, member, amount),
            lambda: self.naive.take_back_money(award, member, amount),
        )

    @rule(data=st.data(), member=people, too_many=st.sampled_from([0, 0, 0, 1]))
    def take_back_something(self: Any, data: st.DataObject, member: str, too_many: int) -> None:
        """A reward of which something is there, held perhaps: most are taken back from whoever has them."""
        there = sorted(award for award, coins in self.naive.awards.items() if coins.left)
        if there:
            award = data.draw(st.sampled_from(there))
            coins = self.naive.awards[award]
            owner = next(name for name, purse in self.naive.coins.items() if any(c is coins for c in purse))
            owner = data.draw(st.sampled_from([owner, owner, member]))
            amount = data.draw(st.sampled_from([coins.left, coins.free, 1]))
            self.take_back_money(award, owner, amount + too_many)

    @rule(
        data=st.data(),
        member=members,
        amount=st.integers(1, 2_000),
        paid=st.sampled_from([0, 0, 1_000, 5_000]),
        then=st.lists(
            st.sampled_from(["gift", "hold", "part", "refund", "end", "merge", "wait"]), max_size=3
        ),
    )
    def award_and_take_back(
        self: Any, data: st.DataObject, member: str, amount: int, paid: int, then: list[str]
    ) -> None:
        """A reward beside other money; what becomes of it until it is taken back. What a top-up gave is no reward."""
        top_up, award, hold = self.next_id(), self.next_id(), self.next_id()
        if paid:
            self.top_up(top_up, member, 0, paid)
            self.take_back_money(top_up, member, 1)
        self.award_money(award, member, amount)
        other, coins = "bob" if member == "ann" else "ann", st.integers(1, amount)
        steps = {
            "gift": lambda: self.give_what_is_there(data, member),
            "hold": lambda: self.hold_coins(hold, member, data.draw(coins)),
            "part": lambda: self.capture_coins(hold, member, data.draw(coins)),
            "refund": lambda: self.refund(member, real.order_of(hold)),
            "end": lambda: self.release(hold, member),
            "merge": lambda: self.merge(other, member),
            "wait": lambda: self.advance(24 * data.draw(st.integers(1, 70))),
        }
        for step in then:
            steps[step]()
        self.take_back_money(award, member, amount)

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


def award_of(id_: str, member: str, amount: int) -> Command:
    cause = Cause(f"{real.PROGRAM}/money_award", id_, repr(amount).encode())
    return AwardMoney(real.PROGRAM, member, 0, cause, real.WALL, id_, "JPY", amount)


def taking_back_of(id_: str, award: str, member: str, amount: int) -> Command:
    cause = Cause(f"{real.PROGRAM}/money_taken_back", id_, repr((award, amount)).encode())
    return TakeBackMoney(real.PROGRAM, member, 0, cause, real.WALL, award, "JPY", amount)


def gift_of(id_: str, giver: str, receiver: str, amount: int) -> Command:
    cause = Cause(f"{real.PROGRAM}/gift", id_, repr((receiver, amount)).encode())
    return SendGift(real.PROGRAM, giver, 0, cause, real.WALL, id_, receiver, 0, "JPY", amount)
