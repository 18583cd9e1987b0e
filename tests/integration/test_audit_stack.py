"""as-of and explain on a whole stack: over HTTP what the services said then, and the same at the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from services.common.clock import utc_now
from services.ops.api import Api, ApiError, endpoints_of
from services.ops.cli import EXPECTED, create_cli
from services.ops.level import LevelGauge
from services.ops.local.stack import Stack
from tests.integration.ledger_rows import NOON
from tests.integration.test_verify_stack import DOCUMENT, STALL_SECONDS

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PROGRAM = "audited"
PATH = f"/v1/programs/{PROGRAM}"
ANN, BOB = "audited-ann", "audited-bob"
PHASES = 4


@dataclass
class Audited:
    """A program with a short history, and what the services said of its members at instants along it."""

    stack: Stack
    api: Api
    said: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """(instant, member, answers by name)"""

    async def tally(self, *words: str, status: int = 0) -> str:
        """What the command line prints on this stack's databases; with a `status`, what it complains of."""
        state = self.stack.state
        told = ["--database-url", state.server_url, "--database-prefix", state.database_prefix]
        # The command has an event loop of its own.
        result = await asyncio.to_thread(CliRunner().invoke, create_cli(), [*words, *told])
        if isinstance(result.exception, EXPECTED):
            assert status == 1, result.exception
            return str(result.exception)
        assert result.exit_code == status, result.output
        return result.output

    async def look(self, member: str) -> None:
        """Remember what every service says now."""
        wallet = await self.api.get("rewards", f"{PATH}/members/{member}/wallet")
        draws = await self.api.get("rewards", f"{PATH}/members/{member}/draws")
        answers = {
            "ledger": await self.api.get("ledger", f"{PATH}/members/{member}"),
            "tier": await self.api.get("tiering", f"{PATH}/members/{member}/tier"),
            "segments": await self.api.get("tiering", f"{PATH}/members/{member}/segments"),
            "redemptions": wallet["redemptions"],
            "draws": [(draw["draw"], draw["tickets"], draw["losses"]) for draw in draws["draws"]],
        }
        self.said.append((utc_now().isoformat().replace("+00:00", "Z"), member, answers))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def audited(stack: Stack) -> AsyncIterator[Audited]:
    async with Api(endpoints_of(stack)) as api, LevelGauge(api) as gauge:
        found = Audited(stack, api)
        await api.put("ledger", PATH, {**DOCUMENT, "program": PROGRAM})
        for phase in range(PHASES):
            await _live(api, phase)
            await gauge.wait(STALL_SECONDS)
            for member in (ANN, BOB):
                await found.look(member)
        yield found


async def _live(api: Api, phase: int) -> None:
    day = NOON + timedelta(minutes=phase)
    for member in (ANN, BOB):
        line = {"id": 1, "sku": "A", "category": "FOOD", "quantity": 2, "amount": 60_000}
        purchase = {
            "id": f"{member}/{phase}", "member": member, "occurred_at": day.isoformat(), "currency": "USD",
            "lines": [line],
        }  # fmt: skip
        await api.post("ledger", f"{PATH}/purchases", purchase)
    rewards = f"{PATH}/members/{ANN}"
    if phase == 1:
        await api.post("rewards", f"{rewards}/draws", {"draw": "wheel", "pay": "free"}, "audited-1")
        order = {"order": "audited/order", "reward": "five_off"}
        await api.post("rewards", f"{rewards}/redemptions", order, "audited-red")
        tag = {"tag": "vip", "set": True, "reason": "a test"}
        await api.post("tiering", f"{PATH}/members/{ANN}/tags", tag, "audited-tag")
    elif phase == 2:
        await api.post("rewards", f"{rewards}/redemptions/audited-red/capture", {}, "audited-cap")
        back = {
            "id": "audited/back", "member": BOB, "occurred_at": day.isoformat(), "of": f"{BOB}/1",
            "lines": [{"line": 1, "quantity": 1}],
        }  # fmt: skip
        await api.post("ledger", f"{PATH}/returns", back)
        grant = {"tier": "black", "until": (NOON + timedelta(days=90)).isoformat(), "reason": "a test"}
        await api.post("tiering", f"{PATH}/members/{BOB}/grants", grant, "audited-grant")


async def test_as_of_an_instant_is_what_the_services_said_at_it(audited: Audited) -> None:
    tiers = set()
    for at, member, said in audited.said:
        path = f"{PATH}/members/{member}/as-of"
        ledger = await audited.api.get("ledger", path, at=at)
        then = said["ledger"]
        for name in ("points", "money", "tier", "status", "enrolled_at", "lapses_at"):
            assert ledger[name] == then[name], (name, at)
        tiering = await audited.api.get("tiering", path, at=at)
        for name in ("tier", "since", "until", "reason", "rule"):
            assert tiering[name] == said["tier"][name], (name, at)
        for name in ("lifecycle", "class", "tags"):
            assert tiering["segments"][name] == said["segments"][name], (name, at)
        rewards = await audited.api.get("rewards", path, at=at)
        assert rewards["redemptions"] == said["redemptions"]
        assert [(d["draw"], d["tickets"], d["losses"]) for d in rewards["draws"]] == said["draws"]
        tiers.add(tiering["tier"])
    assert tiers == {"member", "gold", "black"}


