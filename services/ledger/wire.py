"""Between the wire and the core: activities become commands, events become payloads and back."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any

import orjson
from google.protobuf.message import Message

from services.common.chain import micros
from services.common.codec import NANOS_PER_MICRO, time_of
from services.common.errors import Undecodable
from services.ledger.domain.commands import (
    Command,
    Purchase,
    PurchaseLine,
    RecordPurchase,
    RecordReturn,
    RecordTopUp,
    Return,
    ReverseTopUp,
    TopUp,
    TopUpReversal,
)
from services.ledger.profiles import Sealer
from tallybook.activities.v1 import activities_pb2 as activities
from tallybook.tiering.v1 import events_pb2 as tiering

ACTIVITY_TYPES: dict[str, type[Message]] = {
    "tallybook.activities.v1.Purchase": activities.Purchase,
    "tallybook.activities.v1.Return": activities.Return,
    "tallybook.activities.v1.Enrolment": activities.Enrolment,
    "tallybook.activities.v1.TopUp": activities.TopUp,
    "tallybook.activities.v1.TopUpReversal": activities.TopUpReversal,
    "tallybook.activities.v1.Interaction": activities.Interaction,
    "tallybook.activities.v1.Referral": activities.Referral,
}
TIER_TYPES: dict[str, type[Message]] = {"TierChanged": tiering.TierChanged}

MEMBER_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
IDENTIFIER = re.compile(r"([a-z][a-z_]{0,31}):(.{1,200})", re.DOTALL)
ID = re.compile(r"[!-~]{1,128}")
"""Ids of purchases, returns, enrolments: printable ASCII without blanks."""
TEXT_CHARS_MAX = 200
_LINE_FIELDS = attrgetter(*PurchaseLine._fields)
# Half of PurchaseLine._make, which counts the fields each time; there are as many as `_LINE_FIELDS` gives.
_line: Callable[[tuple[Any, ...]], PurchaseLine] = partial(tuple.__new__, PurchaseLine)


class Identifiers:
    """Turns identifiers into keyed hashes; the clear value goes no further than this."""

    def __init__(self, key: str, profile_key: str | None = None) -> None:
        """`profile_key`: what profiles are sealed under, when it is not this one."""
        self._key = key.encode()
        self.sealer = Sealer(profile_key or key)

    def digest(self, kind: str, value: str) -> bytes:
        """HMAC-SHA-256 of `kind:value`."""
        return hmac.digest(self._key, f"{kind}:{value}".encode(), "sha256")

    def profile_digest(self, content: dict[str, Any]) -> bytes:
        """HMAC-SHA-256 of a profile: the inbox keeps it, and a birthday is soon guessed."""
        return hmac.digest(
            self._key, b"profile:" + orjson.dumps(content, option=orjson.OPT_SORT_KEYS), "sha256"
        )

    def reference(self, member: str, field: str = "member") -> str:
        """A member reference without clear identifiers: a member id, or `kind:<hex of the hash>`.

        Raises:
            Undecodable: it is neither.
        """
        if MEMBER_ID.fullmatch(member):
            return member
        match = IDENTIFIER.fullmatch(member)
        if match is None:
            raise Undecodable(
                f"{field} is neither a member id (1 to 64 of A-Z a-z 0-9 _ . -) nor an identifier kind:value"
            )
        return f"{match[1]}:{self.digest(match[1], match[2]).hex()}"


def required_id(value: str, field: str) -> str:
    """An id that can be a key. Raises Undecodable."""
    if not ID.fullmatch(value):
        raise Undecodable(f"{field} must be 1 to 128 printable characters without blanks")
    return value


def required_time(message: Any) -> datetime:
    """When an activity occurred. Raises Undecodable."""
    if not message.HasField("occurred_at"):
        raise Undecodable("occurred_at is missing")
    return time_of(message.occurred_at)


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
    # All at once, for they are nearly always good; one by one only to find the one that is not.
    _, skus, categories, _, _, brands = zip(*lines, strict=True) if lines else ((),) * 6
    longest = max(map(len, chain(skus, categories, brands)), default=0)
    if longest > TEXT_CHARS_MAX or b"\x00" in content:
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
    """Field 3 of every activity with lines or money; a reference is so short that its length is one byte."""
    text = member.encode()
    return b"\x1a%c%b" % (len(text), text)


def purchase_of(message: Any, content: bytes) -> Purchase:
    """A `Purchase` message in the core's words; `content` is what the book keeps of it. Raises Undecodable."""
    if not message.HasField("occurred_at"):
        raise Undecodable("occurred_at is missing")
    lines = list(map(_line, map(_LINE_FIELDS, message.lines)))
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


def top_up_of(message: Any, content: bytes) -> TopUp:
    """A `TopUp` message in the core's words; `content` is what the book keeps of it. Raises Undecodable."""
    if not message.HasField("occurred_at"):
        raise Undecodable("occurred_at is missing")
    currency = bounded(message.currency, "currency")
    return TopUp(
        required_id(message.id, "id"), time_of(message.occurred_at), currency, message.amount, content
    )


def top_up_reversal_of(message: Any, content: bytes) -> TopUpReversal:
    """A `TopUpReversal` message in the core's words; `content` is what the book keeps. Raises Undecodable."""
    if not message.HasField("occurred_at"):
        raise Undecodable("occurred_at is missing")
    of = bounded(message.of, "of")
    return TopUpReversal(required_id(message.id, "id"), time_of(message.occurred_at), of, content)


def rename(command: Command, member: str) -> None:
    """Give a command the member id behind the identifier that it came with, in its content too."""
    if isinstance(command, (RecordPurchase, RecordReturn, RecordTopUp, ReverseTopUp)):
        told = command.purchase if isinstance(command, RecordPurchase) else command.activity
        told.content = named(told.content.removesuffix(_member_field(command.member)), member)
    command.member = member


def enrolment_digest(identifiers: list[tuple[str, bytes]], occurred_at: datetime | None) -> bytes:
    """SHA-256 of an enrolment's content; identifiers only as keyed hashes, since a phone number is soon guessed."""
    time = b"" if occurred_at is None else b"%d" % micros(occurred_at)
    return hashlib.sha256(b"|".join([time, *(digest for _, digest in sorted(identifiers))])).digest()
