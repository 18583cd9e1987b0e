"""Rewards or the ledger killed (-9) at every boundary between two steps of a redemption; a flash sale in two processes.

The boundaries of each step, as its request goes: it was recorded and the ledger has not heard of it; the ledger has
acted and rewards has not heard; rewards has answered. At each of them one of the two processes dies, with redemptions
at that boundary of every step. What was cut off is finished by the client, who asks again, or by the recovery loop;
then points, money, stock and voucher add up.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from services.common.chain import chain_of
from services.common.topics import create_topics
from services.ops.local.postgres import LocalPostgres
from tests.databases import service_database
from tests.integration.between import Between
from tests.integration.own_process import OwnProcess
from tests.integration.rewards_stack import CHAINS, add_key, bearer
from tests.integration.shop import AFTER, BEFORE, HELD, NOTHING, SHOP, SPENT
from tests.poll import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LEASE_SECONDS = "0.5"
PATIENCE_SECONDS = 90.0
BOUNDARIES = ("before the ledger", "after the ledger", "answered")
VICTIMS = ("rewards", "ledger")
KILLS = list(itertools.product(BOUNDARIES, VICTIMS))
CUT_OFF = list(itertools.product(AFTER, ("the client asks again", "nobody asks")))
"""What is under way at each kill: every step, to be finished in both ways."""
STATES = {"reserve": "reserved", "capture": "captured", "cancel": "cancelled", "refund": "refunded"}
BUYERS = 50
PROGRAM = {
    **SHOP,
    "program": "shop",
    "rewards": {
        **SHOP["rewards"],
        "catalogue": [
            {**reward, "stock": len(KILLS) * len(CUT_OFF)} if reward["id"] == "kit" else reward
            for reward in SHOP["rewards"]["catalogue"]
        ],
    },
}
LINES = [
    {"id": 1, "sku": "A1", "category": "care", "quantity": 2, "amount": 6_000},
    {"id": 2, "sku": "B1", "category": "food", "quantity": 1, "amount": 4_000},
]


@dataclass
class Market:
    """A ledger and two rewards processes over it; the first goes through `between`."""

    ledger: OwnProcess
    rewards: OwnProcess
    other: OwnProcess
    between: Between
    database_url: str
    http: httpx.AsyncClient
    keys: dict[str, dict[str, str]]
    """By service: the header that ops' key goes in."""

    async def post(self, service: OwnProcess, path: str, body: Any, key: str = "") -> httpx.Response:
        """One request; the process may not be there."""
        url = f"http://127.0.0.1:{service.environment['TALLY_PORT']}/v1/programs/shop{path}"
        headers = {**self.keys[service.service], "Idempotency-Key": key or secrets.token_hex(8)}
        return await self.http.post(url, json=body, headers=headers)

    async def get(self, service: OwnProcess, path: str) -> dict[str, Any]:
        """What it answers, which must be well."""
        url = f"http://127.0.0.1:{service.environment['TALLY_PORT']}/v1/programs/shop{path}"
        answer = await self.http.get(url, headers=self.keys[service.service])
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def put_program(self, document: Any) -> httpx.Response:
        """Another document comes into force."""
        url = f"http://127.0.0.1:{self.ledger.environment['TALLY_PORT']}/v1/programs/shop"
        return await self.http.put(url, json=document, headers=self.keys["ledger"])

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[asyncpg.Connection]:
        """The rewards database."""
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    async def value(self, sql: str, *values: Any) -> Any:
        """One value of the rewards database."""
        async with self.connected() as connection:
            return await connection.fetchval(sql, *values)

    async def take(self, member: str, step: str, voucher: str) -> httpx.Response:
        """One step of the member's redemption, with the key that it always has."""
        path, key = f"/members/{member}/redemptions", f"{member}-r"
        if step == "reserve":
            body = {
                "reward": "kit", "order": "o1", "store": "s1", "money": 4_000, "voucher": voucher,
                "outside": 5_000, "lines": LINES,
            }  # fmt: skip
            return await self.post(self.rewards, path, body, key)
        body = {"restock": True} if step == "refund" else {}
        return await self.post(self.rewards, f"{path}/{key}/{step}", body, f"{key}-{step}")

    async def join(self, *members: str) -> None:
        """Members with 1,000 points and 110.00 of stored value, whom rewards has heard of."""
        for member in members:
            line = {"id": 1, "sku": "A1", "category": "food", "quantity": 1, "amount": 100_000}
            same = {
                "id": f"{member}-1",
                "member": member,
                "occurred_at": "2026-01-05T12:00:00Z",
                "currency": "USD",
            }
            await self.post(self.ledger, "/purchases", {**same, "lines": [line]}, same["id"])
            await self.post(self.ledger, "/top_ups", {**same, "amount": 10_000}, same["id"])

        async def heard() -> bool:
            return bool(await self.value("SELECT count(*) FROM member_money") == len(members))

        await eventually(heard, "rewards has heard of everybody", PATIENCE_SECONDS)

    async def sums(self, member: str, voucher: str) -> dict[str, Any]:
        """What the redemption of a member has taken, where it is to be found; its stock is its own."""
        there = await self.get(self.ledger, f"/members/{member}")
        money = there["money"]["USD"]
        return {
            "points": (there["points"]["posted"], there["points"]["held"]),
            "money": (money["principal"] + money["bonus"], money["held"]),
            "stock": await self.value(
                "SELECT count(*) FROM redemptions WHERE member = $1 AND takes_stock", member
            ),
            "voucher": await self.value("SELECT state FROM vouchers WHERE voucher = $1", voucher),
        }


