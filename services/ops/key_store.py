"""API keys in the services' databases: one key is written to all three, so that a till needs only one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from services.common.auth import SCOPES, new_key
from services.common.clock import utc_now

INSERT = """
INSERT INTO api_keys (key_id, secret_sha256, name, scopes, programs, stores, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
LIST = """
SELECT key_id, name, scopes, programs, stores, created_at, expires_at, revoked_at
FROM api_keys ORDER BY created_at, key_id
"""
REVOKE = "UPDATE api_keys SET revoked_at = $2 WHERE key_id = $1 AND revoked_at IS NULL RETURNING key_id"


SECRET_MIN_CHARACTERS = 32


class BadToken(ValueError):
    """A token that no service would take."""


class UnknownScope(ValueError):
    """A scope that no service knows."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key as `tally keys list` shows it; the secret itself is kept nowhere. Empty programs or stores: all."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    programs: tuple[str, ...]
    stores: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def create_key(
    owner_urls: Sequence[str],
    *,
    name: str,
    scopes: Sequence[str],
    programs: Sequence[str] = (),
    stores: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> str:
    """Make a key, write its hash to every database, return the token: it can't be had again.

    `owner_urls` are owner's URLs of the services' databases. Raises UnknownScope before anything is written. Should
    a database fail half way, the token is not returned, and what was written of the key opens nothing.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise UnknownScope(
            f"unknown scope {', '.join(unknown) or '(none given)'}; there are {', '.join(SCOPES)}"
        )
    key_id, token, digest = new_key()
    row = (key_id, digest, name, list(scopes), list(programs), list(stores), utc_now(), expires_at)
    for url in owner_urls:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(INSERT, *row)
        finally:
            await connection.close()
    return token


async def adopt_key(owner_url: str, token: str, *, name: str, scopes: Sequence[str]) -> None:
    """Let a token that was made elsewhere (a deployment's secret) open one service; nothing if it does already.

    Raises BadToken when it is not of the form tb_<id>_<secret>, with a secret of at least 32 characters.
    """
    prefix, _, rest = token.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != "tb" or not key_id or len(secret) < SECRET_MIN_CHARACTERS:
        raise BadToken(
            f"a key looks like tb_<id>_<secret>, the secret at least {SECRET_MIN_CHARACTERS} characters"
        )
    digest = hashlib.sha256(secret.encode()).digest()
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute(
            f"{INSERT} ON CONFLICT (key_id) DO UPDATE"
            " SET secret_sha256 = excluded.secret_sha256, scopes = excluded.scopes",
            *(key_id, digest, name, list(scopes), [], [], utc_now(), None),
        )
    finally:
        await connection.close()


async def list_keys(owner_url: str) -> list[KeyRow]:
    """Every key, the oldest first, revoked ones too."""
    connection = await asyncpg.connect(owner_url)
    try:
        rows = await connection.fetch(LIST)
    finally:
        await connection.close()
    return [
        KeyRow(
            row["key_id"],
            row["name"],
            tuple(row["scopes"]),
            tuple(row["programs"]),
            tuple(row["stores"]),
            row["created_at"],
            row["expires_at"],
            row["revoked_at"],
        )
        for row in rows
    ]


async def revoke_key(owner_urls: Sequence[str], key_id: str) -> bool:
    """Revoke a key everywhere; False when no database has it in force."""
    found = False
    for url in owner_urls:
        connection = await asyncpg.connect(url)
        try:
            found |= await connection.fetchval(REVOKE, key_id, utc_now()) is not None
        finally:
            await connection.close()
    return found
