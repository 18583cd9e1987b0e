"""`tally program check | diff | activate`: a program's document, looked at by every service that will read a part."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from services.common.program_document import canonical, load_json, version_of
from services.common.program_section import ProgramError
from services.ledger.domain.program import Program
from services.ledger.domain.program import parse_program as parse_ledger
from services.ops import programs
from services.ops.api import Api, endpoints_of
from services.ops.local.stack import Stack
from services.ops.program_diff import differences
from services.ops.screen import out
from services.ops.yaml_document import Document, Place
from services.rewards.domain.program import parse_program as parse_rewards
from services.tiering.domain.program import Rules, parse_rules

NameOrFile = Annotated[str, typer.Argument(help="A file, or the name of a document in deploy/programs")]


def register(app: typer.Typer) -> None:
    """Add the command group `program`."""
    group = typer.Typer(help="Program documents: checked, compared and put in force.", no_args_is_help=True)
    group.command("check")(check)
    group.command("diff")(diff)
    group.command("activate")(activate)
    app.add_typer(group, name="program")


def check(name: NameOrFile) -> None:
    """Check a document as the three services will read it. Errors name file, line and field."""
    document = checked(name)
    out().print(
        f"{document.file}: version {version_of(canonical(document.data))} can be activated", highlight=False
    )


def diff(name: NameOrFile) -> None:
    """Show what a document would change in the running stack. Exit status 1 when it would change anything."""
    document = checked(name)

    async def in_force() -> dict[str, Any]:
        async with Api(endpoints_of(Stack.at())) as api:
            return await programs.in_force(api, document.data["program"])

    version, now = version_of(canonical(document.data)), asyncio.run(in_force())
    found = differences(now.get("document", {}), load_json(canonical(document.data)))
    if not found:
        out().print(f"{document.file}: version {version} is in force", highlight=False)
        return
    table = Table("field", f"in force ({now.get('version', 'nothing')})", f"{document.file} ({version})")
    for field, before, after in found:
        table.add_row(*(Text(text) for text in (field, _shown(before), _shown(after))))
    out().print(table)
    raise typer.Exit(1)


def _shown(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def activate(name: NameOrFile) -> None:
    """Check a document and put it in force in the running stack. The version in force again changes nothing."""
    document = checked(name)

    async def put() -> str:
        async with Api(endpoints_of(Stack.at())) as api:
            return await programs.activate(api, document.data)

    out().print(
        f"program {document.data['program']} decides under version {asyncio.run(put())}", highlight=False
    )


def checked(name: str) -> Document:
    """The document, found good by every service.

    Raises:
        DocumentError: it can't be read, or a service would refuse it.
    """
    document = programs.load_program(programs.find_program(name))
    version = version_of(canonical(document.data))
    readers: list[Callable[[Any, str], Any]] = [parse_ledger, parse_rules, parse_rewards]
    try:
        ledger, tiering, _ = (read(document.data, version) for read in readers)
    except ProgramError as error:
        raise document.error(_place(error.field), error.detail) from error
    for place, detail in _across(ledger, tiering):
        raise document.error(place, detail)
    return document


def _across(ledger: Program, tiering: Rules | None) -> Iterator[tuple[Place, str]]:
    """What no service can see by itself: the ledger multiplies by tiers that tiering names."""
    names = [tier.name for tier in tiering.tiers] if tiering else []
    multipliers: Place = ("ledger", "earning", "tier_multipliers")
    for tier, rate in ledger.tier_rates.items():
        if tier not in names:
            yield (*multipliers, tier), f"no tier {tier!r} in tiering.tiers"
        elif tier == names[0] and rate.multiplier != 1:
            yield (*multipliers, tier), "the lowest tier earns at points_per_unit: put its rate there"
    for number, rule in enumerate(ledger.rulebook.rules):
        place: Place = ("ledger", "earning", "rules", number, "when", "tiers")
        for tier in sorted(rule.tiers):
            if tier not in names:
                yield place, f"no tier {tier!r} in tiering.tiers"
            elif tier == names[0]:
                yield place, f"{tier!r} is the lowest tier, which nobody is told of: name the tiers above it"


def _place(field: str) -> Place:
    """`rewards.catalogue[0].points` as a way into the document."""
    parts = re.findall(r"([^.\[\]]+)|\[(\d+)\]", field)
    return tuple(int(index) if index else key for key, index in parts)
