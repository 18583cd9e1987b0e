"""Rewards or the ledger killed (-9) at every boundary between two steps of a turn that is paid in points.

A turn asks the ledger four times: for a hold, for its capture, for the points and for the stored value of the prize.
At each question there are two boundaries (the ledger has not heard of it; it has acted, and rewards has not heard), and
a third one when rewards has answered the turn. At each of them one of the two processes dies, with two turns there:
one that its client asks for again, and one that nobody asks for. Then everything was paid and given once.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import signal
from typing import Any

import httpx
import pytest

from services.ops.verify.chain import verify_chain
from services.ops.verify.findings import Report
from tests.integration.own_process import OwnProcess
from tests.integration.rewards_stack import CHAINS, DOCUMENT
from tests.integration.test_redemption_kills import PATIENCE_SECONDS, Market, market
from tests.poll import eventually

__all__ = ["market"]

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TURN = ("/holds", "/capture")
PRIZE = ("/adjustments", "/money_awards")
QUESTIONS = (*TURN, *PRIZE)
VICTIMS = ("rewards", "ledger")
KILLS = [*itertools.product(QUESTIONS, ("before the ledger", "after the ledger")), ("", "answered")]
ASKS = (True, False)
HOLD_SECONDS = 1.0
PROGRAM: dict[str, Any] = {
    **DOCUMENT,
    "program": "shop",
    "ledger": {
        **DOCUMENT["ledger"], "stored_value": {}, "adjustments": {"reasons": ["reward"], "limit": 100},
    },
    "rewards": {
        "vouchers": [{"id": "drink", "kind": "bogo"}],
        "draws": [
            {
                "id": "wheel",
                "prizes": [
                    {
                        "id": "all", "weight": 1, "stock": 1_000,
                        "give": [{"points": 7}, {"money": 300}, {"voucher": "drink"}, {"draw": "wheel"}],
                    },
                ],
                "price": {"points": 50},
            }
        ],
    },
}  # fmt: skip


async def have_turn(market: Market, member: str) -> httpx.Response:
    """The member's one turn, with the key that it always has."""
    body = {"draw": "wheel", "pay": "points"}
    return await market.post(market.rewards, f"/members/{member}/draws", body, f"{member}-t")


async def cut_off(market: Market, members: list[str], question: str, boundary: str, name: str) -> None:
    """Have the members' turns, and the victim killed when both are at the boundary."""
    victim: OwnProcess = getattr(market, name)
    if boundary != "answered":
        kill = lambda: victim.stop(signal.SIGKILL)  # noqa: E731
        # Clients wait each for himself; the loop that has prizes given waits for all that it has found due.
        hold_seconds = None if question in TURN else HOLD_SECONDS
        market.between.trap(boundary, len(members), kill, question, hold_seconds)  # type: ignore[arg-type]
    answers = await asyncio.gather(*(have_turn(market, member) for member in members), return_exceptions=True)
    if boundary == "answered":
        await victim.stop(signal.SIGKILL)
    else:
        await asyncio.wait_for(market.between.cut.wait(), PATIENCE_SECONDS)
    for answer in answers:
        if question not in TURN:
            assert isinstance(answer, httpx.Response) and answer.status_code == 201, answer
        elif name == "ledger":
            assert isinstance(answer, httpx.Response) and answer.status_code == 503, answer
        else:
            assert isinstance(answer, httpx.TransportError), answer


async def finished(market: Market, member: str, asks: bool) -> None:
    """The turn is made, and the ledger has given what was won."""

    async def done() -> bool:
        if asks and not (await have_turn(market, member)).is_success:
            return False
        made = "SELECT count(*) FROM draw_turns WHERE member = $1 AND state = 'made'"
        given = "SELECT count(*) FROM awards WHERE member = $1 AND state = 'given'"
        return await market.value(made, member) == 1 and await market.value(given, member) == 2

    await eventually(done, f"the turn of {member} is finished", PATIENCE_SECONDS)
    there = await market.get(market.ledger, f"/members/{member}")
    assert (there["points"]["posted"], there["points"]["held"]) == (1_000 - 50 + 7, 0), member
    assert there["money"]["USD"]["bonus"] == 300, member


@pytest.mark.parametrize("name", VICTIMS)
async def test_killed_at_every_boundary_a_turn_is_paid_once_and_gives_once(market: Market, name: str) -> None:
    (await market.put_program(PROGRAM)).raise_for_status()
    members = {(kill, asks): f"m{kill}-{asks:d}" for kill in range(len(KILLS)) for asks in ASKS}
    for member in members.values():
        line = {"id": 1, "sku": "A1", "category": "food", "quantity": 1, "amount": 100_000}
        body = {
            "id": secrets.token_hex(4),
            "member": member,
            "occurred_at": "2026-01-05T12:00:00Z",
            "currency": "USD",
        }
        await market.post(market.ledger, "/purchases", {**body, "lines": [line]}, body["id"])

    async def heard() -> bool:
        return bool(await market.value("SELECT count(*) FROM wallets WHERE posted > 0") == len(members))

    await eventually(heard, "rewards has heard of everybody", PATIENCE_SECONDS)
    for kill, (question, boundary) in enumerate(KILLS):
        mine = [members[kill, asks] for asks in ASKS]
        await cut_off(market, mine, question, boundary, name)
        await getattr(market, name).start()
        for asks, member in zip(ASKS, mine, strict=True):
            await finished(market, member, asks)

    turns = len(members)
    assert await market.value("SELECT used FROM draw_counters WHERE counter = 'prize/all'") == turns
    assert await market.value("SELECT count(*) FROM vouchers") == turns
    assert await market.value("SELECT sum(tickets)::int FROM draw_players") == turns
    assert await market.value("SELECT count(*) FROM awards") == 2 * turns
    assert await market.value("SELECT count(*) FROM ledger_steps") == 0
    report = Report()
    async with market.connected() as connection, connection.transaction():
        for chain in range(CHAINS):
            report.add(await verify_chain(connection, "rewards", chain, CHAINS))
    assert report.looked["draws"] > 0
    assert [str(finding) for finding in report.findings] == []
