"""Takes an export into an empty installation: everything is checked before anything is written, and again after.

All rows of a service are written in one transaction, and the three are committed one after the other when all of them
have the digests of the manifest and unbroken hash chains. An interrupted restore leaves the databases empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pyarrow as pa
import pyarrow.parquet as pq
import uvloop

from services.ops.export import manifest as m
from services.ops.export.tables import METADATA, columns_of, schema_of, shape_of, tables_of
from services.ops.export.write import HEADS, SCHEMA_VERSION
from services.ops.install import SERVICES
from services.ops.replay.digest import digest
from services.ops.verify.findings import Findings
from services.ops.verify.journal_chain import JOURNAL, JournalChain
from services.ops.verify.snapshot import BATCH_ROWS, Connection, batches, connect

NOT_EMPTIED = frozenset({"api_keys"})
"""The key between rewards and the ledger is made with the databases."""
KEEP_OUT = "LOCK TABLE installation IN ACCESS EXCLUSIVE MODE"
ADD_INSTALLATION = "INSERT INTO installation (chains) VALUES ($1)"
NOTHING_PUBLISHED = "INSERT INTO relay_positions SELECT chain, 0 FROM chain_heads"


def check(manifest: m.Manifest) -> None:
    """An export that a whole installation can be made of. Raises m.BadExport."""
    missing = [service for service in SERVICES if service not in manifest.services]
    if missing:
        raise m.BadExport(
            f"the export is without {', '.join(missing)}: an installation is restored whole, "
            "since each service counts the rows of the others that it has read"
        )
    for service, told in manifest.services.items():
        parts = sorted((part.table, part.chain) for part in told.parts)
        wanted = sorted(
            (table, chain)
            for table in tables_of(service, personal_data=manifest.personal_data)
            for chain in range(manifest.chains)
        )
        if parts != wanted:
            odd = sorted(set(parts) ^ set(wanted)) or parts
            raise m.BadExport(
                f"{service}: table {odd[0][0]} chain {odd[0][1]} is missing, too much or twice in the manifest"
            )


def restore(
    urls: Mapping[str, str],
    folder: Path,
    manifest: m.Manifest,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> None:
    """Fill the databases, made by `tally install` and never used, from a folder whose files were checked.

    `on_rows` hears how many rows were written since the last time.

    Raises:
        m.NotEmpty: a database is in use or of another version.
        m.BadExport: what was written is not what the manifest says, or a hash chain is broken; nothing is kept.
        OSError, asyncpg.PostgresError: a database can't be used; nothing is kept, unless the message says so.
    """
    uvloop.run(_restore(urls, folder, manifest, on_rows))


async def _restore(
    urls: Mapping[str, str], folder: Path, manifest: m.Manifest, on_rows: Callable[[int], None]
) -> None:
    async with AsyncExitStack() as stack:
        open_: dict[str, tuple[Connection, Any]] = {}
        for service in SERVICES:
            connection = await connect(urls[service])
            stack.push_async_callback(connection.close)
            transaction = connection.transaction()
            await transaction.start()
            open_[service] = connection, transaction
            await _check_target(connection, service, manifest.services[service].schema_version)
        for service, (connection, _) in open_.items():
            await _fill(connection, service, folder, manifest, on_rows)
        done: list[str] = []
        for service, (_, transaction) in open_.items():
            try:
                await transaction.commit()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
                raise m.NotEmpty(
                    f"committing {service} failed ({fault}); {', '.join(done) or 'nothing'} is committed: "
                    "drop all three databases, make them anew by `tally install`, and begin again"
                ) from fault
            done.append(service)
        for connection, _ in open_.values():
            await connection.execute("ANALYZE")


async def _check_target(connection: Connection, service: str, schema_version: str) -> None:
    # From here on a service that starts waits.
    await connection.execute(KEEP_OUT)
    if await connection.fetchval("SELECT 1 FROM installation"):
        raise m.NotEmpty(
            f"the {service} database is in use: a service was started on it. Make new databases by `tally install` "
            "under another TALLY_DATABASE_PREFIX, restore into them, and start the services then"
        )
    for table in METADATA[service].tables:
        # The names are our own.
        if table not in NOT_EMPTIED and await connection.fetchval(f"SELECT 1 FROM {table} LIMIT 1"):  # noqa: S608
            raise m.NotEmpty(f"the {service} database is not empty: there are rows in {table}")
    found = await connection.fetchval(SCHEMA_VERSION)
    if found != schema_version:
        raise m.NotEmpty(
            f"the {service} database has schema {found}, the export {schema_version}: "
            "restore with the version of tally that wrote it, and upgrade after"
        )


async def _fill(
    connection: Connection,
    service: str,
    folder: Path,
    manifest: m.Manifest,
    on_rows: Callable[[int], None],
) -> None:
    told = manifest.services[service]
    await connection.execute(ADD_INSTALLATION, manifest.chains)
    for part in told.parts:
        if part.file:
            await _copy(connection, service, folder / part.file, part, on_rows)
    for part in told.parts:
        found = await digest(connection, shape_of(service, part.table).query("public", part.chain))
        if (found.rows, found.sha256) != (part.rows, part.digest):
            raise m.BadExport(
                f"{service}: {part.table} chain {part.chain} has {found.rows} rows with the digest {found.sha256}, "
                f"the manifest says {part.rows} with {part.digest}"
            )
    await connection.execute(NOTHING_PUBLISHED)
    heads = {head.chain: (head.position, bytes.fromhex(head.hash)) for head in told.heads}
    if heads != {chain: (position, hash_) for chain, position, hash_ in await connection.fetch(HEADS)}:
        raise m.BadExport(f"{service}: the heads of the chains are not those in the manifest")
    found_ = Findings(service, None)
    for chain, (position, hash_) in sorted(heads.items()):
        links = JournalChain(chain, manifest.chains, found_)
        async for rows in batches(connection, JOURNAL, chain):
            for row in rows:
                links.row(row)
        links.end(position, hash_)
    if found_.report.findings:
        raise m.BadExport(f"{service}: the hash chain is broken: {found_.report.findings[0]}")


async def _copy(
    connection: Connection, service: str, file: Path, part: m.Part, on_rows: Callable[[int], None]
) -> None:
    try:
        for rows in _rows(service, file, part.table):
            await connection.copy_records_to_table(
                part.table, records=rows, columns=columns_of(service, part.table)
            )
            on_rows(len(rows))
    except (pa.ArrowException, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
        raise m.BadExport(f"{file} can't be taken: {error}") from error


def _rows(service: str, file: Path, table: str) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a file, a batch at a time."""
    with pq.ParquetFile(file) as opened:
        if not opened.schema_arrow.equals(schema_of(service, table)):
            raise m.BadExport(f"{file} has other columns than the table {table}")
        for batch in opened.iter_batches(BATCH_ROWS):
            yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
