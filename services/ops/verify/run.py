"""The whole of `verify`: one moment of each database, all chains, and Kafka's topics before and after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from services.ops.chain_pool import gone_through
from services.ops.seal.document import SealFile, digest_of
from services.ops.verify import broker as kafka
from services.ops.verify.chain import LEDGER, REWARDS, TIERING, verify_chain
from services.ops.verify.draws import check_counters
from services.ops.verify.findings import Findings, Report, check_in_transit
from services.ops.verify.seals import Sealed, check_documents, check_installation, keys_of, sealed_of
from services.ops.verify.service_tables import check_service
from services.ops.verify.snapshot import Connection, connect, exported, imported
from services.ops.verify.social_tables import check_budgets
from services.ops.verify.state import Head, State
from services.ops.verify.tiers_journal import check_rankings

CHAINS = "SELECT chains FROM installation"
HEADS = "SELECT chain, position, hash FROM chain_heads"
INSTALLATION = "SELECT id::text FROM installation"
STATE_VERSION = 1
"""Of what a run notes for the next; one more when a check is added: a chain that was read without it is not done."""


@dataclass(frozen=True, slots=True)
class Book:
    """What to verify: the owner's URL of each service's database; "" for `bootstrap` leaves Kafka out.

    `seals` are in the order of their numbers; `public_key` is that of who may have signed them, None: whoever has.
    """

    urls: Mapping[str, str]
    bootstrap: str = ""
    topic_prefix: str = ""
    seals: Sequence[SealFile] = ()
    public_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """One chain of one service, at the moment `snapshot`."""

    service: str
    url: str
    snapshot: str
    chain: int
    chains: int
    rows: int
    head: Head
    sealed: tuple[Sealed, ...]
    beside: tuple[str, str] | None = None
    """URL and moment of the ledger's database, for tiering."""


@dataclass(slots=True)
class Verified:
    """What came of it. `rows` are journal rows of all services."""

    report: Report = field(default_factory=Report)
    rows: int = 0
    read_before: int = 0
    """How many of them an interrupted run had read."""
    signed_by: Mapping[str, int] = field(default_factory=dict)
    """By fingerprint of a key, how many of the seals name it."""
    seconds: float = 0.0


def verify_piece(piece: Piece) -> Report:
    """One chain, in whatever process."""

    async def work() -> Report:
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(imported(piece.url, piece.snapshot))
            beside = await stack.enter_async_context(imported(*piece.beside)) if piece.beside else None
            return await verify_chain(
                connection, piece.service, piece.chain, piece.chains, piece.sealed, beside
            )

    return uvloop.run(work())


def verify_book(
    book: Book,
    processes: int = 1,
    on_rows: Callable[[int, int], None] = lambda done, total: None,
    state: Path | None = None,
) -> Verified:
    """Verify everything; with 0 `processes` the rows decide how many.

    `on_rows` hears how many journal rows are done, of how many. `state` is the file that an interrupted run leaves, and
    goes on from.

    Raises:
        BrokerUnreadable: Kafka does not answer.
        OSError, asyncpg.PostgresError: a database does not.
        StateUnusable: the file `state` is of something else.
    """
    began = time.monotonic()
    verified = Verified(signed_by=keys_of(book.seals))
    # The loop sleeps while the chains are read: all it does then is to keep the moments' connections.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        try:
            pieces = runner.run(_begin(book, stack, verified.report))
            pieces.sort(key=lambda piece: -piece.rows)
            noted = State(state, runner.run(_run_of(book))) if state else None
            left = []
            for piece in pieces:
                report = noted.done(piece.service, piece.chain, piece.head) if noted else None
                if report is None:
                    left.append(piece)
                else:
                    verified.report.add(report)
                    verified.rows += piece.rows
            verified.read_before = verified.rows
            for piece, report in gone_through(verify_piece, left, processes, on_rows, verified.read_before):
                if noted:
                    noted.add(piece.service, piece.chain, piece.head, report)
                verified.report.add(report)
                verified.rows += piece.rows
            runner.run(_check_sums(pieces, verified.report))
            if noted:
                noted.end()
        finally:
            runner.run(stack.aclose())
    verified.seconds = time.monotonic() - began
    return verified


