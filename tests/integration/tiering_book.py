"""A tiering database with something of everything in it, and the ledger's journal from which it came."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
from google.protobuf.message import Message

from services.common.codec import StreamRow
from services.common.db import Writer, ensure_installation
from services.ops.verify.broker import STREAMS, check_applied
from services.ops.verify.chain import verify_chain
from services.ops.verify.findings import Findings, Report
from services.ops.verify.service_tables import check_service
from services.ops.verify.tiers_journal import check_rankings
from services.tiering.handle import Grants
from services.tiering.ranking import Rankings
from services.tiering.segments import Segments
from tallybook.ledger.v1 import events_pb2 as pb
from tallybook.tiering.v1 import events_pb2 as tiering_pb
from tests.databases import service_database
from tests.integration.test_tiering_everything import CARDS, METRICS, TIERS
from tests.integration.test_tiering_merges import Book, an_hour
from tests.integration.test_tiering_store import CHAINS
from tests.integration.tiering_rows import day, document
from tests.integration.verify_book import OFFSETS

DOCUMENT = document(
    metrics=METRICS,
    tiers=[*TIERS, {"name": "best", "top_percent": 20}],
    cards=CARDS,
    segments={"tags": ["vip"], "every": "never"},
    review={"at": "first_of_month"},
    returns="at_once",
)
READ = """
SELECT chain, max(position) AS position FROM journal WHERE cause_source <> 'tallybook/tiering' GROUP BY chain
"""
MEMBERS, LEFT = 24, 14
INSERT = """
INSERT INTO journal (chain, position, program, member, type, occurred_at, recorded_at, cause_source, cause_id,
                     program_version, payload, hash)
VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, '', $9, sha256($9))
"""


@dataclass(frozen=True)
class Filled:
    """The owners' URLs of both databases."""

    tiering: str
    ledger: str


@asynccontextmanager
async def filled_tiering(server_url: str) -> AsyncIterator[Filled]:
    """Years of members who rise, fall, are granted tiers, ranked, sorted, tagged, merged and closed."""
    async with (
        service_database(server_url, "tiering") as (url, service_url),
        service_database(server_url, "ledger") as (ledger_url, _),
    ):
        writer = await Writer.connect(service_url)
        try:
            await ensure_installation(writer, CHAINS)
            book = await _years(writer, random.Random(11))
        finally:
            await writer.close()
        filled = Filled(url, ledger_url)
        await _keep_ledger(filled, book)
        yield filled


async def _years(writer: Writer, rng: random.Random) -> Book:
    book, now = Book(DOCUMENT), day("2026-01-01")
    members = [f"m{number}" for number in range(MEMBERS)]
    for member in members:
        book.add(book.of(member).enrolled(now, member))
    grants = Grants(writer, CHAINS)
    while len(members) > LEFT:
        for _ in range(30):
            now = an_hour(rng, book, now, members)
        survivor, absorbed = rng.sample(members, 2)
        members.remove(absorbed)
        book.merges(survivor, absorbed, now)
        book.clock(now)
        await book.tell_all(writer)
        await Rankings(writer).run("grocer")
        await Segments(writer).run("grocer", f"run-{len(members)}")
        for member in members[::3]:
            assert not await grants.tag("grocer", member, f"{member}-{len(members)}", "vip", True, "a test")
        until = day("2090-01-01")
        assert not await grants.grant("grocer", members[1], f"gift-{len(members)}", "plus", until, "a test")
    # Who has bought nothing, for a closed account is sorted no more.
    book.add(book.of("gone").enrolled(now, "gone"))
    book.add(book.of("gone").row(pb.MemberClosed(reason="asked for it"), now, "gone"))
    unusable = {**DOCUMENT, "tiering": {**DOCUMENT["tiering"], "window": "never"}}
    for chain in book.chains.values():
        book.add(chain.activated(now, unusable, "v2"))
    book.clock(now)
    await book.tell_all(writer)
    book.clock(now + timedelta(days=40))
    await book.tell_all(writer)
    await Rankings(writer).run("grocer")
    await Segments(writer).run("grocer", "last")
    async with writer.transaction() as tx:
        await tx.execute(OFFSETS)
        await tx.execute(
            "UPDATE relay_positions AS r SET position = h.position FROM chain_heads h WHERE h.chain = r.chain"
        )
    return book


async def _keep_ledger(filled: Filled, book: Book) -> None:
    """The rows that tiering was told, as the ledger's journal; and behind them the tiers that it took from tiering."""
    tiering = await asyncpg.connect(filled.tiering)
    ledger = await asyncpg.connect(filled.ledger)
    try:
        for rows in book.told.values():
            for row in rows:
                await _insert(ledger, row, ("till", str(row.position)))
        changes = await tiering.fetch(
            "SELECT * FROM journal WHERE type = 'TierChanged' ORDER BY chain, position"
        )
        for change in changes:
            said = tiering_pb.TierChanged.FromString(change["payload"])
            if said.from_tier == said.to_tier:
                continue
            assigned = pb.TierAssigned(
                tier=said.to_tier, since=said.since, tiering_position=change["position"]
            )
            row = book.of(change["member"]).row(assigned, change["occurred_at"], change["member"])
            await _insert(ledger, row, ("tallybook/tiering", f"{change['chain']}-{change['position']}"))
        for chain in range(CHAINS):
            head = await tiering.fetchval("SELECT position FROM chain_heads WHERE chain = $1", chain)
            await ledger.execute("INSERT INTO stream_positions VALUES ($1, 'tiers.v1', $2)", chain, head)
    finally:
        await tiering.close()
        await ledger.close()


async def _insert(ledger: asyncpg.Connection, row: StreamRow, cause: tuple[str, str]) -> None:
    message: Any = row.message
    assert isinstance(message, Message)
    payload = message.SerializeToString(deterministic=True)
    await ledger.execute(
        INSERT, row.chain, row.position, row.program, row.member, row.type, row.occurred_at, *cause, payload
    )


async def look(tiering: asyncpg.Connection, ledger: asyncpg.Connection, *chains: int) -> Report:
    """What `verify` says of tiering's database, without Kafka, in the transactions that the connections are in.

    Of all `chains`, or of those that are named and not of what all of them tell together.
    """
    found = Findings("tiering", None)
    count = await tiering.fetchval("SELECT chains FROM installation")
    await check_service(tiering, "tiering", count, found)
    # As far as tiering has read it, so that one row more is one that is not there.
    written = {(STREAMS["ledger"], row["chain"]): row["position"] for row in await ledger.fetch(READ)}
    await check_applied(tiering, written, found)
    report = found.report
    for chain in [one for one in chains if 0 <= one < count] or range(count):
        report.add(await verify_chain(tiering, "tiering", chain, count, beside=ledger))
    if not chains:
        check_rankings(report, count)
    return report
