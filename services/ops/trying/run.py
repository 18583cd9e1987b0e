"""Runs a try: one moment of the ledger's and tiering's databases, read only; chains in parallel, each twice at once.

What is recorded is made into commands again (services/ops/recorded), and each goes to two worlds: the one of the
recorded documents, or of another that it is held against, and the one of the document that is tried.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import uvloop

from services.common.program_document import load_json
from services.ledger.domain.book import BEGINNING
from services.ledger.domain.program import parse_program
from services.ledger.store import Programs
from services.ops.chain_pool import gone_through
from services.ops.recorded.rows import Key, Links, Recorded, in_order, links
from services.ops.recorded.told import command_of
from services.ops.trying.figures import Figures
from services.ops.trying.tiers import Facts
from services.ops.trying.world import Document, Standing, World
from services.ops.verify.snapshot import Connection, exported, imported
from services.tiering.domain.events import Told
from services.tiering.domain.program import parse_rules
from services.tiering.wire import told_of

CHAINS = "SELECT chains FROM installation"
ROWS = """
-- Activations and refusals are dated by the wall's clock, whatever the program's.
SELECT chain, count(*) AS rows,
       max(occurred_at) FILTER (WHERE type NOT IN ('ProgramActivated', 'ActivityRejected')) AS last
FROM journal WHERE program = $1 GROUP BY chain
"""
PROGRAMS = "SELECT DISTINCT program FROM programs ORDER BY program"
VERSIONS = "SELECT DISTINCT version, document FROM program_versions WHERE program = $1"
GRANTS = """
-- Tiers given and taken back by hand, each behind the row of the ledger that was the last one then.
SELECT member, type, occurred_at, payload FROM journal
WHERE chain = $1 AND program = $2 AND type IN ('TierGranted', 'TierGrantRevoked') ORDER BY position
"""
MERGES = "SELECT count(*) FROM journal WHERE program = $1 AND type = 'MembersMerged'"
NO_RANKINGS = (
    "tiers that ask for a place among the best are given to nobody in a try: only a ranking of all gives them"
)


class TryRefused(RuntimeError):
    """A document can't be tried on this book; the message says why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Chains that are read together, at the moments `ledger_at` and `tiering_at`."""

    urls: Mapping[str, str]
    ledger_at: str
    tiering_at: str
    program: str
    group: tuple[int, ...]
    places: Mapping[Key, frozenset[int]]
    chains: int
    rows: int
    until: datetime
    before: Document | None
    after: Document
    since: datetime | None
    instead_of: str = ""
    without: str = ""


class Moved(NamedTuple):
    """A member at the end of both worlds."""

    member: str
    before: Standing
    after: Standing


@dataclass(slots=True)
class Part:
    """What came of some chains, or of all."""

    before: Figures = field(default_factory=Figures)
    after: Figures = field(default_factory=Figures)
    members: list[Moved] = field(default_factory=list)
    tiers_before: tuple[str, ...] = ()
    tiers_after: tuple[str, ...] = ()
    untold: Counter[str] = field(default_factory=Counter)
    """Recorded rows that no request can be made from again, by what they are."""

    def add(self, other: Part) -> None:
        """Count another's in."""
        self.before.add(other.before)
        self.after.add(other.after)
        self.members += other.members
        self.tiers_before = self.tiers_before or other.tiers_before
        self.tiers_after = self.tiers_after or other.tiers_after
        self.untold += other.untold


@dataclass(slots=True)
class Tried:
    """The whole of it. `until` is the time of the last fact, to which both clocks were brought."""

    program: str
    until: datetime
    part: Part
    rows: int
    seconds: float
    notes: list[str]


def try_document(
    urls: Mapping[str, str],
    program: str,
    after: Document,
    before: Document | None = None,
    since: datetime | None = None,
    processes: int = 1,
    on_rows: Callable[[int, int], None] = lambda done, total: None,
    instead_of: str = "",
    without: str = "",
) -> Tried:
    """Try a document over all that is recorded of `program`; `urls` are the owner's, of ledger and tiering.

    With `before` it is held against that document, else against the versions that were in force. Both come into force
    at `since`, and without it they are so from the beginning. With `instead_of` the document is in force where that
    version was, and nowhere else; points by hand whose id begins with `without` are then left out on its side. With 0
    `processes` the rows decide how many. `on_rows` hears how many journal rows are done, of how many.

    Raises:
        TryRefused: the book knows no such program, or it never had the version `instead_of`.
        OSError, asyncpg.PostgresError: a database can't be read.
    """
    began = time.monotonic()
    whole = Part()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        try:
            pieces, notes = runner.run(_begin(stack, urls, program, (before, after), since, instead_of))
            pieces = [replace(piece, without=without) for piece in pieces]
            for _, part in gone_through(try_piece, pieces, processes, on_rows):
                whole.add(part)
        finally:
            runner.run(stack.aclose())
    whole.members.sort()
    return Tried(
        program, pieces[0].until, whole, sum(piece.rows for piece in pieces), time.monotonic() - began, notes
    )


