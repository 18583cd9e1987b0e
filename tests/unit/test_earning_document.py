"""What a program document may say of earning, and the field that an error names."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.program_section import ProgramError
from services.ledger.domain.earning_rules import RULES_MAX
from tests.unit.ledger_given import LEDGER, program

RULE: dict[str, Any] = {"id": "r", "earn": {"multiplier": 2}}


def when(**conditions: Any) -> dict[str, Any]:
    return {"rules": [{**RULE, "when": conditions}]}


def earn(**effect: Any) -> dict[str, Any]:
    return {"rules": [{"id": "r", "earn": effect}]}


@pytest.mark.parametrize(
    ("earning", "field"),
    [
        ({"rounding": "up"}, "rounding"),
        ({"combine": "all"}, "combine"),
        ({"tier_multipliers": {"gold": "1000.000000001"}}, "tier_multipliers.gold"),
        ({"tier_multipliers": {"gold": 1_001}}, "tier_multipliers.gold"),
        ({"rule": []}, "rule"),
        ({"rules": {}}, "rules"),
        ({"rules": [RULE] * (RULES_MAX + 1)}, "rules"),
        ({"rules": [RULE, {**RULE}]}, "rules[1].id"),
        ({"rules": [{**RULE, "id": "two words"}]}, "rules[0].id"),
        ({"rules": [{"earn": {"multiplier": 2}}]}, "rules[0].id"),
        ({"rules": [{"id": "r"}]}, "rules[0].earn"),
        ({"rules": [{**RULE, "if": {}}]}, "rules[0].if"),
        ({"rules": [{**RULE, "group": "g"}]}, "rules[0].group"),
        ({"rules": [RULE], "groups": {"g": "stack"}}, "groups.g"),
        ({"rules": [{**RULE, "group": "g"}], "groups": {"g": "sum"}}, "groups.g"),
        ({"rules": [RULE], "groups": {" g": "stack"}}, "groups. g"),
        (earn(), "rules[0].earn"),
        (earn(multiplier=2, points_per_visit=1), "rules[0].earn"),
        (earn(points=1), "rules[0].earn.points"),
        (earn(multiplier="0.9"), "rules[0].earn.multiplier"),
        (earn(points_per_unit="-1"), "rules[0].earn.points_per_unit"),
        (earn(points_per_visit="1.5"), "rules[0].earn.points_per_visit"),
        (earn(points_per_item=0), "rules[0].earn.points_per_item"),
        (earn(bands=[]), "rules[0].earn.bands"),
        (earn(bands=[{"from": 1}]), "rules[0].earn.bands[0].points"),
        (earn(bands=[{"from": 1, "points": 1}, {"from": 1, "points": 2}]), "rules[0].earn.bands[1].from"),
        (when(colour=["red"]), "rules[0].when.colour"),
        (when(skus=[]), "rules[0].when.skus"),
        (when(stores="s1"), "rules[0].when.stores"),
        (when(weekdays=["monday"]), "rules[0].when.weekdays"),
        (when(hours=[{"from": "9:00", "to": "10:00"}]), "rules[0].when.hours[0].from"),
        (when(hours=[{"from": "22:00", "to": "02:00"}]), "rules[0].when.hours[0].to"),
        (when(hours=[{"from": "09:00", "to": "09:00"}]), "rules[0].when.hours[0].to"),
        (when(hours=[{"from": "09:00"}]), "rules[0].when.hours[0].to"),
        (when(dates=[{"from": "2026-02-30", "to": "2026-03-01"}]), "rules[0].when.dates[0].from"),
        (when(dates=[{"from": "2026-03-02", "to": "2026-03-01"}]), "rules[0].when.dates[0].to"),
        (when(amount={"from": 10, "below": 10}), "rules[0].when.amount.below"),
        (when(amount={"over": 10}), "rules[0].when.amount.over"),
        (when(visits={"every": 0}), "rules[0].when.visits.every"),
        (when(visits={"from": 3, "to": 2}), "rules[0].when.visits.to"),
        (when(first_purchase=False), "rules[0].when.first_purchase"),
        (when(first_purchase=True, visits={"every": 2}), "rules[0].when.visits"),
        ({"caps": {"week": 1}}, "caps.week"),
        ({"caps": {"day": 0}}, "caps.day"),
    ],
)
def test_a_mistake_is_told_with_its_field(earning: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as error:
        program(earning={**LEDGER["earning"], **earning})
    assert error.value.field == f"ledger.earning.{field}"
    assert error.value.detail


@pytest.mark.parametrize(
    ("stores", "field"),
    [
        ({"s1": {"time_zone": "Mars"}}, "s1.time_zone"),
        ({"s1": {"zone": "UTC"}}, "s1.zone"),
        ({"s1": {}}, "s1.time_zone"),
    ],
)
def test_a_store_keeps_the_time_of_a_zone(stores: dict[str, Any], field: str) -> None:
    with pytest.raises(ProgramError) as error:
        program(stores=stores)
    assert error.value.field == f"ledger.stores.{field}"
