"""Stored value over a real database and by HTTP: two chains in one transaction, races, what a till is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from services.ops.local.postgres import LocalPostgres
from tests.databases import service_role
from tests.integration.ledger_http import GROCER, Served, served
from tests.integration.ledger_rows import DOCUMENT, NOON, Ledger, member_on
from tests.integration.verify_book import look

pytestmark = pytest.mark.integration

ANN, BOB = member_on(0), member_on(1)
MONEY = "SELECT member, asset, posted, held FROM accounts WHERE asset <> 'points' ORDER BY member, asset"
IN_TRANSIT = """
SELECT asset, sum(CASE WHEN credit = 'in_transit' THEN amount ELSE -amount END) AS rest FROM postings
WHERE 'in_transit' IN (debit, credit) GROUP BY asset
"""


@pytest_asyncio.fixture
async def ledger(database: str) -> AsyncIterator[Ledger]:
    async with service_role("ledger", database) as url, Ledger.open(url) as ledger:
        await ledger.activate()
        await ledger.advance(NOON)
        yield ledger


async def money(ledger: Ledger) -> dict[tuple[str, str], int]:
    return {(row["member"], row["asset"]): row["posted"] for row in await ledger.rows(MONEY)}


async def test_a_gift_touches_two_chains_and_each_balances(ledger: Ledger, database: str) -> None:
    await ledger.take(ledger.top_up("t1", member=ANN), ledger.enrol(BOB))
    (given,) = await ledger.take(ledger.gift(1_500, BOB, member=ANN))
    again = await ledger.take(ledger.gift(1_500, BOB, member=ANN))
    assert (given.refusal, again[0].duplicate) == (None, True)
    assert await money(ledger) == {
        (ANN, "USD.principal"): 9_500, (ANN, "USD.bonus"): 0, (BOB, "USD.principal"): 500, (BOB, "USD.bonus"): 1_000,
    }  # fmt: skip
    assert {row["rest"] for row in await ledger.rows(IN_TRANSIT)} == {0}
    owner = await asyncpg.connect(database)
    async with owner.transaction():
        report = await look(owner)
    await owner.close()
    # Nobody has published or consumed anything here.
    assert [str(finding) for finding in report.findings if finding.check != "L6"] == []


async def test_of_gifts_that_race_for_the_same_money_no_more_are_taken_than_there_is(ledger: Ledger) -> None:
    await ledger.take(ledger.top_up("t1", 4_000, member=ANN), ledger.top_up("t2", 4_000, member=BOB))
    gifts = [ledger.gift(1_500, BOB, f"a{n}", ANN) for n in range(4)]
    gifts += [ledger.gift(1_500, ANN, f"b{n}", BOB) for n in range(4)]
    outcomes = await asyncio.gather(*(ledger.take(gift) for gift in gifts))
    refused = [outcome.refusal for (outcome,) in outcomes if outcome.refusal]
    assert {code for code, _ in refused} <= {"insufficient_value"}
    held = await money(ledger)
    assert sum(held.values()) == 8_000
    assert min(held.values()) >= 0


async def test_a_top_up_behind_a_reversal_in_one_batch_is_no_first_one_where_others_stand(
    ledger: Ledger,
) -> None:
    ladder = [{"load": 1_000, "bonus": 500, "top_ups": "first"}]
    await ledger.activate({**DOCUMENT, "ledger": {**DOCUMENT["ledger"], "stored_value": {"ladder": ladder}}})
    await ledger.take(ledger.top_up("t1", member=ANN), ledger.top_up("t2", member=ANN))
    await ledger.take(ledger.reverse_top_up("t1", member=ANN), ledger.top_up("t3", member=ANN))
    assert (await money(ledger))[ANN, "USD.bonus"] == 0


async def test_the_clock_ends_a_bonus_and_the_top_up_remembers_it(ledger: Ledger) -> None:
    await ledger.take(ledger.top_up("t1", member=ANN))
    await ledger.advance(NOON + timedelta(days=200))
    assert (await money(ledger))[ANN, "USD.bonus"] == 0
    assert await ledger.value("SELECT bonus_expired FROM top_ups") == 1_000
    (undone,) = await ledger.take(ledger.reverse_top_up(member=ANN, at=NOON + timedelta(days=200)))
    assert undone.refusal is None
    paid = "SELECT sum(amount)::bigint FROM postings WHERE credit = 'paid_out'"
    assert await ledger.value(paid) == 10_000


async def test_the_step_for_a_first_top_up_is_for_the_first_only(ledger: Ledger) -> None:
    document = {
        "program": "firsts",
        "clock": "events",
        "ledger": {
            "currency": "USD", "enrolment": "on_first_activity", "earning": {"points_per_unit": 1},
            "stored_value": {"ladder": [{"load": 100, "bonus": 100, "top_ups": "first"}]},
        },
    }  # fmt: skip
    await ledger.activate(document)
    for id_ in ("t1", "t2"):
        command = ledger.top_up(id_, 100, member=ANN)
        command.program = "firsts"
        command.cause.source = "firsts/top_up"
        await ledger.take(command)
    assert await money(ledger) == {(ANN, "USD.principal"): 200, (ANN, "USD.bonus"): 100}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def http(postgres: LocalPostgres, bootstrap: str) -> AsyncIterator[Served]:
    async with served(postgres.url, bootstrap) as found:
        yield found


@pytest_asyncio.fixture
async def ops(http: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with http.client(http.tokens["ops"]) as client:
        yield client


def loaded(id_: str, member: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": id_, "member": member, "occurred_at": "2026-01-05T12:00:00Z", "store": "s1", "currency": "USD",
        "amount": 10_000, **changes,
    }  # fmt: skip


async def test_a_till_is_told_the_bonus_and_the_balance_and_the_same_again(ops: httpx.AsyncClient) -> None:
    first = await ops.post(f"{GROCER}/top_ups", json=loaded("h1", "may"))
    again = await ops.post(f"{GROCER}/top_ups", json=loaded("h1", "may"))
    assert (first.status_code, again.status_code) == (201, 200)
    body = first.json()
    assert (body["principal"], body["bonus"], body["points"]) == (10_000, 1_000, 20)
    assert body["bonus_expires_at"] == "2026-07-05T12:00:00+00:00"
    assert body["money"] == {"USD": {"principal": 10_000, "bonus": 1_000, "held": 0, "available": 11_000}}
    assert again.json() == {**body, "duplicate": True}
    other = await ops.post(f"{GROCER}/top_ups", json=loaded("h1", "may", amount=1))
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")


async def test_a_reversal_says_how_much_to_hand_out(ops: httpx.AsyncClient) -> None:
    await ops.post(f"{GROCER}/top_ups", json=loaded("h2", "june"))
    await ops.post(f"{GROCER}/members", json={"member": "july"})
    body = {"to": "july", "currency": "USD", "amount": 400}
    gifts = f"{GROCER}/members/june/gifts"
    given = await ops.post(gifts, json=body, headers={"Idempotency-Key": "g2"})
    assert given.json() | {"principal": 0, "bonus": 400, "receiver": "july"} == given.json()
    undo = {"id": "u2", "member": "june", "occurred_at": "2026-01-05T13:00:00Z", "of": "h2"}
    answers = [(await ops.post(f"{GROCER}/top_ups/reversals", json=undo)).json() for _ in range(2)]
    first = answers[0]
    assert (first["paid_out"], first["kept_for_bonus"], first["bonus"], first["points"]) == (
        9_600,
        400,
        600,
        20,
    )
    assert answers[1] == {**first, "duplicate": True}
    more = await ops.post(f"{GROCER}/top_ups/reversals", json={**undo, "id": "u3"})
    assert (more.status_code, more.json()["code"]) == (409, "top_up_reversed")


async def test_money_is_in_the_balance_the_lots_the_statement_and_the_totals(ops: httpx.AsyncClient) -> None:
    await ops.post(f"{GROCER}/top_ups", json=loaded("h4", "sue"))
    member = (await ops.get(f"{GROCER}/members/sue")).json()
    assert member["money"]["USD"]["available"] == 11_000
    assert member["points"]["posted"] == 20
    lots = (await ops.get(f"{GROCER}/members/sue/money")).json()["lots"]
    assert [(lot["bucket"], lot["remaining"], lot["from"]) for lot in lots] == [
        ("bonus", 1_000, "h4"), ("principal", 10_000, "h4"),
    ]  # fmt: skip
    nobody = await ops.get(f"{GROCER}/members/nobody/money")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "unknown_member")
    entries = (await ops.get(f"{GROCER}/members/sue/statement")).json()["entries"]
    moved = [(entry["type"], entry["money"], entry["points"]) for entry in entries]
    assert moved[1:] == [
        ("TopUpRecorded", {}, 0),
        ("MoneyCredited", {"USD.principal": 10_000}, 0),
        ("MoneyCredited", {"USD.bonus": 1_000}, 0),
        ("PointsAccrued", {}, 20),
    ]
    totals = (await ops.get(f"{GROCER}/totals")).json()
    principal = totals["money"]["USD"]["principal"]
    assert principal["outstanding"] == principal["paid_in"] - principal.get("paid_out", 0) - principal.get(
        "clawed_back", 0
    )


async def test_points_and_money_of_one_order_are_held_captured_and_refunded(ops: httpx.AsyncClient) -> None:
    await ops.post(f"{GROCER}/top_ups", json=loaded("h7", "kim"))
    holds, usd = f"{GROCER}/members/kim/holds", {"currency": "USD", "amount": 1_500}
    asked = {"order": "o7", "amount": 20, "money": usd}
    placed, again = [await ops.post(holds, json=asked, headers={"Idempotency-Key": "k7"}) for _ in range(2)]
    assert (placed.status_code, again.status_code) == (201, 200)
    assert placed.json()["held_money"] == {"currency": "USD", "amount": 1_500, "captured": 0}
    assert placed.json()["money"] == {
        "USD": {"principal": 10_000, "bonus": 1_000, "held": 1_500, "available": 9_500}
    }
    other = await ops.post(
        holds, json={**asked, "money": {**usd, "amount": 1}}, headers={"Idempotency-Key": "k7"}
    )
    assert (other.status_code, other.json()["code"]) == (409, "exists_with_different_money")
    part = {"money": {**usd, "amount": 1_100}, "final": False}
    captured = await ops.post(f"{holds}/k7/capture", json=part, headers={"Idempotency-Key": "k7c"})
    assert (captured.json()["state"], captured.json()["captured"]) == ("open", 0)
    assert captured.json()["held_money"]["captured"] == 1_100
    too_much = await ops.post(
        f"{holds}/k7/capture", json={"money": {**usd, "amount": 401}}, headers={"Idempotency-Key": "k7d"}
    )
    assert (too_much.status_code, too_much.json()["code"]) == (422, "value_exceeds_hold")
    await ops.post(f"{holds}/k7/capture", json={"amount": 20}, headers={"Idempotency-Key": "k7e"})
    found = (await ops.get(f"{holds}/k7")).json()
    assert (found["state"], found["captured"], found["held_money"]["captured"]) == ("captured", 20, 1_100)
    back = await ops.post(
        f"{GROCER}/members/kim/orders/o7/refunds", json={}, headers={"Idempotency-Key": "k7f"}
    )
    body = back.json()
    assert (body["points"], body["principal"], body["bonus"], body["money_left"]) == (20, 100, 1_000, 0)
    assert body["money"]["USD"] == {"principal": 10_000, "bonus": 1_000, "held": 0, "available": 11_000}
    entries = (await ops.get(f"{GROCER}/members/kim/statement")).json()["entries"]
    assert [entry["text"] for entry in entries][-4:] == [
        "20 points and 1500 USD minor units held for order o7",
        "1100 USD minor units spent on order o7",
        "20 points spent on order o7",
        "20 points and 1100 USD minor units spent on order o7 given back",
    ]
    nothing = await ops.post(holds, json={"order": "o8"}, headers={"Idempotency-Key": "k8"})
    assert nothing.json()["code"] == "invalid_request"


async def test_a_gift_to_nobody_is_refused(ops: httpx.AsyncClient) -> None:
    await ops.post(f"{GROCER}/top_ups", json=loaded("h6", "zed"))
    unknown = await ops.post(
        f"{GROCER}/members/zed/gifts", json={"to": "nobody", "currency": "USD", "amount": 1},
        headers={"Idempotency-Key": "g9"},
    )  # fmt: skip
    assert (unknown.status_code, unknown.json()["code"]) == (404, "receiver_unknown")
