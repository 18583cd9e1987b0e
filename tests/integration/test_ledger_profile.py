"""Personal data through HTTP and the database: nothing in clear at rest, and nothing left that opens it once erased."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from services.ops.local.postgres import LocalPostgres
from services.ops.replay.run import replay
from services.ops.verify.run import Book, verify_book
from tests.integration.ledger_http import GROCER, purchase, served

pytestmark = pytest.mark.integration

PROFILE = {"birthday": "1990-02-28", "name": "Ann Example", "email": "ann@example.org", "tags": ["vegan"]}
CLEAR = (b"Ann Example", b"ann@example.org", b"1990-02-28", b"vegan")


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


async def at_rest(url: str) -> bytes:
    """Everything that the ledger's database holds in bytes."""
    owner = await asyncpg.connect(url)
    try:
        rows = [
            *await owner.fetch("SELECT payload FROM journal"),
            *await owner.fetch("SELECT digest FROM inbox"),
            *await owner.fetch("SELECT sealed FROM profiles"),
            *await owner.fetch("SELECT key FROM member_keys"),
        ]
    finally:
        await owner.close()
    return b"".join(row[0] for row in rows)


async def test_a_profile_is_told_read_and_erased(postgres: LocalPostgres, bootstrap: str) -> None:
    async with served(postgres.url, bootstrap) as ledger, ledger.client(ledger.tokens["ops"]) as ops:
        path = f"{GROCER}/members/ann"
        card = [{"kind": "card", "value": "6001"}]
        enrolment = {"member": "ann", "id": "e1", "identifiers": card, "profile": {"name": "Ann"}}
        assert (await ops.post(f"{GROCER}/members", json=enrolment)).status_code == 201
        assert (await ops.post(f"{GROCER}/members", json=enrolment)).json()["duplicate"]
        assert (await ops.get(f"{path}/profile")).json()["name"] == "Ann"

        first = await ops.put(f"{path}/profile", json=PROFILE, headers=key("k1"))
        assert first.status_code == 201, first.text
        again = await ops.put(f"{path}/profile", json=PROFILE, headers=key("k1"))
        other = await ops.put(f"{path}/profile", json={"name": "Bob"}, headers=key("k1"))
        assert (again.status_code, other.status_code) == (200, 409)
        found = (await ops.get(f"{GROCER}/members/card:6001/profile")).json()
        assert found == {"member": "ann", **PROFILE, "phone": None}
        held = await at_rest(ledger.owner_url)
        assert not [text for text in CLEAR if text in held]

        wrong = await ops.put(f"{path}/profile", json={"birthday": "28.2.1990"}, headers=key("k2"))
        assert wrong.status_code == 422
        async with ledger.client(await ledger.token("pos")) as till:
            assert (await till.get(f"{path}/profile")).status_code == 403
            assert (await till.post(f"{path}/erase", headers=key("x"))).status_code == 403

        await ops.post(f"{GROCER}/purchases", json=purchase("p1", member="ann"))
        erased = await ops.post(f"{path}/erase", headers=key("x1"))
        assert (erased.status_code, erased.json()["member"]) == (201, "ann")
        assert (await ops.get(f"{path}/profile")).json()["code"] == "profile_unknown"
        assert (await ops.get(f"{GROCER}/members/card:6001")).json()["code"] == "unknown_member"
        assert (await ops.get(path)).json()["points"]["posted"] == 100
        owner = await asyncpg.connect(ledger.owner_url)
        assert await owner.fetchval("SELECT count(*) FROM member_keys") == 0
        await owner.close()

        # The book adds up, and is rebuilt without any key.
        result = await asyncio.to_thread(replay, "ledger", {"ledger": ledger.owner_url}, 1)
        assert result.same
        verified = await asyncio.to_thread(verify_book, Book({"ledger": ledger.owner_url}))
        assert [f for f in verified.report.findings if "relay" not in f.where] == []
