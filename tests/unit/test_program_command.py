"""`tally program check` reads a document as all three services will, and says where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.ops.program_check import checked
from services.ops.programs import PROGRAMS_FOLDER
from services.ops.yaml_document import DocumentError

GOOD = """\
program: club
ledger:
  currency: USD
  earning:
    points_per_unit: 1
    tier_multipliers: {gold: 1.5}
tiering:
  metric: spend
  window: {months: 12}
  review: {months: 12}
  tiers: [{name: member, from: 0}, {name: gold, from: 100000}]
rewards:
  catalogue: [{id: five_off, name: "5 off", kind: discount, points: 500, value: 500}]
"""
RULE = "rules: [{id: r, when: {tiers: [%s]}, earn: {multiplier: 2}}]"


@pytest.mark.parametrize("document", sorted(PROGRAMS_FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_program_that_we_ship_can_be_activated(document: Path) -> None:
    assert checked(str(document)).data["program"] == document.stem


@pytest.mark.parametrize(
    ("was", "becomes", "line", "says"),
    [
        ("currency: USD", "currency: dollars", 3, "ledger.currency: is 'dollars'"),
        ("points_per_unit: 1", "points_per_unit: lots", 5, "ledger.earning.points_per_unit: is 'lots'"),
        ("gold: 1.5", "platinum: 1.5", 6, "ledger.earning.tier_multipliers.platinum: no tier 'platinum'"),
        ("gold: 1.5", "member: 1.5", 6, "ledger.earning.tier_multipliers.member: the lowest tier"),
        ("tier_multipliers: {gold: 1.5}", RULE % "platinum", 6, "no tier 'platinum' in tiering.tiers"),
        ("tier_multipliers: {gold: 1.5}", RULE % "member", 6, "'member' is the lowest tier"),
        ("tier_multipliers: {gold: 1.5}", RULE % "''", 6, "no tier ''"),
        ("months: 12}\n  review", "months: 0}\n  review", 9, "tiering.window.months"),
        ("points: 500", "points: -5", 13, "points"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_field(
    tmp_path: Path, was: str, becomes: str, line: int, says: str
) -> None:
    file = tmp_path / "club.yaml"
    file.write_text(GOOD.replace(was, becomes))
    with pytest.raises(DocumentError) as caught:
        checked(str(file))
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert says in str(caught.value)
