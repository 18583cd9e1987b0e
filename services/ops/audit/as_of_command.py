"""`tally as-of`: what a member or an account had at any instant that is past."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from services.common.as_of import By, instant
from services.common.chain import chain_of
from services.common.clock import utc_now
from services.common.errors import Refusal
from services.ledger import as_of as ledger
from services.ops.audit import show
from services.ops.audit.reading import (
    JsonOption,
    PrefixOption,
    ProgramOption,
    QuestionRefused,
    UrlOption,
    answered,
    chains_of,
    moment,
    program_named,
    time_of,
)
from services.ops.book_options import Place, place_of
from services.ops.screen import out
from services.rewards import as_of as rewards
from services.tiering import as_of as tiering

NOTHING_TOLD = ("unknown_program", "not_tiered", "unknown_member")
"""Refusals of tiering and rewards that only mean that they have nothing to add."""


def register(app: typer.Typer) -> None:
    """Add the command `as-of`."""
    app.command("as-of")(as_of_command)


def as_of_command(
    who: Annotated[str, typer.Argument(metavar="MEMBER", help="A member's id; with --account an account.")],
    time: Annotated[str, typer.Argument(metavar="TIME", help="Such as 2026-01-05T10:00:00Z.")],
    program: ProgramOption = "",
    by: Annotated[
        By, typer.Option(help="recorded: what the book had then; business: what it says of then today.")
    ] = By.RECORDED,
    account: Annotated[
        bool,
        typer.Option(
            "--account", help="MEMBER is an account of the program, such as breakage, members or all."
        ),
    ] = False,
    as_json: JsonOption = False,
    database_url: UrlOption = "",
    database_prefix: PrefixOption = "",
) -> None:
    """What MEMBER had at TIME: balance, lots, holds, tier, vouchers and redemptions, as a replay up to there has them.

    Exit status 1 when there was no such member then.
    """
    place = place_of(database_url, database_prefix, "", "")
    at = time_of(time)
    if account:
        found = answered(lambda: _accounts(place, program, who, at, by))
        shown = show.accounts
    else:
        found = answered(lambda: _member(place, program, who, at, by))
        shown = show.member_as_of
    if as_json:
        out().print_json(json.dumps(found))
    else:
        shown(out(), found)


async def _accounts(place: Place, program: str, name: str, at: datetime, by: By) -> dict[str, Any]:
    at = instant(at, by, utc_now())
    async with moment(place, "ledger") as connection:
        program = await program_named(connection, program)
        chains = await chains_of(connection)
        found = await ledger.accounts(connection, chains, program, at, by)
    names = sorted({account["account"] for account in found})
    if name not in ("all", *names):
        there = ", ".join(names) or "none had a posting"
        raise QuestionRefused(f"{program!r} had no account {name!r} at {at.isoformat()}; it had: {there}")
    found = [account for account in found if name in ("all", account["account"])]
    return {"program": program, "at": at.isoformat(), "by": by.value, "accounts": found}


async def _member(place: Place, program: str, member: str, at: datetime, by: By) -> dict[str, Any]:
    at = instant(at, by, utc_now())
    async with moment(place, "ledger") as connection:
        program = await program_named(connection, program)
        chains = await chains_of(connection)
        where = (chain_of(member, chains), program, member)
        told = await ledger.member(connection, where, at, by, rows_max=None)
    asked = (chains, program, member, at, by, None)
    return {
        "ledger": told,
        "tiering": await _if_told(place, "tiering", lambda connection: tiering.member(connection, *asked)),
        "rewards": await _if_told(place, "rewards", lambda connection: rewards.member(connection, *asked)),
    }


async def _if_told(
    place: Place, service: str, ask: Callable[[Any], Awaitable[BaseModel]]
) -> dict[str, Any] | None:
    """What a service says; None where it has nothing to say of the member or the program."""
    async with moment(place, service) as connection:
        try:
            return (await ask(connection)).model_dump(mode="json", by_alias=True)
        except Refusal as refusal:
            if refusal.code in NOTHING_TOLD:
                return None
            raise
