"""Every metric, window, policy, card and grant at once, on real PostgreSQL: batches make no difference, and a rebuild
gives the same."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.common.chain import chain_of
from services.common.codec import StreamRow
from services.common.db import Writer
from services.common.errors import Refusal
from services.tiering import project
from services.tiering.handle import Grants
from tests.integration.test_tiering_store import CHAINS, apply, content, cut, writer
from tests.integration.tiering_rebuilt import WRONG_WINDOWS, assert_rebuilt_is_live
from tests.integration.tiering_rows import LedgerChain, day, document

CHAIN = 1
MEMBERS = [name for name in (f"m{n}" for n in range(100)) if chain_of(name, CHAINS) == CHAIN][:8]
LIFETIME, YEAR, ANNIVERSARY = ({"period": p} for p in ("lifetime", "calendar_year", "anniversary_year"))
METRICS = [
    {"name": "stars", "counts": "points"},
    {"name": "stars_a_year", "counts": "points", "window": YEAR},
    {"name": "orders", "counts": "visits", "least": 30_00, "window": ANNIVERSARY},
    {"name": "fuelled", "counts": "units", "categories": ["FUEL"], "window": LIFETIME},
    {"name": "came", "counts": "days"},
    {
        "name": "growth",
        "counts": "formula",
        "sum": [{"metric": "stars", "times": "0.5"}, {"metric": "came", "times": 9}],
    },
]
TIERS = [
    {"name": "member"},
    {"name": "silver", "any_of": [{"metric": "growth", "from": 200}, {"metric": "fuelled", "from": 60}]},
    {"name": "plus"},
    {"name": "gold", "any_of": [{"metric": "stars_a_year", "from": 1500}, {"metric": "orders", "from": 12}]},
    {"name": "black", "all_of": [{"metric": "spend", "from": 3_000_00}, {"metric": "came", "from": 20}]},
]
CARDS = [
    {"name": "plus", "tier": "plus", "months": 3, "sku": "PLUS"},
    {"name": "regular", "tier": "gold", "months": 2, "metric": "came", "from": 8},
]
POLICIES: list[dict[str, Any]] = [
    {"review": {"months": 4, "grace_months": 1}, "downgrade": {"to": "soft_landing"}},
    {
        "review": {"at": "first_of_month"},
        "downgrade": {"to": "one_step", "once_in_months": 5},
        "returns": "at_once",
    },
    {"review": {"at": "end_of_next_year"}, "returns": "at_once"},
]
pytestmark = pytest.mark.integration
__all__ = ["writer"]


def everything(rng: random.Random) -> dict[str, Any]:
    """A document with every metric and one of the policies."""

    return document(metrics=METRICS, tiers=TIERS, cards=CARDS, **rng.choice(POLICIES))


def a_stream(rng: random.Random, count: int) -> list[StreamRow]:
    """Some years of a chain under changing versions."""
    ledger = LedgerChain(chain=CHAIN)
    now = day("2020-01-30")
    rows = [ledger.activated(now, everything(rng))]
    bought: list[tuple[str, str, datetime, int, str, str]] = []
    for _ in range(count):
        now += timedelta(hours=rng.choice([1, 5, 30, 200]), microseconds=rng.randrange(1000))
        member, kind = rng.choice(MEMBERS), rng.random()
        if kind < 0.6:
            at = now - timedelta(days=rng.choice([0, 0, 0, 0, 1, 40, 400]))
            amount = rng.choice([0, 1, 30_00, 99_99, 180_00])
            category, sku = rng.choice([("food", "A"), ("food", "A"), ("FUEL", "F"), ("CARD", "PLUS")])
            rows.append(ledger.bought(at, member, amount, category, sku, rng.choice([1, 1, 2])))
            purchase = f"p{ledger.position}"
            bought.append((member, purchase, at, amount, category, sku))
            if amount >= 100:
                rows.append(ledger.accrued(at, member, amount // 100, purchase))
        elif kind < 0.72 and bought:
            who, purchase, at, amount, category, sku = rng.choice(bought)
            rows.append(ledger.returned(now, who, amount // 2, at, purchase, category, sku))
            if amount >= 200:
                rows.append(ledger.clawed_back(now, who, amount // 200, purchase))
        elif kind < 0.78:
            rows.append(ledger.enrolled(now, member))
        elif kind < 0.97:
            now += timedelta(days=rng.choice([0, 3, 30, 200]))
            rows.append(ledger.clock(now))
        else:
            rows.append(ledger.activated(now, everything(rng), f"v{ledger.position}"))
    return rows


async def live(writer: Writer, rows: list[StreamRow], rng: random.Random) -> int:
    """Apply the rows in batches, with grants by hand between them. Returns how many were given or taken back."""
    grants, told = Grants(writer, CHAINS), 0
    for number, batch in enumerate(cut(rows, rng, most=40)):
        await apply(writer, batch)
        member, until = rng.choice(MEMBERS), batch[-1].occurred_at + timedelta(days=rng.choice([20, 300]))
        try:
            tier = rng.choice(["silver", "gold", "black"])
            told += not await grants.grant("grocer", member, f"g{number}", tier, until, "a test")
            if rng.random() < 0.3:
                told += not await grants.revoke("grocer", member, f"g{number}", f"r{number}", "a test")
        except Refusal as refusal:
            assert refusal.code in ("unknown_member", "ends_in_the_past", "too_many_grants")
    return told


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_a_rebuild_gives_the_same_with_grants_in_their_places(
    writer: Writer, database: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    rows = a_stream(rng, count=600)
    assert await live(writer, rows, rng) > 5
    before = await content(writer)
    reasons = {row[9] for row in before["tier_history"]}
    assert reasons >= {"upgrade", "downgrade", "card", "card_ended", "grant", "grant_ended"}, reasons

    # Once more in a schema of its own, in other batches, with so few reviews at a time that they have to be paged.
    monkeypatch.setattr(project, "REVIEWS_MAX", 2)
    await assert_rebuilt_is_live(writer, database, {CHAIN: rows}, 97)


@pytest.mark.parametrize("seed", [5, 6])
async def test_every_window_is_the_sum_of_its_entries(writer: Writer, seed: int) -> None:
    rng = random.Random(seed)
    for batch in cut(a_stream(rng, count=500), rng, most=30):
        await apply(writer, batch)
    async with writer.session() as session:
        wrong = await session.fetch(WRONG_WINDOWS)
        behind = await session.fetch(
            """
            SELECT h.* FROM tier_history h CROSS JOIN LATERAL unnest(h.positions) p (position)
            WHERE NOT EXISTS (SELECT FROM entries e WHERE e.chain = h.chain AND e.member = h.member
                              AND e.position = p.position)
            """
        )
        assert (wrong, behind) == ([], [])
        assert (
            await session.fetchval("SELECT count(*) FROM tier_history WHERE cardinality(positions) > 0") > 20
        )
        assert await session.fetchval("SELECT max(visits) FROM visit_days") > 1
