"""One seal: the heads of all journals as they are now, behind the seal before, signed, kept and published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.ops.seal.document import SealFile, digest_of, is_signed, kept_seals, sign, write_seal
from services.ops.seal.topic import SealTopic
from tallybook.seals.v1 import seals_pb2 as pb

INSTALLATION = "SELECT id::text FROM installation"
HEADS = """
-- The head as it is noted, and the hash of the row that it names; position 0 has none.
SELECT h.chain, h.position, h.hash, j.hash AS row_hash
FROM chain_heads AS h LEFT JOIN journal AS j ON j.chain = h.chain AND j.position = h.position ORDER BY h.chain
"""
HASH = "SELECT hash FROM journal WHERE chain = $1 AND position = $2"


class SealRefused(RuntimeError):
    """No seal was made, for something is wrong already; the message says what."""


async def make_seal(
    urls: Mapping[str, str], folder: Path, key: Ed25519PrivateKey, now: datetime, topic: SealTopic | None
) -> SealFile:
    """Seal the book. Seals that the topic has not got yet, an earlier run's among them, are published too.

    Args:
        urls: the owner's URL of each service's database.
        folder: where the seals are; the new one goes behind the last.
        topic: entered already; None: the seals stay in the folder.

    Raises:
        SealRefused: the last seal, the topic or the book's heads are not what they must be.
        SealUnreadable: a file of the folder is no seal.
    """
    kept = kept_seals(folder)
    _check_kept(kept)
    published = 0 if topic is None else await _published(topic, kept)
    seal = pb.Seal(number=len(kept) + 1, previous=digest_of(kept[-1].seal) if kept else b"")
    seal.sealed_at.FromDatetime(now)
    before = {journal.service: journal for journal in kept[-1].seal.journals} if kept else {}
    for service, url in urls.items():
        seal.journals.append(await _journal(service, url, before.get(service)))
    sign(seal, key)
    try:
        made = SealFile(write_seal(folder, seal), seal)
    except FileExistsError as error:
        raise SealRefused(f"somebody else has made seal {seal.number} in {folder} meanwhile") from error
    if topic is not None:
        for file in (*kept[published:], made):
            await topic.publish(file.seal)
    return made


def _check_kept(kept: Sequence[SealFile]) -> None:
    for number, file in enumerate(kept, 1):
        if file.seal.number != number:
            raise SealRefused(f"{file.path} is seal {file.seal.number}, and seal {number} is missing")
    if kept and not is_signed(kept[-1].seal):
        raise SealRefused(f"{kept[-1].path} is not signed by the key that it names: it was changed")


async def _published(topic: SealTopic, kept: Sequence[SealFile]) -> int:
    """The number of the last seal that the topic has; it must be one of ours."""
    last = await topic.last()
    if last is None:
        return 0
    if last.number > len(kept) or digest_of(kept[last.number - 1].seal) != digest_of(last):
        raise SealRefused(
            f"{topic.name} ends with a seal {last.number} that is not in this folder: "
            "bring the folder that has it, for the next seal goes behind it"
        )
    return last.number


async def _journal(service: str, url: str, before: pb.SealedJournal | None) -> pb.SealedJournal:
    """The heads of a service's journal, which goes on from where it was sealed last."""
    async with AsyncExitStack() as stack:
        connection = await asyncpg.connect(url)
        stack.push_async_callback(connection.close)
        await stack.enter_async_context(connection.transaction(isolation="repeatable_read", readonly=True))
        installation = await connection.fetchval(INSTALLATION)
        if installation is None:
            raise SealRefused(f"the database of {service} was never used: start the service first")
        journal = pb.SealedJournal(service=service, installation=installation)
        for row in await connection.fetch(HEADS):
            if row["position"] and row["row_hash"] != row["hash"]:
                raise SealRefused(
                    f"chain {row['chain']} of {service}: its head is not its row: `tally verify` says more"
                )
            journal.heads.add(chain=row["chain"], position=row["position"], hash=row["hash"])
        if before is not None and before.installation != installation:
            raise SealRefused(f"the last seal is of another database of {service}: use a folder of its own")
        for head in before.heads if before is not None else ():
            if head.position and await connection.fetchval(HASH, head.chain, head.position) != head.hash:
                raise SealRefused(
                    f"journal {head.chain}-{head.position} of {service} is not the row that was sealed last: "
                    "`tally verify --seal` says more"
                )
        return journal
