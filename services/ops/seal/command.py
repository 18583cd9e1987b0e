"""`tally seal`: sign the heads of all journals, on demand or on a schedule."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
from aiokafka.errors import KafkaError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.ops.book_options import BookUnreadable, Place, place_of
from services.ops.screen import err, out
from services.ops.seal.document import SealFile, SealUnreadable, fingerprint
from services.ops.seal.keys import make_key, private_key, public_path
from services.ops.seal.make import SealRefused, make_seal
from services.ops.seal.topic import SealsUnpublished, SealTopic

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
EVERY = re.compile(r"([1-9][0-9]{0,5})([smhd])")
EXPECTED = (SealUnreadable, SealRefused, SealsUnpublished)
FAULTS = (*EXPECTED, BookUnreadable, KafkaError)


def register(app: typer.Typer) -> None:
    """Add the command `seal`."""
    app.command("seal")(seal)


def seal(
    folder: Annotated[Path, typer.Option(help="Where the seals are.", envvar="TALLY_SEAL_FOLDER")] = Path(
        "seals"
    ),
    key: Annotated[Path, typer.Option(help="The private key's file.", envvar="TALLY_SEAL_KEY")] = Path(
        "seal-key.pem"
    ),
    new_key: Annotated[bool, typer.Option("--new-key", help="Make the key, and no seal.")] = False,
    every: Annotated[str, typer.Option(help="Go on, and seal each 30m, 1h, 1d, ...")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a seal.")] = False,
    no_broker: Annotated[bool, typer.Option("--no-broker", help="Publish nothing.")] = False,
    database_url: Annotated[str, typer.Option(help="The owner's URL of the databases' server.")] = "",
    database_prefix: Annotated[str, typer.Option(help="What the databases' names begin with.")] = "",
    bootstrap: Annotated[str, typer.Option(help="host:port of Kafka.")] = "",
    topic_prefix: Annotated[str, typer.Option(help="What the topics' names begin with.")] = "",
) -> None:
    """Sign the position and hash of every chain's last row, of all journals: a file, and a record of `seals.v1`.

    Keep the files where whoever can write the databases can't. `tally verify --seal` proves later that the book still
    has all that was sealed.
    """
    if new_key:
        _new_key(key, as_json)
        return
    seconds = seconds_of(every)
    place = place_of(database_url, database_prefix, bootstrap, topic_prefix)
    if no_broker:
        place = Place(place.urls, "", place.topic_prefix)
    signer = private_key(key)
    if seconds is None:
        _show(asyncio.run(_once(place, folder, signer)), as_json)
        return
    try:
        asyncio.run(_go_on(place, folder, signer, seconds, as_json))
    except KeyboardInterrupt:
        err().print("stopped")


def seconds_of(every: str) -> int | None:
    """Seconds in a text such as `30m`; None for the empty one. Raises BadParameter."""
    if not every:
        return None
    found = EVERY.fullmatch(every)
    if found is None:
        raise typer.BadParameter("a number and s, m, h or d, such as 30m or 1h", param_hint="--every")
    return int(found[1]) * UNITS[found[2]]


async def _once(place: Place, folder: Path, key: Ed25519PrivateKey) -> SealFile:
    try:
        if not place.bootstrap:
            return await make_seal(place.urls, folder, key, datetime.now(UTC), None)
        async with SealTopic(place.bootstrap, place.topic_prefix) as topic:
            return await make_seal(place.urls, folder, key, datetime.now(UTC), topic)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        raise BookUnreadable(f"nothing was sealed: {fault}") from fault


async def _go_on(place: Place, folder: Path, key: Ed25519PrivateKey, seconds: int, as_json: bool) -> None:
    """Seal for ever. What fails is said, and tried again when the next seal is due."""
    while True:
        try:
            _show(await _once(place, folder, key), as_json)
        except FAULTS as fault:
            err().print(f"{datetime.now(UTC).isoformat()} tally seal: {fault}", markup=False, style="red")
        await asyncio.sleep(seconds)


def _new_key(path: Path, as_json: bool) -> None:
    name = fingerprint(make_key(path))
    if as_json:
        out().print_json(json.dumps({"key": str(path), "fingerprint": name}))
        return
    out().print(f"private key: {path} (mode 600; keep it away from the databases)", markup=False)
    out().print(f"public key:  {public_path(path)} (give it to your auditors)", markup=False)
    out().print(f"fingerprint: {name}", soft_wrap=True)


def _show(made: SealFile, as_json: bool) -> None:
    seal = made.seal
    rows = sum(head.position for journal in seal.journals for head in journal.heads)
    key = fingerprint(seal.public_key)
    if as_json:
        told = {"number": seal.number, "file": str(made.path), "journal_rows": rows, "fingerprint": key}
        out().print(json.dumps(told), markup=False, soft_wrap=True)
        return
    out().print(
        f"seal {seal.number}: {rows:,} journal rows, signed by {key[:16]}, {made.path}",
        markup=False,
        soft_wrap=True,
    )
