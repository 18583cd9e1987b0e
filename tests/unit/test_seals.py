"""A seal as a document: what is signed, who has signed, and what seals say of each other."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.ops.seal.command import seconds_of
from services.ops.seal.document import (
    SealFile,
    SealUnreadable,
    digest_of,
    is_signed,
    read_seals,
    sign,
    signed_bytes,
    write_seal,
)
from services.ops.seal.keys import make_key, private_key, public_key, public_path
from services.ops.verify.findings import Findings
from services.ops.verify.seals import check_documents, sealed_of
from tallybook.seals.v1 import seals_pb2 as pb

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
CHAINS = 2


def seal(number: int, previous: pb.Seal | None = None, key: Ed25519PrivateKey = KEY) -> pb.Seal:
    made = pb.Seal(number=number, previous=b"" if previous is None else digest_of(previous))
    made.sealed_at.FromSeconds(1_000 * number)
    journal = made.journals.add(service="ledger", installation="one")
    for chain in range(CHAINS):
        journal.heads.add(chain=chain, position=10 * number, hash=bytes([number, chain]) * 16)
    sign(made, key)
    return made


def three() -> list[pb.Seal]:
    first = seal(1)
    second = seal(2, first)
    return [first, second, seal(3, second)]


def findings(seals: list[pb.Seal], key: Ed25519PrivateKey | None = KEY) -> list[str]:
    files = [SealFile(Path(f"s{number}"), one) for number, one in enumerate(seals, 1)]
    found = Findings("seals", None)
    signer = None if key is None else key.public_key().public_bytes_raw()
    check_documents(files, signer, ("ledger",), CHAINS, found)
    return [f"{finding.where}: {finding.what}" for finding in found.report.findings]


def test_the_signed_bytes_are_the_message_without_its_signature() -> None:
    made = pb.Seal(number=7, public_key=b"k", signature=b"s")
    assert signed_bytes(made) == bytes.fromhex("0807") + bytes.fromhex("2a016b")
    Ed25519PublicKey.from_public_bytes(seal(1).public_key).verify(seal(1).signature, signed_bytes(seal(1)))


def test_whatever_is_changed_the_signature_does_not_fit_any_more() -> None:
    made = seal(2, seal(1))
    assert is_signed(made)
    content = signed_bytes(made)
    for at in range(len(content)):
        try:
            changed = pb.Seal.FromString(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        except Exception:  # noqa: BLE001, S112 - what is no message any more is no seal either
            continue
        changed.signature = made.signature
        assert not is_signed(changed), at


def test_seals_one_behind_the_other_are_in_order() -> None:
    assert findings(three()) == []
    # A single one, from the middle.
    assert findings(three()[1:2]) == []
    assert findings(three(), key=None) == []


def test_a_changed_seal_is_found() -> None:
    seals = three()
    seals[1].journals[0].heads[0].position += 1
    assert [what for what in findings(seals) if what.startswith("s2")] == [
        "s2: its signature is not that of its content: it was changed, or never signed"
    ]


def test_a_seal_that_somebody_else_has_signed_is_found() -> None:
    first = seal(1)
    (found,) = findings([first, seal(2, first, OTHER)])
    assert found.startswith("s2: is signed with the key ")
    assert findings([first, seal(2, first, OTHER)], key=None) == []


def test_a_seal_made_anew_in_the_middle_is_found_by_the_next() -> None:
    first, second, third = three()
    second.journals[0].heads[0].hash = bytes(32)
    sign(second, KEY)
    assert findings([first, second, third]) == ["s3: the seal before it was another than s2"]


def test_a_missing_seal_is_found() -> None:
    first, _, third = three()
    assert findings([first, third]) == ["s2: seal 3 follows seal 1: some are missing"]


def test_a_first_seal_has_none_before_it_and_the_others_have() -> None:
    assert findings([seal(2)]) == ["s1: is seal 2, and the first alone has none before it"]
    assert findings([seal(1, seal(1))]) == ["s1: is seal 1, and the first alone has none before it"]


def test_a_journal_with_other_chains_or_of_no_service_is_found() -> None:
    made = seal(1)
    del made.journals[0].heads[1]
    made.journals.add(service="loans", installation="x")
    sign(made, KEY)
    assert findings([made]) == [
        "s1: its journal of ledger and the book differ in chains [1]",
        "s1: has a journal of loans, which is no service",
        "s1: its journal of loans and the book differ in chains [0, 1]",
    ]


def test_a_file_has_all_of_the_seal_and_is_written_once(tmp_path: Path) -> None:
    seals = three()
    for made in seals:
        write_seal(tmp_path, made)
    assert [file.seal for file in read_seals(tmp_path)] == seals
    assert read_seals(tmp_path / "seal-00000002.json")[0].seal == seals[1]
    with pytest.raises(FileExistsError):
        write_seal(tmp_path, seal(2, seals[0], OTHER))
    assert [file.seal for file in read_seals(tmp_path)] == seals
    assert sealed_of(read_seals(tmp_path), "ledger", 1)[2].position == 30


@pytest.mark.parametrize(
    "content", ["", "{", '"x"', '{"numbr": 1}', '{"number": "x"}', "\udcff", "[" * 5_000], ids=repr
)
def test_a_file_that_is_no_seal_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "seal-00000001.json"
    file.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(SealUnreadable, match=r"seal-00000001\.json is no seal"):
        read_seals(tmp_path)


def test_a_folder_without_seals_and_a_file_that_is_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(SealUnreadable, match=r"has no file seal-\*\.json"):
        read_seals(tmp_path)
    with pytest.raises(SealUnreadable, match="can't be read: No such file"):
        read_seals(tmp_path / "nothing")


def test_a_new_key_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    public = make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert private_key(path).public_key().public_bytes_raw() == public
    assert public_key(public_path(path)) == public
    before = path.read_bytes()
    with pytest.raises(SealUnreadable, match="was not written: File exists"):
        make_key(path)
    assert path.read_bytes() == before


def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(0o640)
    with pytest.raises(SealUnreadable, match="chmod 600"):
        private_key(tmp_path / "key.pem")


def test_what_is_no_key_is_named(tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    (tmp_path / "text").write_text("hello")
    (tmp_path / "text").chmod(0o600)
    for read in (private_key, public_key):
        for name, what in (("text", "is no p"), ("nothing", "can't be read")):
            with pytest.raises(SealUnreadable, match=what):
                read(tmp_path / name)
    with pytest.raises(SealUnreadable, match="is no public key"):
        public_key(tmp_path / "key.pem")


def test_how_often_is_a_number_and_a_unit() -> None:
    assert [seconds_of(text) for text in ("", "90s", "30m", "1h", "2d")] == [None, 90, 1_800, 3_600, 172_800]
    for text in ("1", "h", "0h", "-1h", "1.5h", "1w", "9999999s"):
        with pytest.raises(typer.BadParameter):
            seconds_of(text)
