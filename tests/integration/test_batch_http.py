"""A till that was offline sends what it has: an answer for each line, few transactions, and safe to send again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

from services.common.clock import utc_now
from services.common.codec import MAX_VALUE_BYTES
from services.ledger.routes import batch
from services.ops.local.postgres import LocalPostgres
from tests.integration.ledger_http import GROCER, Served, purchase, served
from tests.integration.ledger_rows import SOCIAL
from tests.integration.test_ledger_http import told

pytestmark = pytest.mark.integration
CAFE: dict[str, Any] = {**SOCIAL, "program": "cafe", "ledger": {**SOCIAL["ledger"], "stored_value": {}}}
"""A program for all that a till can do."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ledger(postgres: LocalPostgres, bootstrap: str) -> AsyncIterator[Served]:
    async with served(postgres.url, bootstrap) as found:
        yield found


@pytest_asyncio.fixture
async def till(ledger: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with ledger.client(await ledger.token("pos")) as client:
        yield client


@pytest.fixture
def member() -> str:
    """A member of this test's own."""
    return f"m{uuid4().hex[:12]}"


def bought(id_: str, **changes: Any) -> dict[str, Any]:
    return {"type": "purchase", "program": "grocer", **purchase(id_, **changes)}


def returned(id_: str, of: str, member: str) -> dict[str, Any]:
    return {
        "type": "return", "program": "grocer", "id": id_, "member": member, "of": of,
        "occurred_at": "2026-01-05T13:00:00Z", "lines": [{"line": 1, "quantity": 1}],
    }  # fmt: skip


def joined(member: str, card: str) -> dict[str, Any]:
    return {
        "type": "enrolment", "program": "grocer", "member": member, "occurred_at": "2026-01-05T12:00:00Z",
        "identifiers": [{"kind": "card", "value": card}],
    }  # fmt: skip


def body(*lines: Any) -> bytes:
    return b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)


async def send(till: httpx.AsyncClient, *lines: Any) -> list[dict[str, Any]]:
    answer = await till.post(batch.PATH, content=body(*lines))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == batch.MEDIA_TYPE
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_what_happened_in_order_counts_in_order_and_once(till: httpx.AsyncClient, member: str) -> None:
    """A member enrols, buys by the card, brings it back, in one request; a line that names a stranger is refused."""
    lines = [
        joined(member, f"c-{member}"),
        bought(f"p-{member}", member=f"card:c-{member}"),
        returned(f"r-{member}", f"p-{member}", member),
        bought(f"q-{member}", member=f"card:x-{member}"),
        bought(f"s-{member}", member=member),
    ]
    first = await send(till, *lines, b"")
    assert [line["line"] for line in first] == [1, 2, 3, 4, 5]
    assert [line["outcome"] for line in first] == ["recorded"] * 3 + ["refused", "recorded"]
    assert [line.get("points") for line in first] == [0, 100, -100, None, 100]
    assert [line.get("member") for line in first] == [member, member, member, None, member]
    assert first[3]["problem"]["code"] == "unknown_member"
    assert not any(line["duplicate"] for line in first)
    again = await send(till, *lines)
    assert all(line["duplicate"] for line in again)
    assert [line["outcome"] for line in again] == [line["outcome"] for line in first]
    assert (await till.get(f"{GROCER}/members/{member}")).json()["points"]["posted"] == 100


async def test_a_line_that_is_wrong_is_told_and_the_others_count(
    ledger: Served, till: httpx.AsyncClient, member: str
) -> None:
    lines = [
        b"{",
        b"\xff\xfe",
        b"[]",
        {"type": "gift", "program": "grocer"},
        {**bought("x"), "colour": "red"},
        {**bought("x"), "program": "No Program"},
        bought(f"n-{member}", member=member, program="nobodys"),
        bought(f"e-{member}", member=member, currency="EUR"),
        bought(f"p-{member}", member=member),
        b" " * 10 + json.dumps(bought(f"l-{member}", member=member, store="s" * 201)).encode(),
    ]
    answers = await send(till, *lines)
    codes = [answer.get("problem", {}).get("code") for answer in answers]
    wrong = "invalid_request"
    assert codes == [wrong] * 6 + ["unknown_program", "currency_mismatch", None, wrong]
    assert all(answer["problem"]["detail"] for answer in answers if "problem" in answer)
    async with ledger.client(await ledger.token("pos", stores=("s2",))) as other:
        mine = bought(f"o-{member}", member=member, store="s2")
        answers = await send(other, bought(f"o1-{member}", member=member), mine)
    assert [answer.get("problem", {}).get("code") for answer in answers] == ["forbidden", None]


async def test_thousands_of_lines_take_a_transaction_a_slice(
    ledger: Served, till: httpx.AsyncClient, member: str
) -> None:
    count = 2_000
    lines = [bought(f"{member}-{n}", member=f"{member}-{n % 300}") for n in range(count)]
    answers = await send(till, *lines)
    assert Counter(answer["outcome"] for answer in answers) == {"recorded": count}
    owner = await asyncpg.connect(ledger.owner_url)
    try:
        written = await owner.fetchval(
            "SELECT count(DISTINCT xmin::text) FROM journal WHERE cause_id LIKE $1", f"{member}-%"
        )
    finally:
        await owner.close()
    assert written == count / batch.SLICE


