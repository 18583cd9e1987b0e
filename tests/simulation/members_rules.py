"""What the state machine does about members: cards that come and go, suspensions, closings, points by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from services.ledger.domain.commands import (
    Adjust,
    ApproveAdjustment,
    CloseMember,
    Command,
    DeclineAdjustment,
    ReactivateMember,
    SuspendMember,
    UnlinkIdentifiers,
)
from services.ledger.handle import KINDS
from tallybook.activities.v1 import activities_pb2 as activities
from tests.simulation import naive_members as naive
from tests.simulation import real_book as real
from tests.simulation.naive_ledger import NaiveLedger

members = st.sampled_from(["ann", "bob"])
cards = st.sampled_from(["1", "2", "3"])
people = st.sampled_from(["carol", "dave"])
adjustment_ids = st.integers(0, 10).map("a{}".format)


def card_of(card: str) -> tuple[str, bytes]:
    """A card as the book knows it."""
    return "card", real.IDENTIFIERS.digest("card", card)


def linking_of(id_: str, member: str, card: str) -> Command:
    message = activities.Enrolment(id=id_, program=real.PROGRAM, member=member)
    message.occurred_at.FromDatetime(real.WALL)
    message.identifiers.add(kind="card", value=card)
    return real.activity_of(message)


def command_of(cls: type[Any], id_: str, member: str, *content: object) -> Command:
    """A command of a class in which nothing follows what all commands have but `content`."""
    cause = real._cause(KINDS[cls.__name__], id_, *content)
    command: Command = cls(real.PROGRAM, member, 0, cause, real.WALL, *content)
    return command


class MemberRules:
    """A part of the state machine."""

    real: real.RealBook
    naive: NaiveLedger
    both: Callable[[Callable[[], Command], Callable[[], None]], None]
    next_id: Callable[[], str]

    @rule(member=members, card=cards)
    def link(self, member: str, card: str) -> None:
        id_ = self.next_id()
        self.both(lambda: linking_of(id_, member, card), lambda: naive.link(self.naive, member, card))

    @rule(member=members, card=cards)
    def unlink(self, member: str, card: str) -> None:
        id_ = self.next_id()
        self.both(
            lambda: command_of(UnlinkIdentifiers, id_, member, [card_of(card)]),
            lambda: naive.unlink(self.naive, member, card),
        )

    @rule(member=members)
    def suspend(self, member: str) -> None:
        id_ = self.next_id()
        self.both(
            lambda: command_of(SuspendMember, id_, member, "why", "carol"),
            lambda: naive.suspend(self.naive, member),
        )

    @rule(member=members)
    def reactivate(self, member: str) -> None:
        id_ = self.next_id()
        self.both(
            lambda: command_of(ReactivateMember, id_, member, "why", "carol"),
            lambda: naive.reactivate(self.naive, member),
        )

    @rule(member=st.sampled_from(["ann", "bob", "cid", "dan"]), sure=st.integers(0, 2))
    def close(self, member: str, sure: int) -> None:
        """Seldom, for nothing comes after it."""
        if sure:
            return
        id_ = self.next_id()
        self.both(
            lambda: command_of(CloseMember, id_, member, "why", "carol"),
            lambda: naive.close(self.naive, member),
        )

    @rule(id_=adjustment_ids, member=members, points=st.integers(-120, 120).filter(bool), by=people)
    def adjust(self, id_: str, member: str, points: int, by: str) -> None:
        self.both(
            lambda: command_of(Adjust, id_, member, id_, points, "goodwill", "", by),
            lambda: naive.adjust(self.naive, id_, member, points, by),
        )

    @rule(adjustment=adjustment_ids, member=members, by=people)
    def approve(self, adjustment: str, member: str, by: str) -> None:
        id_ = self.next_id()
        self.both(
            lambda: command_of(ApproveAdjustment, id_, member, adjustment, by),
            lambda: naive.approve(self.naive, adjustment, member, by),
        )

    @rule(adjustment=adjustment_ids, member=members, by=people)
    def decline(self, adjustment: str, member: str, by: str) -> None:
        id_ = self.next_id()
        self.both(
            lambda: command_of(DeclineAdjustment, id_, member, adjustment, "no", by),
            lambda: naive.decline(self.naive, adjustment, member),
        )

    @rule(data=st.data())
    def undo_something(self, data: st.DataObject) -> None:
        """A card that is known goes, or who is suspended may spend again."""
        suspended = [name for name, account in self.naive.members.items() if account.status == "suspended"]
        undo = [(self.unlink, member, card) for card, member in self.naive.cards.items()]
        again = [(self.reactivate, name) for name in suspended if name not in self.naive.heirs]
        if undo or again:
            does, *whom = data.draw(st.sampled_from([*undo, *again]))
            does(*whom)

    @rule(data=st.data(), member=members, points=st.integers(51, 120), yes=st.booleans(), by=people)
    def decide_something(self, data: st.DataObject, member: str, points: int, yes: bool, by: str) -> None:
        """Something that waits, by whoever; where nothing does, something new."""
        waiting = [
            (id_, member)
            for member, account in self.naive.members.items()
            for id_, (_, _, state) in account.by_hand.items()
            if state == "requested"
        ]
        if not waiting:
            waiting = [(self.next_id(), member)]
            self.adjust(*waiting[0], points, "carol")
        (self.approve if yes else self.decline)(*data.draw(st.sampled_from(waiting)), by)

    @invariant()
    def who_is_who_agrees(self) -> None:
        known = {card_of(card)[1]: member for card, member in self.naive.cards.items()}
        assert {digest: member for (_, digest), member in self.real.book.identifiers.items()} == known
        for name, account in self.naive.members.items():
            member = self.real.member(name)
            assert member.status == account.status
            found = {id_: (a.points, a.requested_by, a.state) for id_, a in member.adjustments.items()}
            assert found == account.by_hand
