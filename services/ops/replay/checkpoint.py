"""Checkpoints: a rebuilt schema that is kept, with the positions and the digests that it stands for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.ops.replay.digest import Compared, Digest, Shape, digest
from services.ops.replay.fold import SHAPES, SPREAD, TABLES
from services.ops.replay.schema import drop_leftovers
from services.ops.verify.snapshot import Connection, connect

NAME = re.compile(r"[a-z0-9_]{1,40}")
SCHEMA = "checkpoint_"
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^checkpoint_[a-z0-9_]+$' ORDER BY nspname"
IS_THERE = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)"
POSITIONS = "replay_positions"
EXTRA = {
    "tiering": (Shape("chain_heads", ("chain",)), Shape("stream_positions", ("chain", "topic"))),
}
"""What a rebuild goes on from besides what is compared."""
MAKE = """
CREATE TABLE {schema}.replay_checkpoint (made_at timestamptz NOT NULL);
INSERT INTO {schema}.replay_checkpoint VALUES (now());
CREATE TABLE {schema}.replay_digests (
    name text, chain smallint, rows bigint NOT NULL, sha256 text NOT NULL, PRIMARY KEY (name, chain)
);
"""
COLUMNS = """
SELECT c.relname AS name,
    array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS columns
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = $1::text::regnamespace AND c.relname = ANY($2::text[]) GROUP BY c.relname
"""
SUMMARY = """
SELECT made_at, (SELECT sum(position)::bigint FROM {schema}.replay_positions) AS positions,
    (SELECT count(DISTINCT chain) FROM {schema}.replay_positions) AS chains,
    (SELECT sum(rows)::bigint FROM {schema}.replay_digests) AS rows
FROM {schema}.replay_checkpoint
"""


class CheckpointRefused(RuntimeError):
    """A checkpoint can't be made or used; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the list shows: journal rows that it stands for, of how many chains, and the rows that it keeps."""

    name: str
    made_at: datetime
    journal_rows: int
    chains: int
    rows: int


def schema_of(name: str) -> str:
    """Where a checkpoint is kept. Raises CheckpointRefused for what is no name."""
    if not NAME.fullmatch(name):
        raise CheckpointRefused(f"{name!r} is no name for a checkpoint: 1 to 40 of a-z, 0-9 and _")
    return SCHEMA + name


async def must_be_free(url: str, name: str) -> None:
    """Raises CheckpointRefused when there is one of that name."""
    connection = await connect(url)
    try:
        if await connection.fetchval(IS_THERE, schema_of(name)):
            raise CheckpointRefused(f"there is a checkpoint {name!r} already: --drop {name} removes it")
    finally:
        await connection.close()


async def keep(build: Connection, service: str, schema: str, name: str, compared: Sequence[Compared]) -> None:
    """Make the rebuilt schema the checkpoint `name`, in one transaction: until then it is a run's, and goes with it."""
    async with build.transaction():
        await build.execute(MAKE.format(schema=schema))
        rows = [(part.table, part.chain, part.rebuilt.rows, part.rebuilt.sha256) for part in compared]
        for chain in sorted({part.chain for part in compared}):
            for shape in _extra(service):
                found = await digest(build, shape.query(schema, chain))
                rows.append((shape.table, chain, found.rows, found.sha256))
        await build.copy_records_to_table("replay_digests", records=rows, schema_name=schema)
        for table in (*TABLES[service], POSITIONS):
            # A crash of the server empties tables that are not logged.
            await build.execute(f"ALTER TABLE {schema}.{table} SET LOGGED")
        await build.execute(f"ALTER SCHEMA {schema} RENAME TO {schema_of(name)}")


