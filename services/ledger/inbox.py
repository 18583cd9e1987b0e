"""The inbox: which requests were taken before, and what they led to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.common import arrays
from services.common.chain import spread
from services.common.db import Transaction
from services.ledger import payloads
from services.ledger.domain import retries
from services.ledger.domain.commands import Command
from services.ledger.domain.events import Decided

FIND_INBOX = """
SELECT i.source, i.event_id, i.digest, i.member, i.journal_chain, i.position, i.rejection
FROM unnest($1::text::smallint[], $2::text::text[], $3::text::text[]) AS k (chain, source, event_id)
JOIN inbox AS i USING (chain, source, event_id)
"""
FIND_FIRST_EVENTS = """
SELECT j.chain, j.position, j.type, j.occurred_at, j.payload
FROM unnest($1::smallint[], $2::bigint[]) AS k (chain, position) JOIN journal AS j USING (chain, position)
"""


@dataclass(slots=True)
class Seen:
    """The first outcome of a request."""

    digest: bytes
    member: str | None
    chain: int
    position: int
    rejection: str | None
    first: Decided | None = None
    """The first event that it led to, where a repetition with other content may have to be told what differs."""


def inbox_chain(source: str, event_id: str, chains: int) -> int:
    """Where the inbox keeps a request: by its own key, so that the same id from another member is seen too."""
    return spread(f"{source}/{event_id}".encode(), chains)


async def load_inbox(
    tx: Transaction, commands: Sequence[Command], chains: int
) -> dict[tuple[str, str], Seen]:
    """The first outcome of those requests that were taken before, by (source, id)."""
    causes = [command.cause for command in commands if command.cause.digest is not None]
    if not causes:
        return {}
    sources, ids = [cause.source for cause in causes], [cause.id for cause in causes]
    places = [inbox_chain(source, id_, chains) for source, id_ in zip(sources, ids, strict=True)]
    rows = await tx.fetch(FIND_INBOX, arrays.numbers(places), arrays.texts(sources), arrays.texts(ids))
    seen = {
        (row["source"], row["event_id"]): Seen(
            row["digest"], row["member"], row["journal_chain"], row["position"], row["rejection"]
        )
        for row in rows
    }
    if seen:
        await _load_first_events(tx, commands, seen)
    return seen


async def _load_first_events(
    tx: Transaction, commands: Sequence[Command], seen: dict[tuple[str, str], Seen]
) -> None:
    """For ids that were used with other content or by somebody else, and are compared part by part."""
    places: dict[tuple[int, int], Seen] = {}
    for command in commands:
        was = seen.get((command.cause.source, command.cause.id))
        if was is None or was.rejection is not None or not isinstance(command, retries.COMPARED):
            continue
        if (was.digest, was.member) != (command.cause.digest, command.member):
            places[was.chain, was.position] = was
    if not places:
        return
    for row in await tx.fetch(FIND_FIRST_EVENTS, *([place[i] for place in places] for i in range(2))):
        was = places[row["chain"], row["position"]]
        was.first = Decided(payloads.decode(row["type"], row["payload"]), was.member, row["occurred_at"])
