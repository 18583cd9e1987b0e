"""The keys of seals: Ed25519, as PEM files. The private one is readable by its owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.ops.seal.document import SealUnreadable

PRIVATE_MODE = 0o600
OTHERS = 0o077


def public_path(path: Path) -> Path:
    """Where the public half of the private key in `path` is kept."""
    return path.with_name(path.name + ".pub")


def make_key(path: Path) -> bytes:
    """Write a new private key to `path` and its public half beside it. Returns the public key, 32 bytes.

    Raises:
        SealUnreadable: one of the files is there already, or its folder is not.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for file, content, mode in ((path, private, PRIVATE_MODE), (public_path(path), public, 0o644)):
        try:
            # Made with its mode: there is no moment at which others may read it.
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
                out.write(content)
        except OSError as error:
            raise SealUnreadable(f"{file} was not written: {error.strerror}") from error
    return key.public_key().public_bytes_raw()


def private_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file.

    Raises:
        SealUnreadable: there is none, it is another kind of key, or others may read it.
    """
    content = _content(path, "`tally seal --new-key` makes one")
    if path.stat().st_mode & OTHERS:
        raise SealUnreadable(f"{path} is a private key that others may read: chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SealUnreadable(f"{path} is no private key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SealUnreadable(f"{path} is no key of Ed25519")
    return key


def public_key(path: Path) -> bytes:
    """The public key in a PEM file, 32 bytes.

    Raises:
        SealUnreadable: there is none, or it is another kind of key.
    """
    content = _content(path, "it was written beside the private key, as .pub")
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SealUnreadable(f"{path} is no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SealUnreadable(f"{path} is no key of Ed25519")
    return key.public_bytes_raw()


def _content(path: Path, otherwise: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SealUnreadable(f"{path} can't be read ({error.strerror}): {otherwise}") from error
