"""Interactions and referrals over HTTP: the answer says what was earned, or why nothing was, and says it again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from services.ops.local.postgres import LocalPostgres
from tests.integration.ledger_http import GROCER, Served, purchase, served
from tests.integration.ledger_rows import SOCIAL

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]
NOON = "2026-01-05T12:00:00Z"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ledger(postgres: LocalPostgres, bootstrap: str) -> AsyncIterator[Served]:
    async with served(postgres.url, bootstrap) as found:
        async with found.client(found.tokens["ops"]) as client:
            assert (await client.put(GROCER, json=SOCIAL)).status_code == 201
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def shop(ledger: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with ledger.client(await ledger.token("checkout", "pos", "ops")) as client:
        yield client


@pytest.fixture
def member() -> str:
    """A member of this test's own."""
    return f"m{uuid4().hex[:12]}"


async def interact(shop: httpx.AsyncClient, id_: str, member: str, **more: Any) -> httpx.Response:
    body = {"id": id_, "member": member, "occurred_at": NOON, "kind": "review", **more}
    return await shop.post(f"{GROCER}/interactions", json=body)


async def refer(shop: httpx.AsyncClient, id_: str, referee: str, **more: Any) -> httpx.Response:
    body = {"id": id_, "member": referee, "occurred_at": NOON, "step": "registered", **more}
    return await shop.post(f"{GROCER}/referrals", json=body)


async def test_an_interaction_says_what_it_earned_and_the_same_again(
    shop: httpx.AsyncClient, member: str
) -> None:
    first = await interact(shop, f"i-{member}", member, content="c1")
    again = await interact(shop, f"i-{member}", member, content="c1")
    assert (first.status_code, again.status_code) == (201, 200), first.text
    body = first.json()
    assert (body["points"], body["reason"], body["balance"]["available"]) == (10, None, 10)
    assert body["expires_at"] == "2027-01-05T12:00:00+00:00"
    assert again.json() == {**body, "duplicate": True}


async def test_what_earns_nothing_is_recorded_and_says_why_as_often_as_it_is_asked(
    shop: httpx.AsyncClient, member: str
) -> None:
    await interact(shop, f"i-{member}", member, content="c1")
    answers = [await interact(shop, f"j-{member}", member, content="c1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert [(a.json()["points"], a.json()["reason"]) for a in answers] == [(0, "repeated")] * 2
    entries = (await shop.get(f"{GROCER}/members/{member}/statement")).json()["entries"]
    assert [entry["text"] for entry in entries[1:]] == [
        "review of c1",
        f"10 points for interaction i-{member}",
        "review of c1",
        f"nothing for interaction j-{member}: repeated",
    ]


async def test_a_referral_qualifies_with_a_task_and_tells_who_is_owed(
    shop: httpx.AsyncClient, member: str
) -> None:
    friend = f"{member}-friend"
    await interact(shop, f"i-{member}", member, content="c1")
    registered = await refer(shop, f"f-{member}", friend, referrer=member)
    assert (registered.status_code, registered.json()["qualified"]) == (201, False), registered.text
    await shop.post(f"{GROCER}/purchases", json=purchase(f"p-{member}", member=friend))
    task = await refer(shop, f"t-{member}", friend, step="task", task="bind_phone")
    assert (task.json()["qualified"], task.json()["owed"]) == (False, ["referee"])
    statement = (await shop.get(f"{GROCER}/members/{friend}/statement")).json()["entries"]
    assert f"referred by {member}" in [entry["text"] for entry in statement]


@pytest.mark.parametrize(
    ("path", "changes", "status", "code"),
    [
        ("interactions", {"kind": "dance"}, 422, "kind_unknown"),
        ("interactions", {"kind": "review", "content": ""}, 422, "content_missing"),
        ("interactions", {"kind": ""}, 422, "invalid_request"),
        ("referrals", {"step": "registered", "referrer": "nobody"}, 422, "referrer_unknown"),
        ("referrals", {"step": "registered"}, 422, "invalid_request"),
        ("referrals", {"step": "paid"}, 422, "invalid_request"),
        ("referrals", {"step": "task", "task": "dance"}, 422, "task_unknown"),
        ("referrals", {"step": "task", "task": "bind_phone"}, 404, "unknown_member"),
    ],
)
async def test_what_is_wrong_is_a_problem_with_its_code(
    shop: httpx.AsyncClient, member: str, path: str, changes: dict[str, Any], status: int, code: str
) -> None:
    body = {"id": f"x-{member}", "member": member, "occurred_at": NOON, **changes}
    answer = await shop.post(f"{GROCER}/{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_a_members_own_key_does_not_earn(ledger: Served, member: str) -> None:
    async with ledger.client(await ledger.token("member")) as client:
        assert (await interact(client, f"i-{member}", member, content="c1")).status_code == 403
        assert (await refer(client, f"f-{member}", member, referrer="ann")).status_code == 403
