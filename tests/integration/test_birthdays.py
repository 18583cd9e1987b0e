"""Birthdays over real databases and a real ledger: learnt as month and day, kept once a year, forgotten."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from services.common.clock import utc_now
from services.rewards.birthdays import Birthdays
from services.rewards.ledger_client import LedgerClient
from tests.integration.rewards_stack import (
    CHAINS,
    DOCUMENT,
    AnswerLost,
    RewardsStack,
    nothing,
    utc,
)
from tests.integration.test_rewards_projections import content, rebuilt

pytestmark = pytest.mark.integration


def giving(*grants: dict[str, Any]) -> dict[str, Any]:
    cake = {"id": "cake", "kind": "product", "valid_days": 7}
    return {**DOCUMENT, "rewards": {"vouchers": [cake], "grants": list(grants)}}


def birthday(span: str = "day", **more: Any) -> dict[str, Any]:
    return {"id": span, "occasion": "birthday", "when": {"span": span}, "give": [{"voucher": "cake"}], **more}


@pytest_asyncio.fixture
async def stack(servers: RewardsStack) -> RewardsStack:
    return await servers.with_program()


def birthdays(stack: RewardsStack, transport: Any = None) -> Birthdays:
    client = LedgerClient("http://ledger", SecretStr(stack.ledger_key), transport or stack.ledger_transport)
    return Birthdays(stack.writer, client, nothing, CHAINS)


async def tell(stack: RewardsStack, member: str, born: str) -> None:
    path = f"/v1/programs/{stack.program}/members/{member}/profile"
    key = {"Idempotency-Key": secrets.token_hex(6)}
    (await stack.ledger.put(path, json={"birthday": born}, headers=key)).raise_for_status()


async def on(stack: RewardsStack, day: str) -> None:
    """The program's clock comes to a day, and everything that follows is done."""
    await stack.advance(utc(day))
    await stack.carry()
    await birthdays(stack).round(utc_now() + timedelta(hours=1))


async def cakes(stack: RewardsStack, member: str) -> list[str]:
    """When each cake was given, newest first."""
    found = (await stack.views.wallet(stack.program, member)).vouchers
    return [voucher.issued_at.date().isoformat() for voucher in found]


async def test_a_birthday_is_kept_on_its_day_each_year_once_though_it_is_changed(stack: RewardsStack) -> None:
    await stack.activate(giving(birthday()))
    await stack.buy("ann", 1, "2026-03-01T12:00:00Z")
    await tell(stack, "ann", "1990-05-10")
    await on(stack, "2026-05-09")
    assert await cakes(stack, "ann") == []
    await on(stack, "2026-05-10")
    await on(stack, "2026-05-10")
    assert await cakes(stack, "ann") == ["2026-05-10"]
    await tell(stack, "ann", "1990-08-01")
    await on(stack, "2026-12-31")
    assert await cakes(stack, "ann") == ["2026-05-10"]
    await on(stack, "2027-12-31")
    assert await cakes(stack, "ann") == ["2027-08-01", "2026-05-10"]
    assert await content(stack, "public") == await content(stack, await rebuilt(stack, batch=3))


async def test_a_clock_that_jumps_keeps_each_birthday_on_its_own_day(stack: RewardsStack) -> None:
    await stack.activate(giving(birthday(), birthday("week"), birthday("month")))
    for member, born in (("leap", "2000-02-29"), ("new", "1999-01-01"), ("june", "1980-06-17")):
        await stack.buy(member, 1, "2025-12-20T12:00:00Z")
        await tell(stack, member, born)
    await on(stack, "2025-12-21")
    await on(stack, "2026-07-01")
    assert await cakes(stack, "leap") == ["2026-02-28", "2026-02-23", "2026-02-01"]
    assert await cakes(stack, "new") == ["2026-01-01", "2026-01-01", "2025-12-29"]
    assert await cakes(stack, "june") == ["2026-06-17", "2026-06-15", "2026-06-01"]