async def test_the_same_line_twice_in_a_batch_counts_once(till: httpx.AsyncClient, member: str) -> None:
    line = bought(f"p-{member}", member=member)
    other = bought(f"p-{member}", member=member, channel="web")
    one, two, three = await send(till, line, line, other)
    assert (one["duplicate"], two["duplicate"]) == (False, True)
    assert three["problem"]["code"] == "id_reused"


async def test_a_till_whose_clock_is_off_is_told_and_earns_all_the_same(
    till: httpx.AsyncClient, member: str
) -> None:
    now = utc_now()
    times = {
        "late": now - timedelta(days=3), "on time": now - timedelta(hours=1), "ahead": now + timedelta(minutes=10),
    }  # fmt: skip
    lines = [
        bought(f"{member}-{n}", member=member, occurred_at=at.isoformat())
        for n, at in enumerate(times.values())
    ]
    answers = await send(till, *lines)
    assert [answer["flags"] for answer in answers] == [["late"], [], ["clock_ahead"]]
    assert [answer["points"] for answer in answers] == [100, 100, 100]


async def test_a_database_that_is_away_is_told_line_by_line(postgres: LocalPostgres, bootstrap: str) -> None:
    async with served(postgres.url, bootstrap) as found, found.client(found.tokens["ops"]) as till:
        lines = [bought(f"p{n}", member="ann") for n in range(batch.SLICE + 1)]
        await found.app.state.ledger.queue.writer.close()
        answers = await send(till, *lines, b"{")
    codes = [answer["problem"]["code"] for answer in answers]
    assert codes == ["temporarily_unavailable"] * len(lines) + ["invalid_request"]


async def test_a_batch_has_its_own_limits(ledger: Served, till: httpx.AsyncClient) -> None:
    told(await till.post(batch.PATH, content=b""), 422, "lines_out_of_range")
    told(await till.post(batch.PATH, content=b"\n{}" * (batch.LINES_MAX + 1)), 422, "lines_out_of_range")
    told(await till.post(batch.PATH, content=b" " * (batch.BODY_BYTES_MAX + 1)), 413, "body_too_large")
    (long,) = await send(till, b"{" + b" " * MAX_VALUE_BYTES)
    assert long["problem"]["code"] == "body_too_large"
    async with ledger.client(await ledger.token("audit")) as other:
        told(await other.post(batch.PATH, content=b"{}"), 403, "forbidden")


async def test_a_till_sends_all_that_it_can_do_alone(ledger: Served, member: str) -> None:
    """Top-ups and their reversals, interactions and referrals, as the single routes take them."""
    async with ledger.client(ledger.tokens["ops"]) as ops:
        told_to = {"program": "cafe", "occurred_at": "2026-01-05T12:00:00Z"}
        assert (await ops.put("/v1/programs/cafe", json=CAFE)).status_code == 201
        friend = f"f{member}"
        lines = [
            {**joined(member, f"c-{member}"), "program": "cafe"},
            {"type": "top_up", "id": f"t1-{member}", "member": member, "currency": "USD", "amount": 5_000, **told_to},
            {"type": "top_up", "id": f"t2-{member}", "member": member, "currency": "USD", "amount": 700, **told_to},
            {"type": "top_up_reversal", "id": f"u-{member}", "member": member, "of": f"t2-{member}", **told_to},
            {"type": "interaction", "id": f"i-{member}", "member": member, "kind": "review", "content": "c1",
             **told_to},
            {"type": "referral", "id": f"r-{member}", "member": friend, "step": "registered",
             "referrer": f"card:c-{member}", **told_to},
            {"type": "referral", "id": f"s-{member}", "member": friend, "step": "task", "task": "bind_phone",
             **told_to},
            {"type": "top_up", "id": f"t3-{member}", "member": member, "currency": "EUR", "amount": 1, **told_to},
        ]  # fmt: skip
        first = await send(ops, *lines)
        assert [line.get("problem", {}).get("code") for line in first] == [None] * 7 + [
            "currency_mismatch"
        ], first
        assert [line["outcome"] for line in first[:7]] == ["recorded"] * 7
        assert [line.get("points") for line in first[:7]] == [0, 0, 0, 0, 10, 0, 0]
        assert [line["flags"] for line in first] == [["late"]] * 8
        again = await send(ops, *lines)
        assert all(line["duplicate"] for line in again)
        found = (await ops.get(f"/v1/programs/cafe/members/{member}")).json()
        assert found["money"]["USD"]["principal"] == 5_000
        single = {key: value for key, value in lines[4].items() if key not in ("type", "program")}
        answer = (await ops.post("/v1/programs/cafe/interactions", json=single)).json()
        assert (answer["duplicate"], answer["flags"], answer["points"]) == (True, ["late"], 10)


async def test_a_till_may_send_no_money_with_a_key_for_the_checkout(ledger: Served, member: str) -> None:
    line = {
        "type": "top_up", "program": "grocer", "id": f"t-{member}", "member": member, "currency": "USD",
        "amount": 100, "occurred_at": "2026-01-05T12:00:00Z",
    }  # fmt: skip
    async with ledger.client(await ledger.token("checkout")) as other:
        (answer,) = await send(other, line)
    assert answer["problem"]["code"] == "forbidden"
