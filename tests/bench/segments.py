"""`python -m tests.bench.segments`: how long a run over a whole population takes, segments and rankings, in PostgreSQL.

Rows are generated in a database of their own on the server of DATABASE_URL (an owner's), which is dropped in the end:
members on 16 chains with `--purchases` each over two years. The first run writes every member's row, the second only
what has changed a month later. `--explain` shows the plan of each statement instead.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
from rich.console import Console

from services.common.db import Writer, ensure_installation
from services.tiering import segment_sql
from services.tiering.domain.program import parse_rules
from services.tiering.population import SETTINGS
from services.tiering.ranking import Rankings
from services.tiering.segments import Segments, asked, measure
from tests.databases import drop_templates, service_database

CHAINS = 16
PROGRAM = "population"
NOW = datetime(2027, 1, 1, tzinfo=UTC)
LATER = datetime(2027, 2, 1, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {
    "program": PROGRAM,
    "clock": "events",
    "tiering": {
        "metric": "spend",
        "window": {"months": 12},
        "review": {"at": "first_of_month"},
        "tiers": [{"name": "member"}, {"name": "black", "top_percent": 10}],
        "segments": {},
    },
}
FILL = (
    "SELECT setseed(0.5)",
    """
    INSERT INTO members (chain, program, member, enrolled_at, since, as_of, windows)
    SELECT n % 16, $1::text, 'm' || n, $2::timestamptz - interval '2 years', $2 - interval '2 years', $2, '{}'
    FROM generate_series(1, $3::integer) AS n
    """,
    """
    -- Some buy daily and some once a year; most spend little.
    INSERT INTO purchases (chain, program, purchase, member, occurred_at, amount_left, promoted_left)
    SELECT m.n % 16, $1::text, 'p' || m.n || '-' || p, 'm' || m.n,
           $2::timestamptz - random() * m.away * interval '1 day',
           (100 + 9900 * random() ^ 4)::bigint, CASE WHEN random() < 0.2 THEN 50 ELSE 0 END
    FROM (SELECT n, 1 + 729 * random() ^ 2 AS away FROM generate_series(1, $3::integer) AS n) AS m,
         generate_series(1, $4::integer) AS p
    """,
    """
    INSERT INTO segments (chain, program, member, lifecycle, lifecycle_since, first_at, last_at)
    SELECT chain, program, member, 'new', min(occurred_at), min(occurred_at), max(occurred_at)
    FROM purchases WHERE program = $1 GROUP BY chain, program, member
    """,
    """
    INSERT INTO entries (chain, program, member, metric, occurred_at, position, amount)
    SELECT chain, program, member, 'spend', occurred_at, 0, sum(amount_left)
    FROM purchases WHERE program = $1 GROUP BY chain, program, member, occurred_at
    """,
    "INSERT INTO programs SELECT chain, $1::text, 1, 'v1', $2::bytea FROM chain_heads",
    "INSERT INTO program_clocks SELECT chain, $1::text, $2::timestamptz FROM chain_heads",
)
console = Console()


async def fill(owner: asyncpg.Connection, members: int, purchases: int) -> None:
    """Generate the rows, and let PostgreSQL know them."""
    arguments = ((), (PROGRAM, NOW, members), (PROGRAM, NOW, members, purchases), (PROGRAM,), (PROGRAM,),
                 (PROGRAM, orjson.dumps(DOCUMENT)), (PROGRAM, NOW))  # fmt: skip
    for statement, given in zip(FILL, arguments, strict=True):
        await owner.execute(statement, *given, timeout=3_600)
    await owner.execute("VACUUM ANALYZE", timeout=3_600)


async def explain(owner: asyncpg.Connection) -> None:
    """The plans of the statements of a run, with what they took."""
    rules = parse_rules(DOCUMENT, "v1")
    assert rules is not None and rules.segments is not None
    for name, value in SETTINGS.items():
        await owner.execute("SELECT set_config($1, $2, false)", name, value)
    found = rules.segments
    classes = found.classes
    given = (PROGRAM, found.window_start(NOW), NOW, None, None, None, classes.high_spend_percent,
             classes.high_ticket_percent, classes.bargain_percent)  # fmt: skip
    bounds, population = await measure(owner, PROGRAM, found, NOW)
    of_chain = (0, PROGRAM, *asked(found, NOW, bounds))
    for what, statement, arguments in (
        ("MEASURE", segment_sql.MEASURE, given),
        ("SORT", segment_sql.SORT, of_chain),
        ("COUNT", segment_sql.COUNT, (0, PROGRAM)),
    ):
        console.rule(f"{what}, {population} buyers")
        async with owner.transaction():
            for row in await owner.fetch("EXPLAIN (ANALYZE, BUFFERS) " + statement, *arguments, timeout=600):
                console.print(row[0], markup=False, highlight=False, soft_wrap=True)


async def run(members: int, purchases: int, plans: bool) -> None:
    """Fill, run, say how long it took."""
    server = os.environ["DATABASE_URL"]
    try:
        async with service_database(server, "tiering") as (url, service_url):
            writer = await Writer.connect(service_url)
            await ensure_installation(writer, CHAINS)
            owner = await asyncpg.connect(url)
            began = time.monotonic()
            await fill(owner, members, purchases)
            count = await owner.fetchval("SELECT count(*) FROM purchases")
            console.print(f"{members} members, {count} purchases, made in {time.monotonic() - began:.0f} s")
            if plans:
                await explain(owner)
            else:
                await _timed("segments, everybody for the first time", Segments(writer).run(PROGRAM, "first"))
                await _timed("ranking, the best tenth for the first time", Rankings(writer).run(PROGRAM))
                await owner.execute("UPDATE program_clocks SET clock = $1", LATER)
                await _timed("segments, a month later", Segments(writer).run(PROGRAM, "second"))
                await _timed("ranking, a month later", Rankings(writer).run(PROGRAM))
                for row in await owner.fetch(
                    "SELECT run, max(measured_ms) AS bounds, max(took_ms) AS all, sum(changed) AS changed "
                    "FROM segment_runs GROUP BY run ORDER BY run"
                ):
                    console.print(
                        f"{row['run']}: bounds {row['bounds']} ms, all {row['all']} ms, {row['changed']} changes"
                    )
            await owner.close()
            await writer.close()
    finally:
        await drop_templates(server)


async def _timed(what: str, work: Any) -> None:
    began = time.monotonic()
    await work
    console.print(f"{what}: {time.monotonic() - began:.1f} s")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--purchases", type=int, default=5, help="of a member")
    parser.add_argument("--explain", action="store_true")
    given = parser.parse_args()
    asyncio.run(run(given.members, given.purchases, given.explain))


if __name__ == "__main__":
    main()
