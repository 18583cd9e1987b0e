"""What a member had at an instant by business time: all that had happened by then, whenever it was booked.

Rows can't simply be left out of a replay: one that is dated before the instant may build on one that is dated after
it (a return of Monday that is booked on Friday takes points which were earned on Wednesday). But amounts add up in
any order. So the balance and what is left of a lot are sums of the postings dated by then, and what is no sum (a hold,
a tier, a status) is as the last such row left it. Where rows are dated in the order of their booking this is what a
replay up to there gives. Where they are not, a lot may be below zero: something dated earlier has taken from it.
"""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from dataclasses import replace
from datetime import datetime

from services.ledger.domain.book import POINTS, Hold, Lot, Member
from services.ledger.domain.events import (
    Event,
    HoldCaptured,
    HoldMoved,
    HoldPlaced,
    HoldReleased,
    LotsReinstated,
    MemberAbsorbed,
    MemberActive,
    MemberClosed,
    MemberLapsed,
    MemberReactivated,
    MembersMerged,
    MemberSuspended,
    PointsMatured,
    TierAssigned,
)
from services.ledger.domain.merge_effects import MOVED
from services.ledger.domain.postings import member_account, postings_of


class DatedBy:
    """Takes a member's rows one by one, each when the book has it, and says what those dated by `at` come to."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._posted = 0
        self._debt = 0
        self._left: defaultdict[int, int] = defaultdict(int)
        """By lot of whatever asset."""
        self._lots: dict[int, Lot] = {}
        """As they were opened."""
        self._holds: dict[str, Hold] = {}
        self._as: Member | None = None
        """What is no sum."""

    def take(self, member: Member, event: Event, occurred_at: datetime, position: int) -> None:
        """The row at `position`; `member` is as that row and all before it have left it."""
        if occurred_at > self._at:
            return
        account = member_account(member.id)
        for _, credit, asset, amount, lot in postings_of(event, member.id, position):
            got = amount if credit == account else -amount
            self._posted += got if asset == POINTS else 0
            if lot is None:
                self._debt -= got
            else:
                self._left[lot] += got
        opened = member.lot(position)
        if opened is not None:
            self._lots[position] = replace(opened)
        if self._as is None:
            self._as = Member(member.id, member.program, member.chain, member.enrolled_at)
        self._note(self._as, member, event)

    def _note(self, seen: Member, member: Member, event: Event) -> None:
        match event:
            case HoldPlaced() | HoldCaptured() | HoldReleased() | HoldMoved():
                hold = member.holds[event.hold]
                self._holds[event.hold] = replace(hold, money=replace(hold.money))
            case PointsMatured() if event.lot in self._lots:
                self._lots[event.lot].matures_at = None
            case LotsReinstated():
                for lot in event.lots:
                    if lot in self._lots:
                        self._lots[lot].expires_at = event.until
            case TierAssigned():
                (seen.absorbed[event.of] if event.of else seen.tiers).append((event.since, event.tier))
            case MembersMerged():
                seen.absorbed |= {id_: [] for id_ in (event.absorbed, *event.before)}
            case MemberAbsorbed():
                seen.merged_into, seen.lapses_at = event.into, None
                for hold_id in event.holds:
                    self._holds[hold_id] = replace(member.holds[hold_id], state=MOVED)
            case MemberSuspended() | MemberReactivated():
                seen.status = member.status
            case MemberClosed():
                seen.status, seen.lapses_at = member.status, None
            case MemberActive() | MemberLapsed():
                seen.lapses_at = member.lapses_at

    def member(self, today: Member) -> Member | None:
        """What the member had; None when nothing had happened yet. `today` is the member after all rows."""
        if self._as is None:
            return None
        found = copy(self._as)
        found.posted, found.debt, found.holds = self._posted, self._debt, self._holds
        for id_, left in sorted(self._left.items()):
            lot = self._lots.get(id_) or today.lot(id_)
            if lot is not None:
                found.lots_of(lot.asset)[id_] = replace(lot, remaining=left, held=0)
        for hold in self._holds.values():
            if hold.state != "open":
                continue
            found.held += hold.left
            for id_, amount in (*hold.allocations, *hold.money.allocations):
                held = found.lot(id_)
                if held is not None:
                    held.held += amount
        found.pending = sum(lot.remaining for lot in found.lots.values() if lot.matures_at is not None)
        return found
