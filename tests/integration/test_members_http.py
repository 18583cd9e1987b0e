"""Members and points by hand over HTTP: who may do what, twice the same, and what the member then looks like."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from services.ops.local.postgres import LocalPostgres
from tests.integration.ledger_http import GROCER, Served, purchase, served
from tests.integration.test_ledger_http import key, told

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ledger(postgres: LocalPostgres, bootstrap: str) -> AsyncIterator[Served]:
    async with served(postgres.url, bootstrap) as found:
        yield found


@pytest_asyncio.fixture
async def carol(ledger: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with ledger.client(ledger.tokens["ops"]) as client:
        yield client


@pytest_asyncio.fixture
async def dave(ledger: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with ledger.client(await ledger.token("ops")) as client:
        yield client


@pytest_asyncio.fixture
async def ann(carol: httpx.AsyncClient) -> str:
    """A member with 100 points and a card of her id."""
    member = f"m{uuid4().hex[:12]}"
    card = {"member": member, "identifiers": [{"kind": "card", "value": member}]}
    assert (await carol.post(f"{GROCER}/members", json=card)).status_code == 201
    assert (
        await carol.post(f"{GROCER}/purchases", json=purchase(f"p-{member}", member=member))
    ).status_code == 201
    return member


def by_hand(points: int, **changes: Any) -> dict[str, Any]:
    return {"points": points, "reason": "goodwill", "note": "the till was down", **changes}


async def test_points_are_given_by_hand_once(carol: httpx.AsyncClient, ann: str) -> None:
    path = f"{GROCER}/members/{ann}/adjustments"
    for status in (201, 200):
        answer = await carol.post(path, json=by_hand(100), headers=key(f"a-{ann}"))
        assert answer.status_code == status, answer.text
        body = answer.json()
        assert (body["adjustment"], body["state"], body["member"]) == (f"a-{ann}", "applied", ann)
        assert body["balance"] == {"available": 200, "posted": 200, "held": 0, "debt": 0, "pending": 0}
    told(await carol.post(path, json=by_hand(99), headers=key(f"a-{ann}")), 409, "id_reused")
    found = (await carol.get(f"{path}/a-{ann}")).json()
    assert (found["points"], found["state"], found["decided_by"]) == (100, "applied", "")
    told(await carol.get(f"{path}/nothing"), 404, "adjustment_unknown")


async def test_over_the_limit_another_persons_key_must_approve(
    carol: httpx.AsyncClient, dave: httpx.AsyncClient, ann: str
) -> None:
    path = f"{GROCER}/members/card:{ann}/adjustments"
    asked = (await carol.post(path, json=by_hand(101), headers=key(f"a-{ann}"))).json()
    assert (asked["state"], asked["balance"]["posted"]) == ("requested", 100)
    waiting = (await dave.get(f"{GROCER}/adjustments")).json()["adjustments"]
    assert [one["requested_by"] for one in waiting if one["member"] == ann] == [asked["requested_by"]]
    approve = f"{path}/a-{ann}/approve"
    told(await carol.post(approve, json={}, headers=key(f"c-{ann}")), 409, "second_person_needed")
    for status in (201, 200):
        answer = await dave.post(approve, json={}, headers=key(f"d-{ann}"))
        assert answer.status_code == status, answer.text
        assert (answer.json()["state"], answer.json()["balance"]["posted"]) == ("applied", 201)
        assert answer.json()["decided_by"] not in ("", asked["requested_by"])
    waiting = (await dave.get(f"{GROCER}/adjustments")).json()["adjustments"]
    assert [one for one in waiting if one["member"] == ann] == []
    statement = (await carol.get(f"{GROCER}/members/{ann}/statement")).json()["entries"]
    assert [(entry["type"], entry["points"]) for entry in statement[-2:]] == [
        ("AdjustmentRequested", 0),
        ("PointsAdjusted", 101),
    ]


async def test_what_was_asked_for_can_be_declined(
    carol: httpx.AsyncClient, dave: httpx.AsyncClient, ann: str
) -> None:
    path = f"{GROCER}/members/{ann}/adjustments"
    told(await carol.post(path, json=by_hand(-101), headers=key(f"x-{ann}")), 409, "insufficient_points")
    await carol.post(path, json=by_hand(101), headers=key(f"a/{ann}"))
    decline = f"{path}/a%2F{ann}/decline"
    for status in (201, 200):
        answer = await dave.post(decline, json={"note": "no receipt"}, headers=key(f"d-{ann}"))
        assert (answer.status_code, answer.json()["state"]) == (status, "declined")
        assert answer.json()["points"] == 101
    approve = await dave.post(f"{path}/a%2F{ann}/approve", json={}, headers=key(f"y-{ann}"))
    told(approve, 409, "adjustment_already_declined")


async def test_points_by_hand_are_for_ops_alone_and_in_the_totals(
    ledger: Served, carol: httpx.AsyncClient, ann: str
) -> None:
    path = f"{GROCER}/members/{ann}/adjustments"
    async with ledger.client(await ledger.token("pos", "checkout", "member", "audit")) as other:
        told(await other.post(path, json=by_hand(1), headers=key("x")), 403, "forbidden")
        told(
            await other.post(f"{GROCER}/members/{ann}/close", json={"reason": "x"}, headers=key("x")),
            403,
            "forbidden",
        )
    before = (await carol.get(f"{GROCER}/totals")).json()
    await carol.post(path, json=by_hand(-30), headers=key(f"a-{ann}"))
    await carol.post(f"{GROCER}/members/{ann}/close", json={"reason": "x"}, headers=key(f"c-{ann}"))
    after = (await carol.get(f"{GROCER}/totals")).json()
    assert after["adjusted"] - before["adjusted"] == -30
    assert after["expired"] - before["expired"] == 70
    assert after["outstanding"] - before["outstanding"] == -100


async def test_a_lost_card_leads_nowhere_and_may_be_given_to_another(
    carol: httpx.AsyncClient, ann: str
) -> None:
    card = f"{GROCER}/members/{ann}/identifiers/card:{ann}"
    told(
        await carol.delete(f"{GROCER}/members/{ann}/identifiers/card:x", headers=key(f"x-{ann}")),
        404,
        "identifier_unknown",
    )
    for status in (201, 200):
        answer = await carol.delete(card, headers=key(f"u-{ann}"))
        assert (answer.status_code, answer.json()["member"]) == (status, ann)
    told(await carol.get(f"{GROCER}/members/card:{ann}"), 404, "unknown_member")
    bob = {"member": f"b{ann}", "identifiers": [{"kind": "card", "value": ann}]}
    assert (await carol.post(f"{GROCER}/members", json=bob)).status_code == 201
    assert (await carol.get(f"{GROCER}/members/card:{ann}")).json()["member"] == f"b{ann}"


async def test_a_suspended_member_earns_and_cant_spend_until_reactivated(
    carol: httpx.AsyncClient, ann: str
) -> None:
    member, reason = f"{GROCER}/members/{ann}", {"reason": "too many returns"}
    assert (await carol.get(member)).json()["status"] == "active"
    for status in (201, 200):
        answer = await carol.post(f"{member}/suspend", json=reason, headers=key(f"s-{ann}"))
        assert (answer.status_code, answer.json()["status"]) == (status, "suspended")
    assert (await carol.get(member)).json()["status"] == "suspended"
    hold = {"order": "o", "amount": 10}
    told(await carol.post(f"{member}/holds", json=hold, headers=key(f"h-{ann}")), 409, "member_suspended")
    bought = await carol.post(f"{GROCER}/purchases", json=purchase(f"q-{ann}", member=ann))
    assert bought.json()["balance"]["available"] == 200
    await carol.post(f"{member}/reactivate", json=reason, headers=key(f"r-{ann}"))
    assert (await carol.post(f"{member}/holds", json=hold, headers=key(f"i-{ann}"))).status_code == 201


async def test_a_closed_member_has_nothing_and_is_refused_everything(
    carol: httpx.AsyncClient, ann: str
) -> None:
    member, reason = f"{GROCER}/members/{ann}", {"reason": "as asked"}
    hold = {"order": "o", "amount": 10}
    await carol.post(f"{member}/holds", json=hold, headers=key(f"h-{ann}"))
    told(await carol.post(f"{member}/close", json=reason, headers=key(f"x-{ann}")), 409, "holds_open")
    await carol.post(f"{member}/holds/h-{ann}/release", json={}, headers=key(f"l-{ann}"))
    for status in (201, 200):
        answer = await carol.post(f"{member}/close", json=reason, headers=key(f"c-{ann}"))
        assert (answer.status_code, answer.json()["forfeited"]) == (status, 100)
    seen = (await carol.get(member)).json()
    assert (seen["status"], seen["points"]["posted"]) == ("closed", 0)
    bought = await carol.post(f"{GROCER}/purchases", json=purchase(f"q-{ann}", member=f"card:{ann}"))
    told(bought, 409, "member_closed")
    told(await carol.post(f"{member}/reactivate", json=reason, headers=key(f"r-{ann}")), 409, "member_closed")
