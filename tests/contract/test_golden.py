"""The exact bytes of every message of proto/, pinned: what was written must stay readable, and unchanged."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from google.protobuf.message import Message

from services.ledger import payloads

GOLDEN = Path(__file__).parent / "golden"
PROTO = Path(__file__).parents[2] / "proto"
FILES = sorted((PROTO / "tallybook").rglob("*.proto"))


def module_of(file: Path) -> Any:
    """The generated module of a proto file."""
    return importlib.import_module(".".join(file.relative_to(PROTO).with_suffix("").parts) + "_pb2")


def messages() -> dict[str, type[Message]]:
    """Every message of proto/ by full name."""
    return {
        descriptor.full_name: getattr(module, name)
        for module in map(module_of, FILES)
        for name, descriptor in module.DESCRIPTOR.message_types_by_name.items()
    }


def golden() -> dict[str, list[dict[str, Any]]]:
    """Every entry by the message's full name."""
    return {
        f"{file.stem}.{name}": entries
        for file in sorted(GOLDEN.glob("*.yaml"))
        for name, entries in yaml.safe_load(file.read_text()).items()
    }


MESSAGES, ENTRIES = messages(), golden()
PINNED = [
    pytest.param(name, entry, id=f"{name}-{n}")
    for name, entries in ENTRIES.items()
    for n, entry in enumerate(entries)
]


def test_every_message_has_golden_bytes() -> None:
    assert set(ENTRIES) == set(MESSAGES), "add an entry to tests/contract/golden for each message"


@pytest.mark.parametrize(("name", "entry"), PINNED)
def test_bytes_and_meaning_belong_together(name: str, entry: dict[str, Any]) -> None:
    cls = MESSAGES[name]
    told = json_format.ParseDict(entry["json"], cls())
    assert told.SerializeToString(deterministic=True).hex() == entry["bytes"]
    assert cls.FromString(bytes.fromhex(entry["bytes"])) == told


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_the_newest_entry_sets_every_field(name: str) -> None:
    cls = MESSAGES[name]
    newest = cls.FromString(bytes.fromhex(ENTRIES[name][-1]["bytes"]))
    assert [field.name for field, _ in newest.ListFields()] == sorted(
        (field.name for field in cls.DESCRIPTOR.fields), key=lambda n: cls.DESCRIPTOR.fields_by_name[n].number
    )


LEDGER = "tallybook.ledger.v1."
ROW_TYPES = sorted(
    name.removeprefix(LEDGER) for name in MESSAGES if name.startswith(LEDGER)
    if name.removeprefix(LEDGER) not in (
        "HashedIdentifier", "ReturnedLine", "ReturnedUnits", "Allocation", "MovedMoney", "ParkedKey", "AwardCount",
        "Contribution", "Counter", "SpentPart"
    )
)  # fmt: skip


@pytest.mark.parametrize("type_", ROW_TYPES)
def test_the_ledger_reads_and_writes_its_rows_without_losing_a_field(type_: str) -> None:
    for entry in ENTRIES[LEDGER + type_]:
        payload = bytes.fromhex(entry["bytes"])
        assert payloads.encode(payloads.decode(type_, payload)) == (type_, payload)


def test_every_event_of_the_ledger_is_a_row_of_its_contract() -> None:
    assert {cls.__name__ for cls in payloads.e.Event.__args__} == set(ROW_TYPES)
