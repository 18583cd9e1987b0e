"""The ledger's journal read for what it says: the postings of each row, and the state that the rows add up to.

A second reading on purpose: it shares no line with the code that decides and projects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.message import DecodeError

from services.ops.verify import social_journal
from services.ops.verify.findings import Findings
from services.ops.verify.journal_chain import EPOCH
from services.ops.verify.ledger_counters import count, recount
from services.ops.verify.ledger_held_money import placed
from services.ops.verify.ledger_merges import MergeRows
from services.ops.verify.ledger_money import MoneyRows, points_of_a_top_up
from services.ops.verify.ledger_refunds import captured, let_go, refunded, reinstated, released
from services.ops.verify.ledger_state import (
    POINTS,
    HoldRead,
    LedgerState,
    LotRead,
    MemberKey,
    MemberRead,
    Posting,
    SettlementRead,
)
from tallybook.ledger.v1 import events_pb2 as pb


class LedgerJournal(MergeRows):
    """Reads one chain's rows in order into `state`; `row` returns the postings that the row must have."""

    def __init__(self, chain: int, found: Findings) -> None:
        self.state = LedgerState()
        self._chain = chain
        self._found = found
        self._purchase: tuple[str, str | None, str] | None = None
        """(program, member, purchase) when the row before was its PurchaseRecorded."""
        self._readers: dict[str, Callable[[Any, Any], Sequence[Posting]]] = {
            "ProgramActivated": self._activated,
            "ClockAdvanced": self._clock,
            "ActivityRejected": self._nothing,
            "MemberEnrolled": self._enrolled,
            "PurchaseRecorded": self._purchased,
            "ReturnRecorded": self._returned,
            "TierAssigned": self._tier,
            "PointsAccrued": self._accrued,
            "PointsClawedBack": self._clawed_back,
            "PurchaseRecounted": self._recounted,
            "HoldPlaced": self._placed,
            "HoldCaptured": self._captured,
            "HoldReleased": self._released,
            "PointsExpired": self._expired,
            **MoneyRows(self.state, self._member, self._wrong).readers,
            "PointsMatured": self._matured,
            "MemberActive": self._active,
            "MemberLapsed": self._lapsed,
            "ReturnParked": self._parked,
            "ParkedReturnRefused": self._parked_refused,
            "SpendRefunded": self._refunded,
            "LotsReinstated": self._reinstated,
            **social_journal.readers(self.state, self._member, self._wrong),
            **self.member_readers(),
        }

    def row(self, row: Any) -> Sequence[Posting]:
        """Take the next row. What it says wrong is found; the postings are those that its payload asks for."""
        reader = self._readers.get(row["type"])
        if reader is None:
            self._wrong("tables", row, f"no such type of row: {row['type']}")
            return ()
        in_force = self.state.programs.get(row["program"])
        version = "" if in_force is None else in_force[0]
        if row["program_version"] != version:
            self._wrong("tables", row, f"says version {row['program_version']!r}, in force was {version!r}")
        try:
            message = getattr(pb, row["type"]).FromString(row["payload"])
            postings = reader(row, message)
        except (DecodeError, OverflowError) as error:
            self._wrong("tables", row, f"its payload is no {row['type']}: {error}")
            postings = ()
        if row["type"] != "PurchaseRecorded":
            self._purchase = None
        return postings

    # --- rows that move no points

    def _nothing(self, row: Any, message: Any) -> Sequence[Posting]:
        return ()

    def _activated(self, row: Any, message: Any) -> Sequence[Posting]:
        program = row["program"]
        _, clock = self.state.programs.get(program, ("", EPOCH))
        self.state.programs[program] = (message.version, clock)
        self.state.versions.setdefault((program, message.version), (message.document, row["position"]))
        social_journal.open_budgets(self.state, program, message.document)
        return ()

    def _clock(self, row: Any, message: Any) -> Sequence[Posting]:
        version, clock = self.state.programs.get(row["program"], ("", EPOCH))
        to = _time(message.to)
        if to <= clock:
            self._wrong("tables", row, f"the clock goes from {clock} back to {to}")
        self.state.programs[row["program"]] = (version, to)
        return ()

    def _enrolled(self, row: Any, message: Any) -> Sequence[Posting]:
        key = (row["program"], row["member"] or "")
        if key in self.state.members:
            self._wrong("tables", row, f"{key[1]} was enrolled before")
        self.state.members.setdefault(key, MemberRead(row["occurred_at"]))
        return ()

    def _purchased(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is not None:
            member.uncounted += 1
            if member.status == "closed":
                self._wrong("tables", row, f"{key[1]} was closed before")
        self._purchase = (row["program"], row["member"], message.activity.id)
        return ()

    def _returned(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is not None and message.activity.of:
            returned = self._settlement(key, message.activity.of).returned
            for line in message.lines:
                returned[line.line] = returned.get(line.line, 0) + line.quantity
        if message.parked:
            let_go(self.state, key, message.activity, lambda what: self._wrong("tables", row, what))
        return ()

    def _parked(self, row: Any, message: Any) -> Sequence[Posting]:
        key, _ = self._member(row)
        self.state.parked[(*key, message.activity.of, message.activity.id)] = row["position"]
        return ()

    def _parked_refused(self, row: Any, message: Any) -> Sequence[Posting]:
        let_go(self.state, self._member(row)[0], message, lambda what: self._wrong("tables", row, what))
        return ()

    def _tier(self, row: Any, message: Any) -> Sequence[Posting]:
        _, member = self._member(row)
        if member is not None:
            member.tiers.append((_time(message.since), message.tier, message.of))
        return ()

    # --- points

    def _accrued(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        repaid, opened = message.debt_repaid, message.points - message.debt_repaid
        if message.points < (0 if message.counters else 1) or not 0 <= repaid <= member.debt or opened < 0:
            self._wrong("L2", row, f"{message.points} points repay {repaid} of a debt of {member.debt}")
        member.posted += message.points
        member.debt -= repaid
        if message.reason == "purchase":
            self._found.looked("L8")
            if message.tier != (tier := member.tier_before(row["occurred_at"])):
                self._wrong("L8", row, f"earns by the tier {message.tier!r}, the member had {tier!r}")
            if self._purchase != (*key, message.purchase):
                self._wrong("tables", row, f"does not follow purchase {message.purchase}")
            count(self.state, row, message, self._wrong)
        elif message.reason == "top_up":
            points_of_a_top_up(self.state, key, row, message, self._wrong)
        else:
            self._settlement(key, message.purchase).adjusted += message.points
        if opened:
            expires_at = _time(message.expires_at) if message.HasField("expires_at") else None
            self.state.lots[row["position"]] = LotRead(
                key, opened, opened, 0, row["occurred_at"], expires_at, message.purchase
            )
            if message.HasField("matures_at"):
                self.state.lots[row["position"]].matures_at = _time(message.matures_at)
                member.pending += opened
        parts = [(opened, row["position"]), (repaid, None)]
        return [
            (key[0], "issued", f"member/{key[1]}", POINTS, amount, lot) for amount, lot in parts if amount
        ]

    def _recounted(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is not None:
            recount(self.state, row, message, self._settlement(key, message.purchase), self._wrong)
        return ()

    def _clawed_back(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        parts = _parts(message.allocations)
        if message.points + message.forgiven < 1 or min(message.points, message.debt, message.forgiven) < 0:
            self._wrong("L2", row, f"takes back {message.points} points and forgives {message.forgiven}")
        if _sum(parts) + message.debt != message.points:
            self._wrong(
                "L2", row, f"{message.points} points are not {_sum(parts)} of lots and {message.debt} owed"
            )
        self._take_pending(row, key, member, parts, message.pending)
        self._take(row, key, parts, from_hold=False)
        member.posted -= message.points
        member.debt += message.debt
        if message.reason != "top_up":
            self._settlement(key, message.purchase).adjusted -= message.points + message.forgiven
        account = f"member/{key[1]}"
        postings: list[Posting] = [
            (key[0], account, "clawed_back", POINTS, amount, lot) for lot, amount in parts
        ]
        if message.debt:
            postings.append((key[0], account, "clawed_back", POINTS, message.debt, None))
        return postings

    def _expired(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        lot = self.state.lots.get(message.lot)
        if lot is not None and (lot.expires_at is None or lot.expires_at > row["occurred_at"]):
            self._wrong("L2", row, f"lot {message.lot} expires at {lot.expires_at}, not yet")
        self._take_pending(row, key, member, [(message.lot, message.points)], message.pending)
        self._take(row, key, [(message.lot, message.points)], from_hold=False)
        member.posted -= message.points
        return [(key[0], f"member/{key[1]}", "breakage", POINTS, message.points, message.lot)]

    # --- points in time

    def _matured(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        lot = self._lot(row, key, message.lot)
        if member is None or lot is None:
            return ()
        if lot.matures_at is None or lot.matures_at > row["occurred_at"] or lot.remaining != message.points:
            what = f"lot {message.lot} of {lot.remaining} points matures at {lot.matures_at}"
            self._wrong("L3", row, f"{message.points} points are mature, {what}")
        lot.matures_at = None
        member.pending -= message.points
        return ()

    def _active(self, row: Any, message: Any) -> Sequence[Posting]:
        _, member = self._member(row)
        if member is None:
            return ()
        lapses_at = _time(message.lapses_at) if message.HasField("lapses_at") else None
        before = member.lapses_at
        if lapses_at is not None and before is not None and lapses_at <= before:
            self._wrong("tables", row, f"brings the lapse from {before} back to {lapses_at}")
        member.lapses_at = lapses_at
        return ()

    def _lapsed(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        parts = _parts(message.allocations)
        if member.lapses_at is None or member.lapses_at > row["occurred_at"]:
            self._wrong("L2", row, f"the points of {key[1]} lapse at {member.lapses_at}, not yet")
        if message.points != _sum(parts):
            self._wrong("L2", row, f"{message.points} points are not {_sum(parts)} of lots")
        self._take_pending(row, key, member, parts, message.pending)
        self._take(row, key, parts, from_hold=False)
        member.posted -= message.points
        if member.held == 0:
            member.lapses_at = None
        return [(key[0], f"member/{key[1]}", "breakage", POINTS, amount, lot) for lot, amount in parts]

    # --- holds

    def _placed(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        parts = _parts(message.allocations)
        available = member.posted - member.held - member.pending
        if message.amount > max(0, available):
            self._wrong("L3", row, f"holds {message.amount} points where {available} were available")
        if member.status != "active":
            self._wrong("L3", row, f"holds points of a member who is {member.status}")
        if message.amount + message.money_amount < 1 or _sum(parts) != message.amount:
            self._wrong("L3", row, f"holds {message.amount} points and takes {_sum(parts)} from lots")
        for lot_id, amount in parts:
            lot = self._lot(row, key, lot_id)
            if lot is None:
                continue
            if amount < 1 or lot.held + amount > lot.remaining:
                self._wrong("L3", row, f"takes {amount} of lot {lot_id}, free are {lot.remaining - lot.held}")
            if lot.expires_at is not None and lot.expires_at <= row["occurred_at"]:
                self._wrong("L3", row, f"takes from lot {lot_id}, which expired at {lot.expires_at}")
            if lot.matures_at is not None:
                self._wrong("L3", row, f"takes from lot {lot_id}, which matures at {lot.matures_at}")
            lot.held += amount
        member.held += message.amount
        name = (*key, message.hold)
        if name in self.state.holds:
            self._wrong("L3", row, f"hold {message.hold} was placed before")
        hold = HoldRead(message.order, message.amount, 0, _time(message.expires_at), "open", parts)
        self.state.holds[name] = hold
        placed(self.state, key, member, hold, row, message, lambda what: self._wrong("L3", row, what))
        return ()

    def _captured(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        hold = self._close(row, key, message.hold)
        if member is None or hold is None:
            return ()
        spent, freed = _parts(message.allocations), _parts(message.released)
        wrong: Callable[[str], None] = lambda what: self._wrong("L3", row, what)  # noqa: E731
        money = captured(self.state, key, member, hold, row, message, wrong)
        self._take(row, key, spent, from_hold=True)
        self._free(row, key, freed)
        member.posted -= message.amount
        member.held -= message.amount + _sum(freed)
        account = f"member/{key[1]}"
        return [*((key[0], account, "redeemed", POINTS, amount, lot) for lot, amount in spent), *money]

    def _released(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        hold = self._close(row, key, message.hold)
        if member is None or hold is None:
            return ()
        released(self.state, member, hold, message, lambda what: self._wrong("L3", row, what))
        self._free(row, key, _parts(message.allocations))
        member.held -= message.amount
        return ()

    def _refunded(self, row: Any, message: Any) -> Sequence[Posting]:
        key, member = self._member(row)
        if member is None:
            return ()
        return refunded(self.state, key, member, row, message, lambda what: self._wrong("L2", row, what))

    def _reinstated(self, row: Any, message: Any) -> Sequence[Posting]:
        key, _ = self._member(row)
        reinstated(self.state, key, row, message, lambda what: self._wrong("L2", row, what))
        return ()

    # --- parts of the above

    def _member(self, row: Any) -> tuple[MemberKey, MemberRead | None]:
        key = (row["program"], row["member"] or "")
        member = self.state.members.get(key)
        if member is None:
            self._wrong("tables", row, f"{key[1] or 'nobody'} is not enrolled in {key[0]}")
        return key, member

    def _lot(self, row: Any, key: MemberKey, lot_id: int) -> LotRead | None:
        lot = self.state.lots.get(lot_id)
        if lot is None or lot.owner != key:
            self._wrong("L2", row, f"{key[1]} has no lot {lot_id}")
            return None
        return lot

    def _take(self, row: Any, key: MemberKey, parts: list[tuple[int, int]], *, from_hold: bool) -> None:
        for lot_id, amount in parts:
            lot = self._lot(row, key, lot_id)
            if lot is None:
                continue
            there = lot.held if from_hold else lot.remaining - lot.held
            if not 1 <= amount <= there:
                self._wrong("L2", row, f"takes {amount} points of lot {lot_id}, which has {there}")
            lot.remaining -= amount
            if from_hold:
                lot.held -= amount

    def _take_pending(
        self, row: Any, key: MemberKey, member: MemberRead, parts: list[tuple[int, int]], told: int
    ) -> None:
        """Of points that are taken, those of lots that are not mature; the row must say how many they are."""
        lots = self.state.lots
        pending = sum(amount for id_, amount in parts if id_ in lots and lots[id_].matures_at is not None)
        if pending != told:
            self._wrong("L3", row, f"says that {told} of its points were pending, {pending} were")
        member.pending -= pending

    def _free(self, row: Any, key: MemberKey, parts: list[tuple[int, int]]) -> None:
        for lot_id, amount in parts:
            lot = self._lot(row, key, lot_id)
            if lot is not None:
                lot.held -= amount

    def _close(self, row: Any, key: MemberKey, name: str) -> HoldRead | None:
        hold = self.state.holds.get((*key, name))
        if hold is None or hold.state != "open":
            state = "never placed" if hold is None else hold.state
            self._wrong("L3", row, f"hold {name} is not open but {state}")
            return None
        return hold

    def _settlement(self, key: MemberKey, purchase: str) -> SettlementRead:
        return self.state.settlements.setdefault((*key, purchase), SettlementRead())

    def _wrong(self, check: str, row: Any, what: str) -> None:
        self._found.add(check, f"journal {self._chain}-{row['position']} {row['type']}", what)


def _time(stamp: Any) -> datetime:
    return EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1_000)


def _parts(allocations: Any) -> list[tuple[int, int]]:
    return [(part.lot, part.amount) for part in allocations]


def _sum(parts: list[tuple[int, int]]) -> int:
    return sum(amount for _, amount in parts)
