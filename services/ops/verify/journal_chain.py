"""The hash chain of any service's journal, computed again from the layout that DESIGN and docs/verify.md describe.

This is a second implementation on purpose: it shares no line with the one that writes.
"""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka.partitioner import murmur2

from services.ops.verify.findings import Findings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NUMBERS = struct.Struct("<Hqqq8I")
JOURNAL = """
SELECT position, program, member, type, occurred_at, recorded_at, cause_source, cause_id, cause_digest,
       program_version, payload, hash
FROM journal WHERE chain = $1 ORDER BY position
"""


def first_previous(chain: int) -> bytes:
    """What stands before the first row of a chain."""
    return hashlib.sha256(f"tallybook chain {chain}".encode()).digest()


def hash_of(previous: bytes, chain: int, row: Any) -> bytes:
    """What the hash of a journal row (columns as in JOURNAL) must be, after a row with the hash `previous`."""
    (position, program, member, type_, occurred_at, recorded_at, source, id_, digest, version, payload, _) = (
        row
    )
    parts = (
        program.encode(), b"" if member is None else member.encode(), type_.encode(), source.encode(), id_.encode(),
        b"" if digest is None else digest, version.encode(), payload,
    )  # fmt: skip
    # An absent member or digest has length 0, so a present one counts one more: "" and NULL differ.
    numbers = NUMBERS.pack(
        chain, position, (occurred_at - EPOCH) // MICROSECOND, (recorded_at - EPOCH) // MICROSECOND,
        len(parts[0]), len(parts[1]) + (member is not None), len(parts[2]), len(parts[3]), len(parts[4]),
        len(parts[5]) + (digest is not None), len(parts[6]), len(payload),
    )  # fmt: skip
    return hashlib.sha256(b"".join((previous, numbers, *parts))).digest()


class JournalChain:
    """Reads one chain's rows in order."""

    def __init__(self, chain: int, chains: int, found: Findings) -> None:
        self._chain = chain
        self._chains = chains
        self._found = found
        self._previous = first_previous(chain)
        self.position = 0
        """Of the last row."""
        self._members: set[str] = set()

    def row(self, row: Any) -> None:
        """Check the next row."""
        position, member, hash_ = row["position"], row["member"], row["hash"]
        if position != self.position + 1:
            self._wrong(position, f"comes after position {self.position}: rows are missing")
        elif hash_ != hash_of(self._previous, self._chain, row):
            self._wrong(position, "its hash is not that of its content and the row before")
        # Go on from the hash as it stands, so that one changed row is one finding and not a chainful.
        self.position, self._previous = position, hash_
        if member is not None and member not in self._members:
            self._members.add(member)
            home = (murmur2(member.encode()) & 0x7FFFFFFF) % self._chains
            if home != self._chain:
                self._wrong(position, f"member {member} lives on chain {home}")

    def end(self, head_position: int, head_hash: bytes) -> None:
        """Check the chain's head after the last row."""
        where = f"chain_heads {self._chain}"
        if head_position != self.position:
            what = f"position is {head_position}, the journal ends at {self.position}"
            self._found.add("chain", where, what)
        elif head_hash != self._previous:
            self._found.add("chain", where, "hash is not that of the last row")

    def _wrong(self, position: int, what: str) -> None:
        self._found.add("chain", f"journal {self._chain}-{position}", what)