def try_piece(piece: Piece) -> Part:
    """Chains that belong together, in whatever process."""
    return uvloop.run(_try(piece))


async def _begin(
    stack: AsyncExitStack,
    urls: Mapping[str, str],
    program: str,
    tried: tuple[Document | None, Document],
    since: datetime | None,
    instead_of: str,
) -> tuple[list[Piece], list[str]]:
    ledger, ledger_at = await stack.enter_async_context(exported(urls["ledger"]))
    _, tiering_at = await stack.enter_async_context(exported(urls["tiering"]))
    chains = int(await ledger.fetchval(CHAINS))
    found = {row["chain"]: row for row in await ledger.fetch(ROWS, program)}
    if not found:
        known = ", ".join([row["program"] for row in await ledger.fetch(PROGRAMS)]) or "none"
        raise TryRefused(f"the book has no facts of program {program!r}; it knows: {known}")
    until = max((row["last"] for row in found.values() if row["last"]), default=BEGINNING)
    recorded = [Document(*row) for row in await ledger.fetch(VERSIONS, program)]
    if instead_of and instead_of not in {document.version for document in recorded}:
        known = ", ".join(sorted(document.version for document in recorded))
        raise TryRefused(
            f"program {program!r} never had version {instead_of!r}; it had {known}: see `tally program history`"
        )
    documents = [document for document in tried if document]
    if since or instead_of or len(documents) == 1:
        documents += recorded
    shared = await links(ledger, chains, program)
    if any(_has_budgets(document) for document in documents):
        # A campaign's budget is one for all chains.
        shared = Links([tuple(range(chains))], shared.places)
    pieces = [
        Piece(
            urls, ledger_at, tiering_at, program, group, shared.places, chains,
            sum(found[chain]["rows"] for chain in group if chain in found), until, *tried, since,
            instead_of,
        )
        for group in shared.groups
    ]  # fmt: skip
    rules = [parse_rules(load_json(document.content), document.version) for document in documents]
    notes = [NO_RANKINGS] if any(each is not None and each.tops for each in rules) else []
    merged = await ledger.fetchval(MERGES, program)
    if merged and any(rules):
        notes.append(
            f"{merged} members were merged into others: what they had counted gives those no tier in a try"
        )
    return sorted((piece for piece in pieces if piece.rows), key=lambda piece: -piece.rows), notes


def _has_budgets(document: Document) -> bool:
    return bool(parse_program(load_json(document.content), document.version).social.budgets)


async def _try(piece: Piece) -> Part:
    programs, facts = Programs(), Facts()
    before, after = (
        World(piece.program, piece.chains, document, programs, facts, piece.since, piece.instead_of, without)
        for document, without in ((piece.before, ""), (piece.after, piece.without))
    )
    part = Part(before.figures, after.figures)
    async with (
        imported(piece.urls["ledger"], piece.ledger_at) as ledger,
        imported(piece.urls["tiering"], piece.tiering_at) as tiering,
    ):
        grants = {chain: await _grants(tiering, chain, piece.program) for chain in piece.group}
        async for recorded in in_order(ledger, piece.group, piece.places, piece.program):
            _tell(grants, recorded, (before, after))
            # Who answers for a merged member is the same in both worlds, or the merge was refused in one.
            command = command_of(recorded, before.book, piece.chains) if recorded.rows else None
            if command is None:
                part.untold[recorded.first.type] += 1
                continue
            before.take(command)
            after.take(command)
    for chain in piece.group:
        for _, told in grants[chain]:
            before.tell(chain, told)
            after.tell(chain, told)
        before.finish(chain, piece.until)
        after.finish(chain, piece.until)
    before.figures.settle()
    after.figures.settle()
    there = dict(after.members())
    nobody = Standing("", 0, 0)
    was = dict(before.members())
    part.members = [
        Moved(name, was.get(name, nobody), there.get(name, nobody))
        for name in sorted(was.keys() | there.keys())
    ]
    part.tiers_before, part.tiers_after = tuple(before.tiers.names()), tuple(after.tiers.names())
    return part


Grants = dict[int, list[tuple[int, tuple[str, datetime, Told]]]]
"""By chain, (the ledger's last position then, what tiering was told), in order."""


async def _grants(
    tiering: Connection, chain: int, program: str
) -> list[tuple[int, tuple[str, datetime, Told]]]:
    found = []
    for member, type_, at, payload in await tiering.fetch(GRANTS, chain, program):
        told: Told = told_of(type_, payload)  # type: ignore[assignment]
        found.append((told.ledger_position, (member, at, told)))
    return found


def _tell(grants: Grants, recorded: Recorded, worlds: tuple[World, World]) -> None:
    """What tiering was told before these rows."""
    first = recorded.first
    waiting = grants[first.chain]
    while waiting and waiting[0][0] < first.position:
        _, told = waiting.pop(0)
        for world in worlds:
            world.tell(first.chain, told)
