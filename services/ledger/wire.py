"""Between the wire and the core: activities become commands, events become payloads and back."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime
from operator import attrgetter
from typing import Any

from google.protobuf.message import Message

from services.common.chain import micros
from services.common.codec import NANOS_PER_MICRO, time_of
from services.common.errors import InvariantBroken, Undecodable
from services.ledger.domain import events as e
from services.ledger.domain.commands import (
    Command,
    Purchase,
    PurchaseLine,
    RecordPurchase,
    RecordReturn,
    Return,
)
from tallybook.activities.v1 import activities_pb2 as activities
from tallybook.ledger.v1 import events_pb2 as pb
from tallybook.tiering.v1 import events_pb2 as tiering

ACTIVITY_TYPES: dict[str, type[Message]] = {
    "tallybook.activities.v1.Purchase": activities.Purchase,
    "tallybook.activities.v1.Return": activities.Return,
    "tallybook.activities.v1.Enrolment": activities.Enrolment,
}
TIER_TYPES: dict[str, type[Message]] = {"TierChanged": tiering.TierChanged}

MEMBER_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
IDENTIFIER = re.compile(r"([a-z][a-z_]{0,31}):(.{1,200})", re.DOTALL)
ID = re.compile(r"[!-~]{1,128}")
"""Ids of purchases, returns, enrolments: printable ASCII without blanks."""
TEXT_CHARS_MAX = 200
_LINE_FIELDS = attrgetter(*PurchaseLine._fields)


class Identifiers:
    """Turns identifiers into keyed hashes; the clear value goes no further than this."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def digest(self, kind: str, value: str) -> bytes:
        """HMAC-SHA-256 of `kind:value`."""
        return hmac.digest(self._key, f"{kind}:{value}".encode(), "sha256")

    def reference(self, member: str) -> str:
        """A member reference without clear identifiers: a member id, or `kind:<hex of the hash>`.

        Raises:
            Undecodable: it is neither.
        """
        if MEMBER_ID.fullmatch(member):
            return member
        match = IDENTIFIER.fullmatch(member)
        if match is None:
            raise Undecodable(
                "member is neither a member id (1 to 64 of A-Z a-z 0-9 _ . -) nor an identifier kind:value"
            )
        return f"{match[1]}:{self.digest(match[1], match[2]).hex()}"


def required_id(value: str, field: str) -> str:
    """An id that can be a key. Raises Undecodable."""
    if not ID.fullmatch(value):
        raise Undecodable(f"{field} must be 1 to 128 printable characters without blanks")
    return value


def bounded(value: str, field: str) -> str:
    """A text that isn't too long and that PostgreSQL can hold. Raises Undecodable."""
    if len(value) > TEXT_CHARS_MAX or "\x00" in value:
        raise Undecodable(f"{field} must have at most {TEXT_CHARS_MAX} characters and no NUL")
    return value


def check_texts(message: Any, content: bytes, lines: list[PurchaseLine]) -> None:
    """The free texts of an activity are as short as HTTP wants them, by whichever road. Raises Undecodable."""
    if len(content) <= TEXT_CHARS_MAX and b"\x00" not in content:
        # Where the whole is short enough, so is every text in it.
        return
    bounded(message.store, "store")
    bounded(message.channel, "channel")
    bounded(getattr(message, "payment_method", ""), "payment_method")
    # All at once, for they are nearly always good; one by one only to find the one that is not.
    texts = [text for _, sku, category, _, _, brand in lines for text in (sku, category, brand)]
    if texts and (max(map(len, texts)) > TEXT_CHARS_MAX or "\x00" in "".join(texts)):
        for line in lines:
            bounded(line.sku, "sku")
            bounded(line.category, "category")
            bounded(line.brand, "brand")


def bare(message: Any) -> bytes:
    """An activity's content whoever it names, which is what its digest covers; the message is left without member.

    The member is compared by itself, after it was resolved. Times count in microseconds: a finer one is the same
    request as the one that HTTP makes of it.
    """
    message.member = ""
    finer = message.occurred_at.nanos % NANOS_PER_MICRO
    if finer:
        message.occurred_at.nanos -= finer
    content: bytes = message.SerializeToString()
    return content


def named(content: bytes, member: str) -> bytes:
    """A bare activity with its member: a message goes on where its bytes are put one behind another."""
    return content + _member_field(member)


