"""`tally demo`: a real year of baskets through the whole of Tallybook, and then what happened."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from dataclasses import replace
from types import FrameType
from typing import Annotated

import typer
from rich.rule import Rule

from services.ops import demo_views
from services.ops.api import Api, Endpoints, endpoints_of
from services.ops.importing.sources import COMPLETE_JOURNEY, Source, open_source
from services.ops.importing.stream import STALL_SECONDS, Imported, stream
from services.ops.install import SERVICES
from services.ops.key_store import create_key
from services.ops.level import LevelGauge
from services.ops.local.stack import Stack
from services.ops.programs import activate_missing
from services.ops.screen import err, out
from services.ops.verify import command as verify

REWARD = "five_off"
REWARD_POINTS = 500
HOUSEHOLDS_LOOKED_AT = 200
STATEMENT_ENTRIES_MAX = 1_000


class NothingToShowError(Exception):
    """The stack that was running before holds nothing that the demo could show."""


def register(app: typer.Typer) -> None:
    """Add the command `demo`."""
    app.command("demo")(demo)


def demo(
    once: Annotated[
        bool, typer.Option(help="End after the show, instead of staying up until Ctrl-C.")
    ] = False,
) -> None:
    """Start everything, stream a real year of purchases, show what happened, and stay up until Ctrl-C.

    At the end the stack is removed, unless it was running before.
    """
    started = time.monotonic()
    source = open_source(COMPLETE_JOURNEY)
    stack = Stack.at()
    ours = not stack.made
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        _heading("The stack: PostgreSQL, Kafka, ledger, tiering, rewards")
        with err().status("starting"):
            stack.up(lambda line: out().print(line, markup=False))
        asyncio.run(_show(stack, source))
        _heading("tally verify")
        verify.verify()
        _heading("Look around")
        out().print(demo_views.where(stack))
        out().print(f"\nAll of this took {time.monotonic() - started:.0f} seconds.")
        if not once:
            out().print("It stays up until Ctrl-C.", style="bold")
            _until_interrupted()
    except KeyboardInterrupt:
        err().print("interrupted")
        raise typer.Exit(130) from None
    finally:
        # Once begun, the removal is not interrupted: what it left would run on unseen.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if ours:
            with err().status("removing the stack"):
                stack.down()


async def _show(stack: Stack, source: Source) -> None:
    endpoints = endpoints_of(stack)
    async with Api(endpoints) as api:
        _heading(f"A year of baskets through Kafka, program {source.program}")
        await activate_missing(api, source.program)
        imported = await stream(api, source, source.program, err())
        await _summary(api, source.program, imported)
        member = await _member_to_show(api, source.program)
        _heading(f"Household {member}: the statement, and why")
        out().print(demo_views.statement(await _statement(api, source.program, member)))
        _heading(f"A checkout redeems {REWARD} for {member}")
        await _redeem(stack, endpoints, source.program, member)
        # What the redemption set in motion is over before the book is verified.
        async with LevelGauge(api) as gauge:
            await gauge.wait(STALL_SECONDS)


async def _summary(api: Api, program: str, imported: Imported) -> None:
    _heading("What happened")
    totals = await api.get("ledger", f"/v1/programs/{program}/totals")
    tiers = await api.get("tiering", f"/v1/programs/{program}/distribution")
    out().print(demo_views.summary(imported, totals, tiers["tiers"]))


async def _member_to_show(api: Api, program: str) -> str:
    """The first household that has a tier and the points for the reward."""
    for number in range(1, HOUSEHOLDS_LOOKED_AT + 1):
        member = f"h{number}"
        here = await api.get("ledger", f"/v1/programs/{program}/members/{member}")
        if here["tier"] == "silver" and here["points"]["available"] >= REWARD_POINTS:
            return member
    raise NothingToShowError(
        f"none of the first {HOUSEHOLDS_LOOKED_AT} households is silver and can pay {REWARD}: the program in force "
        "is not the one of deploy/programs/grocer.yaml, or its points are spent; start anew with `tally down`"
    )


async def _statement(api: Api, program: str, member: str) -> list[dict[str, object]]:
    path = f"/v1/programs/{program}/members/{member}/statement"
    entries: list[dict[str, object]] = []
    query: dict[str, str | int] = {"limit": 100}
    while len(entries) < STATEMENT_ENTRIES_MAX:
        page = await api.get("ledger", path, **query)
        entries += page["entries"]
        if not page["next"]:
            break
        query["after"] = page["next"]
    return entries


async def _redeem(stack: Stack, endpoints: Endpoints, program: str, member: str) -> None:
    """Reserve and capture a reward as a shop would, with a key that can do no more than a shop may."""
    owners = [stack.owner_url(service) for service in SERVICES]
    order = f"order-{secrets.token_hex(3)}"
    key = await create_key(owners, name="demo: checkout", scopes=["checkout"], programs=[program])
    here = f"/v1/programs/{program}/members/{member}"
    async with Api(replace(endpoints, key=key)) as shop:
        path = f"{here}/redemptions"
        body = {"reward": REWARD, "order": order}
        before = await shop.get("rewards", f"{here}/wallet")
        reserved = await shop.post("rewards", path, body, idempotency_key=order)
        again = await shop.post("rewards", path, body, idempotency_key=order)
        captured = await shop.post(
            "rewards", f"{path}/{order}/capture", {}, idempotency_key=f"{order}-capture"
        )
        after = await shop.get("ledger", here)
    out().print(demo_views.redemption(path, before, [reserved, again, captured], after))


def _heading(text: str) -> None:
    out().print()
    out().print(Rule(text, align="left"))


def _until_interrupted() -> None:
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return


def _as_interrupt(signum: int, frame: FrameType | None) -> None:
    """A polite stop ends the demo as Ctrl-C does, so that nothing is left running."""
    raise KeyboardInterrupt