@pytest_asyncio.fixture
async def market(
    postgres: LocalPostgres, bootstrap: str, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Market]:
    await create_topics(bootstrap, topic_prefix, CHAINS)
    async with AsyncExitStack() as stack:
        ledger_owner, ledger_url = await stack.enter_async_context(service_database(postgres.url, "ledger"))
        owner, url = await stack.enter_async_context(service_database(postgres.url, "rewards"))
        ledger = OwnProcess.of("ledger", ledger_url, bootstrap, topic_prefix, CHAINS, tmp_path)
        at = f"http://127.0.0.1:{ledger.environment['TALLY_PORT']}"
        between = await stack.enter_async_context(Between.running(at))
        processes = [ledger]
        for place, name in ((between.url, "first"), (at, "second")):
            (tmp_path / name).mkdir()
            rewards = OwnProcess.of("rewards", url, bootstrap, topic_prefix, CHAINS, tmp_path / name)
            rewards.environment |= {
                "TALLY_LEDGER_URL": place,
                "TALLY_LEDGER_KEY": await add_key(ledger_owner, ("checkout", "rewards")),
                "TALLY_LEASE_SECONDS": LEASE_SECONDS,
                # However slow the machine: who waits in the trap is not to give up before all are there.
                "TALLY_LEDGER_ANSWER_SECONDS": str(PATIENCE_SECONDS),
            }
            processes.append(rewards)
        at_ledger = bearer(await add_key(ledger_owner, ("ops",)))
        at_rewards = bearer(await add_key(owner, ("ops",)))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=PATIENCE_SECONDS, trust_env=False))
        for process in processes:
            stack.push_async_callback(end, process)
        await ledger.start()
        (await http.put(f"{at}/v1/programs/shop", json=PROGRAM, headers=at_ledger)).raise_for_status()
        await processes[1].start()
        yield Market(*processes, between, owner, http, {"ledger": at_ledger, "rewards": at_rewards})


async def end(process: OwnProcess) -> None:
    if process.process is not None:
        await process.stop(signal.SIGKILL)


@dataclass(frozen=True)
class Case:
    """A member's redemption, cut off in a step."""

    member: str
    step: str
    asks: bool
    voucher: str


async def prepared(market: Market, kill: int, number: int) -> Case:
    """A member whose redemption stands right before the step."""
    member = f"m{kill}-{number}"
    step, how = CUT_OFF[number]
    answer = await market.post(market.rewards, f"/members/{member}/vouchers", {"voucher": "ten_off"})
    case = Case(member, step, how == "the client asks again", answer.json()["vouchers"][0]["voucher"])
    for before in BEFORE[step]:
        assert (await market.take(member, before, case.voucher)).is_success
    expected = {"reserve": NOTHING, "capture": HELD, "cancel": HELD, "refund": SPENT}[step]
    assert await market.sums(member, case.voucher) == expected, case
    return case


