"""What docs/programs shows as an example is a document that the services take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.ops.program_check import checked
from services.ops.yaml_document import load

PAGES = Path(__file__).parents[2] / "docs" / "programs"
BASE: dict[str, dict[str, Any]] = {
    "ledger": {"currency": "USD", "earning": {"points_per_unit": 1}},
    "tiering": {
        "metric": "spend",
        "window": {"months": 12},
        "review": {"months": 12},
        "tiers": [
            {"name": name, "from": n} for n, name in enumerate(("member", "silver", "gold", "platinum"))
        ],
    },
}
"""What an example leaves out, for it shows the fields that its page is about."""
WITHOUT_FIELDS = {"members_merge", "profile", "trying"}
"""Pages on what is done in every program: no document says anything of it."""


def examples() -> Iterator[Any]:
    """Every example that begins with a section of a document."""
    for page in sorted(PAGES.glob("*.md")):
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL), 1):
            if re.match(r"(ledger|tiering|rewards):", block):
                yield pytest.param(block, id=f"{page.stem}-{number}")


@pytest.mark.parametrize("block", list(examples()))
def test_an_example_in_the_docs_can_be_activated(block: str, tmp_path: Path) -> None:
    file = tmp_path / "club.yaml"
    file.write_text(block)
    shown = load(file).data
    base = BASE | {"tiering": {}} if "tiers" in shown.get("tiering", {}) else BASE
    sections = {name: base.get(name, {}) | shown.get(name, {}) for name in base.keys() | shown.keys()}
    file.write_text(json.dumps({"program": "club", **sections}))
    checked(str(file))


def test_every_page_on_fields_shows_an_example() -> None:
    pages = {param.id.rpartition("-")[0] for param in examples()}
    assert pages == {page.stem for page in PAGES.glob("*.md")} - WITHOUT_FIELDS
