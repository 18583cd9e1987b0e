"""The state machine's rules for interactions, referrals and budgets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from services.ledger.domain.commands import Cause, Command, RewardReferral
from services.ledger.handle import Outcome
from tests.simulation import real_book as real
from tests.simulation.naive_ledger import NaiveLedger
from tests.simulation.naive_social import KINDS, NaiveSocial
from tests.simulation.social_book import interaction_message, referral_message

people = st.sampled_from(["ann", "bob", "cid", "dan"])
ids = st.integers(0, 30).map("s{}".format)
hours = st.integers(-30, 30) | st.integers(-24 * 45, 24 * 2)
kinds = st.sampled_from([*KINDS, *KINDS, "dance"])
contents = st.sampled_from(["", "c1", "c2", "c3", "c4"])


class SocialRules:
    """A part of the ledger's machine; `both` and `unkeyed` are the machine's."""

    real: real.RealBook
    naive: NaiveLedger
    social: NaiveSocial
    at: Callable[[int], datetime]
    next_id: Callable[[], str]
    both: Callable[[Callable[[], Command], Callable[[], None]], None]
    unkeyed: Callable[[Callable[[], Outcome], Callable[[], Any]], Outcome]

    @rule(id_=ids, member=people, kind=kinds, content=contents, later=hours)
    def interact(self, id_: str, member: str, kind: str, content: str, later: int) -> None:
        at = self.at(later)
        message = interaction_message(id_, real.PROGRAM, member, kind, content, at)
        self.both(
            lambda: real.activity_of(_copy(message)),
            lambda: self.social.interact(member, kind, content, at, real.WALL),
        )

    @rule(data=st.data(), content=contents, hours=st.integers(0, 12))
    def interact_again(self, data: st.DataObject, content: str, hours: int) -> None:
        """Near an award that was given, where caps are met."""
        if not self.social.awards:
            self.interact(self.next_id(), "ann", "share", "", 0)
        given = [award for award in self.social.awards if award.what in KINDS]
        if given:
            award = data.draw(st.sampled_from(given))
            later = int((award.at - self.at(0)).total_seconds()) // 3_600 + hours
            self.interact(self.next_id(), award.member, award.what, content, later)

    @rule(referee=people, referrer=people, later=hours)
    def refer(self, referee: str, referrer: str, later: int) -> None:
        at = self.at(later)
        message = referral_message(
            self.next_id(), real.PROGRAM, referee, at, referrer=referrer, step="registered"
        )
        self.both(
            lambda: real.activity_of(_copy(message)),
            lambda: self.social.register(referee, referrer, at, real.WALL),
        )

    @rule(referee=people, task=st.sampled_from(["bind_phone", "bind_phone", "dance"]), later=hours)
    def do_a_task(self, referee: str, task: str, later: int) -> None:
        at = self.at(later)
        message = referral_message(self.next_id(), real.PROGRAM, referee, at, step="task", task=task)
        self.both(
            lambda: real.activity_of(_copy(message)), lambda: self.social.do(referee, task, at, real.WALL)
        )

    @rule(data=st.data(), referee=people, referrer=people)
    def do_the_task(self, data: st.DataObject, referee: str, referrer: str) -> None:
        """Somebody who was referred, perhaps now, does what is asked, once or again."""
        there = sorted(self.social.referred.keys() - self.naive.heirs.keys())
        if not there:
            self.refer(referee, referrer, 0)
        self.do_a_task(data.draw(st.sampled_from(there or [referee])), "bind_phone", 0)

    @rule(data=st.data())
    def reward(self, data: st.DataObject) -> None:
        """What the ledger's ticker does, at any time, also when nothing is owed."""
        there = sorted(self.social.referred.keys() - self.naive.heirs.keys())
        if not there:
            return
        self.reward_all(data.draw(st.sampled_from(there)))

    def reward_all(self, referee: str) -> None:
        """All that a referral is owed."""
        referrer = self.social.referred[referee].by
        command = RewardReferral(
            real.PROGRAM, referee, 0, Cause("tallybook/referrals", "f"), real.WALL, referrer, 0
        )
        self.unkeyed(lambda: self.real.take(command), lambda: self.social.reward(referee))

    @invariant()
    def referrals_and_budgets_agree(self) -> None:
        found = {referee: r for (_, referee), r in self.real.book.referrals.items()}
        assert {name: (r.referrer, r.qualified_at is not None, r.owed) for name, r in found.items()} == {
            name: (r.by, r.qualified, r.owed) for name, r in self.social.referred.items()
        }
        assert self.real.book.budgets.get((real.PROGRAM, "friends"), 0) == self.social.given


def _copy(message: Any) -> Any:
    """The reading of a message takes its member out."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
