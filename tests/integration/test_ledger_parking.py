"""Parking through the database: what waits is taken when its member enrols, whichever process takes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.ledger.domain.commands import Command
from services.ledger.domain.events import ActivityParked
from services.ledger.handle import Outcome
from services.ops.local.postgres import LocalPostgres
from tests.integration.ledger_http import purchase, served
from tests.integration.ledger_pair import in_order, ledger_pair, take
from tests.integration.ledger_rows import NOON, PARKS, Ledger, member_on

pytestmark = pytest.mark.integration
WAITING = "SELECT count(*) FROM parked WHERE member IS NULL"


@pytest_asyncio.fixture
async def pair(database: str) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """Both know a program that parks."""
    async with ledger_pair(database, PARKS) as both:
        yield both


def bought(ledger: Ledger, id_: str, member: str, amount: int = 10_000, **more: Any) -> Command:
    return ledger.purchase(id_, amount, member=member, program="parker", **more)


def back(ledger: Ledger, of: str, id_: str, member: str, **more: Any) -> Command:
    return ledger.return_(of, id_, member=member, program="parker", **more)


def parked(outcome: Outcome) -> bool:
    return outcome.refusal is None and isinstance(outcome.events[0][1].event, ActivityParked)


async def test_what_waits_by_card_and_by_id_is_taken_in_its_order_by_another_process(
    pair: tuple[Ledger, Ledger],
) -> None:
    one, other = pair
    first = await one.take(bought(one, "p1", "card:6001", quantity=2), bought(one, "p2", "bob", 5_000))
    first += await one.take(back(one, "p1", "r1", "card:6001"), back(one, "p9", "r9", "bob"))
    assert all(map(parked, first))
    (again,) = await one.take(bought(one, "p1", "card:6001", quantity=2))
    assert (again.duplicate, again.refusal, again.position) == (True, None, first[0].position)
    (enrolled,) = await other.take(other.enrol("bob", "6001", program="parker"))
    assert enrolled.refusal is None
    assert await one.balance("bob") == (100, 0, 0)
    assert await one.value(WAITING) == 0

    # The same requests again say what became of them: by card, or by the member that the card belongs to.
    for name in ("card:6001", "bob"):
        (told,) = await one.take(bought(one, "p1", name, quantity=2))
        assert (told.duplicate, told.refusal, told.command.member) == (True, None, "bob")
        assert told.position > enrolled.position
    (refused,) = await one.take(back(one, "p9", "r9", "bob"))
    assert (refused.duplicate, refused.refusal and refused.refusal[0]) == (True, "purchase_unknown")
    (reused,) = await one.take(bought(one, "p1", "card:6001", 777))
    assert reused.refusal is not None
    assert reused.refusal[0] == "id_reused"
    # And a later return finds the purchase where it was taken.
    (returned,) = await one.take(back(one, "p1", "r2", "bob"))
    assert returned.refusal is None
    assert await one.balance("bob") == (50, 0, 0)
    assert await in_order(one)


async def test_a_member_who_gets_a_card_gets_what_waits_for_the_card(pair: tuple[Ledger, Ledger]) -> None:
    one, other = pair
    await one.take(one.enrol("bob", program="parker"), bought(one, "p0", "bob"))
    await one.take(bought(one, "p1", "card:6001"), back(one, "p0", "r0", "card:6001"))
    await other.take(other.enrol("bob", "6001", program="parker"))
    assert await one.balance("bob") == (100, 0, 0)
    # In one batch too.
    await other.take(
        bought(other, "p2", "card:6002"),
        back(other, "p1", "r1", "card:6002"),
        other.enrol("bob", "6002", program="parker"),
    )
    assert await one.balance("bob") == (100, 0, 0)
    assert await one.value(WAITING) == 0
    assert await in_order(one)


async def test_nothing_stays_parked_when_purchases_and_enrolments_meet(pair: tuple[Ledger, Ledger]) -> None:
    one, other = pair
    people = [member_on(n % 4, n // 4) for n in range(12)]

    async def buy(ledger: Ledger, place: int) -> None:
        for n in range(6):
            for member in people:
                await take(ledger, bought(ledger, f"{member}-{place}-{n}", f"card:{member}", 1_000))

    async def enrol() -> None:
        for member in people:
            await take(one, one.enrol(member, member, program="parker"))

    await asyncio.gather(buy(one, 1), buy(other, 2), enrol())
    assert await one.value(WAITING) == 0
    for member in people:
        assert await one.balance(member) == (2 * 6 * 10, 0, 0)
    assert await in_order(one)


async def test_what_waits_is_taken_where_its_member_joins_by_a_first_purchase(
    pair: tuple[Ledger, Ledger],
) -> None:
    one, other = pair
    await one.take(bought(one, "p1", "bob"), bought(one, "p2", "card:6001"), back(one, "p1", "r1", "bob"))
    section = {**PARKS["ledger"], "enrolment": "on_first_activity"}
    await other.activate({**PARKS, "ledger": section})
    joined = await other.take(bought(other, "p3", "bob"), bought(other, "p4", "bob", 5_000))
    assert [outcome.refusal for outcome in joined] == [None, None]
    assert await one.balance("bob") == (150, 0, 0)
    # The card's waits on for somebody who brings the card.
    assert await one.value(WAITING) == 1
    await one.take(one.enrol("bob", "6001", program="parker"))
    assert await one.value(WAITING) == 0
    assert await one.balance("bob") == (250, 0, 0)
    assert await in_order(one)


async def test_parked_purchases_earn_on_their_own_day(pair: tuple[Ledger, Ledger]) -> None:
    one, _ = pair
    await one.take(bought(one, "p1", "card:6001"))
    await one.take(one.enrol("bob", "6001", program="parker"))
    (row,) = await one.rows("SELECT earned_at, purchase FROM lots")
    assert tuple(row) == (NOON, "p1")
    clear = "SELECT count(*) FROM journal WHERE position(convert_to('6001', 'UTF8') IN payload) > 0"
    assert await one.value(clear) == 0


async def test_over_http_the_answer_says_parked(postgres: LocalPostgres, bootstrap: str) -> None:
    async with served(postgres.url, bootstrap) as ledger, ledger.client(ledger.tokens["ops"]) as ops:
        path = "/v1/programs/parker"
        assert (await ops.put(path, json=PARKS)).status_code == 201
        body = purchase("p1", member="card:6001")
        first = await ops.post(f"{path}/purchases", json=body)
        assert first.status_code == 201, first.text
        told = first.json()
        assert (told["outcome"], told["member"], told["points"]) == ("parked", "card:6001", 0)
        again = (await ops.post(f"{path}/purchases", json=body)).json()
        assert (again["outcome"], again["duplicate"]) == ("parked", True)
        card = {"member": "bob", "identifiers": [{"kind": "card", "value": "6001"}]}
        assert (await ops.post(f"{path}/members", json=card)).status_code == 201
        became = (await ops.post(f"{path}/purchases", json=body)).json()
        assert (became["outcome"], became["member"], became["points"]) == ("recorded", "bob", 100)
        assert became["balance"]["available"] == 100
        assert (await ops.get(f"{path}/rejections")).json() == {"counts": {}}
