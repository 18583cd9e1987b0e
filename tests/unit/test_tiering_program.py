"""The section `tiering:` of a program document: what is taken, and what is refused by the name of its field."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from services.common.program_document import canonical, load_json
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


M = {"name": "m", "counts": "visits"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metrics": [{"name": "m"}]}, "metrics[0].counts"),
        ({"metrics": [{**M, "counts": "balance"}]}, "metrics[0].counts"),
        ({"metrics": [{**M, "name": "M!"}]}, "metrics[0].name"),
        ({"metrics": [M, M]}, "metrics[1].name"),
        ({"metrics": [{**M, "categories": ["A"]}]}, "metrics[0].categories"),
        ({"metrics": [{**M, "counts": "spend", "least": 5}]}, "metrics[0].least"),
        ({"metrics": [{**M, "counts": "units"}]}, "metrics[0].categories"),
        ({"metrics": [{**M, "counts": "formula"}]}, "metrics[0].sum"),
        ({"metrics": [{**M, "sum": [{"metric": "spend", "times": 1}]}]}, "metrics[0].sum"),
        (
            {"metrics": [{**M, "counts": "formula", "sum": [{"metric": "luck", "times": 1}]}]},
            "metrics[0].sum[0].metric",
        ),
        ({"metrics": [{**M, "counts": "formula", "sum": [{"times": 1}]}]}, "metrics[0].sum[0].metric"),
        ({"metrics": [{**M, "counts": "formula", "sum": [{"metric": "spend"}]}]}, "metrics[0].sum[0].times"),
        (
            {
                "metrics": [
                    {"name": "f", "counts": "formula", "sum": [{"metric": "spend", "times": 1}]},
                    {"name": "g", "counts": "formula", "sum": [{"metric": "f", "times": 1}]},
                ]
            },
            "metrics[1].sum[0].metric",
        ),
        (
            {
                "metrics": [
                    {
                        "name": "f",
                        "counts": "formula",
                        "window": {"months": 1},
                        "sum": [{"metric": "spend", "times": 1}],
                    }
                ]
            },
            "metrics[0].window",
        ),
        ({"window": {"months": 12, "period": "lifetime"}}, "window.period"),
        ({"window": {"period": "moon_year"}}, "window.period"),
        ({"review": {"months": 12, "at": "first_of_month"}}, "review.at"),
        ({"review": {"at": "noon"}}, "review.at"),
        ({"review": {"months": 12, "grace_months": -1}}, "review.grace_months"),
        ({"downgrade": {"to": "hell"}}, "downgrade.to"),
        ({"downgrade": {"once_in_months": "6"}}, "downgrade.once_in_months"),
        ({"returns": "never"}, "returns"),
        ({"tiers": [{"name": "a"}, {"name": "b", "any_of": []}]}, "tiers[1].any_of"),
        ({"tiers": [{"name": "a"}, {"name": "b", "any_of": [{"from": 1}], "from": 2}]}, "tiers[1].any_of"),
        (
            {"tiers": [{"name": "a"}, {"name": "b", "any_of": [{"metric": "luck", "from": 1}]}]},
            "tiers[1].any_of[0].metric",
        ),
        ({"tiers": [{"name": "a"}, {"name": "b", "all_of": [{"all_of": [{"from": 1}]}]}]}, "tiers[1].all_of[0].all_of"),
        (
            {"tiers": [{"name": "a"}, {"name": "b", "any_of": [{"from": 1, "all_of": [{"from": 1}]}]}]},
            "tiers[1].any_of[0].all_of",
        ),
        ({"tiers": [{"name": "a", "any_of": [{"from": 1}]}]}, "tiers[0].from"),
        ({"tiers": [{"name": "a"}, {"name": "b"}]}, "tiers[1].from"),
        ({"cards": [{"name": "c", "tier": "gold", "months": 1}]}, "cards[0].sku"),
        ({"cards": [{"name": "c", "tier": "gold", "months": 1, "sku": "S", "from": 1}]}, "cards[0].sku"),
        ({"cards": [{"name": "c", "tier": "gold", "months": 0, "sku": "S"}]}, "cards[0].months"),
        ({"cards": [{"name": "c", "tier": "lead", "months": 1, "sku": "S"}]}, "cards[0].tier"),
        ({"cards": [{"name": "c", "tier": "member", "months": 1, "sku": "S"}]}, "cards[0].tier"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_named(change: dict[str, Any], field: str) -> None:
    document = {**DOCUMENT, "tiering": {**DOCUMENT["tiering"], **change}}
    with pytest.raises(ProgramError) as refused:
        parse_rules(document, "v1")
    assert refused.value.field == f"tiering.{field}"


@pytest.mark.parametrize("number", [0, 1])
def test_the_examples_for_marketing_can_be_used(number: int) -> None:
    page = Path(__file__).parents[2] / "docs/programs/tiers.md"
    example = page.read_text().split("```yaml")[1 + number].split("```")[0]
    assert parse_rules({**DOCUMENT, **load_json(canonical(yaml.safe_load(example)))}, "v1") is not None


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