async def _begin(book: Book, stack: AsyncExitStack, report: Report) -> list[Piece]:
    """Open the moments in `stack`, do what is not done by chain, and say which chains there are."""
    chains = await _chains(book.urls["ledger"])
    moments: dict[str, Connection] = {}
    snapshots: dict[str, str] = {}
    # Kafka's client wants its loop to run, so it is closed before the loop goes to sleep.
    async with AsyncExitStack() as with_broker:
        broker, before = None, None
        if book.bootstrap:
            client = kafka.Broker(book.bootstrap, book.topic_prefix, chains)
            broker = await with_broker.enter_async_context(client)
            before = await broker.look()
        # The ledger's moment is the last: then it has every row that tiering has read by its own.
        for service, url in reversed(tuple(book.urls.items())):
            moments[service], snapshots[service] = await stack.enter_async_context(exported(url))
        after = await broker.look() if broker else None
        written = await _written(book)
        sealing = Findings("seals", None)
        check_documents(book.seals, book.public_key, book.urls, chains, sealing)
        report.add(sealing.report)
        for service, connection in moments.items():
            found = Findings(service, None)
            await check_service(connection, service, chains, found)
            await check_installation(connection, service, book.seals, found)
            await kafka.check_applied(connection, written, found)
            if broker and before and after:
                await kafka.check_published(connection, service, before, after, broker, found)
                await kafka.check_offsets(connection, broker, found)
            report.add(found.report)
    pieces = []
    for service, connection in moments.items():
        heads = await _heads(connection)
        beside = (book.urls[LEDGER], snapshots[LEDGER]) if service == TIERING else None
        for chain in range(chains):
            sealed = sealed_of(book.seals, service, chain)
            head, url = heads.get(chain, (0, "")), book.urls[service]
            pieces.append(
                Piece(service, url, snapshots[service], chain, chains, head[0], head, sealed, beside)
            )
    return pieces


async def _check_sums(pieces: list[Piece], report: Report) -> None:
    """What no chain can tell alone; `report` has what each of them told."""
    piece = next(piece for piece in pieces if piece.service == LEDGER)
    check_in_transit(report)
    check_rankings(report, piece.chains)
    found = Findings(piece.service, None)
    async with imported(piece.url, piece.snapshot) as connection:
        await check_budgets(connection, piece.chains, report.given, found)
    report.add(found.report)
    for piece in (piece for piece in pieces if (piece.service, piece.chain) == (REWARDS, 0)):
        found = Findings(piece.service, None)
        async with imported(piece.url, piece.snapshot) as connection:
            await check_counters(connection, piece.chains, report.counted, found)
        report.add(found.report)


async def _chains(url: str) -> int:
    connection = await connect(url)
    try:
        return int(await connection.fetchval(CHAINS))
    finally:
        await connection.close()


async def _heads(connection: Connection) -> dict[int, Head]:
    return {row["chain"]: (row["position"], row["hash"].hex()) for row in await connection.fetch(HEADS)}


async def _run_of(book: Book) -> dict[str, Any]:
    """What tells a run from one of something else."""
    installations = {}
    for service, url in book.urls.items():
        connection = await connect(url)
        try:
            installations[service] = await connection.fetchval(INSTALLATION)
        finally:
            await connection.close()
    seals = [digest_of(file.seal).hex() for file in book.seals]
    return {"verify": STATE_VERSION, "installations": installations, "seals": seals}


async def _written(book: Book) -> dict[tuple[str, int], int]:
    """The heads of all journals as they are by now, by stream and chain."""
    written: dict[tuple[str, int], int] = {}
    for service, url in book.urls.items():
        connection = await connect(url)
        try:
            for chain, (position, _) in (await _heads(connection)).items():
                written[kafka.STREAMS[service], chain] = position
        finally:
            await connection.close()
    return written