async def cut_off(market: Market, cases: Sequence[Case], boundary: str, name: str) -> None:
    """Take the step of every case at once, and have the victim killed when all are at the boundary."""
    victim: OwnProcess = getattr(market, name)
    if boundary != "answered":
        market.between.trap(boundary, len(cases), lambda: victim.stop(signal.SIGKILL))  # type: ignore[arg-type]
    steps = (market.take(case.member, case.step, case.voucher) for case in cases)
    answers = await asyncio.gather(*steps, return_exceptions=True)
    if boundary == "answered":
        assert all(isinstance(answer, httpx.Response) and answer.is_success for answer in answers)
        await victim.stop(signal.SIGKILL)
        return
    for answer in answers:
        if isinstance(answer, httpx.Response):
            assert (answer.status_code, name) == (503, "ledger"), answer.text
        else:
            assert isinstance(answer, httpx.TransportError), answer
            assert name == "rewards"
    await asyncio.wait_for(market.between.cut.wait(), PATIENCE_SECONDS)


async def finished(market: Market, case: Case) -> None:
    """The client asks again, or nobody does, until the step is done; then everything adds up."""
    path = f"/members/{case.member}/redemptions/{case.member}-r"

    async def done() -> bool:
        if case.asks:
            return (await market.take(case.member, case.step, case.voucher)).is_success
        return bool((await market.get(market.rewards, path))["state"] == STATES[case.step])

    await eventually(done, f"{case} is finished", PATIENCE_SECONDS)
    assert await market.sums(case.member, case.voucher) == AFTER[case.step], case


async def test_killed_at_every_boundary_everything_adds_up(market: Market) -> None:
    members = [f"m{kill}-{number}" for kill in range(len(KILLS)) for number in range(len(CUT_OFF))]
    await market.join(*members)
    for kill, (boundary, name) in enumerate(KILLS):
        cases = [await prepared(market, kill, number) for number in range(len(CUT_OFF))]
        await cut_off(market, cases, boundary, name)
        await getattr(market, name).start()
        for case in cases:
            await finished(market, case)
    left = sum(AFTER[step]["stock"] for step, _ in CUT_OFF) * len(KILLS)
    taken = "SELECT taken FROM reward_stock WHERE reward = 'kit'"
    assert await market.value(taken) == left

    # Nothing is held for ever: what nobody captures times out, and the stock and the vouchers of it are free.
    clock = {"to": "2026-01-06T12:00:00Z"}
    (await market.post(market.ledger, "/clock", clock)).raise_for_status()

    async def level() -> bool:
        held = "SELECT count(*) FROM redemptions WHERE state NOT IN ('captured', 'cancelled', 'timed_out', 'refunded')"
        return not await market.value(held)

    await eventually(level, "every redemption has ended", PATIENCE_SECONDS)
    captures = sum(step == "capture" for step, _ in CUT_OFF) * len(KILLS)
    assert await market.value(taken) == captures
    assert await market.value("SELECT count(*) FROM vouchers WHERE state = 'used'") == captures
    assert (
        await market.value("SELECT count(*) FROM vouchers WHERE state = 'issued'") == len(members) - captures
    )
    assert await market.value("SELECT count(*) FROM redemption_steps") == 0
    for member in members:
        there = await market.get(market.ledger, f"/members/{member}")
        here = await market.get(market.rewards, f"/members/{member}/wallet")
        assert there["points"]["held"] == there["money"]["USD"]["held"] == 0
        assert here["points"]["posted"] == there["points"]["posted"]
        assert here["money"]["USD"]["available"] == there["money"]["USD"]["available"]