async def test_by_business_time_a_day_has_what_happened_by_it(audited: Audited) -> None:
    day = (NOON + timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    told = await audited.api.get("ledger", f"{PATH}/members/{BOB}/as-of", at=day, by="business")
    assert told["points"]["posted"] == 600 + 600 + 7
    tiering = await audited.api.get("tiering", f"{PATH}/members/{BOB}/as-of", at=day, by="business")
    assert tiering["tier"] == "gold"
    (before,) = [
        account["balance"]
        for account in (await audited.api.get("ledger", f"{PATH}/accounts/as-of", at=day, by="business"))[
            "accounts"
        ]
        if account["account"] == "clawed_back"
    ] or [0]
    assert before == 0


async def test_the_command_line_says_the_same_as_http(audited: Audited) -> None:
    at, member, _ = audited.said[2]
    told = json.loads(await audited.tally("as-of", member, at, "--program", PROGRAM, "--json"))
    path = f"{PATH}/members/{member}"
    for service in ("ledger", "tiering", "rewards"):
        assert told[service] == await audited.api.get(service, f"{path}/as-of", at=at)
    told = json.loads(await audited.tally("explain", member, "--program", PROGRAM, "--json"))
    assert told["ledger"] == await audited.api.get("ledger", f"{path}/explain", limit=20)
    assert told["tiering"] == await audited.api.get("tiering", f"{path}/explain", limit=10)
    told = json.loads(await audited.tally("explain", "--order", f"{ANN}/1", "--program", PROGRAM, "--json"))
    assert told == {
        "ledger": await audited.api.get("ledger", f"{PATH}/orders/{ANN}/1/explain"),
        "rewards": None,
    }
    row = told["ledger"]["entries"][-1]
    place = f"{row['chain']}:{row['position']}"
    told = json.loads(await audited.tally("explain", "--position", place, "--json"))
    assert told == {"ledger": await audited.api.get("ledger", f"{PATH}/positions/{place}/explain")}
    words = ("explain", "--order", "audited/order", "--program", PROGRAM, "--json")
    told = json.loads(await audited.tally(*words))
    for service in ("ledger", "rewards"):
        assert told[service] == await audited.api.get(service, f"{PATH}/orders/audited/order/explain")
    types = [row["type"] for row in told["rewards"]["entries"]]
    assert types == ["RedemptionRequested", "RedemptionReserved", "CaptureRequested", "RedemptionCaptured"]
    told = json.loads(await audited.tally("as-of", "all", at, "--account", "--program", PROGRAM, "--json"))
    assert told == await audited.api.get("ledger", f"{PATH}/accounts/as-of", at=at)


async def test_people_get_tables(audited: Audited) -> None:
    at = audited.said[-1][0]
    printed = await audited.tally("as-of", ANN, at, "--program", PROGRAM)
    for words in (
        ANN,
        "by recorded time",
        "tier gold since",
        "tags vip",
        "available",
        "five_off",
        "captured",
    ):
        assert words in printed.replace("5 off", "five_off")
    printed = await audited.tally("as-of", "issued", at, "--account", "--program", PROGRAM)
    assert "issued" in printed
    printed = await audited.tally("explain", BOB, "--program", PROGRAM)
    for words in (
        "60000 USD minor units x 1/100 = 600",
        "tier gold -> black",
        f"issued -> member/{BOB}",
        "-300",
    ):
        assert words in printed
    printed = await audited.tally("explain", "--order", "audited/order", "--program", PROGRAM)
    assert "spent 500" in printed
    assert "500 points spent on order audited/order" in printed
    assert "RedemptionCaptured" in printed


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("as-of", "nobody", "2026-01-05T10:00:00Z"), "was not enrolled in"),
        (("as-of", ANN, "2020-01-05T10:00:00Z"), "was not enrolled in"),
        (("as-of", ANN, "2999-01-05T10:00:00Z"), "has not come yet"),
        (("as-of", ANN, "yesterday"), "write it like 2026-01-05T10:00:00Z"),
        (("as-of", ANN, "2026-01-05"), "write it like 2026-01-05T10:00:00Z"),
        (("as-of", "no_account", "2026-01-05T10:00:00Z", "--account", "--by", "business"), "it had: "),
        (("explain", "nobody"), "is not enrolled"),
        (("explain", "--order", "no such"), "no purchase 'no such'"),
        (("explain", "--position", "0:999999999"), "no row 0:999999999"),
        (("explain", "--position", "zero"), "write CHAIN:POSITION"),
    ],
)  # fmt: skip
async def test_what_can_not_be_answered_is_one_line(
    audited: Audited, words: tuple[str, ...], complaint: str
) -> None:
    assert complaint in await audited.tally(*words, "--program", PROGRAM, status=1)


async def test_a_question_names_one_thing_and_a_known_program(audited: Audited) -> None:
    assert "name one" in await audited.tally("explain", ANN, "--order", "x", status=2)
    assert "name one" in await audited.tally("explain", status=2)
    assert "has no program 'nobodys'" in await audited.tally("explain", ANN, "--program", "nobodys", status=1)


@pytest.mark.parametrize("service", ["ledger", "tiering", "rewards"])
async def test_bad_questions_are_problems(audited: Audited, service: str) -> None:
    path = f"{PATH}/members/{ANN}/as-of"
    for query, code in (
        ({"at": "yesterday"}, "invalid_request"),
        ({"at": "1767614400"}, "invalid_request"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "invalid_request"),
        ({"at": "2026-01-05T12:00:00"}, "invalid_request"),
        ({"by": "feeling"}, "invalid_request"),
        ({"at": "2999-01-01T00:00:00Z"}, "instant_in_future"),
    ):
        with pytest.raises(ApiError) as refused:
            await audited.api.get(service, path, **query)
        assert (refused.value.status, refused.value.code) == (422, code)
    with pytest.raises(ApiError) as refused:
        await audited.api.get(service, f"{PATH}/members/nobody/as-of")
    assert (refused.value.status, refused.value.code) == (404, "unknown_member")
