"""Segments over HTTP: where a member is, who is where, tags, and runs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.common.chain import chain_of
from tests.integration.test_tiering_api import CHAINS, Service, service
from tests.integration.tiering_rows import day, document

pytestmark = pytest.mark.integration
__all__ = ["service"]
SEGMENTS = {
    "tags": ["vip", "press"],
    "scores": {"recency_days": [30], "frequency": [2], "monetary": [100_00]},
}


async def post(
    service: Service, path: str, key: str, body: dict[str, Any] | None = None, token: str = ""
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token or service.token}", "Idempotency-Key": key}
    return await service.client.post(f"/v1/programs/grocer/{path}", headers=headers, json=body)


async def sorted_program(service: Service) -> None:
    """Thirty members, m0 to m29: every third has bought today, the others long ago, every fifth much."""
    service.token = await service.key("ops")
    for chain in service.chains.values():
        await service.tell(chain.activated(day("2026-01-01"), document(segments=SEGMENTS), "v2"))
    for n in range(30):
        of = service.of(f"m{n}")
        at = day("2026-06-30") if n % 3 == 0 else day("2026-01-05")
        await service.tell(of.bought(at, f"m{n}", 300_00 if n % 5 == 0 else 10_00))
    for chain in service.chains.values():
        await service.tell(chain.clock(day("2026-07-01")))


async def test_a_run_is_answered_once_and_kept(service: Service) -> None:
    await sorted_program(service)
    first = await post(service, "segment_runs", "july")
    assert first.status_code == 201
    run = first.json()["run"]
    assert (run["run"], run["cause"], run["done"], run["version"]) == ("july", "request", True, "v2")
    assert (run["members"], run["population"], run["at"]) == (30, 30, "2026-07-01T00:00:00Z")
    assert run["counts"]["lifecycle"] == {"dormant": 20, "new": 10}
    assert sum(run["counts"]["rfm"].values()) == sum(run["counts"]["class"].values()) == 30
    assert run["parameters"]["lifecycle"]["dormant"] == 90
    assert run["bounds"]["monetary"] == [100_00]
    assert 0 <= run["measured_ms"] <= run["duration_ms"]

    again = await post(service, "segment_runs", "july")
    assert (again.status_code, again.json()) == (200, {"duplicate": True, "run": run})
    for name in ("second", "third"):
        assert (await post(service, "segment_runs", name)).status_code == 201
    page = (await service.get("grocer/segment_runs?limit=2")).json()
    assert [kept["run"] for kept in page["runs"]] == ["third", "second"]
    last = (await service.get(f"grocer/segment_runs?limit=2&after={page['next']}")).json()
    assert last == {"runs": [run], "next": None}


async def test_members_by_tier_and_segment_page_by_page(service: Service) -> None:
    await sorted_program(service)
    await post(service, "segment_runs", "july")

    async def all_of(query: str) -> set[str]:
        found, after = [], "0."
        while after:
            page = (await service.get(f"grocer/members?{query}&limit=4&after={after}")).json()
            found += [member["member"] for member in page["members"]]
            after = page["next"]
        assert len(found) == len(set(found))
        return set(found)

    names = {f"m{n}": n for n in range(30)}
    assert await all_of("") == set(names)
    assert await all_of("lifecycle=new") == {m for m, n in names.items() if n % 3 == 0}
    assert await all_of("tier=gold") == {m for m, n in names.items() if n % 5 == 0}
    assert await all_of("tier=member") == {m for m, n in names.items() if n % 5}
    assert await all_of("tier=gold&lifecycle=dormant") == {
        m for m, n in names.items() if n % 5 == 0 and n % 3
    }
    assert await all_of("rfm=general_retain") == {m for m, n in names.items() if n % 5 and n % 3}
    assert await all_of("tag=vip") == set()
    ann = (await service.get("grocer/members/m0/segments")).json()
    listed = (await service.get("grocer/members?limit=500")).json()["members"]
    (of_list,) = (member for member in listed if member["member"] == "m0")
    assert {key: ann[key] for key in ("lifecycle", "class", "rfm")} | {
        "member": "m0",
        "tier": "gold",
    } == of_list
    assert ann["scores"] == {"recency": 2, "frequency": 1, "monetary": 2}
    assert ann["lifecycle_rule"] == "first purchase within 30 days"

    spread = (await service.get("grocer/segments")).json()
    assert spread["members"] == sum(spread["lifecycle"].values()) == sum(spread["class"].values()) == 30
    assert spread["rfm"]["general_retain"] == 16


async def test_before_a_run_everybody_is_new_and_nothing_else(service: Service) -> None:
    service.token = await service.key("ops")
    ann = service.of("ann")
    await service.tell(ann.activated(day("2026-01-01"), document(segments=SEGMENTS), "v2"))
    await service.tell(ann.enrolled(day("2026-01-05"), "ann"))
    assert (await service.get("grocer/members/ann/segments")).json() == {
        "program": "grocer", "member": "ann", "lifecycle": "new", "lifecycle_since": "2026-01-05T00:00:00Z",
        "lifecycle_rule": "first purchase within 30 days", "class": "low_low",
        "class_since": "2026-01-05T00:00:00Z", "class_rule": "none of the others", "rfm": "", "scores": None,
        "tags": [],
    }  # fmt: skip
    spread = (await service.get("grocer/segments")).json()
    assert (spread["lifecycle"]["new"], spread["class"]["low_low"]) == (1, 1)


async def test_a_tag_is_set_once_and_moves_no_tier(service: Service) -> None:
    await sorted_program(service)
    before = (await service.get("grocer/members/m0/tier")).json()
    body = {"tag": "vip", "reason": "the press wrote of her"}
    first = await post(service, "members/m0/tags", "t1", body)
    assert (first.status_code, first.json()["segments"]["tags"]) == (201, ["vip"])
    again = await post(service, "members/m0/tags", "t1", body)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert [m["member"] for m in (await service.get("grocer/members?tag=vip")).json()["members"]] == ["m0"]
    assert (await service.get("grocer/segments")).json()["tags"] == {"vip": 1}
    assert (await service.get("grocer/members/m0/tier")).json() == before
    gone = await post(service, "members/m0/tags", "t2", {**body, "set": False})
    assert gone.json()["segments"]["tags"] == []
    reused = await post(service, "members/m0/tags", "t1", {**body, "set": False})
    assert (reused.status_code, reused.json()["code"]) == (409, "id_reused")
    async with service.writer.session() as session:
        rows = await session.fetch(
            "SELECT type FROM journal WHERE chain = $1 AND member = 'm0' AND type <> 'TierChanged' ORDER BY position",
            chain_of("m0", CHAINS),
        )
    assert [row["type"] for row in rows] == ["MemberTagged", "SegmentChanged"] * 2


async def test_what_is_refused(service: Service) -> None:
    service.token = await service.key("ops")
    await service.tell(service.of("ann").enrolled(day("2026-01-05"), "ann"))
    tag = {"tag": "vip", "reason": "a test"}
    for answer in (
        await post(service, "segment_runs", "r1"),
        await post(service, "members/ann/tags", "t1", tag),
        await service.get("grocer/members/ann/segments"),
        await service.get("grocer/segments"),
        await service.get("grocer/segment_runs"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_segmented")
    for chain in service.chains.values():
        await service.tell(chain.activated(day("2026-01-06"), document(segments=SEGMENTS), "v2"))
    refused = [
        (await post(service, "members/ann/tags", "t2", {**tag, "tag": "rich"}), 422, "unknown_tag"),
        (await post(service, "members/nobody/tags", "t3", tag), 404, "unknown_member"),
        (await service.get("nowhere/segments"), 404, "unknown_program"),
        (await service.get("grocer/members?tier=platinum"), 422, "unknown_tier"),
        (await post(service, "members/ann/tags", "t4", {**tag, "reason": "a\x00b"}), 422, "invalid_request"),
        (await service.get("grocer/members?lifecycle=asleep"), 422, "unknown_segment"),
        (await service.get("grocer/members?class=vip"), 422, "unknown_segment"),
        (await service.get("grocer/members?rfm=best"), 422, "unknown_segment"),
        (await service.get("grocer/members?after=x"), 422, "invalid_request"),
        (await service.get("grocer/segment_runs?after=x"), 422, "invalid_request"),
    ]
    till = await service.key("pos")
    for path, body in (("segment_runs", None), ("members/ann/tags", tag)):
        refused.append((await post(service, path, "k1", body, till), 403, "forbidden"))
    refused.append((await service.get("grocer/members", till), 403, "forbidden"))
    for answer, status, code in refused:
        assert (answer.status_code, answer.json()["code"]) == (status, code)
