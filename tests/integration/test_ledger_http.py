"""The ledger by HTTP: what a till, a checkout and a stranger are answered. No bad input is our fault."""

from __future__ import annotations

import asyncio
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
from services.common.problem import BODY_BYTES_MAX, MEDIA_TYPE, TYPE
from services.ops.local.postgres import LocalPostgres
from tests.integration.ledger_http import GROCER, Served, purchase, served
from tests.integration.ledger_rows import DOCUMENT

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ledger(postgres: LocalPostgres, bootstrap: str) -> AsyncIterator[Served]:
    async with served(postgres.url, bootstrap) as found:
        yield found


@pytest_asyncio.fixture
async def ops(ledger: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with ledger.client(ledger.tokens["ops"]) as client:
        yield client


@pytest.fixture
def member() -> str:
    """A member of this test's own."""
    return f"m{uuid4().hex[:12]}"


def told(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that an answer is; its form is checked."""
    assert answer.headers["content-type"] == MEDIA_TYPE, answer.text
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert body["type"] == TYPE + code
    assert body["status"] == status
    assert body["detail"]
    assert body["title"]
    return body


def bought(member: str, id_: str = "", **changes: Any) -> dict[str, Any]:
    return purchase(id_ or f"p-{member}", member=member, **changes)


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


async def test_a_till_prints_what_a_purchase_earned_and_the_same_again(
    ops: httpx.AsyncClient, member: str
) -> None:
    first = await ops.post(f"{GROCER}/purchases", json=bought(member))
    again = await ops.post(f"{GROCER}/purchases", json=bought(member), headers=key(f"p-{member}"))
    assert (first.status_code, again.status_code) == (201, 200)
    body = first.json()
    assert (body["points"], body["member"], body["tier"], body["duplicate"]) == (100, member, "", False)
    assert body["balance"] == {"available": 100, "posted": 100, "held": 0, "debt": 0, "pending": 0}
    assert [rule["rule"] for rule in body["rules"]] == ["base", "rounding floor"]
    assert body["expires_at"] == "2027-01-05T12:00:00+00:00"
    assert again.json() == {**body, "duplicate": True}


async def test_a_return_says_what_went_back_and_what_is_owed(ops: httpx.AsyncClient, member: str) -> None:
    await ops.post(f"{GROCER}/purchases", json=bought(member))
    holds = f"{GROCER}/members/{member}/holds"
    await ops.post(holds, json={"order": "o", "amount": 70}, headers=key(f"h-{member}"))
    await ops.post(f"{holds}/h-{member}/capture", json={}, headers=key(f"c-{member}"))
    body = {
        "id": f"r-{member}", "member": member, "occurred_at": "2026-01-05T13:00:00Z", "of": f"p-{member}",
        "lines": [{"line": 1, "quantity": 1}],
    }  # fmt: skip
    for duplicate in (False, True):
        answer = (await ops.post(f"{GROCER}/returns", json=body)).json()
        assert (answer["points"], answer["debt"], answer["duplicate"]) == (100, 70, duplicate)
        assert answer["balance"] == {"available": 0, "posted": -70, "held": 0, "debt": 70, "pending": 0}


async def test_a_checkout_holds_captures_and_releases_and_may_repeat_every_step(
    ops: httpx.AsyncClient, member: str
) -> None:
    await ops.post(f"{GROCER}/purchases", json=bought(member))
    holds = f"{GROCER}/members/{member}/holds"
    one, two = f"h1-{member}", f"h2-{member}"
    for status in (201, 200):
        placed = await ops.post(holds, json={"order": "o1", "amount": 60}, headers=key(one))
        assert (placed.status_code, placed.json()["state"]) == (status, "open")
        assert placed.json()["balance"]["available"] == 40
    told(
        await ops.post(holds, json={"order": "o2", "amount": 41}, headers=key(two)),
        409,
        "insufficient_points",
    )
    told(
        await ops.post(holds, json={"order": "o2", "amount": 41}, headers=key(two)),
        409,
        "insufficient_points",
    )
    told(await ops.post(holds, json={"order": "o2", "amount": 40}, headers=key(two)), 409, "id_reused")
    capture = f"{holds}/{one}/capture"
    told(await ops.post(capture, json={"amount": 61}, headers=key(f"x-{member}")), 422, "amount_exceeds_hold")
    for status in (201, 200):
        spent = await ops.post(capture, json={"amount": 45}, headers=key(f"c-{member}"))
        assert (spent.status_code, spent.json()["captured"]) == (status, 45)
    told(await ops.post(capture, json={}, headers=key(f"c2-{member}")), 409, "hold_already_captured")
    found = (await ops.get(f"{holds}/{one}")).json()
    assert (found["state"], found["captured"], found["balance"]["posted"]) == ("captured", 45, 55)
    third = f"h3-{member}"
    await ops.post(holds, json={"order": "o3", "amount": 55}, headers=key(third))
    freed = await ops.post(f"{holds}/{third}/release", json={}, headers=key(f"r-{member}"))
    assert (freed.json()["state"], freed.json()["balance"]["available"]) == ("released", 55)
    told(
        await ops.post(f"{holds}/{third}/release", json={}, headers=key(f"r2-{member}")),
        409,
        "hold_already_released",
    )


async def test_of_50_requests_for_100_points_of_1000_exactly_10_are_granted(
    ops: httpx.AsyncClient, member: str
) -> None:
    line = {"id": 1, "sku": "", "category": "", "quantity": 1, "amount": 100_000}
    await ops.post(f"{GROCER}/purchases", json=bought(member, lines=[line]))
    holds = f"{GROCER}/members/{member}/holds"
    answers = await asyncio.gather(
        *(
            ops.post(holds, json={"order": f"o{n}", "amount": 100}, headers=key(f"h{n}-{member}"))
            for n in range(50)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {201: 10, 409: 40}


async def test_a_member_is_found_by_any_identifier(ops: httpx.AsyncClient, member: str) -> None:
    body = {"member": member, "identifiers": [{"kind": "card", "value": f"6001 {member}"}]}
    assert (await ops.post(f"{GROCER}/members", json=body)).status_code == 201
    assert (await ops.post(f"{GROCER}/members", json=body)).status_code == 200
    found = await ops.get(f"{GROCER}/members/card:6001 {member}")
    assert found.json()["member"] == member
    told(await ops.get(f"{GROCER}/members/card:9999"), 404, "unknown_member")
    other = {**body, "member": f"{member}x"}
    for _ in range(2):
        assert (
            "another member"
            in told(await ops.post(f"{GROCER}/members", json=other), 409, "identifier_taken")["detail"]
        )


async def test_a_statement_is_paged_by_cursor_and_says_why(ops: httpx.AsyncClient, member: str) -> None:
    for n in range(5):
        await ops.post(f"{GROCER}/purchases", json=bought(member, f"p{n}-{member}"))
    entries, after = [], "0"
    while after is not None:
        page = (
            await ops.get(f"{GROCER}/members/{member}/statement", params={"after": after, "limit": 4})
        ).json()
        entries += page["entries"]
        after = page["next"]
    assert [entry["type"] for entry in entries] == [
        "MemberEnrolled",
        *(["PurchaseRecorded", "PointsAccrued"] * 5),
    ]
    assert sum(entry["points"] for entry in entries) == 500
    assert entries[2]["rules"][0]["arithmetic"].startswith("10000 USD minor units x 1/100")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"currency": "EUR"}, 422, "currency_mismatch"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, 422, "occurred_in_future"),
        ({"occurred_at": "1969-12-31T23:59:59Z"}, 422, "occurred_too_early"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, 422, "invalid_request"),
        ({"occurred_at": "9999-12-31T23:00:00-14:00"}, 422, "invalid_request"),
        ({"occurred_at": "2026-01-05T12:00:00"}, 422, "invalid_request"),
        ({"occurred_at": "noon"}, 422, "invalid_request"),
        ({"occurred_at": 1_767_614_400}, 422, "invalid_request"),
        ({"occurred_at": "1767614400000"}, 422, "invalid_request"),
        ({"occurred_at": None}, 422, "invalid_request"),
        ({"lines": []}, 422, "lines_out_of_range"),
        ({"lines": [{"id": 1, "amount": -1}]}, 422, "amount_out_of_range"),
        ({"lines": [{"id": 1, "amount": 10**12 + 1}]}, 422, "amount_out_of_range"),
        ({"lines": [{"id": 1, "amount": 2**63}]}, 422, "invalid_request"),
        ({"lines": [{"id": 1, "amount": 10**400}]}, 422, "invalid_request"),
        ({"lines": [{"id": 1, "amount": 37.45}]}, 422, "invalid_request"),
        ({"lines": [{"id": 1, "amount": "3745"}]}, 422, "invalid_request"),
        ({"lines": [{"id": 1, "amount": True}]}, 422, "invalid_request"),
        ({"lines": [{"id": 1, "amount": 1, "quantity": 0}]}, 422, "quantity_out_of_range"),
        ({"lines": [{"id": 1, "amount": 1}, {"id": 1, "amount": 1}]}, 422, "line_repeated"),
        ({"lines": [{"id": -1, "amount": 1}]}, 422, "invalid_request"),
        ({"lines": [{"id": 2**32, "amount": 1}]}, 422, "invalid_request"),
        ({"lines": [{"id": 1, "amount": 1, "sku": "\0"}]}, 422, "invalid_request"),
        ({"lines": [{"id": 1, "amount": 1}] * 2_001}, 422, "invalid_request"),
        ({"id": ""}, 422, "invalid_request"),
        ({"id": "p 1"}, 422, "invalid_request"),
        ({"id": "p\n"}, 422, "invalid_request"),
        ({"member": ""}, 422, "invalid_request"),
        ({"member": "ann\n"}, 422, "invalid_request"),
        ({"member": "card:nobodys"}, 404, "unknown_member"),
        ({"store": "s" * 201}, 422, "invalid_request"),
        ({"colour": "red"}, 422, "invalid_request"),
    ],
)
async def test_a_bad_purchase_is_a_problem_that_says_what_to_do(
    ops: httpx.AsyncClient, member: str, changes: dict[str, Any], status: int, code: str
) -> None:
    body = {**bought(member), **changes}
    for _ in range(2):
        told(await ops.post(f"{GROCER}/purchases", json=body), status, code)
    told(await ops.get(f"{GROCER}/members/{member}"), 404, "unknown_member")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"id": "\\ud800"}',
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b'{"amount": NaN}',
    ],
    ids=["empty", "cut", "list", "null", "not UTF-8", "surrogate", "deep list", "deep object", "NaN"],
)
async def test_bodies_that_are_no_json_of_ours(ops: httpx.AsyncClient, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    for path, method in (("/purchases", "POST"), ("", "PUT"), ("/members/ann/holds", "POST")):
        answer = await ops.request(method, GROCER + path, content=content, headers={**headers, **key("k")})
        assert 400 <= answer.status_code < 500, (path, answer.text)
        assert answer.headers["content-type"] == MEDIA_TYPE


async def test_a_body_over_the_limit_is_refused_however_it_is_sent(ops: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 100_000 + 1):
            yield b" " * 100_000

    for path, method in (("/purchases", "POST"), ("", "PUT")):
        told(
            await ops.request(method, GROCER + path, content=b" " * (BODY_BYTES_MAX + 1)),
            413,
            "body_too_large",
        )
        told(await ops.request(method, GROCER + path, content=chunks()), 413, "body_too_large")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("GET", "/members/ann"), ("GET", "/members/card:1"), ("GET", "/members/ann/statement"),
        ("GET", "/members/ann/holds/h1"),
    ],
)  # fmt: skip
async def test_a_program_or_member_that_is_not_there(ops: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await ops.request(method, f"/v1/programs/nobodys{path}")
    assert answer.status_code == 404
    assert answer.json()["code"] in ("unknown_program", "unknown_member", "hold_unknown")


async def test_writes_to_a_program_that_is_not_there(ops: httpx.AsyncClient, member: str) -> None:
    nobodys = "/v1/programs/nobodys"
    told(await ops.post(f"{nobodys}/purchases", json=bought(member)), 404, "unknown_program")
    told(await ops.post(f"{nobodys}/members", json={"member": member}), 404, "unknown_program")
    hold = await ops.post(
        f"{nobodys}/members/{member}/holds", json={"order": "o", "amount": 1}, headers=key(member)
    )
    told(hold, 404, "unknown_program")
    told(await ops.post(f"{nobodys}/clock", json={"to": "2026-01-05T12:00:00Z"}), 404, "unknown_program")
    for path in ("/totals", "/adjustments"):
        told(await ops.get(nobodys + path), 404, "unknown_program")


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({**DOCUMENT, "program": "other"}, "program"),
        ({**DOCUMENT, "time_zone": "Mars/Olympus"}, "time_zone"),
        ({**DOCUMENT, "clock": "sun"}, "clock"),
        ({**DOCUMENT, "colour": "red"}, "colour"),
        ({k: v for k, v in DOCUMENT.items() if k != "ledger"}, "ledger"),
        ({**DOCUMENT, "ledger": {**DOCUMENT["ledger"], "currency": "usd"}}, "ledger.currency"),
        ({**DOCUMENT, "ledger": {**DOCUMENT["ledger"], "expiry": {"months": 0}}}, "ledger.expiry.months"),
        (
            {**DOCUMENT, "ledger": {**DOCUMENT["ledger"], "earning": {"points_per_unit": "-1"}}},
            "earning.points_per_unit",
        ),
    ],
)
async def test_a_wrong_program_is_refused_by_the_name_of_its_field(
    ops: httpx.AsyncClient, document: dict[str, Any], field: str
) -> None:
    assert field in told(await ops.put(GROCER, json=document), 422, "program_invalid")["detail"]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
async def test_a_program_holds_no_number_that_json_has_not(ops: httpx.AsyncClient, number: float) -> None:
    content = json.dumps({**DOCUMENT, "tiering": {"metric": number}})
    assert "no number" in told(await ops.put(GROCER, content=content), 422, "program_invalid")["detail"]


@pytest.mark.parametrize("to", ["9001-01-01T00:00:00Z", "9998-12-31T23:59:59-12:00"])
async def test_a_clock_stops_before_dates_end(ops: httpx.AsyncClient, to: str) -> None:
    told(await ops.post(f"{GROCER}/clock", json={"to": to}), 422, "clock_out_of_range")


async def test_a_clock_that_is_sent_back_stays_and_the_answer_says_so(ops: httpx.AsyncClient) -> None:
    back = (await ops.post(f"{GROCER}/clock", json={"to": "2020-01-01T00:00:00Z"})).json()
    assert back["clock"] >= "2026-01-05T12:00:00+00:00"


async def test_the_clock_of_a_program_on_the_walls_time_is_not_ours_to_move(ops: httpx.AsyncClient) -> None:
    await ops.put("/v1/programs/walled", json={**DOCUMENT, "program": "walled", "clock": "wall"})
    told(
        await ops.post("/v1/programs/walled/clock", json={"to": "2030-01-01T00:00:00Z"}),
        409,
        "clock_not_ours",
    )


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer x",
        "Bearer tb_",
        "Bearer tb_0_x",
        "Bearer tb_é_x",
        "Basic dTpw",
        "Bearer tb_a\x00b_c",
    ],
)
async def test_without_a_known_key_nothing_is_told(ledger: Served, authorization: str | None) -> None:
    async with ledger.client(None) as client:
        headers = {} if authorization is None else {"Authorization": authorization.encode()}
        answer = await client.get(f"{GROCER}/totals", headers=headers)
    told(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_wrong_secret_a_revoked_and_an_expired_key_are_unknown(ledger: Served) -> None:
    expired = await ledger.token("ops", expires_at=utc_now() - timedelta(seconds=1))
    revoked = await ledger.token("ops")
    owner = await asyncpg.connect(ledger.owner_url)
    await owner.execute("UPDATE api_keys SET revoked_at = now() WHERE key_id = $1", revoked.split("_")[1])
    await owner.close()
    for token in (expired, revoked, ledger.tokens["ops"] + "x", ledger.tokens["ops"][:-1]):
        async with ledger.client(token) as client:
            told(await client.get(f"{GROCER}/totals"), 401, "unauthenticated")


async def test_a_key_is_bound_to_its_program_and_store(ledger: Served, member: str) -> None:
    async with ledger.client(await ledger.token("pos", programs=("other",))) as client:
        told(await client.post(f"{GROCER}/purchases", json=bought(member)), 403, "forbidden")
    async with ledger.client(await ledger.token("pos", programs=("grocer",), stores=("s2",))) as client:
        told(await client.post(f"{GROCER}/purchases", json=bought(member)), 403, "forbidden")
        told(await client.post(f"{GROCER}/purchases", json=bought(member, store="")), 403, "forbidden")
        assert (await client.post(f"{GROCER}/purchases", json=bought(member, store="s2"))).status_code == 201


async def test_what_is_not_there_and_what_is_not_done_are_problems_too(ops: httpx.AsyncClient) -> None:
    assert "/docs" in told(await ops.get("/v1/nothing"), 404, "not_found")["detail"]
    assert "DELETE" in told(await ops.delete(GROCER), 405, "method_not_allowed")["detail"]
    deep = {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}
    assert "JSON" in told(await ops.post(f"{GROCER}/purchases", **deep), 422, "invalid_request")["detail"]
    plain = {"content": b"{}", "headers": {"content-type": "text/plain"}}
    answer = told(await ops.post(f"{GROCER}/purchases", **plain), 422, "invalid_request")
    assert "Content-Type: application/json" in answer["detail"]
    told(await ops.get("/v1/programs/No%20Program"), 422, "invalid_request")
    told(await ops.get(f"{GROCER}/members/a%00b"), 422, "invalid_request")
    told(await ops.get(f"{GROCER}/members/ann/statement?limit=0"), 422, "invalid_request")
    told(await ops.get(f"{GROCER}/members/ann/statement?after=99999999999999999999"), 422, "invalid_request")


async def test_an_idempotency_key_is_needed_where_the_body_has_no_id(
    ops: httpx.AsyncClient, member: str
) -> None:
    holds = f"{GROCER}/members/{member}/holds"
    told(await ops.post(holds, json={"order": "o", "amount": 1}), 422, "invalid_request")
    told(await ops.post(holds, json={"order": "o", "amount": 1}, headers=key("a b")), 422, "invalid_request")
    told(
        await ops.post(f"{GROCER}/purchases", json=bought(member), headers=key("x")),
        400,
        "idempotency_key_mismatch",
    )


async def test_the_service_says_how_it_is(ledger: Served) -> None:
    async with ledger.client(None) as client:
        assert (await client.get("/health/live")).json() == {"live": True}
        ready = (await client.get("/health/ready")).json()
        assert ready["ready"] is True
        assert "tallybook_commands_total" in (await client.get("/metrics")).text
        assert (await client.get("/docs")).status_code == 200
