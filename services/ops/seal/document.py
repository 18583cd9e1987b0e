"""A seal as a file: proto3 JSON of `tallybook.seals.v1.Seal`, which bytes are signed, and who signed them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from google.protobuf import json_format

from tallybook.seals.v1 import seals_pb2 as pb

NAME = "seal-{number:08d}.json"
PATTERN = "seal-*.json"


class SealUnreadable(RuntimeError):
    """A file is no seal, or no key; the message says which and why."""


@dataclass(frozen=True, slots=True)
class SealFile:
    """A seal, and the file in which it was found."""

    path: Path
    seal: pb.Seal


def signed_bytes(seal: pb.Seal) -> bytes:
    """What the signature is over: the message without it."""
    bare = pb.Seal()
    bare.CopyFrom(seal)
    bare.ClearField("signature")
    return bare.SerializeToString(deterministic=True)


def digest_of(seal: pb.Seal) -> bytes:
    """What the next seal says of this one: SHA-256 of all of it."""
    return hashlib.sha256(seal.SerializeToString(deterministic=True)).digest()


def sign(seal: pb.Seal, key: Ed25519PrivateKey) -> None:
    """Put the key's public half and its signature into the seal."""
    seal.public_key = key.public_key().public_bytes_raw()
    seal.signature = key.sign(signed_bytes(seal))


def is_signed(seal: pb.Seal) -> bool:
    """Whether the signature is that of the key that the seal names."""
    try:
        key = Ed25519PublicKey.from_public_bytes(seal.public_key)
        key.verify(seal.signature, signed_bytes(seal))
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(public_key: bytes) -> str:
    """A public key's name: SHA-256 of its 32 bytes, in hex."""
    return hashlib.sha256(public_key).hexdigest()


def write_seal(folder: Path, seal: pb.Seal) -> Path:
    """Write the seal into its own file in the folder, once and for all. Raises FileExistsError."""
    path = folder / NAME.format(number=seal.number)
    text = json_format.MessageToJson(seal, preserving_proto_field_name=True) + "\n"
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with part.open("x") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    # A link refuses a name that is taken: of two that seal at once, one wins.
    try:
        os.link(part, path)
    finally:
        part.unlink()
    return path


def kept_seals(folder: Path) -> Sequence[SealFile]:
    """The seals in a folder in the order of their numbers; the folder is made when it is not there.

    Raises:
        SealUnreadable: a file is no seal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return sorted((SealFile(file, _read(file)) for file in folder.glob(PATTERN)), key=_number)


def read_seals(path: Path) -> Sequence[SealFile]:
    """The seal in a file, or all seals in a folder in the order of their numbers.

    Raises:
        SealUnreadable: nothing is there, or a file is no seal.
    """
    if not path.is_dir():
        return [SealFile(path, _read(path))]
    seals = kept_seals(path)
    if not seals:
        raise SealUnreadable(f"{path} has no file {PATTERN}")
    return seals


def _number(file: SealFile) -> int:
    return file.seal.number


def _read(path: Path) -> pb.Seal:
    try:
        return json_format.Parse(path.read_bytes(), pb.Seal())
    except OSError as error:
        raise SealUnreadable(f"{path} can't be read: {error.strerror}") from error
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise SealUnreadable(f"{path} is no seal: {error}") from error
