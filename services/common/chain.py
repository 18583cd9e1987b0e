"""Which chain a member lives on, and the hash that binds a chain's rows together (DESIGN: the chain)."""

from __future__ import annotations

import hashlib
import struct
import zlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from aiokafka.partitioner import murmur2

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS = struct.Struct("<Hqqq8I")


@lru_cache(maxsize=200_000)
def chain_of(key: str, chains: int) -> int:
    """The chain, and Kafka partition, of `key`: Kafka's own default partitioner, so producers agree."""
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % chains)


def spread(key: bytes, chains: int) -> int:
    """The chain of a row that is not keyed by member (inbox, identifiers): any cheap hash will do, and crc32 is one."""
    return zlib.crc32(key) % chains


def micros(time: datetime) -> int:
    """Microseconds since 1970, exactly (no float on the way)."""
    delta = time - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(value: int) -> datetime:
    """The inverse of `micros`. Raises OverflowError outside the years 1 to 9999."""
    return EPOCH + timedelta(0, 0, value)


def genesis(chain: int) -> bytes:
    """The hash that the first row of a chain covers: it differs by chain, so chains can't be swapped."""
    return hashlib.sha256(b"tallybook chain %d" % chain).digest()


def row_hash(
    previous: bytes,
    chain: int,
    position: int,
    program: str,
    member: str | None,
    type_: str,
    occurred_at: int,
    recorded_at: int,
    cause_source: str,
    cause_id: str,
    cause_digest: bytes | None,
    program_version: str,
    payload: bytes,
) -> bytes:
    """SHA-256 over the previous row's hash and every byte of the row; times in microseconds since 1970.

    Layout: previous hash; chain u16, position i64, occurred and recorded i64 microseconds, eight u32 lengths
    (program, member + 1 or 0 for none, type, source, id, digest + 1 or 0 for none, version, payload), all
    little-endian; then the parts in that order. Lengths go first, so no two rows give the same bytes.
    """
    member_bytes = None if member is None else member.encode()
    return hash_of_encoded(
        previous, chain, position, program.encode(), member_bytes, type_.encode(), occurred_at, recorded_at,
        cause_source.encode(), cause_id.encode(), cause_digest, program_version.encode(), payload,
    )  # fmt: skip


def hash_of_encoded(
    previous: bytes,
    chain: int,
    position: int,
    program: bytes,
    member: bytes | None,
    type_: bytes,
    occurred_at: int,
    recorded_at: int,
    cause_source: bytes,
    cause_id: bytes,
    cause_digest: bytes | None,
    program_version: bytes,
    payload: bytes,
) -> bytes:
    """`row_hash` of texts that are UTF-8 already."""
    # Written out and not looped: two of these for every purchase.
    b = b"" if member is None else member
    f = b"" if cause_digest is None else cause_digest
    numbers = _NUMBERS.pack(
        chain, position, occurred_at, recorded_at,
        len(program), 0 if member is None else len(b) + 1, len(type_), len(cause_source), len(cause_id),
        0 if cause_digest is None else len(f) + 1, len(program_version), len(payload),
    )  # fmt: skip
    return hashlib.sha256(
        b"".join((previous, numbers, program, b, type_, cause_source, cause_id, f, program_version, payload))
    ).digest()
