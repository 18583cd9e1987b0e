"""The manifest of an export: what is in it, file by file, and digests that do not depend on how Parquet writes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.ops.install import SERVICES

FILE = "manifest.json"
SHA256 = r"^[0-9a-f]{64}$"
NAME = re.compile(r"[a-z]+/[a-z_]+/\d{4}\.parquet")
READ_BYTES = 1 << 20


class BadExport(RuntimeError):
    """A folder is no export, or not any more what it was; the message says where."""


class NotEmpty(RuntimeError):
    """The databases can't take an export; the message says which, and what to do."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Strict):
    """A table's rows of one chain. Without rows it has no file."""

    table: str
    chain: int
    rows: int = Field(ge=0)
    digest: str = Field(pattern=SHA256)
    """Over the rows as `tally replay` digests them: COPY's text form, in the order of the key."""
    file: str = ""
    bytes: int = Field(default=0, ge=0)
    sha256: str = ""
    """Of the file."""


class Head(_Strict):
    """The last row of a chain's journal."""

    chain: int
    position: int
    hash: str = Field(pattern=SHA256)


class Service(_Strict):
    """A service's database at one moment."""

    installation: str
    """The id of the database that it was read from; one that is restored has an id of its own."""
    schema_version: str
    heads: list[Head]
    parts: list[Part]


class Manifest(_Strict):
    """An export."""

    format: Literal[1] = 1
    made_at: str
    chains: int = Field(ge=1, le=1024)
    personal_data: bool
    """True: the keys of members' profiles, and their birthdays, are in it."""
    services: dict[str, Service]


def file_name(service: str, table: str, chain: int) -> str:
    """Where a part is, in the folder."""
    return f"{service}/{table}/{chain:04}.parquet"


def write(folder: Path, manifest: Manifest) -> str:
    """Put the manifest into the folder, last and at once: a folder without one is no export. Returns its SHA-256."""
    content = manifest.model_dump_json(indent=1).encode()
    new = folder / (FILE + ".new")
    new.write_bytes(content)
    new.rename(folder / FILE)
    return hashlib.sha256(content).hexdigest()


def read(folder: Path, expected: str = "") -> Manifest:
    """The manifest of a folder; `expected` is its SHA-256 where one was kept. Raises BadExport."""
    try:
        content = (folder / FILE).read_bytes()
    except OSError as fault:
        raise BadExport(f"{folder} is no export: {FILE} can't be read ({fault.strerror})") from fault
    found = hashlib.sha256(content).hexdigest()
    if expected and found != expected:
        raise BadExport(f"{folder / FILE} is not the one that was kept: its SHA-256 is {found}")
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadExport(f"{folder / FILE} is no manifest of format 1: {where}: {first['msg']}") from error
    for service, part in parts_of(manifest):
        named = file_name(service, part.table, part.chain) if part.rows else ""
        if service not in SERVICES or part.file != named or (named and not NAME.fullmatch(named)):
            raise BadExport(
                f"{folder / FILE}: {service} {part.table} chain {part.chain} names the file {part.file!r}"
            )
    return manifest


def parts_of(manifest: Manifest) -> Iterator[tuple[str, Part]]:
    """(service, part) of all."""
    for service, told in manifest.services.items():
        for part in told.parts:
            yield service, part


def check_files(
    folder: Path, parts: Sequence[Part], on_bytes: Callable[[int], None] = lambda done: None
) -> None:
    """Every file is the one that was written. `on_bytes` hears how much was read since the last time.

    Raises:
        BadExport: a file is missing, or not what it was.
    """
    for part in parts:
        if part.file and file_digest(folder / part.file, on_bytes) != part.sha256:
            raise BadExport(
                f"{folder / part.file} was changed: its SHA-256 is not the one in the manifest; "
                "take another copy of the export"
            )


def file_digest(file: Path, on_bytes: Callable[[int], None] = lambda done: None) -> str:
    """The SHA-256 of a file. Raises BadExport."""
    sha256 = hashlib.sha256()
    try:
        with file.open("rb") as opened:
            while some := opened.read(READ_BYTES):
                sha256.update(some)
                on_bytes(len(some))
    except OSError as fault:
        raise BadExport(f"{file} can't be read: {fault.strerror}") from fault
    return sha256.hexdigest()