def _member_field(member: str) -> bytes:
    """Field 3 of a Purchase and of a Return; a reference is so short that its length is one byte."""
    text = member.encode()
    return b"\x1a%c%b" % (len(text), text)


def purchase_of(message: Any, content: bytes) -> Purchase:
    """A `Purchase` message in the core's words; `content` is what the book keeps of it. Raises Undecodable."""
    if not message.HasField("occurred_at"):
        raise Undecodable("occurred_at is missing")
    lines = list(map(PurchaseLine._make, map(_LINE_FIELDS, message.lines)))
    return Purchase(
        required_id(message.id, "id"), time_of(message.occurred_at), message.currency, lines, content,
        message.store, message.channel, message.payment_method,
    )  # fmt: skip


def return_of(message: Any, content: bytes) -> Return:
    """A `Return` message in the core's words; `content` is what the book keeps of it. Raises Undecodable."""
    if not message.HasField("occurred_at"):
        raise Undecodable("occurred_at is missing")
    lines = [(line.line, line.quantity) for line in message.lines]
    of = bounded(message.of, "of")
    return Return(required_id(message.id, "id"), time_of(message.occurred_at), of, lines, content)


def rename(command: Command, member: str) -> None:
    """Give a command the member id behind the identifier that it came with, in its content too."""
    if isinstance(command, (RecordPurchase, RecordReturn)):
        told = command.purchase if isinstance(command, RecordPurchase) else command.activity
        told.content = named(told.content.removesuffix(_member_field(command.member)), member)
    command.member = member


def enrolment_digest(identifiers: list[tuple[str, bytes]], occurred_at: datetime | None) -> bytes:
    """SHA-256 of an enrolment's content; identifiers only as keyed hashes, since a phone number is soon guessed."""
    time = b"" if occurred_at is None else b"%d" % micros(occurred_at)
    return hashlib.sha256(b"|".join([time, *(digest for _, digest in sorted(identifiers))])).digest()


def encode(event: e.Event) -> tuple[str, bytes]:
    """(type, payload) of an event, as the journal keeps them."""
    match event:
        case e.PurchaseRecorded():
            # Field 1 of PurchaseRecorded is the activity itself: its bytes as they are, behind tag and length.
            return "PurchaseRecorded", _embedded(event.purchase.content)
        case e.PointsAccrued():
            message: Any = pb.PointsAccrued(
                purchase=event.purchase, reason=event.reason, points=event.points, tier=event.tier,
                debt_repaid=event.debt_repaid, amount=event.amount, version=event.version,
            )  # fmt: skip
            if event.expires_at is not None:
                _set_time(message.expires_at, event.expires_at)
            for rule, counted in event.contributions:
                message.contributions.add(rule=rule, counted=counted)
            for name, before, after in event.counters:
                message.counters.add(name=name, before=before, after=after)
        case e.ClockAdvanced():
            message = pb.ClockAdvanced()
            _set_time(message.to, event.to)
        case e.MemberEnrolled():
            message = pb.MemberEnrolled(by=event.by)
        case e.IdentifiersLinked():
            message = pb.IdentifiersLinked(
                identifiers=[
                    pb.HashedIdentifier(kind=kind, hash=digest) for kind, digest in event.identifiers
                ]
            )
        case e.ReturnRecorded():
            message = pb.ReturnRecorded(
                activity=activities.Return.FromString(event.activity.content),
                lines=[
                    pb.ReturnedLine(
                        line=x.line, sku=x.sku, category=x.category, quantity=x.quantity, amount=x.amount
                    )
                    for x in event.lines
                ],
            )
            _set_time(message.purchased_at, event.purchased_at)
        case e.PointsClawedBack():
            message = pb.PointsClawedBack(
                purchase=event.purchase, reason=event.reason, points=event.points, tier=event.tier,
                allocations=_allocations(event.allocations), debt=event.debt,
            )  # fmt: skip
        case e.HoldPlaced():
            message = pb.HoldPlaced(
                hold=event.hold,
                order=event.order,
                amount=event.amount,
                allocations=_allocations(event.allocations),
            )
            _set_time(message.expires_at, event.expires_at)
        case e.HoldCaptured():
            message = pb.HoldCaptured(
                hold=event.hold, order=event.order, amount=event.amount,
                allocations=_allocations(event.allocations), released=_allocations(event.released),
            )  # fmt: skip
        case e.HoldReleased():
            message = pb.HoldReleased(
                hold=event.hold, order=event.order, amount=event.amount, reason=event.reason,
                allocations=_allocations(event.allocations),
            )  # fmt: skip
        case e.PointsExpired():
            message = pb.PointsExpired(lot=event.lot, points=event.points)
        case e.TierAssigned():
            message = pb.TierAssigned(tier=event.tier, tiering_position=event.tiering_position)
            _set_time(message.since, event.since)
        case e.ProgramActivated():
            message = pb.ProgramActivated(version=event.version, document=event.document)
        case e.ActivityRejected():
            message = pb.ActivityRejected(kind=event.kind, code=event.code, detail=event.detail)
        case _:
            raise InvariantBroken(f"no payload for {type(event).__name__}")
    return type(event).__name__, message.SerializeToString()


