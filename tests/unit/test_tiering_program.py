"""The section `tiering:` of a program document: what is taken, and what is refused by the name of its field."""

from __future__ import annotations

import copy
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.common.program_section import ProgramError
from services.tiering.domain.conditions import AtLeast
from services.tiering.domain.metrics import Metric
from services.tiering.domain.program import Downgrade, Review, Tier, parse_rules
from services.tiering.domain.windows import Span

DOCUMENT: dict[str, Any] = {
    "program": "grocer",
    "name": "The Grocer's Club",
    "time_zone": "America/New_York",
    "clock": "events",
    "ledger": {"currency": "USD"},
    "tiering": {
        "metric": "spend",
        "window": {"months": 12},
        "exclude_categories": ["FUEL"],
        "review": {"months": 6},
        "tiers": [
            {"name": "member", "from": 0},
            {"name": "silver", "from": 100000},
            {"name": "gold", "from": 250000},
        ],
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """DOCUMENT with `value` at a dotted path; the value `...` takes the key away."""
    document = copy.deepcopy(DOCUMENT)
    at: Any = document
    *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in way:
        at = at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return document


def test_a_whole_section_is_read_exactly() -> None:
    rules = parse_rules(DOCUMENT, "v1")
    assert rules is not None
    assert (rules.program, rules.version, rules.runs_on_events) == ("grocer", "v1", True)
    assert rules.metrics == {"spend": Metric("spend", "spend", Span(ZoneInfo("America/New_York"), 12))}
    assert (rules.review, rules.downgrade) == (Review(6, "", 0), Downgrade("earned", 0))
    assert str(rules.time_zone) == "America/New_York"
    assert rules.excluded_categories == {"FUEL"}
    assert rules.tiers == (
        Tier("member", AtLeast("spend", 0)),
        Tier("silver", AtLeast("spend", 100000)),
        Tier("gold", AtLeast("spend", 250000)),
    )


def test_a_program_without_the_section_has_no_tiers() -> None:
    assert parse_rules(changed("tiering", ...), "v1") is None


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("clock", "moon", "clock"),
        ("time_zone", "Europe/Nowhere", "time_zone"),
        ("time_zone", "../etc/passwd", "time_zone"),
        ("tiering", [], "tiering"),
        ("tiering.metric", ..., "tiering.metric"),
        ("tiering.metric", "balance", "tiering.metric"),
        ("tiering.colour", "red", "tiering.colour"),
        ("tiering.window", ..., "tiering.window"),
        ("tiering.window.months", ..., "tiering.window.months"),
        ("tiering.window.months", 0, "tiering.window.months"),
        ("tiering.window.months", "12", "tiering.window.months"),
        ("tiering.window.months", True, "tiering.window.months"),
        ("tiering.window.days", 3, "tiering.window.days"),
        ("tiering.review.months", 1201, "tiering.review.months"),
        ("tiering.exclude_categories", "FUEL", "tiering.exclude_categories"),
        ("tiering.tiers", ..., "tiering.tiers"),
        ("tiering.tiers", [], "tiering.tiers"),
        ("tiering.tiers", [{"name": "a", "from": 0}] * 21, "tiering.tiers"),
        ("tiering.tiers.0.from", 1, "tiering.tiers[0].from"),
        ("tiering.tiers.1.from", -5, "tiering.tiers[1].from"),
        ("tiering.tiers.1.from", "100.50", "tiering.tiers[1].from"),
        ("tiering.tiers.2.from", 100000, "tiering.tiers[2].from"),
        ("tiering.tiers.2.name", "silver", "tiering.tiers[2].name"),
        ("tiering.tiers.2.name", "Gold!", "tiering.tiers[2].name"),
        ("tiering.tiers.2.name", ..., "tiering.tiers[2].name"),
        ("tiering.tiers.2.at", 5, "tiering.tiers[2].at"),
    ],
)
def test_a_wrong_field_is_named(path: str, value: Any, field: str) -> None:
    with pytest.raises(ProgramError) as refused:
        parse_rules(changed(path, value), "v1")
    assert refused.value.field == field
    assert str(refused.value).startswith(f"{field}: ")


@pytest.mark.parametrize("document", [[], "tiering", 7, None])
def test_a_document_that_is_no_mapping_is_refused(document: Any) -> None:
    with pytest.raises(ProgramError, match="document: must be a mapping"):
        parse_rules(document, "v1")


@pytest.mark.parametrize(
    ("metric", "tier"),
    [
        (-1, "member"),
        (0, "member"),
        (99_999, "member"),
        (100_000, "silver"),
        (249_999, "silver"),
        (250_000, "gold"),
    ],
)
def test_a_threshold_is_reached_at_its_own_value(metric: int, tier: str) -> None:
    rules = parse_rules(DOCUMENT, "v1")
    assert rules is not None
    assert rules.tiers[rules.earned({"spend": metric})].name == tier
