"""The journal's rows, command by command: what each led to on its own chain, and on others.

Most commands concern one chain, and such chains are read one by one, several at once. Chains that share commands (a
merge, a gift, a referral between members of both) are read together, for what is decided there needs both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from google.protobuf.message import DecodeError

from services.common.chain import chain_of
from services.common.errors import InvariantBroken, Undecodable
from services.ledger import payloads
from services.ops.verify.snapshot import Connection, batches

BEHIND = ("MemberAbsorbed", "GiftReceived", "PointsAwarded", "AwardWithheld")
"""What never comes first of what a command led to: rows that begin so belong to a command of another chain."""
Key = tuple[str, str, str, datetime]
"""(program, cause's source, cause's id, recorded_at): the same on every chain that a command wrote to."""

JOURNAL = """
SELECT chain, position, program, member, type, occurred_at, recorded_at, cause_source, cause_id,
       cause_digest IS NOT NULL AS begins, program_version, payload
FROM journal WHERE chain = $1 AND ($2 = '' OR program = $2) ORDER BY position
"""
SHARED = """
-- Rows of commands that can concern two chains.
SELECT chain, program, cause_source, cause_id, recorded_at FROM journal
WHERE ($1 = '' OR program = $1) AND (
    type IN ('MembersMerged', 'MemberAbsorbed', 'GiftSent', 'GiftReceived', 'ReferralRewarded')
    OR (type IN ('PointsAwarded', 'AwardWithheld') AND cause_source = 'tallybook/referrals')
)
"""
NAMED = {"ReferralRegistered": "referrer", "GiftSent": "receiver", "MembersMerged": "absorbed"}
"""Events that name another member, whom their decision looked at."""
NAMING = """
SELECT chain, type, payload FROM journal WHERE type = ANY($2::text[]) AND ($1 = '' OR program = $1)
"""


class Row(NamedTuple):
    """A row of the journal. `begins`: it has the digest of a request, and so is the first that the request led to."""

    chain: int
    position: int
    program: str
    member: str | None
    type: str
    occurred_at: datetime
    recorded_at: datetime
    source: str
    cause: str
    begins: bool
    version: str
    payload: bytes

    @property
    def key(self) -> Key:
        return self.program, self.source, self.cause, self.recorded_at


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one command led to: on its own chain, and on others. `rows` is empty for what lacks its beginning."""

    rows: list[Row]
    elsewhere: list[Row]

    @property
    def first(self) -> Row:
        return (self.rows or self.elsewhere)[0]

    def __len__(self) -> int:
        return len(self.rows) + len(self.elsewhere)


class Links(NamedTuple):
    """Which chains are read together, and on which of them each shared command wrote."""

    groups: list[tuple[int, ...]]
    places: Mapping[Key, frozenset[int]]


async def links(connection: Connection, chains: int, program: str = "") -> Links:
    """Look for what chains share; with `program`, in its rows alone."""
    places: dict[Key, set[int]] = {}
    for chain, *key in await connection.fetch(SHARED, program):
        places.setdefault((key[0], key[1], key[2], key[3]), set()).add(chain)
    together = [*places.values()]
    for chain, type_, payload in await connection.fetch(NAMING, program, list(NAMED)):
        # A row that can't be read is found when its chain is.
        with suppress(DecodeError, Undecodable, InvariantBroken):
            other = getattr(payloads.decode(type_, payload), NAMED[type_])
            together.append({chain, chain_of(other, chains)})
    shared = {key: frozenset(found) for key, found in places.items() if len(found) > 1}
    return Links(_joined(chains, together), shared)


def _joined(chains: int, together: Sequence[set[int]]) -> list[tuple[int, ...]]:
    group_of = {chain: {chain} for chain in range(chains)}
    for some in together:
        group = set().union(*(group_of[chain] for chain in some))
        for chain in group:
            group_of[chain] = group
    return sorted({tuple(sorted(group)) for group in group_of.values()})


async def in_order(
    connection: Connection,
    chains: Sequence[int],
    places: Mapping[Key, frozenset[int]],
    program: str = "",
    ready: Callable[[Recorded], bool] = lambda recorded: True,
) -> AsyncIterator[Recorded]:
    """What is recorded on `chains`, in an order in which it can have happened: each chain's rows in theirs.

    A command that wrote on two chains comes when all before it has come on both; one that is not `ready` waits for
    the other chains, as long as these have something. Needs a transaction.
    """
    readers = [await _Reader.begin(connection, chain, program) for chain in chains]
    while True:
        there = [reader for reader in readers if reader.head]
        if not there:
            return
        chosen: tuple[_Reader, Recorded] | None = None
        if len(there) > 1:
            there.sort(key=lambda reader: reader.head[0].recorded_at)
            chosen = await _first(there, places, ready)
        if chosen is None:
            # There is one chain; or nobody can go on: rows are missing, or what was waited for never comes. The caller
            # says so.
            reader = there[0]
            behind = reader.head[0].type in BEHIND
            chosen = reader, Recorded([], reader.head) if behind else Recorded(reader.head, [])
        await chosen[0].move()
        yield chosen[1]


async def _first(
    there: Sequence[_Reader], places: Mapping[Key, frozenset[int]], ready: Callable[[Recorded], bool]
) -> tuple[_Reader, Recorded] | None:
    """Of several chains the first that can go on, and what is recorded there; the others it wrote to have moved on."""
    by_chain = {reader.chain: reader for reader in there}
    for reader in there:
        others = _others(reader, by_chain, places)
        if others is None:
            continue
        recorded = Recorded(reader.head, [row for other in others for row in other.head])
        if ready(recorded):
            for other in others:
                await other.move()
            return reader, recorded
    return None


def _others(
    reader: _Reader, by_chain: Mapping[int, _Reader], places: Mapping[Key, frozenset[int]]
) -> list[_Reader] | None:
    """The other chains that the command at a chain's head wrote to, all of them there; None when it must wait."""
    first = reader.head[0]
    if first.type in BEHIND:
        return None
    others = []
    for chain in sorted(places.get(first.key, frozenset()) - {reader.chain}):
        other = by_chain.get(chain)
        if other is None or other.head[0].key != first.key or other.head[0].type not in BEHIND:
            return None
        others.append(other)
    return others


class _Reader:
    """A chain's rows, as many at a time as one command led to. `head` is the next of them; empty at the end."""

    def __init__(self, chain: int, rows: AsyncIterator[list[Row]]) -> None:
        self.chain = chain
        self.head: list[Row] = []
        self._rows = rows
        self._buffer: list[Row] = []
        self._at = 0

    @classmethod
    async def begin(cls, connection: Connection, chain: int, program: str) -> _Reader:
        reader = cls(chain, batches(connection, JOURNAL, chain, program))
        await reader.move()
        return reader

    async def move(self) -> None:
        """Go on to what the next command led to."""
        head: list[Row] = []
        while True:
            if self._at == len(self._buffer):
                self._buffer, self._at = [Row(*row) for row in await anext(self._rows, [])], 0
                if not self._buffer:
                    break
            row = self._buffer[self._at]
            if head and _begins(head[-1], row):
                break
            head.append(row)
            self._at += 1
        self.head = head


def _begins(before: Row, row: Row) -> bool:
    """Another command led to `row` than to the one `before` it."""
    return row.begins or row.key != before.key or "ActivityUnparked" in (row.type, before.type)
