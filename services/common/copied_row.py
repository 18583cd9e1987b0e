"""Rows of the journal as COPY reads them, in PostgreSQL's binary form.

A row has been encoded for its hash already, and its times are numbers by then. asyncpg would encode it again and begin
with times: 5,000 instructions each, and a purchase has four in the journal (counted).
The format: "Binary Format" on https://www.postgresql.org/docs/current/sql-copy.html
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from struct import Struct

from services.common.chain import micros

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_length = Struct(">i").pack
_bigint = Struct(">iq").pack
_beginning = Struct(">hih").pack
_COLUMNS = 13
_MICROS_OF_2000 = micros(datetime(2000, 1, 1, tzinfo=UTC))
"""From here PostgreSQL counts microseconds."""


class UsualTexts(dict[str, tuple[bytes, bytes]]):
    """Texts that come again and again: as UTF-8, and the same as a field, with its length before it."""

    def __missing__(self, text: str) -> tuple[bytes, bytes]:
        content = text.encode()
        both = self[text] = content, _length(len(content)) + content
        return both


class _Lengths(dict[int, bytes]):
    """Lengths as COPY reads them, each made once."""

    def __missing__(self, length: int) -> bytes:
        made = self[length] = _length(length)
        return made


_LENGTHS = _Lengths()


def row_beginning(chain: int) -> bytes:
    """How the rows of a chain begin: the number of columns, and the first."""
    return _beginning(_COLUMNS, 2, chain)


def time_field(time: int) -> bytes:
    """A time, in microseconds since 1970, as a field."""
    return _bigint(8, time - _MICROS_OF_2000)


def copied_row(
    beginning: bytes,
    position: int,
    program: bytes,
    member: bytes | None,
    type_: bytes,
    occurred_at: bytes,
    recorded_at: bytes,
    cause_source: bytes,
    cause_id: bytes,
    cause_digest: bytes | None,
    program_version: bytes,
    payload: bytes,
    hash_: bytes,
) -> bytes:
    """A row, its columns in the order of `journal.JOURNAL_COLUMNS`.

    What many rows share is a field already, made once: `beginning`, program, type, both times, source, version.
    """
    return b"".join(
        (
            beginning,
            _bigint(8, position),
            program,
            _NULL if member is None else _LENGTHS[len(member)] + member,
            type_,
            occurred_at,
            recorded_at,
            cause_source,
            _LENGTHS[len(cause_id)],
            cause_id,
            _NULL if cause_digest is None else _LENGTHS[len(cause_digest)] + cause_digest,
            program_version,
            _LENGTHS[len(payload)],
            payload,
            _LENGTHS[len(hash_)],
            hash_,
        )
    )


def binary_copy(rows: Iterable[bytes]) -> memoryview:
    """What COPY reads (a view: asyncpg takes bytes for a path)."""
    return memoryview(b"".join((_HEADER, *rows, _TRAILER)))
