"""`tally explain`: the rows, rules, lots and postings behind a number."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console

from services.common.chain import chain_of
from services.common.errors import Refusal
from services.ledger import explain as ledger
from services.ledger.store import Programs
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
)
from services.ops.book_options import Place, place_of
from services.ops.screen import out
from services.rewards import explain as rewards
from services.tiering import explain as tiering

TIERS_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command `explain`."""
    app.command("explain")(explain_command)


def explain_command(
    member: Annotated[str, typer.Argument(metavar="[MEMBER]", help="A member's id.")] = "",
    order: Annotated[
        str, typer.Option(help="Instead: a purchase's id, or the order that a hold named.")
    ] = "",
    position: Annotated[
        str, typer.Option(metavar="CHAIN:POSITION", help="Instead: a row of the ledger's journal.")
    ] = "",
    program: ProgramOption = "",
    limit: Annotated[
        int, typer.Option(help="Rows of a member, the newest first.", min=1, max=ledger.PAGE_MAX)
    ] = 20,
    before: Annotated[
        int | None, typer.Option(help="Rows of a member before this position.", min=1, max=2**63 - 1)
    ] = None,
    as_json: JsonOption = False,
    database_url: UrlOption = "",
    database_prefix: PrefixOption = "",
) -> None:
    """Why a balance, an order or a row of the journal is what it is: every event, rule, lot and posting behind it.

    Exit status 1 when there is no such member, order or row.
    """
    if sum(map(bool, (member, order, position))) != 1:
        raise typer.BadParameter("name one: a MEMBER, --order ID or --position CHAIN:POSITION")
    where = _place_in_journal(position) if position else (0, 0)
    place = place_of(database_url, database_prefix, "", "")
    shown: Callable[[Console, dict[str, Any]], None]
    if member:
        found = answered(lambda: _member(place, program, member, before, limit))
        shown = show.member_explained
    elif order:
        found = answered(lambda: _order(place, program, order))
        shown = show.order_explained
    else:
        found = answered(lambda: _position(place, program, *where))
        shown = show.position_explained
    if as_json:
        out().print_json(json.dumps(found))
    else:
        shown(out(), found)


def _place_in_journal(words: str) -> tuple[int, int]:
    chain, _, position = words.partition(":")
    if not (chain.isdecimal() and position.isdecimal() and len(chain) <= 4 and len(position) <= 18):
        raise QuestionRefused(f"--position {words!r}: write CHAIN:POSITION, such as 3:1042")
    return int(chain), int(position)


async def _member(place: Place, program: str, member: str, before: int | None, limit: int) -> dict[str, Any]:
    async with moment(place, "ledger") as connection:
        program = await program_named(connection, program)
        chains = await chains_of(connection)
        of = (chain_of(member, chains), program, member)
        told = await ledger.member(connection, Programs(), of, before, limit)
    async with moment(place, "tiering") as connection:
        try:
            tiers = await tiering.member(connection, chains, program, member, None, TIERS_SHOWN)
        except Refusal as refusal:
            # The lowest tier needs no reason.
            if refusal.code != "no_tier_changes":
                raise
            return {"ledger": told, "tiering": None}
    return {"ledger": told, "tiering": tiers.model_dump(mode="json")}


async def _order(place: Place, program: str, order: str) -> dict[str, Any]:
    """What the ledger and rewards say, None for who knows no such order. Raises Refusal when neither does."""
    unknown: Refusal | None = None
    found: dict[str, Any] = {"ledger": None, "rewards": None}
    async with moment(place, "ledger") as connection:
        program = await program_named(connection, program)
        chains = await chains_of(connection)
        try:
            found["ledger"] = await ledger.order(
                connection, Programs(), chains, program, order, rows_max=None
            )
        except Refusal as refusal:
            unknown = _only_unknown(refusal)
    async with moment(place, "rewards") as connection:
        try:
            told = await rewards.order(connection, chains, program, order, rows_max=None)
            found["rewards"] = told.model_dump(mode="json")
        except Refusal as refusal:
            _only_unknown(refusal)
            if unknown is not None:
                raise unknown from refusal
    return found


def _only_unknown(refusal: Refusal) -> Refusal:
    if refusal.code != "order_unknown":
        raise refusal
    return refusal


async def _position(place: Place, program: str, chain: int, position: int) -> dict[str, Any]:
    async with moment(place, "ledger") as connection:
        program = await program_named(
            connection, program or await ledger.program_at(connection, chain, position)
        )
        chains = await chains_of(connection)
        return {"ledger": await ledger.position(connection, Programs(), chains, program, chain, position)}
