"""The JSON Schema for editors knows the fields that the services read: no more, no fewer."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from services.common.program_section import Section
from services.ops.program_check import checked
from services.ops.programs import PROGRAMS_FOLDER

SCHEMA = json.loads((PROGRAMS_FOLDER / "program.schema.json").read_text())
DOCUMENTS = sorted(PROGRAMS_FOLDER.glob("*.yaml"))
EVERY_FIELD = Path(__file__).with_name("every_field.yaml")
"""A program that says all that there is to say; no shipped one does."""
BY_NAME = re.compile(r"^(ledger\.stores|ledger\.earning\.groups)\.\w+")
"""Mappings whose fields are names that the program gives."""


def choices_of(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    """(path, values) of every field in the schema that is a choice."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] | schema
    if "enum" in schema:
        yield path, frozenset(schema["enum"])
    for name, field in schema.get("properties", {}).items():
        yield from choices_of(field, f"{path}.{name}" if path else name)
    for key, place in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(key), dict):
            yield from choices_of(schema[key], path + place)
    for choice in schema.get("anyOf", []):
        yield from choices_of(choice, path)


def fields_of(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    """(path, fields) of every mapping in the schema whose fields are fixed."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] | schema
    if "properties" in schema:
        yield path, frozenset(schema["properties"])
        for name, field in schema["properties"].items():
            yield from fields_of(field, f"{path}.{name}" if path else name)
    for key, place in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(key), dict):
            yield from fields_of(schema[key], path + place)
    for choice in schema.get("anyOf", []):
        yield from fields_of(choice, path)


def place_of(path: str) -> str:
    """The path without what differs from one program to another: places in lists, and names."""
    return BY_NAME.sub(r"\1.*", re.sub(r"\[\d+\]", "[]", path))


@pytest.mark.parametrize("document", [*DOCUMENTS, EVERY_FIELD], ids=lambda path: path.stem)
def test_the_schema_accepts_every_program_that_we_ship(document: Path) -> None:
    jsonschema_rs.validator_for(SCHEMA).validate(yaml.safe_load(document.read_text()))


def test_the_schema_is_one() -> None:
    jsonschema_rs.meta.validate(SCHEMA)


def test_the_schema_refuses_a_misspelt_field() -> None:
    document = yaml.safe_load(DOCUMENTS[0].read_text())
    document["ledger"]["earning"]["points_per_units"] = 1
    assert not jsonschema_rs.validator_for(SCHEMA).is_valid(document)


@pytest.mark.parametrize(
    ("multiplier", "fits"),
    [
        (1_000, True),
        ("1000.0", True),
        ("999.999999999", True),
        ("0.5", True),
        ("1000.1", False),
        (1_001, False),
    ],
)
def test_the_schema_bounds_a_tiers_multiplier(multiplier: object, fits: bool) -> None:
    document = yaml.safe_load(DOCUMENTS[0].read_text())
    document["ledger"]["earning"]["tier_multipliers"] = {"gold": multiplier}
    assert jsonschema_rs.validator_for(SCHEMA).is_valid(document) == fits


def test_the_schema_has_the_fields_and_choices_that_the_services_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: dict[str, set[str]] = defaultdict(set)
    chosen: dict[str, frozenset[str]] = {}
    only, choice = Section.only, Section.choice

    def noted(self: Section, *keys: str) -> None:
        read[place_of(self.path)].update(keys)
        only(self, *keys)

    def noted_choice(self: Section, key: str, choices: Sequence[str], default: str | None = None) -> str:
        chosen[place_of(self.at(key))] = frozenset(choices)
        return choice(self, key, choices, default)

    monkeypatch.setattr(Section, "only", noted)
    monkeypatch.setattr(Section, "choice", noted_choice)
    for document in [*DOCUMENTS, EVERY_FIELD]:
        checked(str(document))

    known: dict[str, set[str]] = defaultdict(set)
    for path, fields in fields_of(SCHEMA):
        known[path] |= fields
    assert known == read
    assert dict(choices_of(SCHEMA)) == chosen
