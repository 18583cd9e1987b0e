"""The rows of a merge, read for what they say: what leaves one member, and what arrives at the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from services.ops.verify import ledger_held_money
from services.ops.verify.journal_chain import EPOCH
from services.ops.verify.ledger_counters import told
from services.ops.verify.ledger_members import MemberRows
from services.ops.verify.ledger_people import PeopleRows
from services.ops.verify.ledger_state import (
    POINTS,
    HoldRead,
    LedgerState,
    LotRead,
    MemberKey,
    MemberRead,
    MoneyRead,
    ReferralRead,
    SettlementRead,
    TopUpRead,
)

Posting = tuple[str, str, str, str, int, int | None]


class MergeRows(MemberRows, PeopleRows):
    """The part of LedgerJournal that reads who its members are."""

    state: LedgerState

    @abstractmethod
    def _lot(self, row: Any, key: MemberKey, lot_id: int) -> LotRead | None: ...

    def member_readers(self) -> dict[str, Callable[[Any, Any], Sequence[Posting]]]:
        """By type of row."""
        return {
            **super().member_readers(),
            **self.people_readers(),
            "MembersMerged": self._merged,
            "MemberAbsorbed": self._absorbed,
            "LotMoved": self._lot_moved,
            "HoldMoved": self._hold_moved,
            "TopUpMoved": self._top_up_moved,
            "AwardsMoved": self._awards_moved,
            "ReferralMoved": self._referral_moved,
            "SettlementMoved": self._settlement_moved,
            "CountersMoved": self._counters_moved,
        }

    def _merged(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        member.absorbed += [message.absorbed, *message.before]
        member.posted -= message.debt
        member.debt += message.debt
        if message.debt < 0 or not 0 <= message.held <= message.points:
            self._wrong("L2", row, f"{message.points} points, {message.held} held, debt {message.debt}")
        account = f"member/{key[1]}"
        return [(key[0], account, "in_transit", "points", message.debt, None)] if message.debt else ()

    def _absorbed(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        parts = [(part.lot, part.amount) for part in message.allocations]
        had = (member.posted + member.debt, member.debt, member.held, member.pending)
        leaves = (sum(amount for _, amount in parts), message.debt, message.held, message.pending)
        if had != leaves:
            self._wrong("L2", row, f"leaves with (points, debt, held, pending) {leaves} and had {had}")
        held = 0
        for lot_id, amount in parts:
            lot = self._lot(row, key, lot_id)
            if lot is None:
                continue
            if amount < 1 or amount != lot.remaining:
                self._wrong("L2", row, f"leaves with {amount} of lot {lot_id}, which has {lot.remaining}")
            held += lot.held
            lot.remaining = lot.held = 0
        if held != message.held:
            self._wrong("L3", row, f"leaves with {message.held} points held, its lots hold {held}")
        for name in message.holds:
            hold = self.state.holds.get((*key, name))
            if hold is None or (hold.state != "open" and not hold.captured + hold.money.captured):
                self._wrong("L3", row, f"leaves with hold {name}, which is over")
                continue
            self.state.orders.pop((*key, hold.order), None)
            self.state.money_of_orders.pop((*key, hold.order, hold.money.currency), None)
            hold.state, hold.parts, hold.spent = "moved", [], {}
            hold.money.parts, hold.money.spent = [], {}
        for returned in message.parked:
            if self.state.parked.pop((*key, returned.purchase, returned.id), None) is None:
                self._wrong("tables", row, f"leaves with return {returned.id}, which does not wait")
        for identifier in message.identifiers:
            if self.state.identifiers.pop((key[0], identifier.hash), None) != (identifier.kind, key[1]):
                self._wrong("tables", row, f"leaves with a {identifier.kind} that was not its own")
        self.state.profiles.pop(key, None)
        member.posted = member.debt = member.held = member.pending = 0
        member.lapses_at = None
        if member.merged_into:
            self._wrong("tables", row, f"was merged into {member.merged_into} before")
        member.merged_into = message.into
        account = f"member/{key[1]}"
        postings: list[Posting] = [
            (key[0], account, "in_transit", "points", amount, lot) for lot, amount in parts
        ]
        postings += self._money_leaves(row, key, member, message.money)
        if message.debt:
            postings.append((key[0], "in_transit", account, "points", message.debt, None))
        return postings

    def _money_leaves(self, row: Any, key: MemberKey, member: MemberRead, money: Any) -> Iterator[Posting]:
        for part in money:
            lot = self._lot(row, key, part.lot)
            if lot is None:
                continue
            if part.amount < 1 or (part.amount, part.asset) != (lot.remaining, lot.asset):
                self._wrong("L2", row, f"leaves with {part.amount} {part.asset} of lot {part.lot}")
            account = member.money.setdefault(part.asset, MoneyRead())
            account.posted -= lot.remaining
            account.held -= lot.held
            lot.remaining = lot.held = 0
            yield (key[0], f"member/{key[1]}", "in_transit", part.asset, part.amount, part.lot)
        for asset, account in member.money.items():
            if account.posted or account.held:
                self._wrong("L2", row, f"leaves and {account.posted} {asset} stay, {account.held} held")

    def _lot_moved(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        if not 0 <= message.points <= message.amount:
            self._wrong("L2", row, f"{message.points} points of a lot of {message.amount}")
        expires_at = _time(message.expires_at) if message.HasField("expires_at") else None
        lot = self.state.lots[row["position"]] = LotRead(
            key, message.amount, message.points, 0, _time(message.earned_at), expires_at, message.purchase,
            asset=message.asset,
        )  # fmt: skip
        if message.asset != POINTS:
            member.money.setdefault(message.asset, MoneyRead()).posted += message.points
        else:
            member.posted += message.points
            if message.HasField("matures_at"):
                lot.matures_at = _time(message.matures_at)
                member.pending += message.points
        if not message.points:
            return ()
        return [(key[0], "in_transit", f"member/{key[1]}", message.asset, message.points, row["position"])]

    def _hold_moved(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        parts = [(part.lot, part.amount) for part in message.allocations]
        for lot_id, amount in parts:
            lot = self._lot(row, key, lot_id)
            if lot is None:
                continue
            if amount < 1 or lot.held + amount > lot.remaining:
                self._wrong("L3", row, f"takes {amount} of lot {lot_id}, free are {lot.remaining - lot.held}")
            lot.held += amount
            member.held += amount
        if (*key, message.hold) in self.state.holds:
            self._wrong("L3", row, f"hold {message.hold} was placed before")
        spent = {part.lot: part.amount for part in message.spent}
        hold = self.state.holds[(*key, message.hold)] = HoldRead(
            message.order, message.amount, message.captured, _time(message.expires_at), message.state, parts,
            spent, message.refunded,
        )  # fmt: skip
        wrong: Callable[[str], None] = lambda what: self._wrong("L3", row, what)  # noqa: E731
        ledger_held_money.moved(self.state, key, member, hold, message, wrong)
        if (parts and message.state != "open") or sum(spent.values()) != message.captured - message.refunded:
            self._wrong("L3", row, f"hold {message.hold} is {message.state}, and other points than it says")
        if message.captured:
            order = (*key, message.order)
            self.state.orders[order] = self.state.orders.get(order, 0) + sum(spent.values())
        return ()

    def _top_up_moved(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is not None:
            self.state.top_ups[(*key, message.top_up)] = TopUpRead(
                message.currency, message.amount, message.points, message.bonus, message.principal_lot,
                message.bonus_lot, message.bonus_expired, message.reversed,
            )  # fmt: skip
        return ()

    def _awards_moved(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        for count in message.counts if member is not None else ():
            name = (*key, count.slot)
            self.state.awards[name] = self.state.awards.get(name, 0) + count.awards
        return ()

    def _referral_moved(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        if key in self.state.referrals or message.referrer in (key[1], *member.absorbed):
            self._wrong("tables", row, f"{key[1]} was referred before, or refers itself")
        qualified_at = _time(message.qualified_at) if message.HasField("qualified_at") else None
        self.state.referrals[key] = ReferralRead(
            message.referral,
            message.referrer,
            _time(message.registered_at),
            qualified_at,
            list(message.tasks),
        )
        return ()

    def _settlement_moved(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is not None:
            returned = {units.line: units.quantity for units in message.returned}
            self.state.settlements[(*key, message.purchase)] = SettlementRead(
                returned, message.adjusted, told(message.counters)
            )
        return ()

    def _counters_moved(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        for counter in message.counters:
            was, _ = self.state.counters.get((*key, counter.name), (Decimal(0), 0))
            if counter.name == "visits":
                was, member.uncounted = was + member.uncounted, 0
            try:
                found, left = Decimal(counter.before), Decimal(counter.after)
            except InvalidOperation:
                self._wrong("tables", row, f"counter {counter.name} goes from {counter.before!r}")
                continue
            if found != was or left <= found:
                self._wrong(
                    "tables", row, f"counter {counter.name} was {was}, it goes from {found} to {left}"
                )
            self.state.counters[(*key, counter.name)] = (left, row["position"])
        return ()


def _time(stamp: Any) -> Any:
    return EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1_000)
