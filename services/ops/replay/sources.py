"""What a rebuild reads: journals, in order, from the databases themselves or as they lie in Kafka.

The topics hold the same rows: a journal's payload is what its relay publishes, and `verify` holds the two against
each other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from services.ops.verify.broker import STREAMS
from services.ops.verify.snapshot import Connection, batches, connect

JOURNAL = """
-- Of rows that the reader has no use for, only the position counts: their payload stays where it is.
SELECT chain, position, program, member, type, occurred_at, recorded_at, program_version,
       CASE WHEN $4::text[] IS NULL OR type = ANY($4) THEN payload END AS payload
FROM journal WHERE chain = $1 AND position > $2 AND position <= $3 AND type <> ALL($5::text[]) ORDER BY position
"""
FACTS = """
-- Rows of a service's own journal that it did not decide by itself, with what led to them.
SELECT chain, position, program, member, type, occurred_at, cause_source, cause_id, cause_digest, program_version,
       payload
FROM journal WHERE chain = $1 AND position > $2 AND position <= $3 AND type = ANY($4::text[]) ORDER BY position
"""
APPLIED = "SELECT topic, position FROM stream_positions WHERE chain = $1"
HEAD = "SELECT position FROM chain_heads WHERE chain = $1"

SERVICES_OF = {topic: service for service, topic in STREAMS.items()}
INPUTS: Mapping[str, tuple[str, ...]] = {
    "ledger": ("ledger.v1",),
    "tiering": ("ledger.v1", "tiers.v1"),
    "rewards": ("ledger.v1", "tiers.v1", "rewards.v1"),
}
"""The streams that a service's projections follow from; the last is its own."""


class StreamIncomplete(RuntimeError):
    """A stream does not hold what the projections were made of; the message says which rows, and what to do."""


class Streams(Protocol):
    """Where the rows of streams come from."""

    def rows(
        self,
        topic: str,
        chain: int,
        after: int,
        up_to: int,
        types: Collection[str] | None = None,
        without: Sequence[str] = (),
    ) -> AsyncIterator[list[Mapping[str, Any]]]:
        """A chain's rows behind `after` and up to `up_to`, in order and in batches, with the journal's columns by name.

        Rows whose type is not among `types` (None: all) have no payload; those `without` are left out.
        """


class Journals:
    """The services' own tables."""

    def __init__(
        self, service: str, live: Connection, urls: Mapping[str, str], stack: AsyncExitStack
    ) -> None:
        """`live` reads the journal of `service`; other databases are opened when they are asked for."""
        self._connections = {service: live}
        self._urls = urls
        self._stack = stack

    async def rows(
        self,
        topic: str,
        chain: int,
        after: int,
        up_to: int,
        types: Collection[str] | None = None,
        without: Sequence[str] = (),
    ) -> AsyncIterator[list[Mapping[str, Any]]]:
        """See Streams."""
        if after >= up_to:
            return
        connection = await self._connection(SERVICES_OF[topic])
        wanted = None if types is None else list(types)
        async for rows in batches(connection, JOURNAL, chain, after, up_to, wanted, list(without)):
            yield rows

    async def _connection(self, service: str) -> Connection:
        found = self._connections.get(service)
        if found is None:
            found = self._connections[service] = await connect(self._urls[service])
            self._stack.push_async_callback(found.close)
            # Each query has a moment of its own: what is behind a position that was applied never changes.
            await self._stack.enter_async_context(found.transaction(readonly=True))
        return found


@dataclass(frozen=True, slots=True)
class Stretch:
    """What of one chain is folded in at once: of each stream the rows behind `after` and up to `up_to`.

    `live` reads the service's own tables at the moment that `up_to` is of; `build` finds the schema that is filled.
    """

    live: Connection
    build: Connection
    streams: Streams
    chain: int
    chains: int
    after: Mapping[str, int]
    up_to: Mapping[str, int]
    spread: bool
    """False: the tables whose rows stand on other chains (SPREAD) are left as they are."""

    def rows(
        self, topic: str, types: Collection[str] | None = None, without: Sequence[str] = ()
    ) -> AsyncIterator[list[Mapping[str, Any]]]:
        """The rows of one of the streams."""
        return self.streams.rows(topic, self.chain, self.after[topic], self.up_to[topic], types, without)

    def facts(self, topic: str, types: Collection[str]) -> AsyncIterator[list[Any]]:
        """The rows of the service's own journal whose type is among `types`, with their causes.

        From the journal wherever the rest comes from: its stream leaves out what led to a row.
        """
        return batches(self.live, FACTS, self.chain, self.after[topic], self.up_to[topic], list(types))

    @property
    def count(self) -> int:
        """Journal rows to go through."""
        return sum(self.up_to[topic] - self.after[topic] for topic in self.up_to)


async def ends(service: str, live: Connection, chain: int) -> dict[str, int]:
    """The positions that the live tables of a chain stand for, by topic."""
    found = {row["topic"]: int(row["position"]) for row in await live.fetch(APPLIED, chain)}
    found[STREAMS[service]] = int(await live.fetchval(HEAD, chain) or 0)
    return {topic: found.get(topic, 0) for topic in INPUTS[service]}
