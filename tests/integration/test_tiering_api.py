"""What tiering answers over HTTP, and how it says no."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from services.common.auth import Keys, new_key
from services.common.chain import chain_of
from services.common.clock import utc_now
from services.common.db import Reader, Writer, ensure_installation
from services.tiering.api import Views
from services.tiering.handle import Grants
from services.tiering.main import create_app
from services.tiering.project import LEDGER_TOPIC, apply_rows
from services.tiering.ranking import Rankings
from services.tiering.segments import Segments
from tests.databases import service_role
from tests.integration.tiering_rows import DOCUMENT, LedgerChain, day

CHAINS = 4
ADD_KEY = """
INSERT INTO api_keys (key_id, secret_sha256, name, scopes, programs, stores, created_at)
VALUES ($1, $2, 'test', $3, $4, '{}', now())
"""
NO_ANSWER = [
    ("nowhere/members/ann/tier", 404, "unknown_program"),
    ("nowhere/distribution", 404, "unknown_program"),
    ("grocer/members/nobody/tier", 404, "unknown_member"),
    ("grocer/members/nobody/progress", 404, "unknown_member"),
    ("grocer/members/nobody/history", 404, "unknown_member"),
    ("grocer/members/card:6001/tier", 422, "invalid_request"),
    ("grocer/members/a%00b/tier", 422, "invalid_request"),
    (f"grocer/members/{'x' * 300}/tier", 422, "invalid_request"),
    ("GROCER/members/ann/tier", 422, "invalid_request"),
    ("a%00b/members/ann/tier", 422, "invalid_request"),
    ("grocer/members/ann/history?limit=0", 422, "invalid_request"),
    ("grocer/members/ann/history?limit=501", 422, "invalid_request"),
    ("grocer/members/ann/history?after=-1", 422, "invalid_request"),
    (f"grocer/members/ann/history?after={'9' * 19}", 422, "invalid_request"),
    ("grocer/members/ann", 404, "not_found"),
]
"""(path, status, code) of what can't be answered."""
pytestmark = pytest.mark.integration


