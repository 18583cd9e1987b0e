"""Verifies one chain of one service: journal, postings and inbox side by side in one pass, then the tables."""

from __future__ import annotations

from collections.abc import Sequence

from services.ops.verify import inbox, postings
from services.ops.verify.draws import DrawsJournal
from services.ops.verify.findings import Findings, Report
from services.ops.verify.journal_chain import JOURNAL, JournalChain
from services.ops.verify.ledger_journal import LedgerJournal
from services.ops.verify.ledger_tables import check_tables
from services.ops.verify.seals import Sealed, SealedRows
from services.ops.verify.segments_journal import SegmentsTold
from services.ops.verify.segments_tables import check_segments
from services.ops.verify.snapshot import Beside, Connection, batches
from services.ops.verify.tiers_journal import TiersTold
from services.ops.verify.tiers_ledger import check_beside_ledger
from services.ops.verify.tiers_tables import check_tiers

HEAD = "SELECT position, hash FROM chain_heads WHERE chain = $1"
LEDGER = "ledger"
REWARDS = "rewards"
TIERING = "tiering"


async def verify_chain(
    connection: Connection,
    service: str,
    chain: int,
    chains: int,
    sealed: Sequence[Sealed] = (),
    beside: Connection | None = None,
) -> Report:
    """Everything about one chain, in the transaction that `connection` is in.

    `sealed` is what seals say of it. `beside` is in the ledger's database: tiering is then held against it.
    What is kept in memory is the state of the chain's members, not its rows.
    """
    found = Findings(service, chain)
    journal = JournalChain(chain, chains, found)
    seals = SealedRows(chain, sealed, found)
    ledger = LedgerJournal(chain, found) if service == LEDGER else None
    draws = DrawsJournal(chain, found) if service == REWARDS else None
    segments = SegmentsTold() if service == TIERING else None
    tiers = TiersTold(chain) if service == TIERING else None
    requests = Beside(batches(connection, inbox.INBOX, chain))
    moves = Beside(batches(connection, postings.POSTINGS, chain)) if ledger else None
    async for rows in batches(connection, JOURNAL, chain):
        last = rows[-1]["position"]
        asked = await requests.up_to(last)
        moved = await moves.up_to(last) if moves else {}
        found.looked("chain", len(rows))
        found.looked("L4", sum(map(len, asked.values())))
        found.looked("L1", sum(map(len, moved.values())))
        for row in rows:
            position = row["position"]
            journal.row(row)
            seals.row(position, row["hash"])
            if segments is not None:
                segments.row(row)
            if tiers is not None:
                tiers.row(row, found)
            if position in asked or row["cause_digest"] is not None:
                inbox.check_request(chain, chains, row, asked.pop(position, []), found)
            if draws is not None:
                draws.row(row)
            if ledger is not None:
                wanted = ledger.row(row)
                if wanted or position in moved:
                    beside = moved.pop(position, [])
                    postings.check_postings(chain, position, wanted, beside, ledger.state, found)
        inbox.check_strays(chain, asked, found)
        if ledger is not None:
            postings.check_strays(chain, moved, ledger.state, found)
    inbox.check_strays(chain, await requests.up_to(None), found)
    seals.end(journal.position)
    head = await connection.fetchrow(HEAD, chain)
    if head is not None:
        journal.end(head["position"], head["hash"])
    if ledger is not None and moves is not None:
        postings.check_strays(chain, await moves.up_to(None), ledger.state, found)
        await check_tables(connection, chain, chains, ledger.state, found)
    if draws is not None:
        await draws.check_tables(connection)
    if segments is not None:
        await check_segments(connection, chain, segments, found)
    if tiers is not None:
        await check_tiers(connection, chain, tiers, found)
        if beside is not None:
            await check_beside_ledger(connection, beside, chain, tiers, found)
    return found.report
