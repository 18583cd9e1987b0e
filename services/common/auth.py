"""API keys: `Authorization: Bearer tb_<key id>_<secret>`, hashed in the database, scoped, bound to programs and stores.

The secret is 32 random bytes, so a plain SHA-256 of it can't be searched for; it is compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from services.common.clock import utc_now
from services.common.db import Writer
from services.common.errors import Refusal

SCOPES = ("pos", "checkout", "member", "ops", "audit", "rewards")
"""`rewards` is for the rewards service: it gives points at the ledger, and takes none."""
CACHE_SECONDS = 5.0
KEY_ID = re.compile(r"[A-Za-z0-9]{1,64}")
CACHE_KEYS_MAX = 10_000

FIND = "SELECT key_id, secret_sha256, scopes, programs, stores, expires_at, revoked_at FROM api_keys WHERE key_id = $1"


@dataclass(slots=True, frozen=True)
class ApiKey:
    """Who is asking. Empty `programs` or `stores` means all."""

    key_id: str
    secret_sha256: bytes
    scopes: frozenset[str]
    programs: frozenset[str]
    stores: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None

    def allow(self, scopes: tuple[str, ...], program: str | None = None, store: str | None = None) -> None:
        """Raises Refusal("forbidden") unless the key has one of `scopes` (ops has all) for the program and store.

        A key that is bound to stores must name one of them: leaving the store out (an empty text) is not a way around.
        """
        if "ops" not in self.scopes and not self.scopes.intersection(scopes):
            raise Refusal(
                "forbidden",
                f"this needs a key with scope {' or '.join(scopes)}; make one with `tally keys create`",
            )
        if program is not None and self.programs and program not in self.programs:
            raise Refusal("forbidden", f"this key is not for program {program!r}")
        if store is not None and self.stores and store not in self.stores:
            raise Refusal("forbidden", f"this key is not for store {store!r}")


def new_key() -> tuple[str, str, bytes]:
    """A new key: (key id, the whole token to hand out once, SHA-256 of its secret)."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return key_id, f"tb_{key_id}_{secret}", hashlib.sha256(secret.encode()).digest()


class Keys:
    """Looks keys up, and remembers them for `CACHE_SECONDS` (so a revoked key dies within that time)."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._cache: dict[str, tuple[float, ApiKey | None]] = {}

    async def authenticate(self, authorization: str | None) -> ApiKey:
        """The key of a request. Raises Refusal("unauthenticated")."""
        kind, _, token = (authorization or "").partition(" ")
        prefix, _, rest = token.strip().partition("_")
        key_id, _, secret = rest.partition("_")
        if kind.lower() != "bearer" or prefix != "tb" or not KEY_ID.fullmatch(key_id) or not secret:
            raise Refusal(
                "unauthenticated", "send `Authorization: Bearer tb_...`; make a key with `tally keys create`"
            )
        key = await self._find(key_id)
        digest = hashlib.sha256(secret.encode()).digest()
        if key is None or not hmac.compare_digest(digest, key.secret_sha256):
            raise Refusal("unauthenticated", "this key is not known here")
        now = utc_now()
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
            raise Refusal("unauthenticated", "this key was revoked or has expired")
        return key

    async def _find(self, key_id: str) -> ApiKey | None:
        now = time.monotonic()
        cached = self._cache.get(key_id)
        if cached is not None and now - cached[0] < CACHE_SECONDS:
            return cached[1]
        async with self._writer.session() as session:
            row = await session.fetchrow(FIND, key_id)
        key = None
        if row is not None:
            key = ApiKey(
                row["key_id"], row["secret_sha256"], frozenset(row["scopes"]), frozenset(row["programs"]),
                frozenset(row["stores"]), row["expires_at"], row["revoked_at"],
            )  # fmt: skip
        if len(self._cache) >= CACHE_KEYS_MAX:
            self._cache.clear()
        self._cache[key_id] = (now, key)
        return key


async def authenticated(request: Request) -> ApiKey:
    """FastAPI dependency: who is asking (`app.state.keys` looks it up)."""
    keys: Keys = request.app.state.keys
    return await keys.authenticate(request.headers.get("authorization"))
