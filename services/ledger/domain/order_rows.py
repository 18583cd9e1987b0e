"""Which of a member's rows concern an order, and what they come to."""

from __future__ import annotations

from collections import Counter

from services.ledger.domain import events as e
from services.ledger.domain.book import POINTS
from services.ledger.domain.postings import postings_of


class OrderRows:
    """Tells the rows of one member that concern an order, one by one in their order."""

    def __init__(self, order: str, member: str, sums: Counter[tuple[str, str]]) -> None:
        """`sums` is added to, by (points or a currency, what): `earned`, what returns (or a tier) have `taken_back`,
        `spent`, `given_back`."""
        self._order = order
        self._member = member
        self._sums = sums
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
                self._sums[POINTS, "earned"] += event.points
            case e.LotMoved():
                self.lots.append(position)
            case e.PointsClawedBack():
                self._sums[POINTS, "taken_back"] += event.points
            case e.HoldCaptured():
                self._sums[POINTS, "spent"] += event.amount
                self._sums[event.money_currency, "spent"] += event.money_amount
            case e.SpendRefunded():
                self._sums[POINTS, "given_back"] += event.amount
                self._sums[event.money_currency, "given_back"] += event.money_amount

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
