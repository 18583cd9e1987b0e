"""One stream cut in any way gives one state: batches of 1, of 7 and of 1,000 rows, on real PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.common.codec import StreamRow
from services.common.db import Writer
from services.tiering.replay import ALSO_WRITTEN, PROJECTIONS, rebuild
from tallybook.ledger.v1 import events_pb2 as pb
from tests.integration.test_tiering_everything import CHAIN, MEMBERS, a_stream, everything
from tests.integration.test_tiering_store import content, writer
from tests.integration.tiering_rows import LedgerChain, day, document

SIZES = (1, 7, 1_000)
SEGMENTS = {"lifecycle": {"new_days": 5, "dormant_days": 20, "lost_days": 60, "won_back_days": 5}}
pytestmark = pytest.mark.integration
__all__ = ["writer"]


def loads(ledger: LedgerChain, rng: random.Random, rows: list[StreamRow]) -> list[StreamRow]:
    """The rows told again behind a version without most metrics, with top-ups, reversals and a closed account among
    them, on the wall's clock or on that of events, and always with segments."""
    told: list[StreamRow] = [ledger.activated(day("2020-01-01"), document(), "v0")]
    loaded: list[tuple[str, str]] = []
    clock = rng.choice(["events", "wall"])
    for row in rows:
        message: Any = row.message
        if isinstance(message, pb.ProgramActivated):
            tiers = {"metric": "top_ups"} if rng.random() < 0.5 else {}
            version = everything(rng)
            version["tiering"] |= tiers | {"segments": SEGMENTS}
            told.append(ledger.activated(row.occurred_at, version | {"clock": clock}, f"v{ledger.position}"))
            continue
        ledger.position += 1
        row.position = ledger.position
        told.append(row)
        member = rng.choice(MEMBERS)
        if rng.random() < 0.15:
            top_up = pb.TopUpRecorded()
            top_up.activity.id, top_up.activity.amount = f"t{ledger.position}", rng.choice([10_00, 120_00])
            loaded.append((member, top_up.activity.id))
            told.append(ledger.row(top_up, row.occurred_at, member))
        elif rng.random() < 0.08 and loaded:
            who, of = rng.choice(loaded)
            back = pb.TopUpReversed()
            back.activity.of = of
            back.paid_out.add(amount=10_00)
            told.append(ledger.row(back, row.occurred_at + timedelta(days=rng.choice([0, 40])), who))
        elif rng.random() < 0.004:
            told.append(ledger.row(pb.MemberClosed(), row.occurred_at, member))
    return told


@pytest.mark.parametrize("seed", [11, 13, 14])
async def test_batches_of_any_size_give_one_state(writer: Writer, database: str, seed: int) -> None:
    rng = random.Random(seed)
    plain = a_stream(rng, count=250)
    # Purchases of the first version are not followed: points of theirs come later all the same.
    first = next(place for place, row in enumerate(plain) if place > 30)
    rows = loads(LedgerChain(chain=CHAIN), rng, [*plain[1:first], plain[0], *plain[first:]])
    found = {}
    for size in SIZES:
        schema = f"replay_{size}"
        owner = await asyncpg.connect(database, server_settings={"search_path": schema})
        try:
            await owner.execute(f"CREATE SCHEMA {schema}")
            for table in (*PROJECTIONS, *ALSO_WRITTEN):
                await owner.execute(f"CREATE TABLE {schema}.{table} (LIKE public.{table} INCLUDING ALL)")

            async def batches(size: int = size) -> AsyncIterator[Sequence[StreamRow]]:
                for start in range(0, len(rows), size):
                    yield rows[start : start + size]

            async with owner.transaction():
                assert await rebuild(owner, CHAIN, batches(), day("2040-01-01")) == len(rows)
            await owner.execute(f"GRANT USAGE ON SCHEMA {schema} TO PUBLIC")
            await owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO PUBLIC")
        finally:
            await owner.close()
        found[size] = await content(writer, schema)
    assert len(found[1]["tier_history"]) > 20
    # What a member is told never goes back.
    since: dict[str, Any] = {}
    for row in sorted(found[1]["tier_history"], key=lambda row: row[3]):
        assert row[7] >= since.get(row[2], row[7]), row
        since[row[2]] = row[7]
    for size in SIZES[1:]:
        for table, expected in found[1].items():
            assert [
                (one, other) for one, other in zip(found[size][table], expected, strict=True) if one != other
            ] == [], (table, size)
