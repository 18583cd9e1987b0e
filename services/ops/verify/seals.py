"""Seals: who signed them, that each goes on from the one before, and that the book of today has all that was sealed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.ops.seal.document import SealFile, digest_of, fingerprint, is_signed
from services.ops.verify.findings import Findings
from services.ops.verify.journal_chain import first_previous
from services.ops.verify.snapshot import Connection

CHECK = "seals"
INSTALLATION = "SELECT id::text FROM installation"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a seal says of one chain: the hash of the row at `position`. `seal` is the seal's name for people."""

    seal: str
    position: int
    hash: bytes


def check_documents(
    files: Sequence[SealFile], public_key: bytes | None, services: Iterable[str], chains: int, found: Findings
) -> None:
    """What the seals say without the book. `public_key`: 32 bytes, of who may have signed; None: whoever has."""
    known = set(services)
    before: SealFile | None = None
    for file in files:
        found.looked(CHECK)
        seal, where = file.seal, file.path.name
        if not is_signed(seal):
            found.add(
                CHECK, where, "its signature is not that of its content: it was changed, or never signed"
            )
        if public_key is not None and seal.public_key != public_key:
            told, wanted = fingerprint(seal.public_key), fingerprint(public_key)
            found.add(CHECK, where, f"is signed with the key {told}, not with {wanted}")
        if (seal.number == 1) != (seal.previous == b""):
            found.add(CHECK, where, f"is seal {seal.number}, and the first alone has none before it")
        if before is not None:
            if seal.number != before.seal.number + 1:
                what = f"seal {seal.number} follows seal {before.seal.number}: some are missing"
                found.add(CHECK, where, what)
            elif seal.previous != digest_of(before.seal):
                found.add(CHECK, where, f"the seal before it was another than {before.path.name}")
            if seal.sealed_at.ToNanoseconds() < before.seal.sealed_at.ToNanoseconds():
                found.add(CHECK, where, f"is older than {before.path.name}")
        for journal in seal.journals:
            if journal.service not in known:
                found.add(CHECK, where, f"has a journal of {journal.service}, which is no service")
            missing = set(range(chains)) ^ {head.chain for head in journal.heads}
            if missing:
                what = f"its journal of {journal.service} and the book differ in chains {sorted(missing)}"
                found.add(CHECK, where, what)
        before = file


async def check_installation(
    connection: Connection, service: str, files: Sequence[SealFile], found: Findings
) -> None:
    """The seals are of this database."""
    if not files:
        return
    name = await connection.fetchval(INSTALLATION)
    for file in files:
        of = {journal.installation for journal in file.seal.journals if journal.service == service}
        if of != {name}:
            told = " ".join(sorted(of)) or "no database"
            found.add(CHECK, f"installation {service}", f"is {name}, {file.path.name} is of {told}")


def sealed_of(files: Sequence[SealFile], service: str, chain: int) -> tuple[Sealed, ...]:
    """What the seals say of one chain of a service."""
    return tuple(
        Sealed(file.path.name, head.position, head.hash)
        for file in files
        for journal in file.seal.journals
        if journal.service == service
        for head in journal.heads
        if head.chain == chain
    )


class SealedRows:
    """Holds one chain's rows, read in order, against what was sealed of them."""

    def __init__(self, chain: int, sealed: Sequence[Sealed], found: Findings) -> None:
        self._chain = chain
        self._found = found
        self._by_position: dict[int, list[Sealed]] = {}
        for head in sealed:
            self._by_position.setdefault(head.position, []).append(head)
        self._take(0, first_previous(chain))

    def row(self, position: int, hash_: bytes) -> None:
        """The next row's hash as it stands; that it is the right one is `JournalChain`'s to say."""
        if position in self._by_position:
            self._take(position, hash_)

    def end(self, last: int) -> None:
        """What was sealed and has not come."""
        for head in self._left():
            what = f"{head.seal} has sealed it, and the journal ends at {last}"
            self._found.add(CHECK, f"journal {self._chain}-{head.position}", what)

    def _left(self) -> Iterator[Sealed]:
        for position in sorted(self._by_position):
            yield from self._by_position[position]

    def _take(self, position: int, hash_: bytes) -> None:
        for head in self._by_position.pop(position, ()):
            self._found.looked(CHECK)
            if head.hash != hash_:
                what = f"is not the row that {head.seal} has sealed: this row or one before it was changed"
                self._found.add(CHECK, f"journal {self._chain}-{position}", what)


def keys_of(files: Sequence[SealFile]) -> Mapping[str, int]:
    """Fingerprints of the keys that the seals name, and how many seals each has signed."""
    found: dict[str, int] = {}
    for file in files:
        name = fingerprint(file.seal.public_key)
        found[name] = found.get(name, 0) + 1
    return found
