"""Appends rows to the journal: positions gapless in commit order, each hash over the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.common.chain import hash_of_encoded, micros
from services.common.copied_row import UsualTexts, binary_copy, copied_row, row_beginning, time_field
from services.common.db import Transaction
from services.common.errors import InvariantBroken

JOURNAL_COLUMNS = (
    "chain", "position", "program", "member", "type", "occurred_at", "recorded_at",
    "cause_source", "cause_id", "cause_digest", "program_version", "payload", "hash",
)  # fmt: skip

LOCK_HEADS = """
-- The one lock of a transaction: rows in ascending order, so that two transactions never wait for each other in a ring.
SELECT chain, position, hash FROM chain_heads WHERE chain = ANY($1::smallint[]) ORDER BY chain FOR UPDATE
"""
LOCK_FREE_HEADS = """
-- The heads that nobody holds: a command that can go on does not wait for a chain that is busy with a batch.
SELECT chain FROM chain_heads WHERE chain = ANY($1::smallint[]) ORDER BY chain FOR UPDATE SKIP LOCKED
"""
MOVE_HEADS = """
UPDATE chain_heads AS head SET position = new.position, hash = new.hash
FROM unnest($1::smallint[], $2::bigint[], $3::bytea[]) AS new (chain, position, hash) WHERE head.chain = new.chain
"""


@dataclass(slots=True)
class Head:
    """The last row of a chain; position 0 and the genesis hash when there is none."""

    chain: int
    position: int
    hash: bytes


Encode = Callable[[Any], tuple[str, bytes]]
"""A service's (type, payload) of an event."""


class Journal:
    """The heads that one transaction has locked, and the events that it is about to append."""

    def __init__(self, heads: dict[int, Head], encode: Encode) -> None:
        self.heads = heads
        self.entries: list[tuple[Any, ...]] = []
        """(chain, position, program, member, event, occurred, recorded, source, id, digest, version), in order."""
        self._encode = encode
        self._rows: list[tuple[object, ...]] = []
        self._copied: list[bytes] = []
        """The same rows as COPY reads them."""

    @classmethod
    async def lock(cls, tx: Transaction, chains: Iterable[int], encode: Encode) -> Journal:
        """Lock the heads of `chains` until the transaction ends."""
        wanted = sorted(set(chains))
        rows = await tx.fetch(LOCK_HEADS, wanted)
        if len(rows) != len(wanted):
            raise InvariantBroken(f"chains {wanted} asked for, {[row['chain'] for row in rows]} exist")
        return cls({row["chain"]: Head(row["chain"], row["position"], row["hash"]) for row in rows}, encode)

    @staticmethod
    async def lock_free(tx: Transaction, chains: Iterable[int]) -> set[int]:
        """Lock those heads of `chains` that can be had without waiting, and say which."""
        return {row["chain"] for row in await tx.fetch(LOCK_FREE_HEADS, sorted(set(chains)))}

    def append(
        self,
        chain: int,
        program: str,
        member: str | None,
        event: Any,
        occurred_at: datetime,
        recorded_at: datetime,
        cause: tuple[str, str, bytes | None],
        program_version: str,
    ) -> int:
        """Put one event behind the chain's head and return its position. `cause` is (source, id, digest)."""
        head = self.heads[chain]
        position = head.position = head.position + 1
        source, id_, digest = cause
        self.entries.append(
            (chain, position, program, member, event, occurred_at, recorded_at, source, id_, digest,
             program_version)
        )  # fmt: skip
        return position

    def sealed(self) -> list[tuple[object, ...]]:
        """The rows of all entries, encoded and hashed, in the order of `JOURNAL_COLUMNS`.

        In a pass of its own, and not entry by entry: deciding, encoding and hashing each run faster undisturbed.
        """
        occurred_was = recorded_was = None
        texts = UsualTexts()
        beginnings = {chain: row_beginning(chain) for chain in self.heads}
        for entry in self.entries[len(self._rows) :]:
            (
                chain,
                position,
                program,
                member,
                event,
                occurred_at,
                recorded_at,
                source,
                id_,
                digest,
                version,
            ) = entry
            type_, payload = self._encode(event)
            head = self.heads[chain]
            # A command's rows have one time, and a batch was recorded at one.
            if occurred_at is not occurred_was:
                occurred, occurred_was = micros(occurred_at), occurred_at
                occurred_field = time_field(occurred)
            if recorded_at is not recorded_was:
                recorded, recorded_was = micros(recorded_at), recorded_at
                recorded_field = time_field(recorded)
            program_, program_field = texts[program]
            type_bytes, type_field = texts[type_]
            source_, source_field = texts[source]
            version_, version_field = texts[version]
            member_bytes, id_bytes = None if member is None else member.encode(), id_.encode()
            head.hash = hash_of_encoded(
                head.hash, chain, position, program_, member_bytes, type_bytes, occurred, recorded,
                source_, id_bytes, digest, version_, payload,
            )  # fmt: skip
            self._rows.append(
                (chain, position, program, member, type_, occurred_at, recorded_at,
                 source, id_, digest, version, payload, head.hash)
            )  # fmt: skip
            self._copied.append(
                copied_row(
                    beginnings[chain], position, program_field, member_bytes, type_field, occurred_field,
                    recorded_field, source_field, id_bytes, digest, version_field, payload, head.hash,
                )
            )  # fmt: skip
        return self._rows

    async def write(self, tx: Transaction) -> None:
        """Write the rows and the heads; the commit is the caller's."""
        if not self.entries:
            return
        self.sealed()
        source = binary_copy(self._copied)
        await tx.copy_to_table("journal", source=source, columns=JOURNAL_COLUMNS, format="binary")
        moved: Sequence[Head] = [self.heads[chain] for chain in {entry[0] for entry in self.entries}]
        await tx.execute(
            MOVE_HEADS, [h.chain for h in moved], [h.position for h in moved], [h.hash for h in moved]
        )
