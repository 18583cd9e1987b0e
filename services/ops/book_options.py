"""Where the book is: the stack of this machine, or the servers that flags or the environment name."""

from __future__ import annotations

import os
from dataclasses import dataclass

from services.ops.install import SERVICES, database_name, on_server
from services.ops.local.stack import Stack
from services.ops.local.state import NoStack


class BookUnreadable(RuntimeError):
    """A database of the book can't be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """The owner's URL of each service's database, the broker, and what goes before every topic's name."""

    urls: dict[str, str]
    bootstrap: str
    topic_prefix: str


def place_of(database_url: str, database_prefix: str, bootstrap: str, topic_prefix: str) -> Place:
    """Find the book. With `database_url` (the owner's, of any database of the server) the flags say it all.

    Without it, it is the stack that `tally up` made; without that, what the environment names, as for `tally install`.

    Raises:
        NoStack: none of these.
        InstallRefused: the prefix is no name for a database.
    """
    if not database_url:
        stack = Stack.at()
        if stack.made:
            urls = {service: stack.owner_url(service) for service in SERVICES}
            return Place(urls, stack.state.bootstrap, stack.state.topic_prefix)
        database_url = os.environ.get("DATABASE_URL", "")
        if not database_url:
            raise NoStack(
                "no stack here and no DATABASE_URL: `tally up` makes one, --database-url names a server"
            )
    prefix = database_prefix or os.environ.get("TALLY_DATABASE_PREFIX", "") or "tallybook"
    return Place(
        {service: on_server(database_url, database_name(prefix, service)) for service in SERVICES},
        bootstrap or os.environ.get("KAFKA_BOOTSTRAP_SERVERS", ""),
        topic_prefix or os.environ.get("TALLY_TOPIC_PREFIX", ""),
    )
