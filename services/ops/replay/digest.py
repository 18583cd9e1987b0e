"""What L7 compares: SHA-256 over a table's rows of one chain, ordered by key, as PostgreSQL's COPY writes them.

COPY's text form is canonical here: UTC, ISO dates, bytes in hex, a row a line, with tabs and line ends escaped.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from services.ops.verify.snapshot import Connection, batches

SHOWN_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class Shape:
    """A table to compare: its key, and the columns that count ("*" for all)."""

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...] = ("*",)

    def query(self, schema: str, chain: int) -> str:
        """The rows of one chain in order."""
        # Names and numbers are our own; COPY takes no parameters.
        return (
            f"SELECT {', '.join(self.columns)} FROM {schema}.{self.table} "  # noqa: S608
            f"WHERE chain = {int(chain)} ORDER BY {', '.join(self.key)}"
        )


@dataclass(frozen=True, slots=True)
class Digest:
    """Rows, and the SHA-256 over them in hex."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One table of one chain, live and rebuilt. `difference` says where they first differ."""

    table: str
    chain: int
    live: Digest
    rebuilt: Digest
    difference: str | None

    @property
    def same(self) -> bool:
        return self.live == self.rebuilt


async def compare(live: Connection, rebuilt: Connection, schema: str, shape: Shape, chain: int) -> Compared:
    """Digest the live table and the one in `schema`; find the first difference when there is one."""
    ours = await digest(live, shape.query("public", chain))
    theirs = await digest(rebuilt, shape.query(schema, chain))
    difference = None
    if ours != theirs:
        difference = await _first_difference(
            live, shape.query("public", chain), rebuilt, shape.query(schema, chain)
        )
    return Compared(shape.table, chain, ours, theirs, difference)


async def digest(connection: Connection, query: str) -> Digest:
    """The digest of a query's rows, in constant memory."""
    sha256 = hashlib.sha256()
    rows = 0

    async def take(part: bytes) -> None:
        nonlocal rows
        sha256.update(part)
        rows += part.count(b"\n")

    await connection.copy_from_query(query, output=take)
    return Digest(rows, sha256.hexdigest())


async def _first_difference(
    live: Connection, live_query: str, rebuilt: Connection, rebuilt_query: str
) -> str:
    ours, theirs = _rows(live, live_query), _rows(rebuilt, rebuilt_query)
    while True:
        one, other = await anext(ours, None), await anext(theirs, None)
        if one is None and other is None:
            return "their values are equal and their text is not"
        if one != other:
            return f"live {_words(one)}; rebuilt {_words(other)}"


async def _rows(connection: Connection, query: str) -> AsyncIterator[Any]:
    async for rows in batches(connection, query):
        for row in rows:
            yield row


def _words(row: Any) -> str:
    if row is None:
        return "has no more rows"
    text = ", ".join(f"{name}={_value(value)}" for name, value in row.items())
    return "has " + (text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "...")


def _value(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


def total(parts: Sequence[Digest]) -> Digest:
    """One digest for a table, over those of its chains in order."""
    sha256 = hashlib.sha256("".join(part.sha256 for part in parts).encode())
    return Digest(sum(part.rows for part in parts), sha256.hexdigest())