def decode(type_: str, payload: bytes) -> e.Event:
    """The event in a journal row. Raises InvariantBroken for what no version of the ledger has written."""
    m: Any = getattr(pb, type_, None)
    if m is None:
        raise InvariantBroken(f"no event type {type_!r}")
    m = m.FromString(payload)
    match type_:
        case "PurchaseRecorded":
            return e.PurchaseRecorded(purchase_of(m.activity, _unembedded(payload)))
        case "PointsAccrued":
            expires_at = time_of(m.expires_at) if m.HasField("expires_at") else None
            return e.PointsAccrued(
                m.purchase, m.reason, m.points, m.tier, m.amount, m.version, expires_at, m.debt_repaid,
                tuple([e.Contribution(x.rule, x.counted) for x in m.contributions]),
                tuple([e.Counter(x.name, x.before, x.after) for x in m.counters]),
            )  # fmt: skip
        case "ClockAdvanced":
            return e.ClockAdvanced(time_of(m.to))
        case "MemberEnrolled":
            return e.MemberEnrolled(m.by)
        case "IdentifiersLinked":
            return e.IdentifiersLinked([(i.kind, i.hash) for i in m.identifiers])
        case "ReturnRecorded":
            lines = [e.ReturnedLine(x.line, x.sku, x.category, x.quantity, x.amount) for x in m.lines]
            told = return_of(m.activity, m.activity.SerializeToString())
            return e.ReturnRecorded(told, lines, time_of(m.purchased_at))
        case "PointsClawedBack":
            return e.PointsClawedBack(m.purchase, m.reason, m.points, m.tier, _pairs(m.allocations), m.debt)
        case "HoldPlaced":
            return e.HoldPlaced(m.hold, m.order, m.amount, time_of(m.expires_at), _pairs(m.allocations))
        case "HoldCaptured":
            return e.HoldCaptured(m.hold, m.order, m.amount, _pairs(m.allocations), _pairs(m.released))
        case "HoldReleased":
            return e.HoldReleased(m.hold, m.order, m.amount, m.reason, _pairs(m.allocations))
        case "PointsExpired":
            return e.PointsExpired(m.lot, m.points)
        case "TierAssigned":
            return e.TierAssigned(m.tier, time_of(m.since), m.tiering_position)
        case "ProgramActivated":
            return e.ProgramActivated(m.version, m.document)
        case "ActivityRejected":
            return e.ActivityRejected(m.kind, m.code, m.detail)
    raise InvariantBroken(f"no event type {type_!r}")


def _unembedded(payload: bytes) -> bytes:
    """The inverse of `_embedded`: exactly the bytes that were told."""
    length = shift = 0
    for index, byte in enumerate(payload[1:], 2):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte <= 0x7F:
            return payload[index : index + length]
    raise InvariantBroken("a PurchaseRecorded without a purchase")


def _embedded(content: bytes) -> bytes:
    length, header = len(content), bytearray(b"\x0a")
    while length > 0x7F:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    return bytes(header) + content


def _set_time(timestamp: Any, time: datetime) -> None:
    seconds, rest = divmod(micros(time), 1_000_000)
    timestamp.seconds = seconds
    timestamp.nanos = rest * 1_000


def _allocations(pairs: e.Allocations) -> list[pb.Allocation]:
    return [pb.Allocation(lot=lot, amount=amount) for lot, amount in pairs]


def _pairs(messages: Any) -> e.Allocations:
    return [(m.lot, m.amount) for m in messages]
