"""What a service's database needs before the service can start: the database, its login role, its schema.

A service logs in as a role of its own that may only do what the migration granted it; the owner's URL stays with
the operator (`tally up`, or `tally install` on many machines).
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from services.common.migrate import upgrade

SERVICES = ("ledger", "tiering", "rewards")
NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


class InstallRefused(RuntimeError):
    """The databases can't be made as asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServiceDatabase:
    """One service's database on the owner's server. Database and login role have the same name."""

    service: str
    name: str
    password: str
    server_url: str

    @property
    def owner_url(self) -> str:
        """The database as its owner sees it: for migrations, keys and `verify`."""
        return on_server(self.server_url, self.name)

    @property
    def url(self) -> str:
        """The database as the service sees it, with least grants."""
        there = urlsplit(self.server_url)
        host = there.netloc.rpartition("@")[2]
        return urlunsplit(
            there._replace(netloc=f"{self.name}:{quote(self.password)}@{host}", path=f"/{self.name}")
        )


def on_server(url: str, database: str) -> str:
    """The same server and login, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def database_name(prefix: str, service: str) -> str:
    """The name of a service's database and role. Raises InstallRefused for a prefix that is no plain name."""
    name = f"{prefix}_{service}"
    if not NAME.fullmatch(name):
        raise InstallRefused(f"{name!r} is no name for a database: use a-z, 0-9 and _, at most 40")
    return name


async def create_database(database: ServiceDatabase, *, adopt: bool) -> bool:
    """Make the database and its role; False when both were there and `adopt` allows to go on with them.

    Raises InstallRefused when they are there and `adopt` is False: then they are somebody else's, whose password
    would stop working.
    """
    connection = await asyncpg.connect(database.server_url)
    try:
        role = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", database.name)
        there = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database.name)
        if (role or there) and not adopt:
            raise InstallRefused(
                f"the server already has a database or role {database.name}, which this stack did not make: "
                "set TALLY_DATABASE_PREFIX to another prefix, or drop it"
            )
        # The names match NAME and the password is checked here: neither can end the quotes around it.
        if not re.fullmatch(r"[A-Za-z0-9_-]{16,}", database.password):
            raise InstallRefused(f"the password of {database.name} must be 16 or more of A-Z a-z 0-9 _ -")
        verb = "ALTER" if role else "CREATE"
        await connection.execute(f"{verb} ROLE \"{database.name}\" LOGIN PASSWORD '{database.password}'")
        if not there:
            await connection.execute(f'CREATE DATABASE "{database.name}"')
        await connection.execute(f'REVOKE ALL ON DATABASE "{database.name}" FROM PUBLIC')
        await connection.execute(f'GRANT CONNECT ON DATABASE "{database.name}" TO "{database.name}"')
        return not there
    finally:
        await connection.close()


async def databases_there(server_url: str) -> set[str]:
    """The names of all databases on the server."""
    connection = await asyncpg.connect(server_url)
    try:
        return {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
    finally:
        await connection.close()


async def drop_database(database: ServiceDatabase) -> None:
    """Remove the database, whoever is connected to it, and its role. Nothing if they are gone."""
    connection = await asyncpg.connect(database.server_url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{database.name}" WITH (FORCE)')
        await connection.execute(f'DROP ROLE IF EXISTS "{database.name}"')
    finally:
        await connection.close()


def migrate(database: ServiceDatabase) -> None:
    """Bring the schema to its newest version, as the owner. Blocks; safe to call inside an event loop."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(upgrade, database.service, database.owner_url, database.name).result()
