"""`tally program check`: what a service has against a document, with file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.ops.program_check import check, place_of
from services.ops.programs import PROGRAMS_FOLDER, load_program
from services.ops.yaml_document import Document

GROCER = (PROGRAMS_FOLDER / "grocer.yaml").read_text()


def document(tmp_path: Path, text: str) -> Document:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    return load_program(file)


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


@pytest.mark.parametrize("file", sorted(PROGRAMS_FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_program_that_is_delivered_is_right(file: Path) -> None:
    assert check(load_program(file)) == []


@pytest.mark.parametrize(
    ("right", "wrong", "field"),
    [
        ("rounding: floor", "rounding: sideways", "ledger.earning.rounding"),
        ("currency: USD", "currency: usd", "ledger.currency"),
        ("metric: spend", "metric: karma", "tiering.metric"),
        ("points: 500", "points: none", "rewards.catalogue[1].points"),
    ],
)
def test_an_error_names_file_line_and_field(tmp_path: Path, right: str, wrong: str, field: str) -> None:
    text = GROCER.replace(right, wrong)
    (error,) = check(document(tmp_path, text))
    assert str(error).startswith(f"{tmp_path / 'p.yaml'}:{line_of(text, wrong)}: {field}: ")


def test_each_service_has_its_say_and_what_all_say_is_said_once(tmp_path: Path) -> None:
    text = GROCER.replace("floor", "up").replace("metric: spend", "metric: karma")
    assert [error.field for error in check(document(tmp_path, text))] == [
        "ledger.earning.rounding",
        "tiering.metric",
    ]
    text = GROCER.replace("America/New_York", "America/Springfield")
    assert {error.field for error in check(document(tmp_path, text))} == {"time_zone"}


def test_a_field_is_a_place() -> None:
    assert place_of("rewards.catalogue[0].points") == ("rewards", "catalogue", 0, "points")