async def test_who_tells_it_while_it_is_kept_has_it_at_once(stack: RewardsStack) -> None:
    await stack.activate(giving(birthday("month"), birthday("day")))
    await stack.buy("ann", 1, "2026-06-18T12:00:00Z")
    await on(stack, "2026-06-19")
    await tell(stack, "ann", "1990-06-02")
    await on(stack, "2026-06-20")
    assert await cakes(stack, "ann") == ["2026-06-20"]


async def test_a_version_that_is_new_counts_for_the_windows_that_are_open(stack: RewardsStack) -> None:
    await stack.buy("ann", 1, "2026-06-10T12:00:00Z")
    await tell(stack, "ann", "1990-06-02")
    await on(stack, "2026-06-15")
    rows = await stack.fetch("SELECT month FROM member_birthdays WHERE program = $1", stack.program)
    assert [row["month"] for row in rows] == [None], "nobody asks for what nothing is given for"
    await stack.activate(giving(birthday("month")))
    await on(stack, "2026-06-16")
    assert await cakes(stack, "ann") == ["2026-06-16"]


async def test_what_the_ledger_did_not_answer_is_asked_again(stack: RewardsStack) -> None:
    await stack.activate(giving(birthday()))
    await stack.buy("ann", 1, "2026-05-01T12:00:00Z")
    await tell(stack, "ann", "1990-05-10")
    await stack.carry()
    lost = birthdays(stack, AnswerLost(stack.ledger_transport))
    await lost.round(utc_now())
    async with stack.writer.session() as session:
        assert await lost.owed(session, utc_now()) >= 1
    await on(stack, "2026-05-10")
    assert await cakes(stack, "ann") == ["2026-05-10"]


async def test_who_is_erased_is_forgotten_here_too(stack: RewardsStack) -> None:
    await stack.activate(giving(birthday()))
    await stack.buy("ann", 1, "2026-05-01T12:00:00Z")
    await tell(stack, "ann", "1990-05-10")
    await on(stack, "2026-05-02")
    rows = await stack.fetch("SELECT month, day FROM member_birthdays WHERE program = $1", stack.program)
    assert [(row["month"], row["day"]) for row in rows] == [(5, 10)]
    path = f"/v1/programs/{stack.program}/members/ann/erase"
    (await stack.ledger.post(path, headers={"Idempotency-Key": "e1"})).raise_for_status()
    await on(stack, "2026-05-10")
    assert await cakes(stack, "ann") == []
    assert not await stack.fetch("SELECT FROM member_birthdays WHERE program = $1", stack.program)


async def test_many_that_look_at_once_give_within_the_budget_and_once(stack: RewardsStack) -> None:
    await stack.activate(giving(birthday(budget=5)))
    members = [f"m{number}" for number in range(8)]
    for member in members:
        await stack.buy(member, 1, "2026-05-01T12:00:00Z")
        await tell(stack, member, "1990-05-10")
    await on(stack, "2026-05-02")
    await stack.advance(utc("2026-05-10"))
    await stack.carry()
    await asyncio.gather(*(birthdays(stack).round(utc_now()) for _ in range(4)))
    assert sorted([len(await cakes(stack, member)) for member in members]) == [0] * 3 + [1] * 5
    assert await content(stack, "public") == await content(stack, await rebuilt(stack, batch=2))


async def test_the_ledger_tells_rewards_month_and_day_and_nothing_else(stack: RewardsStack) -> None:
    await stack.buy("ann", 1)
    await stack.buy("bob", 1)
    await tell(stack, "ann", "1990-05-10")
    here = f"/v1/programs/{stack.program}/members"
    mine = {"Authorization": f"Bearer {await stack.key('rewards', ledger=True)}"}
    answer = await stack.ledger.get(f"{here}/ann/birthday", headers=mine)
    assert answer.json() == {"member": "ann", "month": 5, "day": 10}
    assert (await stack.ledger.get(f"{here}/ann/profile", headers=mine)).status_code == 403
    assert (await stack.ledger.get(f"{here}/bob/birthday", headers=mine)).json()["code"] == "profile_unknown"
