"""The rows of the ledger's journal that say who a member is and what was given or taken by hand."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from services.ops.verify.journal_chain import EPOCH
from services.ops.verify.ledger_state import (
    POINTS,
    AdjustmentRead,
    LedgerState,
    LotRead,
    MemberKey,
    MemberRead,
    Posting,
)


class MemberRows:
    """The part of `LedgerJournal` that reads them."""

    state: LedgerState

    def member_readers(self) -> dict[str, Callable[[Any, Any], Sequence[Posting]]]:
        """By type of row."""
        return {
            "IdentifiersLinked": self._linked,
            "IdentifiersUnlinked": self._unlinked,
            "MemberSuspended": self._suspended,
            "MemberReactivated": self._reactivated,
            "MemberClosed": self._closed,
            "AdjustmentRequested": self._requested,
            "AdjustmentDeclined": self._declined,
            "PointsAdjusted": self._adjusted,
        }

    def _linked(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is not None:
            for identifier in message.identifiers:
                self.state.identifiers[key[0], identifier.hash] = (identifier.kind, key[1])
        return ()

    def _unlinked(self, row: Any, message: Any) -> Sequence[Posting]:
        key, _ = self._member(row)
        for identifier in message.identifiers:
            known = self.state.identifiers.pop((key[0], identifier.hash), None)
            if known != (identifier.kind, key[1]):
                self._wrong("tables", row, f"{key[1]} was not known by this {identifier.kind}")
        return ()

    def _suspended(self, row: Any, message: Any) -> Sequence[Posting]:
        return self._becomes(row, "active", "suspended")

    def _reactivated(self, row: Any, message: Any) -> Sequence[Posting]:
        return self._becomes(row, "suspended", "active")

    def _becomes(self, row: Any, before: str, after: str) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is not None:
            if member.status != before:
                self._wrong("tables", row, f"{key[1]} was {member.status}, not {before}")
            member.status = after
        return ()

    def _closed(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        parts = [(part.lot, part.amount) for part in message.allocations]
        if member.status == "closed":
            self._wrong("tables", row, f"{key[1]} was closed before")
        member.status = "closed"
        member.lapses_at = None
        self._take_pending(row, key, member, parts, message.pending)
        self._take(row, key, parts, from_hold=False)
        member.posted -= message.points - message.debt
        member.debt -= message.debt
        if message.points != sum(amount for _, amount in parts):
            self._wrong("L2", row, f"{message.points} points are not those of its lots")
        if (member.posted, member.held, member.debt, member.pending) != (0, 0, 0, 0):
            left = f"{member.posted} points, {member.held} held, {member.pending} pending, a debt of {member.debt}"
            self._wrong("L2", row, f"leaves {left}")
        account = f"member/{key[1]}"
        postings: list[Posting] = [
            (key[0], account, "breakage", POINTS, amount, lot) for lot, amount in parts
        ]
        if message.debt:
            postings.append((key[0], "breakage", account, POINTS, message.debt, None))
        return postings

    def _requested(self, row: Any, message: Any) -> Sequence[Posting]:
        key, _ = self._member(row)
        name = (*key, message.adjustment)
        if name in self.state.adjustments:
            self._wrong("tables", row, f"adjustment {message.adjustment} was asked for before")
        self.state.adjustments[name] = AdjustmentRead(
            message.points,
            message.reason,
            message.note,
            "requested",
            message.requested_by,
            row["occurred_at"],
        )
        return ()

    def _declined(self, row: Any, message: Any) -> Sequence[Posting]:
        key, _ = self._member(row)
        asked = self.state.adjustments.get((*key, message.adjustment))
        if asked is None or asked.state != "requested":
            self._wrong("tables", row, f"adjustment {message.adjustment} was not waiting")
        else:
            asked.state, asked.decided_by = "declined", message.declined_by
        return ()

    def _adjusted(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        self._approved(row, (*key, message.adjustment), message)
        account, points = f"member/{key[1]}", message.points
        parts = [(part.lot, part.amount) for part in message.allocations]
        repaid = message.debt_repaid
        taken = sum(amount for _, amount in parts)
        if points == 0 or taken != max(0, -points) or not 0 <= repaid <= min(member.debt, max(0, points)):
            self._wrong(
                "L2", row, f"{points} points take {taken} of lots and repay {repaid} of {member.debt}"
            )
        self._take_pending(row, key, member, parts, 0)
        self._take(row, key, parts, from_hold=False)
        member.posted += points
        member.debt -= repaid
        opened = max(0, points - repaid)
        if opened:
            stamp = message.expires_at
            expires_at = _time(stamp) if message.HasField("expires_at") else None
            self.state.lots[row["position"]] = LotRead(
                key, opened, opened, 0, row["occurred_at"], expires_at, ""
            )
        if points < 0:
            return [(key[0], account, "adjustment", POINTS, amount, lot) for lot, amount in parts]
        given = [(opened, row["position"]), (repaid, None)]
        return [(key[0], "adjustment", account, POINTS, amount, lot) for amount, lot in given if amount]

    def _approved(self, row: Any, name: tuple[str, str, str], message: Any) -> None:
        """What waited for a second person was approved by one, as it was asked for."""
        asked = self.state.adjustments.get(name)
        if asked is None:
            asked = AdjustmentRead(
                message.points,
                message.reason,
                message.note,
                "requested",
                message.requested_by,
                row["occurred_at"],
            )
            self.state.adjustments[name] = asked
        elif asked.state != "requested" or message.approved_by in ("", asked.requested_by):
            self._wrong("tables", row, f"{asked.state}, and no second person approves {message.adjustment}")
        told = (message.points, message.reason, message.note, message.requested_by)
        if told != (asked.points, asked.reason, asked.note, asked.requested_by):
            self._wrong("tables", row, f"is not what was asked for as {message.adjustment}")
        asked.state, asked.decided_by = "applied", message.approved_by

    # --- the rest of `LedgerJournal`

    @abstractmethod
    def _member(self, row: Any) -> tuple[MemberKey, MemberRead | None]: ...

    @abstractmethod
    def _take(self, row: Any, key: MemberKey, parts: list[tuple[int, int]], *, from_hold: bool) -> None: ...

    @abstractmethod
    def _take_pending(
        self, row: Any, key: MemberKey, member: MemberRead, parts: list[tuple[int, int]], told: int
    ) -> None: ...

    @abstractmethod
    def _wrong(self, check: str, row: Any, what: str) -> None: ...


def _time(stamp: Any) -> datetime:
    return EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1_000)
