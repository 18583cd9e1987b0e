"""Writing in a service's tables behind its back, as whoever has the database's password can."""

# ruff: noqa: S608 - the names of tables and columns are our own

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import combinations

import asyncpg
from sqlalchemy import MetaData

from services.common.chain import genesis, micros, row_hash
from services.ops.verify.findings import Report

CHANGES = {
    "smallint": ("{c} + 1", "{c} - 1", "{c} + 100"),
    "integer": ("{c} + 1", "{c} - 1"),
    "bigint": ("{c} + 1", "{c} - 1", "{c} + 1000000"),
    "numeric": ("{c} + 0.1",),
    "text": ("{c} || 'x'", "'promised'", "'given'"),
    "boolean": ("NOT {c}",),
    "bytea": ("set_byte({c}, 0, (get_byte({c}, 0) + 1) % 256)", "{c} || '\\x00'"),
    "timestamp with time zone": ("{c} + interval '1 microsecond'", "{c} - interval '1 microsecond'"),
    "bigint[]": ("array_replace({c}, {c}[1], {c}[1] + 1)", "{c} || 1::bigint"),
    "integer[]": ("array_replace({c}, {c}[1], {c}[1] + 1)",),
    "text[]": ("{c} || 'gold'::text",),
    "timestamp with time zone[]": ("{c} || now()",),
    "bytea[]": ("{c} || '\\x00'::bytea",),
    "jsonb": ("{c} || '{{\"x\": 1}}'::jsonb", "{c} || '[1]'::jsonb"),
    "date": ("{c} + 1",),
    "uuid": ("gen_random_uuid()",),
}
SET = {
    "text": "'x'",
    "bytea": "'\\x00'::bytea",
    "timestamp with time zone": "now()",
    "bigint": "1",
    "smallint": "1",
}
"""What a column becomes that is NULL in every row."""
UNCHANGEABLE = {("installation", "one"), ("draw_turns", "state")}
"""Can have one value only; constraints bind it to what else the row has."""
MECHANISM = {
    ("consumer_offsets", "chain"): "Kafka is asked whether it has that partition",
    ("consumer_offsets", "consumer"): "a name",
    ("consumer_offsets", "topic"): "a name; Kafka is asked whether it has it",
    ("consumer_offsets", "epoch"): "a fence, not a fact",
    ("consumer_offsets", "owner"): "a fence, not a fact",
    ("installation", "id"): "a random name; seals say it",
}
"""What no reading of a service's database alone can tell."""
COLUMNS = """
SELECT a.attname, a.attnum = ANY(i.indkey) AS of_key FROM pg_attribute AS a
JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
CATALOGUE = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name NOT IN ('api_keys', 'alembic_version') ORDER BY 1, 2
"""
TYPE = """
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2
"""


