"""Which rows concern an order, and what rows that stand in no statement say in words."""

from __future__ import annotations

from collections import Counter

from services.ledger.domain import events as e
from services.ledger.domain.postings import postings_of


class About:
    """Tells the rows of one member that concern an order, one by one in their order."""

    def __init__(self, order: str, member: str, points: Counter[str]) -> None:
        """`points` is added to: `earned`, what returns (or a tier) have `taken_back`, `spent`, `given_back`."""
        self._order = order
        self._member = member
        self._points = points
        self.lots: list[int] = []
        """Lots that the order opened: what is later done to them concerns it too."""

    def concerns(self, event: e.Event, position: int) -> bool:
        """Whether the row at `position` names the order, or one of its lots."""
        if self._names(event):
            self._count(event, position)
            return True
        if not self.lots:
            return False
        touched = {lot for _, _, _, _, lot in postings_of(event, self._member, position)}
        if isinstance(event, e.PointsMatured):
            touched.add(event.lot)
        elif isinstance(event, e.LotsReinstated):
            touched.update(event.lots)
        return not touched.isdisjoint(self.lots)

    def _count(self, event: e.Event, position: int) -> None:
        match event:
            case e.PointsAccrued():
                self.lots.append(position)
                self._points["earned"] += event.points
            case e.LotMoved():
                self.lots.append(position)
            case e.PointsClawedBack():
                self._points["taken_back"] += event.points
            case e.HoldCaptured():
                self._points["spent"] += event.amount
            case e.SpendRefunded():
                self._points["given_back"] += event.amount

    def _names(self, event: e.Event) -> bool:
        match event:
            case e.PurchaseRecorded():
                return event.purchase.id == self._order
            case e.PointsAccrued() | e.PointsClawedBack():
                return event.purchase == self._order and event.reason != "top_up"
            case e.PurchaseRecounted() | e.SettlementMoved() | e.LotMoved():
                return event.purchase == self._order
            case e.ReturnRecorded() | e.ReturnParked():
                return event.activity.of == self._order
            case e.ParkedReturnRefused():
                return event.of == self._order
            case e.HoldPlaced() | e.HoldCaptured() | e.HoldReleased() | e.SpendRefunded() | e.HoldMoved():
                return event.order == self._order
            case e.ReferralQualified():
                return event.by == "purchase" and event.cause == self._order
        return False


def words(event: e.Event) -> str:
    """A sentence for a row that concerns no member's statement; empty for all others."""
    match event:
        case e.ProgramActivated():
            return f"version {event.version} of the program in force"
        case e.ClockAdvanced():
            return f"the clock comes to {event.to.isoformat()}"
        case e.ActivityRejected():
            return f"{event.kind.replace('_', ' ')} refused, {event.code}: {event.detail}"
        case e.ActivityParked():
            return f"{event.kind} waits for {event.reference} to enrol"
        case e.ActivityUnparked():
            became = (
                f"refused, {event.rejection}" if event.rejection else f"at {event.chain}:{event.position}"
            )
            return f"what waited at {event.parked} was taken for {event.member}: {became}"
        case e.PurchaseRecounted():
            counted = ", ".join(f"{name} {before} -> {after}" for name, before, after in event.counters)
            return f"purchase {event.purchase} counted again ({event.reason.replace('_', ' ')}): {counted}"
        case e.MemberActive():
            until = event.lapses_at.isoformat() if event.lapses_at else "for good"
            return f"points live on by a {event.kind.replace('_', ' ')}: {until}"
        case e.TopUpMoved():
            return f"top-up {event.top_up} came over"
        case e.SettlementMoved():
            return f"what became of purchase {event.purchase} came over"
        case e.CountersMoved():
            counted = ", ".join(f"{name} {before} -> {after}" for name, before, after in event.counters)
            return f"counters came over: {counted}"
        case e.AwardsMoved():
            return f"{len(event.counts)} counts of awards came over"
        case e.ReferralMoved():
            return f"referral {event.referral} by {event.referrer} came over"
    return ""