WITHOUT_LEDGER = {"reserve": "held", "capture": "used", "cancel": "issued", "refund": "issued"}
"""Where the voucher is after each step."""
AT_THEIR_WRITE = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO redemptions%'
"""


async def pay_without_ledger(market: Market, member: str, step: str, voucher: str) -> httpx.Response:
    """One step of an order that a voucher and cash pay, with the key that it always has."""
    path, key = f"/members/{member}/redemptions", f"{member}-r"
    if step == "reserve":
        body = {"order": "o1", "voucher": voucher, "outside": 9_000, "lines": LINES}
        return await market.post(market.rewards, path, body, key)
    return await market.post(market.rewards, f"{path}/{key}/{step}", {}, f"{key}-{step}")


async def test_killed_before_and_after_the_one_transaction_of_a_step_without_the_ledger(
    market: Market,
) -> None:
    # Each on a chain of its own, so that none waits for another.
    on_chain = {chain_of(f"w{number}", CHAINS): f"w{number}" for number in range(100)}
    members = {on_chain[chain]: step for chain, step in enumerate(WITHOUT_LEDGER)}
    await market.join(*members)
    await end(market.ledger)
    vouchers = {}
    for member, step in members.items():
        issued = await market.post(market.rewards, f"/members/{member}/vouchers", {"voucher": "ten_off"})
        vouchers[member] = issued.json()["vouchers"][0]["voucher"]
        for before in BEFORE[step]:
            assert (await pay_without_ledger(market, member, before, vouchers[member])).is_success

    async def take_all() -> list[httpx.Response | BaseException]:
        steps = (pay_without_ledger(market, m, step, vouchers[m]) for m, step in members.items())
        return await asyncio.gather(*steps, return_exceptions=True)

    async with market.connected() as connection:
        # Every row but the redemptions' is written; nothing is committed.
        async with connection.transaction():
            await connection.execute("LOCK TABLE redemptions IN SHARE MODE")
            cut_off = asyncio.create_task(take_all())

            async def all_there() -> bool:
                # Asked outside the transaction, which would see the same activity for ever.
                return int(await market.value(AT_THEIR_WRITE)) == len(members)

            await eventually(all_there, "every step is about to be written", PATIENCE_SECONDS)
            await market.rewards.stop(signal.SIGKILL)
        assert all(isinstance(answer, httpx.TransportError) for answer in await cut_off)
        states = dict(await connection.fetch("SELECT member, state FROM redemptions"))
    before = {"capture": "reserved", "cancel": "reserved", "refund": "captured"}
    assert states == {member: before[step] for member, step in members.items() if step in before}
    for duplicate in (False, True):
        await market.rewards.start()
        for (member, step), answer in zip(members.items(), await take_all(), strict=True):
            assert isinstance(answer, httpx.Response)
            assert (answer.json()["state"], answer.json()["duplicate"]) == (STATES[step], duplicate)
            state = "SELECT state FROM vouchers WHERE voucher = $1"
            assert await market.value(state, vouchers[member]) == WITHOUT_LEDGER[step]
        await market.rewards.stop(signal.SIGKILL)
    assert await market.value("SELECT count(*) FROM redemption_steps") == 0


async def test_a_flash_sale_has_one_buyer_of_fifty_in_two_processes(market: Market) -> None:
    members = [f"b{number}" for number in range(BUYERS)]
    await asyncio.gather(market.join(*members), market.other.start())

    async def buy(number: int, member: str) -> tuple[int, str]:
        process = (market.rewards, market.other)[number % 2]
        body = {"reward": "last", "order": f"o-{member}"}
        answer = await market.post(process, f"/members/{member}/redemptions", body, member)
        return answer.status_code, answer.json().get("code") or answer.json()["state"]

    outcomes = await asyncio.gather(*(buy(number, member) for number, member in enumerate(members)))
    assert sorted(outcomes) == [(201, "reserved"), *[(409, "out_of_stock")] * (BUYERS - 1)]
    assert await market.value("SELECT taken FROM reward_stock WHERE reward = 'last'") == 1
    (winner,) = (
        member for member, outcome in zip(members, outcomes, strict=True) if outcome[1] == "reserved"
    )
    # Who gives it back makes room for one more.
    path = f"/members/{winner}/redemptions/{winner}/cancel"
    assert (await market.post(market.other, path, {})).is_success
    outcomes = await asyncio.gather(*(buy(n, m) for n, m in enumerate(members) if m != winner))
    assert [outcome[1] for outcome in outcomes].count("reserved") == 1
