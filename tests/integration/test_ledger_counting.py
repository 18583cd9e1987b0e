"""What a program counts of its members, on real PostgreSQL: read for a batch, written with it, found again later."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from services.common.program_document import canonical
from services.ledger.domain.commands import ActivateProgram, Cause
from tests.databases import service_role
from tests.integration.ledger_rows import DOCUMENT, NOON, Ledger

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def ledger(database: str) -> AsyncIterator[Ledger]:
    async with service_role("ledger", database) as url, Ledger.open(url) as ledger:
        yield ledger


COUNTING: dict[str, Any] = {
    **DOCUMENT,
    "ledger": {
        **DOCUMENT["ledger"],
        "earning": {
            "points_per_unit": "0.7",
            "rounding": "carry",
            "rules": [
                {"id": "third", "when": {"visits": {"to": 3, "from": 3}}, "earn": {"points_per_visit": 5}}
            ],
            "caps": {"day": 20},
        },
    },
}


async def counted(ledger: Ledger) -> dict[str, str]:
    rows = await ledger.rows("SELECT counter, value FROM counters WHERE member = 'ann'")
    return {row["counter"]: str(row["value"]) for row in rows}


async def test_what_is_counted_goes_on_from_batch_to_batch(ledger: Ledger) -> None:
    await ledger.activate(COUNTING)
    await ledger.take(ledger.purchase("p1", 1_010))
    await ledger.take(ledger.purchase("p2", 1_010), ledger.purchase("p3", 10))
    assert await counted(ledger) == {"carry": "0.21", "visits": "3", "day 2026-01-05": "19"}
    assert await ledger.balance() == (19, 0, 0)
    await ledger.take(ledger.purchase("p4", 1_010))
    assert await counted(ledger) == {"carry": "0.21", "visits": "4", "day 2026-01-05": "20"}


async def test_purchases_of_versions_that_do_not_count_are_counted_when_it_matters(ledger: Ledger) -> None:
    await ledger.activate()
    await ledger.take(ledger.purchase("p1", 100))
    await ledger.activate(COUNTING)
    await ledger.take(ledger.purchase("p2", 0))
    assert (await counted(ledger))["visits"] == "2"
    await ledger.activate()
    await ledger.take(ledger.purchase("p3", 100))
    version = await ledger.activate(COUNTING)
    await ledger.activate()
    # In force from within the batch that the purchase is in.
    purchase = ledger.purchase("p4", 0)
    cause, content = Cause("program", "again"), canonical(COUNTING)
    again = ActivateProgram("grocer", "", purchase.chain, cause, NOON, version, content)
    await ledger.take(again, purchase)
    assert (await counted(ledger))["visits"] == "4"
    assert await ledger.balance() == (2, 0, 0)


async def test_a_late_tier_and_a_return_find_what_was_counted_in_the_journal(ledger: Ledger) -> None:
    document = copy.deepcopy(COUNTING)
    document["ledger"]["earning"]["tier_multipliers"] = {"gold": "1.5"}
    await ledger.activate(document)
    await ledger.take(ledger.purchase("p1", 1_010))
    await ledger.take(ledger.purchase("p2", 1_010, at=NOON + timedelta(hours=1)))
    await ledger.take(ledger.tier("gold", NOON))
    # 1.5 x 7.07 + 0.07 carried is 10.675.
    assert await ledger.balance() == (7 + 10, 0, 0)
    await ledger.take(ledger.return_("p2"))
    assert await ledger.balance() == (7, 0, 0)


async def test_under_a_cap_a_late_tier_settles_what_was_booked_behind_it_again_and_again(
    ledger: Ledger,
) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["ledger"]["earning"] = {
        "points_per_unit": 1, "tier_multipliers": {"gold": 2}, "caps": {"month": 150},
    }  # fmt: skip
    await ledger.activate(document)
    for name, amount, at in (("p1", 6_000, 1), ("p2", 6_000, -24), ("p3", 5_000, -48)):
        await ledger.take(ledger.purchase(name, amount, at=NOON + timedelta(hours=at)))
    assert await points(ledger) == {"p1": 60, "p2": 60, "p3": 30}
    await ledger.take(ledger.tier("gold", NOON, 1))
    assert await points(ledger) == {"p1": 120, "p2": 30, "p3": 0}
    await ledger.take(ledger.tier("member", NOON + timedelta(minutes=30), 2))
    assert await points(ledger) == {"p1": 60, "p2": 60, "p3": 30}
    assert await counted(ledger) == {"month 2026-01": "150"}
    await ledger.take(ledger.return_("p2"))
    assert await points(ledger) == {"p1": 60, "p2": 0, "p3": 30}
    assert await ledger.balance() == (90, 0, 0)


async def test_a_fraction_goes_with_the_units_that_put_it_there(ledger: Ledger) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["ledger"]["earning"] = {"points_per_unit": 1, "rounding": "carry"}
    await ledger.activate(document)
    for n in range(3):
        await ledger.take(ledger.purchase(f"big{n}", 99))
        await ledger.take(ledger.return_(f"big{n}", f"r{n}"))
        await ledger.take(ledger.purchase(f"small{n}", 1))
    assert await ledger.balance() == (0, 0, 0)
    assert await counted(ledger) == {"carry": "0.03"}


async def points(ledger: Ledger) -> dict[str, int]:
    """What each purchase has given by now."""
    rows = await ledger.rows("SELECT purchase, sum(remaining)::bigint AS points FROM lots GROUP BY purchase")
    return {row["purchase"]: row["points"] for row in rows}
