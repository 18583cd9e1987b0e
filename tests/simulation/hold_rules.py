"""The state machine's rules of captures in parts, of refunds, and of ids sent again with other content."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from services.ledger.domain.commands import (
    CaptureHold,
    Cause,
    Command,
    Money,
    PlaceHold,
    RefundSpend,
    ReleaseHold,
)
from services.ledger.handle import Outcome
from tests.simulation import real_book as real

COMPARED: dict[type[Command], tuple[str, ...]] = {
    PlaceHold: ("member", "order", "amount", "money", "ttl_seconds"),
    CaptureHold: ("member", "hold", "amount", "money"),
    ReleaseHold: ("member", "hold"),
    RefundSpend: ("member", "order", "amount", "money"),
}
"""What is compared of a command, first things first."""


class HoldRules:
    """The rules of holds and refunds, for the machine that holds both books."""

    @rule(data=st.data(), id_=st.integers(0, 30).map("h{}".format), seconds=st.sampled_from([60, 5_000_000]))
    def hold_money(self: Any, data: st.DataObject, id_: str, seconds: int) -> None:
        """Some of a member's money with a few points or none, now and then more than there is."""
        rich = sorted(name for name in self.naive.members if self.naive.money_of(name))
        if rich:
            member = data.draw(st.sampled_from(rich))
            coins = data.draw(st.integers(1, sum(self.naive.money_of(member).values()) + 1))
            amount = data.draw(st.just(0) | st.integers(0, 60))
            self.both(
                lambda: real.hold_of(id_, member, amount, seconds, coins),
                lambda: self.naive.hold(id_, real.order_of(id_), member, amount, seconds, coins),
            )

    @rule(data=st.data(), final=st.booleans())
    def capture_some_of_a_hold(self: Any, data: st.DataObject, final: bool) -> None:
        """A little of an open hold, now and then a point too many."""
        holds = [
            (member, id_, hold.left, hold.coins.left)
            for member, account in self.naive.members.items()
            for id_, hold in account.holds.items()
            if hold.state == "open"
        ]
        if holds:
            member, hold, left, coins_left = data.draw(st.sampled_from(holds))
            amount = data.draw(st.none() | st.integers(1, left // 2 + 1) | st.just(left + 1))
            coins = data.draw(_some_of(coins_left))
            id_ = self.next_id()
            self.both(
                lambda: real.capture_of(id_, hold, member, amount, final, coins),
                lambda: self.naive.capture(hold, member, amount, final, coins),
            )

    def hold_coins(self: Any, id_: str, member: str, coins: int) -> None:
        """Money alone, for a day."""
        self.both(
            lambda: real.hold_of(id_, member, 0, 86_400, coins),
            lambda: self.naive.hold(id_, real.order_of(id_), member, 0, 86_400, coins),
        )

    def capture_coins(self: Any, hold: str, member: str, coins: int) -> None:
        """Some of a hold's money; the rest stays held."""
        id_ = self.next_id()
        self.both(
            lambda: real.capture_of(id_, hold, member, None, False, coins),
            lambda: self.naive.capture(hold, member, None, False, coins),
        )

    @rule(member=st.sampled_from(["ann", "bob"]), order=st.integers(0, 8).map("o{}".format))
    def refund(self: Any, member: str, order: str) -> None:
        id_ = self.next_id()
        self.both(
            lambda: real.refund_of(id_, order, member, None),
            lambda: self.naive.refund(order, member, None),
        )

    @rule(data=st.data())
    def refund_something(self: Any, data: st.DataObject) -> None:
        """An order on which something was spent, in part, and now and then a point too many."""
        spent = [
            (member, hold.order, len(hold.spent), hold.coins.stays)
            for member, account in self.naive.members.items()
            for hold in account.holds.values()
            if hold.captured or hold.coins.captured
        ]
        if spent:
            member, order, most, coins_most = data.draw(st.sampled_from(spent))
            amount = data.draw(st.none() | st.integers(1, most + 1))
            coins = data.draw(_some_of(coins_most))
            id_ = self.next_id()
            self.both(
                lambda: real.refund_of(id_, order, member, amount, coins),
                lambda: self.naive.refund(order, member, amount, coins),
            )

    @rule(
        member=st.sampled_from(["ann", "bob"]),
        yen=st.integers(3_000, 30_000),
        days=st.integers(20, 70),
        version=st.sampled_from(["v2", "v1", ""]),
    )
    def refund_after_a_while(self: Any, member: str, yen: int, days: int, version: str) -> None:
        """Points may have run out that were spent and come back, perhaps under another version."""
        self.purchase(self.next_id(), member, 0, [("FOOD", 1, yen)])
        hold = self.next_id()
        self.hold(hold, member, 20, 86_400)
        self.capture(hold, member, None)
        self.advance(24 * days)
        if version:
            self.activate(version)
        self.refund(member, real.order_of(hold))

    @rule(data=st.data())
    def again_with_other_content(self: Any, data: st.DataObject) -> None:
        """An id that was used, with one or more parts changed: the first of them is told, and nothing happens."""
        known = [command for command, _ in self.known.values() if type(command) in COMPARED]
        if not known:
            return
        command = data.draw(st.sampled_from(known))
        _, first = self.known[command.cause.source, command.cause.id]
        parts = COMPARED[type(command)]
        changed = data.draw(st.sets(st.sampled_from(parts), min_size=1))
        changes: dict[str, Any] = {part: _another(part, getattr(command, part)) for part in changed}
        if "money" in changed and getattr(command, "amount", 0) is None and "amount" not in changed:
            # Who names money names no points, unless they are named too.
            changes["amount"] = 0 if first.refusal else first.events[0][1].event.amount  # type: ignore[union-attr]
        cause = Cause(command.cause.source, command.cause.id, repr(sorted(changes.items())).encode())
        before, rows = copy.deepcopy(self.real.book.members), len(self.real.rows)
        outcome = self.real.take(replace(command, cause=cause, **changes))
        assert outcome.refusal is not None
        told = next(part for part in parts if part in changed).removesuffix("_seconds")
        assert outcome.refusal[0] == ("id_reused" if first.refusal else f"exists_with_different_{told}")
        assert len(self.real.rows) == rows + 1
        assert self.real.book.members == before

    def spends_agree(self: Any, member: str) -> None:
        """Of each order stays spent what the naive reading says, whichever of its holds it was."""
        spent, naive = Counter[str](), Counter[str]()
        for hold in self.real.member(member).holds.values():
            if hold.state == "moved":
                continue
            assert sum(points for _, points in hold.spent) == hold.captured - hold.refunded
            spent[hold.order] += hold.captured - hold.refunded
        for told in self.naive.members[member].holds.values():
            naive[told.order] += len(told.spent)
        assert spent == naive
        paid, naive = Counter[str](), Counter[str]()
        for hold in self.real.member(member).holds.values():
            money = hold.money
            if hold.state == "moved":
                continue
            assert sum(amount for _, amount in money.spent) == money.captured - money.refunded
            paid[hold.order] += money.captured - money.refunded
        for told in self.naive.members[member].holds.values():
            naive[told.order] += told.coins.stays
        assert paid == naive


def _some_of(coins: int) -> st.SearchStrategy[int | None]:
    """No money, some, all of it, or too much."""
    return st.none() | st.integers(1, coins // 2 + 1) | st.just(coins or None) | st.just(coins + 1)


def _another(part: str, value: Any) -> Any:
    """A value that no command has."""
    if part == "money":
        return Money("JPY", 10**9)
    return value + "-x" if isinstance(value, str) else 10**9


def code_again(command: Command, first: Command, outcome: Outcome, heir: Callable[[str], str]) -> str:
    """What an id that was used is told where something differs. Who was merged is the survivor."""
    if outcome.refusal is None and type(command) in COMPARED:
        for part in COMPARED[type(command)]:
            was, now = getattr(first, part), getattr(command, part)
            if part == "member":
                was, now = heir(was), heir(now)
            if was != now:
                return f"exists_with_different_{part.removesuffix('_seconds')}"
    return "id_reused"
