"""`tally program check | diff | try | activate`: a document, looked at by every service that will read a part."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from services.common.program_document import canonical, load_json, version_of
from services.ops import programs
from services.ops.api import Api, endpoints_of
from services.ops.correcting.command import correct
from services.ops.local.stack import Stack
from services.ops.program_check import checked
from services.ops.program_diff import differences
from services.ops.program_history import history
from services.ops.screen import out
from services.ops.trying.command import try_

NameOrFile = Annotated[str, typer.Argument(help="A file, or the name of a document in deploy/programs")]


def register(app: typer.Typer) -> None:
    """Add the command group `program`."""
    group = typer.Typer(
        help="Program documents: checked, compared, tried, put in force, and corrected.", no_args_is_help=True
    )
    group.command("check")(check)
    group.command("diff")(diff)
    group.command("try")(try_)
    group.command("activate")(activate)
    group.command("history")(history)
    group.command("correct")(correct)
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