@asynccontextmanager
async def superuser(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A transaction in which no trigger refuses anything, and which never happened in the end."""
    connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SET LOCAL session_replication_role = replica")
        yield connection
        await transaction.rollback()
    finally:
        await connection.close()


@asynccontextmanager
async def committed(url: str) -> AsyncIterator[asyncpg.Connection]:
    """As `superuser`, and it does happen."""
    connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            yield connection
    finally:
        await connection.close()


Look = Callable[..., Awaitable[Report]]
"""What `verify` says: of the chains that are named, or of everything when none is."""


async def change(connection: asyncpg.Connection, table: str, column: str) -> tuple[str, set[int]]:
    """Change a column of one row, in the first way and row that the table's own constraints let through.

    Returns the row as it is then, and the chains on which it was and is.
    """
    type_ = await connection.fetchval(TYPE, table, column)
    order = await by_key(connection, table)
    rows = await connection.fetch(f"SELECT ctid FROM {table} WHERE {column} IS NOT NULL {order} LIMIT 500")
    ways = CHANGES[type_]
    if not rows:
        rows, ways = await connection.fetch(f"SELECT ctid FROM {table} {order} LIMIT 1"), (SET[type_],)
    chain = await chain_column(connection, table)
    for row in rows:
        before = await connection.fetchval(f"SELECT {chain} FROM {table} WHERE ctid = $1", row["ctid"])
        for way in ways:
            new = way.format(c=column)
            try:
                async with connection.transaction():
                    changed = await connection.fetchrow(
                        f"UPDATE {table} AS t SET {column} = {new} "
                        f"WHERE ctid = $1 AND {column} IS DISTINCT FROM {new} RETURNING t::text, {chain}",
                        row["ctid"],
                    )
            except asyncpg.IntegrityConstraintViolationError:
                continue
            if changed is not None:
                return str(changed[0]), {one for one in (before, changed[1]) if one is not None}
    raise AssertionError(f"no way to change {table}.{column}")


async def by_key(connection: asyncpg.Connection, table: str) -> str:
    """The ORDER BY of a table's rows: how they lie on the disk depends on what the vacuum has just done."""
    return "ORDER BY " + ", ".join(
        row["attname"] for row in await connection.fetch(COLUMNS, table) if row["of_key"]
    )


async def delete_last(connection: asyncpg.Connection, table: str) -> None:
    """Delete the row whose key is the last."""
    keys = f"SELECT ctid, row_number() OVER ({await by_key(connection, table)}) AS number FROM {table}"
    last = f"SELECT ctid FROM ({keys}) AS numbered ORDER BY number DESC LIMIT 1"
    await connection.execute(f"DELETE FROM {table} WHERE ctid = ({last})")


async def chain_column(connection: asyncpg.Connection, table: str) -> str:
    """Where a table says on which chain a row is read; NULL when it has none."""
    names = {row["attname"] for row in await connection.fetch(COLUMNS, table)}
    return next((name for name in ("journal_chain", "chain") if name in names), "NULL::smallint")


async def unfound(connection: asyncpg.Connection, table: str, columns: Iterable[str], look: Look) -> set[str]:
    """Columns of a table that can be changed without a word of `verify` about the table."""
    left = set()
    for column in columns:
        savepoint = connection.transaction()
        await savepoint.start()
        _, chains = await change(connection, table, column)
        if not await is_found(table, chains, look):
            left.add(column)
        await savepoint.rollback()
    return left


async def is_found(table: str, chains: set[int], look: Look) -> bool:
    """Whether the table is named by those chains' reading, or else by that of everything."""
    return (bool(chains) and named(await look(*chains), table)) or named(await look(), table)


async def swap(connection: asyncpg.Connection, table: str) -> set[int]:
    """Let two rows of a chain change places: each gets what the other has beside its key. Returns the chain.

    Nothing is done, and there is no chain, where no two rows of a chain differ.
    """
    columns = {row["attname"]: row["of_key"] for row in await connection.fetch(COLUMNS, table)}
    others = ", ".join(name for name, of_key in columns.items() if not of_key)
    chain = await chain_column(connection, table)
    rows = await connection.fetch(
        f"SELECT ctid, {chain} AS chain, row({others})::text AS content FROM {table} "
        f"{await by_key(connection, table)}"
    )
    pairs = ((a, b) for a, b in combinations(rows, 2) if a["chain"] == b["chain"])
    pair = next(((a, b) for a, b in pairs if a["content"] != b["content"]), None)
    if pair is None:
        return set()
    await connection.execute(
        f"UPDATE {table} AS t SET ({others}) = (SELECT {others} FROM {table} AS o "
        "WHERE o.ctid = CASE WHEN t.ctid = $1 THEN $2 ELSE $1 END) WHERE t.ctid IN ($1, $2)",
        *(row["ctid"] for row in pair),
    )
    return {pair[0]["chain"]}


def columns_of(metadata: MetaData) -> dict[str, list[str]]:
    """The columns that can be changed, by table. API keys are made and checked elsewhere."""
    return {
        table.name: [c.name for c in table.columns if (table.name, c.name) not in UNCHANGEABLE]
        for table in metadata.sorted_tables
        if table.name != "api_keys"
    }


async def in_catalogue(connection: asyncpg.Connection) -> dict[str, list[str]]:
    """The same as the database's own catalogue has it."""
    found: dict[str, list[str]] = {}
    for table, column in await connection.fetch(CATALOGUE):
        if (table, column) not in UNCHANGEABLE:
            found.setdefault(table, []).append(column)
    return found


def named(report: Report, table: str) -> bool:
    return any(table in f"{finding.where} {finding.what}" for finding in report.findings)


async def forge(connection: asyncpg.Connection, chain: int, position: int, payload: bytes) -> None:
    """Give a row another payload and make the whole chain's hashes right again."""
    await connection.execute(
        "UPDATE journal SET payload = $3 WHERE chain = $1 AND position = $2", chain, position, payload
    )
    previous = genesis(chain)
    for row in await connection.fetch("SELECT * FROM journal WHERE chain = $1 ORDER BY position", chain):
        previous = row_hash(
            previous, chain, row["position"], row["program"], row["member"], row["type"],
            micros(row["occurred_at"]), micros(row["recorded_at"]), row["cause_source"], row["cause_id"],
            row["cause_digest"], row["program_version"], row["payload"],
        )  # fmt: skip
        await connection.execute(
            "UPDATE journal SET hash = $3 WHERE chain = $1 AND position = $2",
            chain,
            row["position"],
            previous,
        )
    await connection.execute("UPDATE chain_heads SET hash = $2 WHERE chain = $1", chain, previous)
