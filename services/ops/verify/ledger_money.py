"""The journal's rows of stored value, read for what they say: money is the sum of its lots, by currency and bucket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from services.ops.verify.journal_chain import EPOCH
from services.ops.verify.ledger_state import (
    LedgerState,
    LotRead,
    MemberKey,
    MemberRead,
    MoneyRead,
    Posting,
    TopUpRead,
)

MONEY_ACCOUNTS = ("paid_in", "given", "rewarded", "paid_out", "in_transit")


def points_of_a_top_up(
    state: LedgerState, key: MemberKey, row: Any, message: Any, wrong: Callable[[str, Any, str], None]
) -> None:
    """A PointsAccrued of a top-up."""
    top_up = state.top_ups.get((*key, message.purchase))
    if top_up is None:
        wrong("tables", row, f"no top-up {message.purchase} is recorded")
    else:
        top_up.points = message.points


class MoneyRows:
    """Reads the rows of stored value into `state`. `member` and `wrong` are those of the journal's reading."""

    def __init__(
        self,
        state: LedgerState,
        member: Callable[[Any], tuple[MemberKey, MemberRead | None]],
        wrong: Callable[[str, Any, str], None],
    ) -> None:
        self._state = state
        self._member = member
        self._wrong = wrong
        self.readers: dict[str, Callable[[Any, Any], Sequence[Posting]]] = {
            "TopUpRecorded": self._topped_up,
            "MoneyCredited": self._credited,
            "MoneyTakenBack": self._taken_back,
            "TopUpReversed": self._reversed,
            "GiftSent": self._sent,
            "GiftReceived": self._received,
            "MoneyExpired": self._expired,
        }

    def _topped_up(self, row: Any, message: Any) -> Sequence[Posting]:
        key, _ = self._member(row)
        name = (*key, message.activity.id)
        if name in self._state.top_ups:
            self._wrong("tables", row, f"top-up {message.activity.id} was recorded before")
        self._state.top_ups[name] = TopUpRead(message.activity.currency, message.activity.amount)
        return ()

    def _credited(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if message.reason == "reward":
            return self._rewarded(row, key, member, message)
        top_up = self._state.top_ups.get((*key, message.top_up))
        if member is None or top_up is None:
            self._wrong("tables", row, f"no top-up {message.top_up} is recorded")
            return ()
        if message.reason == "paid_in":
            top_up.principal_lot, bucket, source = row["position"], "principal", "paid_in"
            if message.amount != top_up.amount:
                self._wrong("L2", row, f"{message.amount} of {top_up.amount} that were paid in")
        else:
            top_up.bonus_lot, top_up.bonus, bucket, source = row["position"], message.amount, "bonus", "given"
        if message.asset != f"{top_up.currency}.{bucket}":
            self._wrong("L2", row, f"{message.asset} is not {bucket} of {top_up.currency}")
        self._open(row, key, member, message, message.top_up)
        return [(key[0], source, f"member/{key[1]}", message.asset, message.amount, row["position"])]

    def _rewarded(
        self, row: Any, key: MemberKey, member: MemberRead | None, message: Any
    ) -> Sequence[Posting]:
        if member is None:
            return ()
        if not message.asset.endswith(".bonus"):
            self._wrong("L2", row, f"a reward is bonus, and this is {message.asset}")
        self._open(row, key, member, message, message.top_up)
        return [(key[0], "rewarded", f"member/{key[1]}", message.asset, message.amount, row["position"])]

    def _taken_back(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        parts = [(part.lot, part.amount) for part in message.allocations]
        for lot_id, _ in parts:
            lot = self._state.lots.get(lot_id)
            if lot is None or lot.purchase != message.award:
                self._wrong("L2", row, f"lot {lot_id} is not of the reward {message.award}")
        self._take(row, key, member, message.asset, parts)
        return [(key[0], f"member/{key[1]}", "rewarded", message.asset, amount, lot) for lot, amount in parts]

    def _reversed(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        top_up = self._state.top_ups.get((*key, message.activity.of))
        if member is None or top_up is None or top_up.reversed:
            self._wrong("tables", row, f"no top-up {message.activity.of} is there to reverse")
            return ()
        top_up.reversed = True
        principal, bonus = (self._left(lot) for lot in (top_up.principal_lot, top_up.bonus_lot))
        kept = min(principal, top_up.bonus - top_up.bonus_expired - bonus)
        told = [
            [(part.lot, part.amount) for part in parts]
            for parts in (message.paid_out, message.kept, message.bonus)
        ]
        wanted = [
            [(lot, amount)] if amount else []
            for lot, amount in (
                (top_up.principal_lot, principal - kept), (top_up.principal_lot, kept), (top_up.bonus_lot, bonus),
            )
        ]  # fmt: skip
        if told != wanted:
            self._wrong("L2", row, f"moves {told}, the lots of the top-up say {wanted}")
        account, paid, given = (
            f"member/{key[1]}",
            f"{message.currency}.principal",
            f"{message.currency}.bonus",
        )
        moves = (("paid_out", paid, told[0]), ("clawed_back", paid, told[1]), ("clawed_back", given, told[2]))
        postings: list[Posting] = []
        for to, asset, parts in moves:
            self._take(row, key, member, asset, parts)
            postings += [(key[0], account, to, asset, amount, lot) for lot, amount in parts]
        return postings

    def _sent(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        postings: list[Posting] = []
        for bucket, allocations in (("principal", message.principal), ("bonus", message.bonus)):
            parts = [(part.lot, part.amount) for part in allocations]
            asset = f"{message.currency}.{bucket}"
            self._take(row, key, member, asset, parts)
            postings += [
                (key[0], f"member/{key[1]}", "in_transit", asset, amount, lot) for lot, amount in parts
            ]
        if sum(posting[4] for posting in postings) != message.amount:
            self._wrong("L2", row, f"gives {message.amount} and takes other amounts from lots")
        return postings

    def _received(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        self._open(row, key, member, message, message.gift)
        return [(key[0], "in_transit", f"member/{key[1]}", message.asset, message.amount, row["position"])]

    def _expired(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        lot = self._state.lots.get(message.lot)
        if lot is not None and (lot.expires_at is None or lot.expires_at > row["occurred_at"]):
            self._wrong("L2", row, f"lot {message.lot} expires at {lot.expires_at}, not yet")
        self._take(row, key, member, message.asset, [(message.lot, message.amount)])
        if lot is not None:
            top_up = self._state.top_ups.get((*key, lot.purchase))
            if top_up is not None and top_up.bonus_lot == message.lot:
                top_up.bonus_expired += message.amount
        return [(key[0], f"member/{key[1]}", "breakage", message.asset, message.amount, message.lot)]

    def _open(self, row: Any, key: MemberKey, member: MemberRead, message: Any, source: str) -> None:
        if message.amount < 1:
            self._wrong("L2", row, f"opens a lot of {message.amount}")
        expires_at: datetime | None = None
        if message.HasField("expires_at"):
            stamp = message.expires_at
            expires_at = EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1_000)
        amount = message.amount
        self._state.lots[row["position"]] = LotRead(
            key, amount, amount, 0, row["occurred_at"], expires_at, source, asset=message.asset
        )
        member.money.setdefault(message.asset, MoneyRead()).posted += amount

    def _take(
        self, row: Any, key: MemberKey, member: MemberRead, asset: str, parts: Sequence[tuple[int, int]]
    ) -> None:
        for lot_id, amount in parts:
            lot = self._state.lots.get(lot_id)
            if lot is None or lot.owner != key or lot.asset != asset:
                self._wrong("L2", row, f"{key[1]} has no lot {lot_id} of {asset}")
                continue
            if not 1 <= amount <= lot.remaining - lot.held:
                self._wrong(
                    "L2", row, f"takes {amount} of lot {lot_id}, which has {lot.remaining - lot.held}"
                )
            lot.remaining -= amount
            member.money.setdefault(asset, MoneyRead()).posted -= amount

    def _left(self, lot_id: int) -> int:
        lot = self._state.lots.get(lot_id)
        return 0 if lot is None else lot.remaining