@dataclass
class Service:
    """Tiering without a broker: `tell` brings the ledger's rows, `get` asks as a till would."""

    owner: asyncpg.Connection
    writer: Writer
    client: httpx.AsyncClient
    chains: dict[int, LedgerChain]
    token: str = ""

    def of(self, member: str) -> LedgerChain:
        """The ledger's chain of a member."""
        return self.chains[chain_of(member, CHAINS)]

    async def tell(self, *rows: Any) -> None:
        """Apply rows of the ledger."""
        for row in rows:
            async with self.writer.transaction() as tx:
                await apply_rows(tx, row.chain, LEDGER_TOPIC, [row], day("2031-01-01"))

    async def key(self, *scopes: str, programs: tuple[str, ...] = ()) -> str:
        """A new API key."""
        key_id, token, digest = new_key()
        await self.owner.execute(ADD_KEY, key_id, digest, list(scopes), list(programs))
        return token

    async def get(self, path: str, token: str | None = None) -> httpx.Response:
        """GET /v1/programs/<path>."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return await self.client.get(f"/v1/programs/{path}", headers=headers)


@pytest_asyncio.fixture
async def service(database: str) -> AsyncIterator[Service]:
    async with service_role("tiering", database) as url:
        writer, reader = await Writer.connect(url), Reader.connect(url)
        await ensure_installation(writer, CHAINS)
        owner = await asyncpg.connect(database)
        app = create_app(
            Views(reader, CHAINS), Keys(writer), Grants(writer, CHAINS), Segments(writer), Rankings(writer)
        )
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://tiering") as client:
            service = Service(owner, writer, client, {chain: LedgerChain(chain) for chain in range(CHAINS)})
            service.token = await service.key("pos")
            await service.tell(*(chain.activated(day("2026-01-01")) for chain in service.chains.values()))
            yield service
        await owner.close()
        await reader.close()
        await writer.close()


async def test_a_new_member_has_the_lowest_tier_and_the_way_up(service: Service) -> None:
    await service.tell(service.of("ann").enrolled(day("2026-01-05"), "ann"))
    tier = await service.get("grocer/members/ann/tier")
    assert tier.status_code == 200
    assert tier.json() == {
        "program": "grocer", "member": "ann", "tier": "member", "since": "2026-01-05T00:00:00Z", "until": None,
        "reason": "enrolment", "rule": "", "metric": 0, "threshold": 0, "measures": [], "positions": [],
        "granted_by": "", "grants": [],
        "earned": {"tier": "member", "since": "2026-01-05T00:00:00Z", "until": None, "grace": False},
    }  # fmt: skip
    progress = await service.get("grocer/members/ann/progress")
    assert progress.json() == {
        "program": "grocer", "member": "ann", "tier": "member", "metric": 0, "metrics": {"spend": 0},
        "next": {
            "tier": "silver", "threshold": 100_00, "missing": 100_00, "rule": "spend of 12 months >= 10000",
            "measures": [{"metric": "spend", "value": 0, "threshold": 100_00, "missing": 100_00}],
        },
        "loses": None, "until": None, "as_of": "2026-01-05T00:00:00Z",
    }  # fmt: skip


async def test_a_tier_says_why_and_until_when(service: Service) -> None:
    ann = service.of("ann")
    await service.tell(
        ann.bought(day("2026-01-05"), "ann", 60_00), ann.bought(day("2026-02-05"), "ann", 60_00)
    )
    tier = (await service.get("grocer/members/ann/tier")).json()
    assert (tier["tier"], tier["since"], tier["until"]) == (
        "silver",
        "2026-02-05T00:00:00Z",
        "2027-02-05T00:00:00Z",
    )
    assert (tier["reason"], tier["rule"]) == ("upgrade", "spend of 12 months >= 10000")
    assert (tier["metric"], tier["threshold"]) == (120_00, 100_00)


async def test_progress_looks_at_the_window_of_the_programs_clock(service: Service) -> None:
    ann = service.of("ann")
    await service.tell(
        ann.bought(day("2026-01-05"), "ann", 60_00),
        ann.bought(day("2026-06-05"), "ann", 30_00),
        ann.clock(day("2027-02-01")),
    )
    progress = (await service.get("grocer/members/ann/progress")).json()
    assert progress["metric"] == 30_00
    step = progress["next"]
    assert (step["tier"], step["threshold"], step["missing"]) == ("silver", 100_00, 70_00)
    assert progress["as_of"] == "2027-02-01T00:00:00Z"


async def test_the_highest_tier_has_nothing_above_it(service: Service) -> None:
    await service.tell(service.of("ann").bought(day("2026-01-05"), "ann", 300_00))
    assert (await service.get("grocer/members/ann/progress")).json()["next"] is None


async def test_on_the_walls_clock_progress_is_as_of_now(service: Service) -> None:
    ann = service.of("ann")
    wall = {**DOCUMENT, "program": "shop", "clock": "wall"}
    activated = ann.activated(day("2020-01-01"), wall)
    activated.program = "shop"
    bought = ann.bought(day("2020-01-05"), "ann", 90_00)
    bought.program = "shop"
    await service.tell(activated, bought)
    before = utc_now().isoformat()
    progress = (await service.get("shop/members/ann/progress")).json()
    assert progress["metric"] == 0
    assert progress["as_of"] >= before[:19]


async def test_history_comes_in_pages_oldest_first(service: Service) -> None:
    ann = service.of("ann")
    await service.tell(ann.bought(day("2026-01-05"), "ann", 300_00), ann.clock(day("2027-01-05")))
    await service.tell(ann.bought(day("2027-02-05"), "ann", 100_00))
    first = (await service.get("grocer/members/ann/history?limit=2")).json()
    assert [(e["from_tier"], e["to_tier"], e["reason"]) for e in first["entries"]] == [
        ("member", "gold", "upgrade"),
        ("gold", "member", "downgrade"),
    ]
    rest = (await service.get(f"grocer/members/ann/history?limit=2&after={first['next']}")).json()
    assert [e["to_tier"] for e in rest["entries"]] == ["silver"]
    assert rest["next"] is None


async def test_the_distribution_counts_every_member_once(service: Service) -> None:
    for number in range(20):
        member = f"m{number}"
        await service.tell(service.of(member).bought(day("2026-01-05"), member, 100_00 if number < 3 else 1))
    found = (await service.get("grocer/distribution")).json()
    assert found == {"program": "grocer", "tiers": {"member": 17, "silver": 3, "gold": 0}, "members": 20}


async def test_what_cannot_be_answered_is_a_problem_with_a_code(service: Service) -> None:
    for path, status, code in NO_ANSWER:
        answer = await service.get(path)
        assert (path, answer.status_code, answer.json()["code"]) == (path, status, code)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_program_without_tiers_says_so(service: Service) -> None:
    ann = service.of("ann")
    activated = ann.activated(day("2026-01-01"), {"program": "plain"})
    activated.program = "plain"
    await service.tell(activated)
    answer = await service.get("plain/members/ann/tier")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_tiered")


async def test_a_key_is_asked_for_before_anything_is_told(service: Service) -> None:
    for path in ("grocer/members/ann/tier", "nowhere/distribution", "grocer/members/card:1/tier"):
        answer = await service.client.get(f"/v1/programs/{path}")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert (await service.get("grocer/distribution", token="tb_no_such")).status_code == 401
    assert (await service.get("grocer/distribution", token=await service.key("none"))).status_code == 403
    elsewhere = await service.key("pos", programs=("other",))
    assert (await service.get("grocer/distribution", token=elsewhere)).status_code == 403
    assert (await service.get("grocer/distribution", token=await service.key("member"))).status_code == 200


GRANT = {"tier": "gold", "until": "2026-08-01T00:00:00Z", "reason": "a guest of the house"}


async def post(
    service: Service, path: str, body: dict[str, object], request: str, token: str
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": request}
    return await service.client.post(f"/v1/programs/{path}", json=body, headers=headers)


async def test_a_tier_is_given_by_hand_once_and_taken_back(service: Service) -> None:
    ops = await service.key("ops")
    await service.tell(service.of("ann").bought(day("2026-01-05"), "ann", 1))
    for status, duplicate in ((201, False), (200, True)):
        answer = await post(service, "grocer/members/ann/grants", GRANT, "g1", ops)
        assert (answer.status_code, answer.json()["duplicate"]) == (status, duplicate)
        tier = answer.json()["tier"]
        assert (tier["tier"], tier["reason"], tier["until"]) == ("gold", "grant", "2026-08-01T00:00:00Z")
        assert (tier["granted_by"], tier["earned"]["tier"]) == ("grant:g1", "member")
        assert [grant["id"] for grant in tier["grants"]] == ["grant:g1"]
    rows = await service.owner.fetch("SELECT type, cause_source, cause_id FROM journal ORDER BY position")
    (granted,) = [row for row in rows if row["type"] == "TierGranted"]
    assert (granted["cause_source"], granted["cause_id"]) == ("grocer/tier_grant", "g1")
    (changed,) = [row for row in rows if row["type"] == "TierChanged"]
    assert changed["cause_source"] == "tallybook/tiering"

    why = {"reason": "a mistake"}
    for duplicate in (False, True):
        answer = await post(service, "grocer/members/ann/grants/g1/revoke", why, "r1", ops)
        assert (answer.status_code, answer.json()["duplicate"]) == (200, duplicate)
        assert answer.json()["tier"]["tier"] == "member"
    history = (await service.get("grocer/members/ann/history")).json()["entries"]
    assert [(e["to_tier"], e["reason"]) for e in history] == [("gold", "grant"), ("member", "grant_revoked")]


@pytest.mark.parametrize(
    ("path", "change", "status", "code"),
    [
        ("nowhere/members/ann/grants", {}, 404, "unknown_program"),
        ("grocer/members/nobody/grants", {}, 404, "unknown_member"),
        ("grocer/members/ann/grants", {"tier": "black"}, 422, "unknown_tier"),
        ("grocer/members/ann/grants", {"tier": "member"}, 422, "unknown_tier"),
        ("grocer/members/ann/grants", {"until": "2026-01-05T00:00:00Z"}, 422, "ends_in_the_past"),
        ("grocer/members/ann/grants", {"until": "2026-08-01T00:00:00"}, 422, "invalid_request"),
        ("grocer/members/ann/grants", {"until": "9999-12-31T23:59:59-12:00"}, 422, "invalid_request"),
        ("grocer/members/ann/grants", {"until": "0001-01-01T00:00:00+14:00"}, 422, "invalid_request"),
        ("grocer/members/ann/grants", {"reason": ""}, 422, "invalid_request"),
        ("grocer/members/ann/grants", {"reason": "a\x00b"}, 422, "invalid_request"),
        ("grocer/members/ann/grants", {"why": "x"}, 422, "invalid_request"),
        ("grocer/members/ann/grants/g9/revoke", None, 404, "unknown_grant"),
    ],
)
async def test_a_grant_that_cannot_be_is_refused_and_changes_nothing(
    service: Service, path: str, change: dict[str, object] | None, status: int, code: str
) -> None:
    await service.tell(service.of("ann").bought(day("2026-01-05"), "ann", 1))
    body: dict[str, object] = {"reason": "x"} if change is None else {**GRANT, **change}
    answer = await post(service, path, body, "g1", await service.key("ops"))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await service.owner.fetchval("SELECT count(*) FROM journal") == 0
    assert await service.owner.fetchval("SELECT count(*) FROM inbox") == 0


async def test_a_key_that_was_used_for_another_grant_is_a_conflict(service: Service) -> None:
    ops = await service.key("ops")
    await service.tell(service.of("ann").bought(day("2026-01-05"), "ann", 1))
    assert (await post(service, "grocer/members/ann/grants", GRANT, "g1", ops)).status_code == 201
    other = await post(service, "grocer/members/ann/grants", {**GRANT, "tier": "silver"}, "g1", ops)
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")
    pos = await post(service, "grocer/members/ann/grants", GRANT, "g2", service.token)
    assert (pos.status_code, pos.json()["code"]) == (403, "forbidden")


async def test_progress_tells_what_will_be_lost_and_when(service: Service) -> None:
    ann = service.of("ann")
    await service.tell(
        ann.bought(day("2026-01-05"), "ann", 250_00), ann.bought(day("2026-06-05"), "ann", 110_00)
    )
    progress = (await service.get("grocer/members/ann/progress")).json()
    assert (progress["tier"], progress["next"], progress["metrics"]) == ("gold", None, {"spend": 360_00})
    assert progress["loses"] == {
        "tier": "silver",
        "on": "2027-01-05T00:00:00Z",
        "reason": "downgrade",
        "rule": "spend of 12 months < 25000",
        "measures": [{"metric": "spend", "value": 110_00, "threshold": 250_00, "missing": 140_00}],
    }
    await service.tell(ann.bought(day("2026-07-05"), "ann", 140_00))
    # The review of January will renew it; the one a year later finds nothing.
    assert (await service.get("grocer/members/ann/progress")).json()["loses"]["on"] == "2028-01-05T00:00:00Z"


async def test_a_change_names_the_ledgers_rows_behind_it(service: Service) -> None:
    ann = service.of("ann")
    rows = [ann.bought(day(f"2026-0{month}-05"), "ann", 40_00) for month in (1, 2, 3)]
    await service.tell(*rows)
    tier = (await service.get("grocer/members/ann/tier")).json()
    assert tier["positions"] == [row.position for row in rows]
    assert tier["measures"] == [
        {
            "metric": "spend", "value": 120_00, "threshold": 100_00,
            "after": "2025-03-05T00:00:00Z", "up_to": "2026-03-05T00:00:00Z",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["as-of", "explain"])
async def test_auditors_may_ask_and_tills_may_not(service: Service, path: str) -> None:
    ann = service.of("ann")
    await service.tell(ann.enrolled(day("2026-01-05"), "ann"), ann.bought(day("2026-01-05"), "ann", 120_00))
    for scope, status in (("audit", 200), ("ops", 200), ("pos", 403), ("checkout", 403), ("member", 403)):
        answer = await service.get(f"grocer/members/ann/{path}", await service.key(scope))
        assert answer.status_code == status, (scope, answer.text)


async def test_the_changes_of_a_tier_are_told_newest_first_a_page_at_a_time(service: Service) -> None:
    ann, audit = service.of("ann"), await service.key("audit")
    missing = await service.get("grocer/members/ann/explain", audit)
    assert (missing.status_code, missing.json()["code"]) == (404, "no_tier_changes")
    await service.tell(
        ann.enrolled(day("2026-01-05"), "ann"),
        ann.bought(day("2026-01-05"), "ann", 120_00),
        ann.bought(day("2026-02-05"), "ann", 300_00),
    )
    first = (await service.get("grocer/members/ann/explain?limit=1", audit)).json()
    second = (await service.get(f"grocer/members/ann/explain?limit=1&before={first['next']}", audit)).json()
    both = [*first["entries"], *second["entries"]]
    oldest_first = (await service.get("grocer/members/ann/history")).json()["entries"]
    assert both == oldest_first[::-1]
    assert len(both) == 2
    assert second["next"] is None
    assert all(change["positions"] for change in both)


async def test_as_of_a_day_a_member_has_the_tier_of_that_day(service: Service) -> None:
    """All rows were recorded at one instant here (2031), so they part by business time."""
    ann, audit = service.of("ann"), await service.key("audit")
    await service.tell(
        ann.enrolled(day("2026-01-05"), "ann"),
        ann.bought(day("2026-02-05"), "ann", 120_00),
    )
    told = [
        (await service.get(f"grocer/members/ann/as-of?by=business&at={at}T00:00:00Z", audit)).json()
        for at in ("2026-01-06", "2026-02-04", "2026-02-05")
    ]
    assert [answer["tier"] for answer in told] == ["member", "member", "silver"]
    assert told[2]["until"] == "2027-02-05T00:00:00Z"
    before = await service.get("grocer/members/ann/as-of?by=business&at=2026-01-01T00:00:00Z", audit)
    assert (before.status_code, before.json()["code"]) == (404, "unknown_member")
    recorded = (await service.get("grocer/members/ann/as-of", audit)).json()
    # By now nothing had been recorded: that comes in 2031.
    assert (recorded["tier"], recorded["position"]) == ("member", 0)
