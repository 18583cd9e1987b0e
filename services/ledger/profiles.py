"""Seals profiles: the journal keeps them encrypted only, and without its key, which is no part of it, one is nothing.

Every profile is encrypted (AES-256-GCM) under a data key of its own, which stands in the table `member_keys`, itself
encrypted under the installation's key. A new profile brings a new key, so what was told before is gone with the old
one; an erasure deletes the key.
"""

from __future__ import annotations

import os
from datetime import date
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.common.errors import InvariantBroken, Undecodable
from services.ledger.domain.commands import Profile

FIELDS = ("birthday", "name", "email", "phone")
TEXT_CHARS_MAX = 200
TAGS_MAX = 50
TAG_CHARS_MAX = 64
NONCE_BYTES = 12
KEY_BYTES = 32


class Sealer:
    """Seals and opens profiles under one installation's key."""

    def __init__(self, secret: str) -> None:
        """`secret`: any text of enough chance; the key is derived from it."""
        derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"tallybook member keys").derive(secret.encode())
        self._keys = AESGCM(derived)

    def seal(self, program: str, content: dict[str, Any]) -> Profile:
        """A profile as the book keeps it, with the key that opens it, itself encrypted."""
        key = os.urandom(KEY_BYTES)
        plain = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        sealed = _encrypted(AESGCM(key), plain, program)
        return Profile(sealed, _encrypted(self._keys, key, program))

    def open(self, program: str, sealed: bytes, key: bytes) -> dict[str, Any]:
        """The content of a sealed profile. Raises InvariantBroken when the key is not its own, or not ours."""
        try:
            opened = AESGCM(_decrypted(self._keys, key, program))
            content: dict[str, Any] = orjson.loads(_decrypted(opened, sealed, program))
        except InvalidTag:
            raise InvariantBroken(
                "a profile does not open: is TALLY_PROFILE_KEY another than before?"
            ) from None
        return content


def content_of(message: Any) -> dict[str, Any]:
    """The fields of a `Profile` message that are set. Raises Undecodable."""
    content: dict[str, Any] = {}
    for field in FIELDS:
        value = getattr(message, field)
        if len(value) > TEXT_CHARS_MAX or "\x00" in value:
            raise Undecodable(f"profile.{field} must have at most {TEXT_CHARS_MAX} characters and no NUL")
        if value:
            content[field] = value
    if "birthday" in content:
        try:
            date.fromisoformat(content["birthday"])
        except ValueError:
            raise Undecodable("profile.birthday must be a day, as 1990-02-28") from None
    tags = list(message.tags)
    if len(tags) > TAGS_MAX or any(not 1 <= len(tag) <= TAG_CHARS_MAX or "\x00" in tag for tag in tags):
        raise Undecodable(f"profile.tags has at most {TAGS_MAX} tags of 1 to {TAG_CHARS_MAX} characters")
    if tags:
        content["tags"] = tags
    return content


def _encrypted(cipher: AESGCM, plain: bytes, program: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, program.encode())


def _decrypted(cipher: AESGCM, sealed: bytes, program: str) -> bytes:
    return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], program.encode())