async def begin_spread_at(url: str, schema: str, service: str, name: str) -> dict[tuple[int, str], int]:
    """Check the checkpoint, and copy the tables that all chains share. Returns its positions."""
    kept = schema_of(name)
    connection = await connect(url)
    try:
        if not await connection.fetchval(IS_THERE, kept):
            there = ", ".join(row["nspname"].removeprefix(SCHEMA) for row in await connection.fetch(SCHEMAS))
            raise CheckpointRefused(f"{service} has no checkpoint {name!r}; it has: {there or 'none'}")
        await _must_have_our_columns(connection, service, kept, name)
        shared = [shape for shape in SHAPES[service] if shape.table in SPREAD[service]]
        for shape in shared:
            await connection.execute(
                f"INSERT INTO {schema}.{shape.table} SELECT * FROM {kept}.{shape.table}"  # noqa: S608 - our own names
            )
        rows = await connection.fetch(f"SELECT chain, topic, position FROM {kept}.{POSITIONS}")  # noqa: S608
        for chain in sorted({row["chain"] for row in rows}):
            await _must_agree(connection, kept, schema, shared, chain)
        return {(row["chain"], row["topic"]): row["position"] for row in rows}
    finally:
        await connection.close()


async def begin_at(build: Connection, service: str, name: str, chain: int) -> None:
    """Copy a chain of the checkpoint into the schema that `build` finds, in the caller's transaction.

    Raises:
        CheckpointRefused: a digest does not agree with the rows.
    """
    kept, schema = schema_of(name), await build.fetchval("SELECT current_schema()")
    for table in (*TABLES[service], POSITIONS):
        if table not in SPREAD[service]:
            await build.execute(
                f"INSERT INTO {table} SELECT * FROM {kept}.{table} WHERE chain = $1",  # noqa: S608
                chain,
            )
    own = [shape for shape in SHAPES[service] if shape.table not in SPREAD[service]]
    await _must_agree(build, kept, schema, [*own, *_extra(service)], chain)


async def listed(url: str) -> list[Checkpoint]:
    """The checkpoints in a service's database. What dead runs have left is dropped."""
    connection = await connect(url)
    try:
        await drop_leftovers(connection)
        found = []
        for row in await connection.fetch(SCHEMAS):
            one = await connection.fetchrow(SUMMARY.format(schema=row["nspname"]))
            name = row["nspname"].removeprefix(SCHEMA)
            found.append(Checkpoint(name, one["made_at"], one["positions"], one["chains"], one["rows"]))
        return found
    finally:
        await connection.close()


async def drop(url: str, name: str) -> bool:
    """Drop a checkpoint, and what dead runs have left. False when there is none of that name."""
    schema = schema_of(name)
    connection = await connect(url)
    try:
        await drop_leftovers(connection)
        there = bool(await connection.fetchval(IS_THERE, schema))
        await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        return there
    finally:
        await connection.close()


def _extra(service: str) -> tuple[Shape, ...]:
    return (Shape(POSITIONS, ("chain", "topic")), *EXTRA.get(service, ()))


async def _must_have_our_columns(connection: Connection, service: str, kept: str, name: str) -> None:
    tables = list(TABLES[service])
    ours = {row["name"]: row["columns"] for row in await connection.fetch(COLUMNS, "public", tables)}
    theirs = {row["name"]: row["columns"] for row in await connection.fetch(COLUMNS, kept, tables)}
    for table in tables:
        if ours.get(table) != theirs.get(table):
            raise CheckpointRefused(
                f"checkpoint {name!r} of {service} is of another version: its table {table} has "
                f"{', '.join(theirs.get(table) or ['no columns'])}, ours {', '.join(ours[table])}. "
                f"Make another one; --drop {name} removes it"
            )


async def _must_agree(
    connection: Connection, kept: str, schema: str, shapes: Sequence[Shape], chain: int
) -> None:
    """What was copied into `schema` against the digests in `kept`."""
    query = f"SELECT name, rows, sha256 FROM {kept}.replay_digests WHERE chain = $1"  # noqa: S608 - our own name
    told = {row["name"]: Digest(row["rows"], row["sha256"]) for row in await connection.fetch(query, chain)}
    for shape in shapes:
        found = await digest(connection, shape.query(schema, chain))
        if found != told.get(shape.table):
            raise CheckpointRefused(
                f"checkpoint {kept.removeprefix(SCHEMA)!r} was changed: the rows of {shape.table}, chain {chain}, "
                "don't agree with its digest. Begin with the first row, and make another one"
            )
