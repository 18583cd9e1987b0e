"""`tally keys create | list | revoke`: the API keys of tills, checkouts, members' apps, operators and auditors."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from services.common.clock import utc_now
from services.ops.install import SERVICES, database_name, on_server
from services.ops.key_store import create_key, list_keys, revoke_key
from services.ops.local.stack import Stack
from services.ops.local.state import NoStack
from services.ops.screen import err, out


def register(app: typer.Typer) -> None:
    """Add the command group `keys`."""
    group = typer.Typer(
        help="API keys: made, listed, revoked in all three services at once.", no_args_is_help=True
    )
    group.command("create")(create)
    group.command("list")(list_)
    group.command("revoke")(revoke)
    app.add_typer(group, name="keys")


def create(
    scope: Annotated[list[str], typer.Option(help="pos, checkout, member, ops or audit; may be given again")],
    name: Annotated[str, typer.Option(help="Who will hold it, for the list")] = "",
    program: Annotated[
        list[str] | None, typer.Option(help="Only for this program; may be given again")
    ] = None,
    store: Annotated[list[str] | None, typer.Option(help="Only for this store; may be given again")] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days until it expires; never if not given")
    ] = None,
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    expires_at = utc_now() + timedelta(days=days) if days else None
    token = asyncio.run(
        create_key(
            owner_urls(),
            name=name or ",".join(scope),
            scopes=scope,
            programs=program or [],
            stores=store or [],
            expires_at=expires_at,
        )
    )
    err().print("keep it: it can't be shown again")
    out().print(token, markup=False)


def list_() -> None:
    """Show every key, without its secret."""
    table = Table("key", "name", "scopes", "programs", "stores", "made", "state", box=None, pad_edge=False)
    now = utc_now()
    for key in asyncio.run(list_keys(owner_urls()[0])):
        table.add_row(
            key.key_id,
            key.name,
            " ".join(key.scopes),
            " ".join(key.programs) or "all",
            " ".join(key.stores) or "all",
            f"{key.created_at:%Y-%m-%d %H:%M}",
            _state(key.revoked_at, key.expires_at, now),
        )
    out().print(table)


def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, the part between tb_ and the next _")],
) -> None:
    """Make a key worthless, within seconds, in all three services."""
    if not asyncio.run(revoke_key(owner_urls(), key_id)):
        err().print(f"no key {key_id} is in force", markup=False, style="red")
        raise typer.Exit(1)
    err().print(f"revoked {key_id}", markup=False)


def owner_urls() -> list[str]:
    """The three databases as their owner sees them: those of the local stack, or of the server in DATABASE_URL.

    Raises NoStack when there is neither.
    """
    stack = Stack.at()
    if stack.made:
        return [stack.owner_url(service) for service in SERVICES]
    server = os.environ.get("DATABASE_URL", "")
    if not server:
        raise NoStack(f"no stack in {stack.home} and DATABASE_URL is not set: start one with `tally up`")
    prefix = os.environ.get("TALLY_DATABASE_PREFIX", "") or "tallybook"
    return [on_server(server, database_name(prefix, service)) for service in SERVICES]


def _state(revoked_at: datetime | None, expires_at: datetime | None, now: datetime) -> str:
    if revoked_at is not None:
        return f"revoked {revoked_at:%Y-%m-%d}"
    if expires_at is not None:
        return f"{'expired' if expires_at <= now else 'until'} {expires_at:%Y-%m-%d}"
    return "in force"
