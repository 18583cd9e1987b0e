"""Kafka records as CloudEvents in binary mode: attributes in headers, the message in the value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from services.common.chain import from_micros
from services.common.errors import InvariantBroken, Undecodable

PROTOBUF = "application/protobuf"
JSON = "application/json"
MAX_VALUE_BYTES = 1_000_000
"""A record's value may be this long; a purchase of 1,000 lines takes about a tenth of it."""

Headers = Sequence[tuple[str, bytes]]
NANOS_PER_MICRO = 1_000
YEARS = range(2, 9_999)
"""Years whose every time is a time in every zone."""


def time_of(timestamp: Any) -> datetime:
    """A protobuf Timestamp as aware UTC, microseconds (finer digits are cut). Raises Undecodable when out of range."""
    try:
        time = from_micros(timestamp.seconds * 1_000_000 + timestamp.nanos // NANOS_PER_MICRO)
    except (ValueError, OverflowError, OSError) as error:
        raise Undecodable(f"time out of range: {timestamp.seconds} s") from error
    if time.year not in YEARS:
        raise Undecodable(f"time out of range: the year {time.year} is not from {YEARS[0]} to {YEARS[-1]}")
    return time


def activity_headers(
    type_: str, source: str, id_: str, content_type: str = PROTOBUF
) -> list[tuple[str, bytes]]:
    """The headers that a producer of activities sends."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", type_.encode()),
        ("ce_source", source.encode()),
        ("ce_id", id_.encode()),
        ("content-type", content_type.encode()),
    ]


def decode_activity(headers: Headers, value: bytes | None, types: Mapping[str, type[Message]]) -> Message:
    """The message in a record that anybody may have written; `types` by CloudEvents type.

    Raises:
        Undecodable: no or an unknown type, another content type, or bytes that are not that message.
    """
    attributes = dict(headers)
    # Kafka allows a header without a value; to us it is as if it were not there.
    name = (attributes.get("ce_type") or b"").decode(errors="replace")
    cls = types.get(name)
    if cls is None:
        raise Undecodable(f"header ce_type is {name!r}; this topic takes {', '.join(sorted(types))}")
    if value is None:
        raise Undecodable("the record has no value")
    if len(value) > MAX_VALUE_BYTES:
        raise Undecodable(f"the value has {len(value)} bytes, at most {MAX_VALUE_BYTES} are taken")
    content_type = (attributes.get("content-type") or PROTOBUF.encode()).decode(errors="replace")
    try:
        if content_type.startswith(PROTOBUF):
            return cls.FromString(value)
        if content_type.startswith(JSON):
            return json_format.Parse(value, cls())
    except (DecodeError, json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"not a {name} in {content_type}: {error}") from error
    raise Undecodable(f"content-type is {content_type!r}; {PROTOBUF} and {JSON} are taken")


@lru_cache(maxsize=4_096)
def _constant_headers(service: str, type_: str, program: str, chain: int) -> tuple[tuple[str, bytes], ...]:
    """What rows of one type, program and chain have in common."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", b"tallybook.%s.v1.%s" % (service.encode(), type_.encode())),
        ("ce_source", b"tallybook/%s" % service.encode()),
        ("content-type", PROTOBUF.encode()),
        ("ce_program", program.encode()),
        ("ce_chain", b"%d" % chain),
    )


@lru_cache(maxsize=64)
def _recorded(recorded_at: datetime) -> bytes:
    """The rows of a transaction were all recorded at one time."""
    return recorded_at.isoformat().encode()


def journal_headers(
    service: str,
    chain: int,
    position: int,
    program: str,
    member: str | None,
    type_: str,
    occurred_at: datetime,
    recorded_at: datetime,
) -> list[tuple[str, bytes]]:
    """The headers of a journal row on `<service>.v1`."""
    constant = _constant_headers(service, type_, program, chain)
    headers = [
        *constant[:3],
        ("ce_id", b"%d-%d" % (chain, position)),
        ("ce_time", occurred_at.isoformat().encode()),
        *constant[3:],
        ("ce_position", b"%d" % position),
        ("ce_recordedat", _recorded(recorded_at)),
    ]
    if member is not None:
        headers.append(("ce_subject", member.encode()))
    return headers


Unread = tuple[type[Message], bytes]
"""A message that nobody asked for yet: its type and its bytes."""


@dataclass(slots=True)
class StreamRow:
    """A journal row as a service reads it from another service's stream."""

    chain: int
    position: int
    program: str
    member: str | None
    type: str
    occurred_at: datetime
    recorded_at: datetime
    payload: Message | Unread | None
    """None for a type that the reader has no use for."""

    @property
    def message(self) -> Message | None:
        """What the row says, read when it is first asked for: of many rows only the type and the time are needed.

        Raises:
            InvariantBroken: one of our own services wrote what it can't have written.
        """
        if isinstance(self.payload, tuple):
            cls, value = self.payload
            try:
                self.payload = cls.FromString(value)
            except DecodeError as error:
                raise InvariantBroken(
                    f"row {self.chain}-{self.position} of our own stream can't be read: {error!r}"
                ) from error
        return self.payload


def journal_row(record: Mapping[str, Any], types: Mapping[str, type[Message]]) -> StreamRow:
    """A row of another service's journal table, as its stream would bring it. `record` has the columns by name."""
    cls = types.get(record["type"])
    return StreamRow(
        record["chain"], record["position"], record["program"], record["member"], record["type"],
        record["occurred_at"], record["recorded_at"], None if cls is None else (cls, record["payload"]),
    )  # fmt: skip


class _Names(dict[bytes, str]):
    """Short names by type; there are few of them in a stream of our own, and looking one up is half of reading it."""

    def __missing__(self, type_: bytes) -> str:
        name = self[type_] = type_.rpartition(b".")[2].decode()
        return name


_names = _Names()


@lru_cache(maxsize=64)
def _moment(time: bytes) -> datetime:
    """The rows of a transaction were all recorded at one time."""
    return datetime.fromisoformat(time.decode())


def decode_row(headers: Headers, value: bytes | None, types: Mapping[str, type[Message]]) -> StreamRow:
    """A row of a stream of our own; `types` by short name (`PointsAccrued`); others are passed on without message.

    Raises:
        InvariantBroken: one of our own services wrote what it can't have written.
    """
    attributes = dict(headers)
    try:
        short = _names[attributes["ce_type"]]
        cls = types.get(short)
        subject = attributes.get("ce_subject")
        return StreamRow(
            int(attributes["ce_chain"]),
            int(attributes["ce_position"]),
            attributes["ce_program"].decode(),
            None if subject is None else subject.decode(),
            short,
            datetime.fromisoformat(attributes["ce_time"].decode()),
            _moment(attributes["ce_recordedat"]),
            None if cls is None else (cls, value or b""),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        # TypeError and AttributeError: a header without a value.
        raise InvariantBroken(f"a record of our own stream can't be read: {error!r}") from error


def unseen(rows: Iterable[StreamRow], applied: dict[int, int]) -> list[StreamRow]:
    """The rows that come after what was applied, by chain; `applied` is moved on.

    A relay may send a row twice (it crashed before it noted the sending), so rows at or below the applied
    position are dropped; a gap can't be, since positions are gapless.

    Raises:
        InvariantBroken: a position is missing.
    """
    fresh: list[StreamRow] = []
    for row in rows:
        chain, position = row.chain, row.position
        last = applied.get(chain, 0)
        if position > last:
            if position != last + 1:
                raise InvariantBroken(f"chain {chain}: position {position} came after {last}")
            applied[chain] = position
            fresh.append(row)
    return fresh
