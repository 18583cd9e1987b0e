"""A tiering database, and the ledger's rows as its stream brings them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from google.protobuf.message import Message

from services.common.codec import StreamRow
from tallybook.ledger.v1 import events_pb2 as pb

DOCUMENT: dict[str, Any] = {
    "program": "grocer",
    "time_zone": "UTC",
    "clock": "events",
    "tiering": {
        "metric": "spend",
        "window": {"months": 12},
        "exclude_categories": ["FUEL"],
        "review": {"months": 12},
        "tiers": [
            {"name": "member", "from": 0},
            {"name": "silver", "from": 100_00},
            {"name": "gold", "from": 250_00},
        ],
    },
}


def day(text: str) -> datetime:
    """An ISO date or time as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def document(**tiering: Any) -> dict[str, Any]:
    """DOCUMENT with parts of its section `tiering` replaced."""
    return {**DOCUMENT, "tiering": {**DOCUMENT["tiering"], **tiering}}


@dataclass
class LedgerChain:
    """Makes the rows of one chain of the ledger's book, positions gapless."""

    chain: int
    position: int = 0
    recorded_at: datetime = field(default_factory=lambda: day("2030-01-01"))

    def row(self, message: Message, at: datetime, member: str | None, program: str = "grocer") -> StreamRow:
        """The next row."""
        self.position += 1
        type_ = type(message).__name__
        return StreamRow(self.chain, self.position, program, member, type_, at, self.recorded_at, message)

    def activated(self, at: datetime, program_document: Any = DOCUMENT, version: str = "v1") -> StreamRow:
        """A version of the program."""
        content = program_document if isinstance(program_document, bytes) else orjson.dumps(program_document)
        return self.row(pb.ProgramActivated(version=version, document=content), at, None)

    def enrolled(self, at: datetime, member: str) -> StreamRow:
        """A member joins."""
        return self.row(pb.MemberEnrolled(by="enrolment"), at, member)

    def bought(
        self, at: datetime, member: str, amount: int, category: str = "food", sku: str = "", units: int = 1
    ) -> StreamRow:
        """A purchase of one line; its id is `p` and its position."""
        message = pb.PurchaseRecorded()
        message.activity.id = f"p{self.position + 1}"
        message.activity.lines.add(id=1, sku=sku, category=category, quantity=units, amount=amount)
        return self.row(message, at, member)

    def returned(
        self,
        at: datetime,
        member: str,
        amount: int,
        bought_at: datetime,
        purchase: str = "",
        category: str = "food",
        sku: str = "",
    ) -> StreamRow:
        """Units brought back."""
        message = pb.ReturnRecorded()
        message.activity.of = purchase
        message.lines.add(line=1, sku=sku, category=category, quantity=1, amount=amount)
        message.purchased_at.FromDatetime(bought_at)
        return self.row(message, at, member)

    def accrued(self, at: datetime, member: str, points: int, purchase: str) -> StreamRow:
        """Points for a purchase."""
        return self.row(pb.PointsAccrued(purchase=purchase, reason="purchase", points=points), at, member)

    def clawed_back(self, at: datetime, member: str, points: int, purchase: str) -> StreamRow:
        """Points of a purchase taken back."""
        return self.row(pb.PointsClawedBack(purchase=purchase, reason="return", points=points), at, member)

    def clock(self, to: datetime) -> StreamRow:
        """The program's clock moves."""
        message = pb.ClockAdvanced()
        message.to.FromDatetime(to)
        return self.row(message, to, None)

    def other(self, at: datetime, member: str) -> StreamRow:
        """A row of a type that tiering has no use for: decoded without its message."""
        self.position += 1
        return StreamRow(
            self.chain, self.position, "grocer", member, "PointsExpired", at, self.recorded_at, None
        )
