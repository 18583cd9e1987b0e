"""Writes an export: one moment of all three databases, chain by chain to Parquet, the manifest last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import uvloop

from services.ops.chain_pool import default_processes, each
from services.ops.export import manifest as m
from services.ops.export.tables import schema_of, shape_of, tables_of
from services.ops.replay.digest import Shape, digest
from services.ops.verify.snapshot import Connection, batches, connect, exported, imported

ROW_GROUP_ROWS = 20_000
"""Rows in memory at once, a process."""
LOCK_TIMEOUT = "20s"
HOLD_STILL = "LOCK TABLE stream_positions IN SHARE MODE"
ORDER = ("rewards", "tiering", "ledger")
"""A service is seen no earlier than those that call it: what one says that it did at another is there."""
HEADS = "SELECT chain, position, hash FROM chain_heads ORDER BY chain"
SCHEMA_VERSION = "SELECT version_num FROM alembic_version"
CHAINS = "SELECT chains FROM installation"
INSTALLATION = "SELECT id::text FROM installation"


@dataclass(frozen=True, slots=True)
class Piece:
    """One chain of a service."""

    service: str
    url: str
    snapshot: str
    chain: int
    rows: int
    folder: Path
    tables: tuple[str, ...]


def export(
    urls: Mapping[str, str],
    services: Sequence[str],
    folder: Path,
    made_at: datetime,
    *,
    personal_data: bool = False,
    processes: int = 0,
    on_rows: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[m.Manifest, str]:
    """Write the databases of `services` as they are at one moment; the services may be at work meanwhile.

    `urls` are the owner's. `on_rows` hears how many journal rows are done, of how many. Returns the manifest and its
    SHA-256.

    Raises:
        m.BadExport: the folder can't be used, or there is nothing to export.
        OSError, asyncpg.PostgresError: a database can't be used.
    """
    make_folder(folder)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        try:
            live = runner.run(_one_moment(urls, services, stack))
            chains, told = runner.run(_tell(live))
            pieces = [
                Piece(
                    service, urls[service], live[service][1], head.chain, head.position, folder,
                    tables_of(service, personal_data=personal_data),
                )
                for service in services for head in told[service].heads
            ]  # fmt: skip
            pieces.sort(key=lambda piece: -piece.rows)
            total, done = sum(piece.rows for piece in pieces), 0
            on_rows(0, total)
            for piece, parts in each(write_piece, pieces, processes or default_processes(total)):
                told[piece.service].parts.extend(parts)
                done += piece.rows
                on_rows(done, total)
        finally:
            runner.run(stack.aclose())
    for service in told.values():
        service.parts.sort(key=lambda part: (part.table, part.chain))
    made = m.Manifest(made_at=made_at.isoformat(), chains=chains, personal_data=personal_data, services=told)
    return made, m.write(folder, made)


def make_folder(folder: Path) -> None:
    """A folder that only its owner may look into, new or empty. Raises m.BadExport."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise m.BadExport(f"{folder} is not empty: name a new folder")
    except OSError as fault:
        raise m.BadExport(f"{folder} can't be used: {fault.strerror}") from fault


def write_piece(piece: Piece) -> list[m.Part]:
    """Write one chain's tables, in whatever process."""
    return uvloop.run(_write_piece(piece))


async def _write_piece(piece: Piece) -> list[m.Part]:
    async with imported(piece.url, piece.snapshot) as connection:
        return [await _write_part(connection, piece, table) for table in piece.tables]


async def _write_part(connection: Connection, piece: Piece, table: str) -> m.Part:
    shape = shape_of(piece.service, table)
    found = await digest(connection, shape.query("public", piece.chain))
    if not found.rows:
        return m.Part(table=table, chain=piece.chain, rows=0, digest=found.sha256)
    name = m.file_name(piece.service, table, piece.chain)
    file = piece.folder / name
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    schema = schema_of(piece.service, table)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        async for rows in _groups(connection, shape, piece.chain):
            writer.write_table(_as_table(rows, schema))
    return m.Part(
        table=table, chain=piece.chain, rows=found.rows, digest=found.sha256, file=name,
        bytes=file.stat().st_size, sha256=m.file_digest(file),
    )  # fmt: skip


async def _groups(connection: Connection, shape: Shape, chain: int) -> AsyncIterator[list[Any]]:
    """The rows in order, as many at a time as a row group has."""
    rows: list[Any] = []
    async for some in batches(connection, shape.query("public", chain)):
        rows += some
        if len(rows) >= ROW_GROUP_ROWS:
            yield rows
            rows = []
    if rows:
        yield rows


def _as_table(rows: Sequence[Any], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for field, column in zip(schema, columns, strict=True)], schema=schema
    )


async def _one_moment(
    urls: Mapping[str, str], services: Sequence[str], stack: AsyncExitStack
) -> dict[str, tuple[Connection, str]]:
    """A snapshot of each database, so that nobody has read what another has not written yet.

    For as long as it takes to begin them (milliseconds) nobody's place in another's stream moves.
    """
    live = {}
    async with AsyncExitStack() as still:
        for service in services:
            await still.enter_async_context(_held_still(urls[service]))
        for service in sorted(services, key=ORDER.index):
            live[service] = await stack.enter_async_context(exported(urls[service]))
    return live


@asynccontextmanager
async def _held_still(url: str) -> AsyncIterator[None]:
    connection = await connect(url, lock_timeout=LOCK_TIMEOUT)
    try:
        async with connection.transaction():
            await connection.execute(HOLD_STILL)
            yield
    finally:
        await connection.close()


async def _tell(live: Mapping[str, tuple[Connection, str]]) -> tuple[int, dict[str, m.Service]]:
    """The number of chains, and what the manifest says of each service before its parts."""
    told = {}
    numbers = set()
    for service, (connection, _) in live.items():
        numbers.add(await connection.fetchval(CHAINS))
        told[service] = m.Service(
            installation=await connection.fetchval(INSTALLATION) or "",
            schema_version=await connection.fetchval(SCHEMA_VERSION),
            heads=[
                m.Head(chain=chain, position=position, hash=hash_.hex())
                for chain, position, hash_ in await connection.fetch(HEADS)
            ],
            parts=[],
        )
    if len(numbers) != 1 or None in numbers:
        raise m.BadExport(
            f"the databases have {sorted(map(str, numbers))} chains: one that was never used, or not one installation"
        )
    return numbers.pop(), told
