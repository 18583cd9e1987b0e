"""A test's databases: names of their own on the run's server, a service's schema in each, dropped after.

A service's migrations run once a run, in a template; each database is a copy of it, made file by file. On two busy
cores that takes a fifth of what an empty database and its migrations take.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from services.common.migrate import upgrade
from services.ops.install import SERVICES, on_server

RUN = f"run_{secrets.token_hex(4)}"
"""In the name of every template and role. conftest says another, which all workers of a run share."""
LOCK = "SELECT pg_advisory_xact_lock(hashtext($1))"
READY = "SELECT NOT datallowconn FROM pg_database WHERE datname = $1"
"""True of a template that is done, false of one that was left half made, NULL when there is none."""


def fresh_url(server_url: str, suffix: str = "") -> str:
    """The owner's URL of a database that nobody has made yet, its name ending as told."""
    return on_server(server_url, f"test_{secrets.token_hex(6)}{suffix}")


@asynccontextmanager
async def service_role(service: str, owner_url: str) -> AsyncIterator[str]:
    """Make the database that the owner's URL names, migrated; it is dropped after.

    Yields its URL as the service's own least-grants role sees it.
    """
    there = urlsplit(owner_url)
    name, role = there.path.removeprefix("/"), _template_of(service)
    owner = await asyncpg.connect(on_server(owner_url, "postgres"))
    try:
        await _make_template(owner, service, owner_url)
        await owner.execute(f'CREATE DATABASE "{name}" TEMPLATE "{role}" STRATEGY FILE_COPY')
        host = f"{there.hostname}:{there.port or 5432}"
        yield urlunsplit(there._replace(netloc=f"{role}:{_password(service, owner_url)}@{host}"))
    finally:
        await owner.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await owner.close()


@asynccontextmanager
async def service_database(server_url: str, service: str, suffix: str = "") -> AsyncIterator[tuple[str, str]]:
    """The same under a name of its own, which ends as told: (the owner's URL, the service's)."""
    owner_url = fresh_url(server_url, suffix)
    async with service_role(service, owner_url) as url:
        yield owner_url, url


async def drop_templates(server_url: str) -> None:
    """Remove what the run has made for its copies."""
    for service in SERVICES:
        name = _template_of(service)
        await on(
            server_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'DROP ROLE IF EXISTS "{name}"'
        )


async def on(server_url: str, *statements: str) -> None:
    """Run statements as the server's owner, in no database of a test."""
    owner = await asyncpg.connect(on_server(server_url, "postgres"))
    try:
        for statement in statements:
            await owner.execute(statement)
    finally:
        await owner.close()


async def _make_template(owner: asyncpg.Connection, service: str, server_url: str) -> None:
    """The first worker that needs it makes it; the others wait, and find it."""
    name = _template_of(service)
    if await owner.fetchval(READY, name):
        return
    async with owner.transaction():
        await owner.execute(LOCK, name)
        if await owner.fetchval(READY, name):
            return
        await on(
            server_url,
            f'DROP DATABASE IF EXISTS "{name}"',
            f'DROP ROLE IF EXISTS "{name}"',
            f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{_password(service, server_url)}'",
            f'CREATE DATABASE "{name}"',
        )
        await asyncio.to_thread(upgrade, service, on_server(server_url, name), name)
        await on(server_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')


def _template_of(service: str) -> str:
    return f"{RUN}_{service}"


def _password(service: str, server_url: str) -> str:
    """What every worker knows, and nobody who does not know the owner's."""
    known = f"{urlsplit(server_url).netloc} {_template_of(service)}"
    return hashlib.sha256(known.encode()).hexdigest()
