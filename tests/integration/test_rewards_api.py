"""The HTTP API of rewards: a checkout's whole road, and a clear problem for everything that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.integration.rewards_stack import RewardsStack, bearer

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    stack = await servers.with_program()
    await stack.buy("ann", 1_000)
    await stack.carry()
    return stack


def key(value: str) -> dict[str, str]:
    return {"Idempotency-Key": value}


BODY = {"reward": "five_off", "order": "order 17/a"}


async def test_a_checkout_reserves_captures_and_reads(stack: RewardsStack) -> None:
    member = f"/v1/programs/{stack.program}/members/ann"
    reserved = await stack.http.post(f"{member}/redemptions", json=BODY, headers=key("r1"))
    assert reserved.status_code == 201
    body = reserved.json()
    assert {name: body[name] for name in ("redemption", "state", "points", "value", "order", "duplicate")} == {
        "redemption": "r1", "state": "reserved", "points": 500, "value": 500, "order": "order 17/a", "duplicate": False,
    }  # fmt: skip
    assert body["expires_at"]
    again = await stack.http.post(f"{member}/redemptions", json=BODY, headers=key("r1"))
    assert (again.status_code, again.json()) == (200, {**body, "duplicate": True})

    captured = await stack.http.post(f"{member}/redemptions/r1/capture", headers=key("r1-capture"))
    assert (captured.status_code, captured.json()["state"]) == (200, "captured")
    found = await stack.http.get(f"{member}/redemptions/r1")
    assert found.json() == {name: value for name, value in captured.json().items() if name != "duplicate"}

    await stack.carry()
    wallet = (await stack.http.get(f"{member}/wallet")).json()
    assert wallet["points"] == {"available": 500, "posted": 500, "held": 0, "pending": 0}
    assert wallet["tier"] == ""
    assert [r["redemption"] for r in wallet["redemptions"]] == ["r1"]


async def test_a_checkout_cancels(stack: RewardsStack) -> None:
    redemptions = f"/v1/programs/{stack.program}/members/ann/redemptions"
    await stack.http.post(redemptions, json=BODY, headers=key("r1"))
    cancelled = await stack.http.post(f"{redemptions}/r1/cancel", json={}, headers=key("r1-cancel"))
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    late = await stack.http.post(f"{redemptions}/r1/capture", json={}, headers=key("r1-capture"))
    assert (late.status_code, late.json()["code"]) == (409, "already_cancelled")


async def test_the_catalogue(stack: RewardsStack) -> None:
    answer = await stack.http.get(f"/v1/programs/{stack.program}/catalogue")
    assert [(r["id"], r["kind"], r["points"], r["value"]) for r in answer.json()["rewards"]] == [
        ("five_off", "discount", 500, 500),
        ("mug", "product", 100, 0),
    ]
    assert all(r["available"] is None and r["why_not"] is None for r in answer.json()["rewards"])
    assert len(answer.json()["version"]) == 16


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "names"),
    [
        (BODY, {}, 422, "invalid_request", "Idempotency-Key"),
        (BODY, key("no spaces"), 422, "invalid_request", "Idempotency-Key"),
        (BODY, key("x" * 101), 422, "invalid_request", "Idempotency-Key"),
        ({"order": "o"}, key("k"), 422, "invalid_request", "reward"),
        ({**BODY, "points": 1}, key("k"), 422, "invalid_request", "points"),
        ({**BODY, "order": ""}, key("k"), 422, "invalid_request", "order"),
        ({**BODY, "order": "a\x00b"}, key("k"), 422, "invalid_request", "order"),
        ({**BODY, "reward": 7}, key("k"), 422, "invalid_request", "reward"),
        ({**BODY, "ttl_seconds": 0}, key("k"), 422, "invalid_request", "ttl_seconds"),
        ({**BODY, "ttl_seconds": 1.5}, key("k"), 422, "invalid_request", "ttl_seconds"),
        ({**BODY, "ttl_seconds": True}, key("k"), 422, "invalid_request", "ttl_seconds"),
        ({**BODY, "ttl_seconds": 10**30}, key("k"), 422, "invalid_request", "ttl_seconds"),
        ([], key("k"), 422, "invalid_request", "body"),
        ({**BODY, "reward": "ten_off"}, key("k"), 404, "unknown_reward", "ten_off"),
        ({**BODY, "ttl_seconds": 90_000}, key("k"), 422, "ttl_out_of_range", "86400"),
    ],
)
async def test_a_wrong_request_gets_a_problem_that_names_what_is_wrong(
    stack: RewardsStack, body: Any, headers: dict[str, str], status: int, code: str, names: str
) -> None:
    path = f"/v1/programs/{stack.program}/members/ann/redemptions"
    answer = await stack.http.post(path, json=body, headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["type"] == f"https://tallybook.dev/problems/{code}"
    assert names.lower() in answer.json()["detail"].lower()


@pytest.mark.parametrize(
    ("member", "reward", "code", "status"),
    [("bob", "five_off", "unknown_member", 404), ("ann", "five_off", "insufficient_points", 409)],
)
async def test_the_ledger_s_refusals_keep_their_codes(
    stack: RewardsStack, member: str, reward: str, code: str, status: int
) -> None:
    path = f"/v1/programs/{stack.program}/members/{member}/redemptions"
    answers = [
        await stack.http.post(path, json={**BODY, "reward": reward}, headers=key(f"k{n}")) for n in range(3)
    ]
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (status, code)
    first = await stack.http.post(path, json={**BODY, "reward": reward}, headers=key("k2"))
    assert first.json() == answers[-1].json(), "the same request gets the first outcome"


@pytest.mark.parametrize(
    ("method", "path", "code", "status"),
    [
        ("GET", "/v1/programs/nowhere/catalogue", "unknown_program", 404),
        ("GET", "/v1/programs/Bad!/catalogue", "invalid_request", 422),
        ("GET", "/v1/programs/{p}/members/nobody/wallet", "unknown_member", 404),
        ("GET", "/v1/programs/{p}/members/card:6001/wallet", "invalid_request", 422),
        ("GET", "/v1/programs/{p}/members/ann/redemptions/r9", "unknown_redemption", 404),
        ("POST", "/v1/programs/{p}/members/ann/redemptions/r9/capture", "unknown_redemption", 404),
        ("POST", "/v1/programs/nowhere/members/ann/redemptions", "unknown_program", 404),
        ("DELETE", "/v1/programs/{p}/members/ann/redemptions/r9", "method_not_allowed", 405),
        ("GET", "/v1/nothing", "not_found", 404),
    ],
)
async def test_what_is_not_there_is_said(
    stack: RewardsStack, method: str, path: str, code: str, status: int
) -> None:
    body = BODY if path.endswith("redemptions") and method == "POST" else None
    answer = await stack.http.request(method, path.format(p=stack.program), json=body, headers=key("k"))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_who_may_do_what(stack: RewardsStack) -> None:
    member = f"/v1/programs/{stack.program}/members/ann"
    nobody = await stack.http.get(f"{member}/wallet", headers={"Authorization": "Bearer tb_x_y"})
    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthenticated")
    for scope in ("pos", "member", "audit"):
        token = bearer(await stack.key(scope))
        assert (await stack.http.get(f"{member}/wallet", headers=token)).status_code == 200
        refused = await stack.http.post(f"{member}/redemptions", json=BODY, headers={**token, **key("k")})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    elsewhere = bearer(await stack.key("checkout", programs=["other"]))
    refused = await stack.http.post(f"{member}/redemptions", json=BODY, headers={**elsewhere, **key("k")})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    ops = {**bearer(await stack.key("ops")), **key("by-ops")}
    assert (await stack.http.post(f"{member}/redemptions", json=BODY, headers=ops)).status_code == 201


async def test_a_body_that_is_no_json_or_too_large_is_refused(stack: RewardsStack) -> None:
    path = f"/v1/programs/{stack.program}/members/ann/redemptions"
    too_large = b" " * 1_000_001
    for content, code in (
        (b"{", "invalid_request"),
        (b"\xff", "invalid_request"),
        (too_large, "body_too_large"),
    ):
        answer = await stack.http.post(
            path, content=content, headers={**key("k"), "Content-Type": "application/json"}
        )
        assert answer.json()["code"] == code
        assert answer.status_code in (400, 413, 422)


async def test_the_api_describes_itself(stack: RewardsStack) -> None:
    document = (await stack.http.get("/openapi.json")).json()
    assert "/v1/programs/{program}/members/{member}/redemptions/{redemption}/capture" in document["paths"]
    assert (await stack.http.get("/docs")).status_code == 200
    assert (await stack.http.get("/health/live")).json() == {"live": True}
    assert b"tallybook_records" in (await stack.http.get("/metrics")).content
