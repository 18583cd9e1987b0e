"""`tally up` and `tally down`: the whole stack on this machine."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.table import Table

from services.ops.install import SERVICES
from services.ops.local.stack import Stack
from services.ops.screen import err, out


def register(app: typer.Typer) -> None:
    """Add the commands `up` and `down`."""
    app.command("up")(up)
    app.command("down")(down)
    app.command("env")(env)


def up(
    no_services: Annotated[
        bool,
        typer.Option("--no-services", help="Servers, databases, topics and keys only: for `tally restore`."),
    ] = False,
) -> None:
    """Start PostgreSQL, Kafka and the three services, and leave them running.

    Run again, it starts what is not running. Everything is in one folder (.tally, or TALLY_HOME) that `tally down`
    removes. DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name servers of your own instead.
    """
    stack = Stack.at()
    with err().status("starting"):
        stack.up(lambda line: err().print(line, markup=False), services=not no_services)
    if no_services:
        err().print(
            "no service was started: `tally restore DIR` fills new databases, `tally up` starts the rest"
        )
        return
    out().print(where(stack))


def down() -> None:
    """Stop the stack and delete its folder, with every event in it."""
    stack = Stack.at()
    if not stack.made:
        err().print(f"nothing to stop: no stack in {stack.home}", markup=False)
        return
    with err().status("stopping"):
        stack.down(lambda line: err().print(line, markup=False))


def where(stack: Stack) -> Table:
    """Where everything of a running stack is."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for service in SERVICES:
        table.add_row(service, stack.url(service), f"{stack.url(service)}/docs")
    table.add_row("kafka", stack.state.bootstrap, f"topics {stack.state.topic_prefix}*")
    table.add_row("postgres", stack.state.server_url.rpartition("@")[2], f"{stack.state.database_prefix}_*")
    table.add_row(
        "ops key", stack.state.ops_key, "for this machine only; make others with `tally keys create`"
    )
    table.add_row("folder", os.path.relpath(stack.home), "logs in logs/")
    return table


def env() -> None:
    """Print where the running stack is, for a shell: eval "$(tally env)"."""
    stack = Stack.at()
    places = {name.upper(): stack.url(name) for name in SERVICES} | {"KAFKA": stack.state.bootstrap}
    for name, place in places.items():
        out().print(f"export {name}={place}", markup=False, highlight=False)
